"""Whether a file held what its container promised: pictures where it counts them, else time."""

from __future__ import annotations

from streamfx.capture.files.decoding import Decoding
from streamfx.media.frame import VideoFormat

FREE_CLOCKS = {"mpegts", "mpeg"}  # containers whose clock starts anywhere and may be set anew in between
_LEEWAY_SECONDS, _LEEWAY_SHARE = 1.0, 0.02  # by how much a container's duration may be wrong unremarked


def shortfall_of(video: VideoFormat, decoding: Decoding, container: str) -> tuple[int, str | None]:
    """Return how many pictures are missing, 0 where they are not counted, and a sentence when there is less.

    Args:
        video: promises of the container.
        decoding: counts of the decoder, at the end.
        container: FFmpeg's name of it.
    """
    promised, duration_seconds = video.frame_count, video.duration_seconds
    found, reached_seconds = decoding.video_packets, decoding.reached_seconds
    if promised is not None:
        missing = max(promised - found, 0)
        text = f"the file ends early: it promises {promised} pictures and holds {found}"
        return missing, text if missing else None
    if duration_seconds is None or container in FREE_CLOCKS:
        return 0, None
    leeway_seconds = max(_LEEWAY_SECONDS, _LEEWAY_SHARE * duration_seconds)
    if reached_seconds >= duration_seconds - leeway_seconds:
        return 0, None
    ends = f"it promises {duration_seconds:.2f} s and ends at {reached_seconds:.2f} s"
    return 0, f"the file ends early: {ends}"


def all_came(video: VideoFormat, decoding: Decoding) -> bool:
    """Return whether all that the container promised was there: what cannot be read is no part of it."""
    if video.frame_count is not None:
        return decoding.video_packets >= video.frame_count
    step_seconds = 1 / float(video.rate_fps) if video.rate_fps else 0.0
    promised_seconds = video.duration_seconds
    return promised_seconds is not None and decoding.reached_seconds >= promised_seconds - 1.5 * step_seconds
