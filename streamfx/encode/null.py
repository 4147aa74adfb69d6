"""The sink that keeps nothing: for benchmarks, and to see whether a source can be read to its end."""

from __future__ import annotations

from streamfx.media.frame import Frame


class NullSink:
    """Counts frames and forgets them."""

    def __init__(self) -> None:
        self.name = "null:"
        self.notes: list[str] = []
        self.frames_written = 0
        self.packets_written = 0

    def write(self, frame: Frame) -> None:  # noqa: ARG002 - the protocol's signature
        """Count the frame."""
        self.frames_written += 1
        self.packets_written += 1

    def finish(self) -> None:
        """Do nothing: there is nothing to complete."""

    def abort(self) -> None:
        """Do nothing: there is nothing to remove."""
