"""What a video file says of its pictures, and what the first of them shows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction

from av import VideoFrame
from av.container import InputContainer
from av.video.stream import VideoStream

from streamfx.capture.files.preparation import Prepared
from streamfx.capture.planar import Planarizer, assumptions, colour_of
from streamfx.capture.side_data import hdr_metadata
from streamfx.media.frame import VideoFormat
from streamfx.media.notes import Converted, LeftOut

log = logging.getLogger(__name__)

_MEANS_SOMETHING_ELSE = 1.5  # times the rate at which a time is there for each picture
_BOTTOM_FIRST = (3, 4)  # FFmpeg's AV_FIELD_BB and AV_FIELD_TB: what is shown first


def describe(
    container: InputContainer,
    video: VideoStream,
    first: VideoFrame,
    planarizer: Planarizer,
    prepared: Prepared,
    *,
    alpha: bool = False,
) -> VideoFormat:
    """Return what all frames of a file have in common.

    Args:
        container: the open file.
        video: video stream whose pictures are read.
        first: the first picture, as it came out of decoding and preparation.
        planarizer: made for it.
        prepared: filters through which pictures passed.
        alpha: whether alpha is kept.
    """
    time_base = video.time_base or first.time_base
    assert time_base is not None
    layout = planarizer.layout
    rate_fps = _rate_fps(video)
    duration_seconds = float(video.duration * time_base) if video.duration else None
    if duration_seconds is None and container.duration:
        duration_seconds = container.duration / 1_000_000
    return VideoFormat(
        size=planarizer.size,
        subsampling=layout.subsampling,
        depth=layout.depth,
        colour=colour_of(first, video.codec_context.name),
        time_base=time_base,
        rate_fps=rate_fps if rate_fps and rate_fps <= 1 / time_base else None,
        sample_aspect_ratio=prepared.pixel_shape,
        rotation_degrees=0 if prepared.turned else round(first.rotation / 90) * 90,
        frame_count=_frame_count(video, container.format.name),
        duration_seconds=duration_seconds,
        hdr=hdr_metadata(first),
        top_field_first=_top_field_first(first, video),
        alpha=alpha,
    )


def worth_knowing(name: str, video: VideoFormat, prepared: Prepared) -> Iterator[str]:
    """Yield what is told of the pictures of a file, for the report.

    Args:
        name: name of the file.
        video: format of its frames.
        prepared: filters through which pictures passed.
    """
    if video.top_field_first is not None:
        yield Converted("pictures are interlaced, and stay so")
    yield from map(Converted, prepared.notes)
    if prepared.not_turned:
        yield LeftOut(f"{name} is not turned upright: {prepared.not_turned}")
    if missing := assumptions(video.colour, video.size[0]):
        yield missing
        log.info("%s: %s", name, missing)


def _rate_fps(video: VideoStream) -> Fraction | None:
    """Return the rate that a file states; None where it does not.

    On average there are no more pictures than times that tell them apart. Where a file states more all the
    same, it means something else: the ticks of a clock (raw DV), turns at which nothing is stored (AVI).
    """
    average, base = video.average_rate, video.base_rate
    stated = base if average and base and average > _MEANS_SOMETHING_ELSE * base else average
    return stated or video.guessed_rate or None


def _frame_count(video: VideoStream, container: str) -> int | None:
    """Return the number of pictures that a file states; None where it does not.

    AVI counts turns, at some of which nothing is stored and the picture before stays. Its index has the
    others. It is believed where it reaches the end: that of a file that was cut off is another.
    """
    if container != "avi" or len(video.index_entries) < 2:
        return video.frames or None
    before, last = video.index_entries[-2].timestamp, video.index_entries[-1].timestamp
    return len(video.index_entries) if 2 * last - before >= video.frames else video.frames or None


def _top_field_first(first: VideoFrame, video: VideoStream) -> bool | None:
    """Return which field of interlaced pictures comes first; None for whole pictures."""
    if not first.interlaced_frame:
        return None
    return video.codec_context.field_order not in _BOTTOM_FIRST
