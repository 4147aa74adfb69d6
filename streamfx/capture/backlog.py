"""Backlog: pictures that waited while a connection was being opened, told from those that come as made."""

from __future__ import annotations

from fractions import Fraction

_MOST_SECONDS = 10  # of a backlog; what comes faster than its time after that is let through


class Backlog:
    """Says of each packet of a new connection whether it waited.

    What FFmpeg read to find the streams, and what a server keeps for those who join (its last group of
    pictures), comes at once, faster than it was made. Shown one after the other, it would set the output back
    by as much. The first packet that took about as long to come as it lasts is the first that is not old.
    """

    def __init__(self) -> None:
        self._over = False
        self._first: Fraction | None = None
        self._last: tuple[Fraction, float] | None = None

    def holds(self, seconds: Fraction | None, now: float) -> bool:
        """Return whether a packet is old.

        Args:
            seconds: its decoding time by the source's clock; None when it has none.
            now: when it came, by the wall clock.

        Example:
            >>> backlog = Backlog()
            >>> came = ((0, 5.0), (1, 5.01), (2, 5.02), (3, 6.0), (4, 6.01))
            >>> [backlog.holds(Fraction(seconds), now) for seconds, now in came]
            [True, True, True, False, False]
        """
        if self._over or seconds is None:
            self._over = True
            return False
        if self._first is None or self._last is None:
            self._first = seconds
        else:
            step, took_seconds = seconds - self._last[0], now - self._last[1]
            self._over = took_seconds >= step / 2 or seconds - self._first > _MOST_SECONDS
        self._last = seconds, now
        return not self._over
