"""Backlog: pictures that waited while a connection was being opened, told from those that come as made."""

from __future__ import annotations

from fractions import Fraction

_MOST_SECONDS = 10  # of a backlog; what comes faster than its time after that is let through
_LEAST_SECONDS = 0.003  # less is no waiting
_MOST_UNTIMED = 25  # packets without a time of use; a source may have none at all


class Backlog:
    """Says of each packet of a new connection whether it waited.

    What FFmpeg read to find the streams, and what a server keeps for those who join (its last group of
    pictures), comes at once, faster than it was made. Shown one after the other, it would set the output back
    by as much. The first packet that had to be waited for is the first that is not old; so is one that comes
    later than it was made, on a machine that is too busy to ever wait.
    """

    def __init__(self) -> None:
        self._over = False
        self._untimed = 0
        self._first: Fraction | None = None
        self._last: tuple[Fraction, float] | None = None

    def holds(self, seconds: Fraction | None, now: float, waited_seconds: float) -> bool:
        """Return whether a packet is old.

        Args:
            seconds: decoding time by the source's clock; None when it has none.
            now: time when it came, by the wall clock.
            waited_seconds: time for which it was waited for.

        Example:
            >>> backlog = Backlog()
            >>> came = ((0, 5.0, 0.0), (1, 5.1, 0.0), (2, 5.2, 0.0), (3, 6.0, 0.8), (4, 6.1, 0.0))
            >>> [backlog.holds(Fraction(seconds), now, waited) for seconds, now, waited in came]
            [True, True, True, False, False]
        """
        if self._over:
            return False
        if seconds is None or (self._last is not None and seconds <= self._last[0]):
            self._untimed += 1  # the first packets of RTSP often have none
            self._over = self._untimed > _MOST_UNTIMED
        elif self._first is None or self._last is None:
            self._first, self._last = seconds, (seconds, now)
        else:
            step_seconds, took_seconds = float(seconds - self._last[0]), now - self._last[1]
            waited = waited_seconds >= max(step_seconds / 4, _LEAST_SECONDS)
            self._over = waited or took_seconds >= step_seconds or seconds - self._first > _MOST_SECONDS
            self._last = seconds, now
        return not self._over
