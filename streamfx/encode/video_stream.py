"""The coded video stream of an output: encoder, tags, rotation."""

from __future__ import annotations

import io
import os
from fractions import Fraction

import av
from av.codec.context import Flags
from av.codec.hwaccel import HWAccel
from av.container import OutputContainer
from av.video.stream import VideoStream

from streamfx.encode.files.animation_times import PACES
from streamfx.encode.files.output_file import write_problem
from streamfx.encode.hdr import hdr_options
from streamfx.encode.pixels import AV_RANGES
from streamfx.encode.plan import OutputPlan
from streamfx.encode.scheduling import ordinary_scheduling
from streamfx.errors import ConfigError, SinkError
from streamfx.hardware.memory import memory_hint
from streamfx.media.frame import ChromaLocation, VideoFormat

_TOP_FIELD_FIRST, _BOTTOM_FIELD_FIRST = 2, 3  # FFmpeg's AV_FIELD_TT and AV_FIELD_BB
_NOMINAL_FPS = Fraction(25)  # for rate control when the source states no rate; no time depends on it


def steady_rate(video: VideoFormat) -> Fraction:
    """Return the rate, in frames a second, of an output that states no times."""
    return video.rate_fps or _NOMINAL_FPS


def add_video_stream(out: OutputContainer, plan: OutputPlan, hwaccel: HWAccel | None = None) -> VideoStream:
    """Add the video stream to ``out`` and start its encoder, on the device of ``hwaccel`` if there is one.

    Raises:
        ConfigError: the encoder has no such option.
        SinkError: the encoder does not start.
    """
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints its settings to stderr otherwise
    video = plan.video
    rate_fps = steady_rate(video)
    stream = out.add_stream(plan.codec.encoder, rate=rate_fps, hwaccel=hwaccel)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.height, context.width = plan.size
    context.pix_fmt = plan.pix_fmt
    context.framerate = rate_fps
    pace = PACES.get(plan.container.muxer)
    context.time_base = stream.time_base = (pace and pace.tick_seconds) or video.time_base
    if not plan.container.times:
        context.time_base = stream.time_base = 1 / rate_fps
    context.colorspace, context.color_range = int(plan.colour.matrix), AV_RANGES[plan.colour.code_range]
    context.color_primaries, context.color_trc = plan.colour.primaries, plan.colour.transfer
    if video.sample_aspect_ratio is not None:
        context.sample_aspect_ratio = video.sample_aspect_ratio
    if (top_field_first := video.top_field_first) is not None and plan.codec.keeps_fields:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.field_order = _TOP_FIELD_FIRST if top_field_first else _BOTTOM_FIELD_FIRST
    # PyAV's own default, slices, costs x264 compression; frame threads keep pictures back.
    context.thread_type = "SLICE" if plan.low_delay else "AUTO"
    context.thread_count = plan.threads
    # Durations reach the packets only with this flag; without one for the last, MP4 ends before it is shown.
    context.flags |= Flags.frame_duration
    if plan.container.display_size and "yuva" in plan.pix_fmt:  # Matroska and WebM
        stream.metadata["alpha_mode"] = "1"  # players look there
    if plan.codec.name.startswith("hevc") and plan.container.muxer in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # the tag Apple's players insist on
    options = hdr_options(plan.codec.encoder, video, plan.encoder_options)
    if plan.colour.chroma_location is not ChromaLocation.UNKNOWN:
        options["chroma_sample_location"] = plan.colour.chroma_location.value
    context.options = options
    _start(stream, plan)
    return stream


def prove_encoder(plan: OutputPlan) -> None:
    """Start the encoder of a plan, and let it go.

    Raises:
        ConfigError: the encoder has no such option.
        SinkError: the encoder does not start.
    """
    with av.open(io.BytesIO(), "w", format="nut") as out:  # which takes whatever is coded
        add_video_stream(out, plan)


def _start(stream: VideoStream, plan: OutputPlan) -> None:
    """Open the encoder before the container, so that what it refuses is told apart."""
    context, options = stream.codec_context, dict(stream.codec_context.options)
    try:
        with ordinary_scheduling():
            context.open()
    except (av.FFmpegError, ValueError) as error:
        settings = " ".join(f"{key}={value}" for key, value in options.items())
        device = plan.codec.device
        hint = "" if device is None else f" (no {device}, or too many encodes at once on it)"
        raise SinkError(
            f"{plan.name}: encoder {plan.codec.encoder} does not start with {settings}: "
            f"{write_problem(error)}{hint}{memory_hint()}"
        ) from error
    if context.options:  # PyAV leaves here what the encoder did not take
        raise ConfigError(f"encoder {plan.codec.encoder} has no option {', '.join(context.options)}")


def rotate(stream: VideoStream, plan: OutputPlan, matrix: tuple[int, ...] | None) -> str | None:
    """Ask players to rotate the picture as the source does.

    Args:
        stream: the video stream of the output.
        plan: plan of the output.
        matrix: the source's display matrix, rotation and mirroring; None: the format's rotation alone.

    Returns:
        A sentence for the report when the container cannot do so; else None.
    """
    degrees = plan.video.rotation_degrees
    if not plan.container.rotation:
        return f"{plan.ending} cannot ask players to rotate; it shows unrotated" if degrees else None
    if matrix is not None:
        stream.set_display_matrix(matrix)
    elif degrees:
        stream.set_display_rotation(degrees)
    return None
