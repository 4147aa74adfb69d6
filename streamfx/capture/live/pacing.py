"""A source that could be read at any speed, read at the speed it is meant to be shown."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from streamfx.capture.source import Source
from streamfx.media.frame import Frame


class PacedSource:
    """Hands the frames of a file out at their times: a recording in place of a live source.

    Args:
        source: the source to read; owned from here on.
    """

    def __init__(self, source: Source) -> None:
        self.name, self.format, self.notes = source.name, source.format, source.notes
        self.other_tracks, self.live = source.other_tracks, True
        self._source, self.shortfall = source, 0
        self._closed = threading.Event()
        self._origin: float | None = None

    def read(self) -> Frame | None:
        """Return the next frame when it is due, or None at the end or once closed.

        Raises:
            DecodeError: this frame is broken; the next call goes on after it.
        """
        frame = self._source.read()
        if frame is None:
            self.shortfall = self._source.shortfall
            return None
        seconds, now = float(frame.time_seconds), time.monotonic()
        if self._origin is None:
            self._origin = now - seconds
        if self._closed.wait(max(self._origin + seconds - now, 0.0)):
            return None
        return replace(frame, captured_ns=time.monotonic_ns())

    def close(self) -> None:
        """End the source: a waiting read returns at once, every later one returns None."""
        self._closed.set()
        self._source.close()
