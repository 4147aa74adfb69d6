"""What a finished video file must show when it is read again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from streamfx.encode.files.picture_times import WrittenTimes
from streamfx.encode.plan import OutputPlan
from streamfx.encode.tracks.copying import CopiedStream
from streamfx.media.frame import Colour


@dataclass(frozen=True, slots=True)
class ExpectedStream:
    """A copied stream as it was sent.

    Attributes:
        name: name for messages.
        kind: audio, subtitle, data, …
        packets: number of packets sent.
        size_bytes: bytes in them, where packets do not count: containers cut uncompressed sound as they
            like. None elsewhere.
        first_seconds: time of the first; None without any.
    """

    name: str
    kind: str
    packets: int
    size_bytes: int | None
    first_seconds: Fraction | None


@dataclass(frozen=True, slots=True)
class Expected:
    """What a finished file must show.

    Attributes:
        packets: video packets.
        first_seconds: time of the first frame.
        last_seconds: time of the last frame.
        colour: colour description of the video.
        size: (height, width) in pixels.
        tick_seconds: the unit the container rounds times to.
        sample_aspect_ratio: shape of a pixel; None when not stated.
        streams: the copied streams, in their order in the file.
        animation: FFmpeg's name of the muxer where the file is an animated WebP or APNG; None elsewhere.
    """

    packets: int
    first_seconds: Fraction
    last_seconds: Fraction
    colour: Colour
    size: tuple[int, int]
    tick_seconds: Fraction
    sample_aspect_ratio: Fraction | None = None
    streams: tuple[ExpectedStream, ...] = ()
    animation: str | None = None


def expected_of(
    plan: OutputPlan, times: WrittenTimes, packets: int, copied: Iterable[CopiedStream]
) -> Expected:
    """Return what a file must show.

    Args:
        plan: plan of the file.
        times: times of the pictures that were written.
        packets: number of video packets written.
        copied: streams written beside them.
    """
    muxer = plan.container.muxer
    return Expected(
        animation=muxer if muxer in ("webp", "apng") else None,
        packets=packets,
        first_seconds=times.first_seconds,
        last_seconds=times.last_seconds,
        colour=plan.colour if plan.container.colours else Colour(),
        size=plan.size,
        tick_seconds=plan.container.tick_seconds or plan.video.time_base,
        sample_aspect_ratio=plan.video.sample_aspect_ratio if plan.states_shape else None,
        streams=tuple(
            ExpectedStream(
                str(each.source),
                each.source.kind,
                each.packets,
                each.size_bytes if each.coding.startswith("pcm_") else None,
                each.first_seconds,
            )
            for each in copied
        ),
    )
