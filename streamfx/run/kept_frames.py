"""Kept frames: what frames on their way to the outputs were before the effects, while somebody watches."""

from __future__ import annotations

import threading
from collections import deque

from streamfx.media.frame import Frame


class KeptFrames:
    """Keeps the newest sources while there are watchers. For any thread.

    Args:
        most: largest number of frames kept.

    Attributes:
        watchers: number of those who watch.
    """

    def __init__(self, most: int) -> None:
        self._frames: deque[Frame] = deque(maxlen=most)
        self._lock = threading.Lock()
        self.watchers = 0

    def put(self, frame: Frame) -> None:
        """Keep a frame, if somebody watches."""
        if self.watchers:
            with self._lock:
                self._frames.append(frame)

    def find(self, index: int) -> Frame | None:
        """Return what frame ``index`` was; None when that was not kept."""
        with self._lock:
            return next((frame for frame in self._frames if frame.index == index), None)

    def watch(self, *, on: bool) -> None:
        """Say that somebody watches, or does no more. Calls must pair up."""
        with self._lock:
            self.watchers += 1 if on else -1
            if not self.watchers:
                self._frames.clear()
