"""What every source offers; the protocol of inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from streamfx.media.frame import Frame, VideoFormat

if TYPE_CHECKING:
    from streamfx.media.tracks import OtherTracks


class Source(Protocol):
    """Where frames come from. Used by one thread at a time, the capture thread, except ``close``.

    Attributes:
        name: name as a user would write it, without credentials.
        format: properties that all frames have in common, known once the source is open.
        live: True when frames arrive at their own pace and must not be waited for.
        notes: assumptions, conversions and losses (colour tags, alpha, a size change), for the report. Grows
            while reading.
        other_tracks: tracks and tags that travel along to the output untouched (sound, subtitles, chapters);
            None where there is nothing of the kind.
        shortfall: frames that the container counts and the data does not hold; known at the end, 0 before.
    """

    name: str
    format: VideoFormat
    live: bool
    notes: list[str]
    other_tracks: OtherTracks | None
    shortfall: int

    def read(self) -> Frame | None:
        """Return the next frame, or None at the end.

        Raises:
            DecodeError: this frame or packet is broken; the next call goes on after it.
            SourceLostError: nothing more will come although the source has not ended.
        """

    def close(self) -> None:
        """Release everything. Safe to call twice and from another thread."""
