"""Line limit: what happens again and again is told a few times, and then how often it happened."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable

_MOST, _WITHIN_SECONDS = 5, 60.0
_MOST_KINDS = 200


class LineLimit:
    """Lets so many lines of a kind through in a while, and counts the others. Safe from any thread.

    Args:
        most: lines of a kind that pass within the time.
        within_seconds: the time.
        now: the clock.

    Example:
        >>> limit = LineLimit(most=2, within_seconds=60, now=iter([0.0, 1.0, 2.0, 3.0, 61.0]).__next__)
        >>> [limit.passes("lost") for _ in range(5)]
        [0, 0, None, None, 2]
    """

    def __init__(
        self,
        most: int = _MOST,
        within_seconds: float = _WITHIN_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._within_seconds, self._now = most, within_seconds, now
        self._lock = threading.Lock()
        self._kinds: dict[object, tuple[float, int]] = {}  # when its time began, and lines since then

    def passes(self, kind: object) -> int | None:
        """Return None where a line is to be left out, else how many of its kind were, just before it."""
        now = self._now()
        with self._lock:
            began, lines = self._kinds.get(kind, (now, 0))
            left_out = 0
            if now - began >= self._within_seconds:
                left_out, began, lines = max(lines - self._most, 0), now, 0
            if kind not in self._kinds and len(self._kinds) >= _MOST_KINDS:
                self._kinds.clear()
            self._kinds[kind] = began, lines + 1
            return None if lines >= self._most else left_out


class LogLimit(logging.Filter):
    """Limits the records of a log: those that say the same, but for numbers, are of a kind."""

    def __init__(self, limit: LineLimit | None = None) -> None:
        super().__init__()
        self._limit = limit or LineLimit()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is shown; says in it how many were not."""
        left_out = self._limit.passes((record.name, re.sub(r"\d+", "", record.getMessage())))
        if left_out:
            record.msg, record.args = (
                f"{record.getMessage()} ({left_out} more such lines were left out)",
                None,
            )
        return left_out is not None


def limited(tell: Callable[[str], None], limit: LineLimit | None = None) -> Callable[[str], None]:
    """Return what passes lines on to ``tell``, within limits."""
    limit = limit or LineLimit(most=20)

    def told(line: str) -> None:
        left_out = limit.passes(None)
        if left_out:
            tell(f"{left_out} more such lines were left out")
        if left_out is not None:
            tell(line)

    return told
