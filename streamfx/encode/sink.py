"""What every sink offers; the protocol of outputs."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from streamfx.media.frame import Frame

AWAY = "output away"
"""Why a frame was dropped that an output should have had while it was away."""


class Sink(Protocol):
    """Where frames go. Used by one thread, the encode thread.

    Attributes:
        name: name as a user would write it, without credentials.
        frames_written: frames accepted so far.
        packets_written: video packets (or pictures) written so far; equals frames after ``finish``.
        notes: conversions and omissions, for the report.
    """

    name: str
    notes: list[str]
    frames_written: int
    packets_written: int

    def write(self, frame: Frame) -> str | None:
        """Encode one frame, in order of presentation; return why it was dropped, None when it was not.

        Only sinks whose other end can be away for a while drop frames.

        Raises:
            SinkError: cannot write (disk full, peer gone). What was written so far stays usable.
        """

    def finish(self) -> None:
        """Flush and complete the output (index, rename from the temporary name). Call once, after the last
        frame."""

    def abort(self) -> None:
        """Give up: remove temporary output. Safe to call at any time, and after ``finish`` does nothing."""


@runtime_checkable
class CountsBytes(Protocol):
    """What a sink may offer besides: how large the output is so far.

    Attributes:
        bytes_written: size in bytes; may be asked for by any thread.
    """

    @property
    def bytes_written(self) -> int: ...


def bytes_so_far(sink: Sink) -> int | None:
    """Return how large an output is so far, in bytes; None for one that does not count them."""
    return sink.bytes_written if isinstance(sink, CountsBytes) else None
