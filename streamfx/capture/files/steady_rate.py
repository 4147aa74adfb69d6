"""A steady rate made of pictures with times of their own: some are dropped, some shown again."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from av import VideoFrame

# A time is rounded up from here on. Files round times too, so this keeps away from the fractions that common
# pairs of rates give (halves for 60 to 30, fifths for 60 to 24).
_ROUNDED_UP = Fraction(11, 25)

Timed = tuple[VideoFrame, int, int | None]
"""A picture, its time and its duration, in units of a time base."""


class SteadyRate:
    """Gives pictures at a steady rate.

    Each time of the new rate shows the last picture whose time, rounded to the new rate, is not later. Which
    pictures are dropped depends on nothing but their times.

    Args:
        following: returns the next picture; None at the end.
        time_base: unit of its times, in seconds.
        rate_fps: rate wanted.

    Attributes:
        dropped: pictures that were not shown so far.
        repeated: times at which a picture was shown again.

    Example:
        >>> pictures = iter([(name, pts, 1) for pts, name in enumerate("abcd")])
        >>> slow = SteadyRate(lambda: next(pictures, None), Fraction(1, 30), Fraction(15))
        >>> [slow.next(), slow.next(), slow.next(), slow.dropped]
        [('a', 0, 1), ('c', 1, 1), None, 2]
    """

    def __init__(
        self, following: Callable[[], Timed | None], time_base: Fraction, rate_fps: Fraction
    ) -> None:
        self._following = following
        self._ticks, self._rate_fps = time_base * rate_fps, rate_fps
        self.dropped = self.repeated = 0
        self.begin_again()

    def __str__(self) -> str:
        return (
            f"the rate is {self._rate_fps} frames a second: {self.dropped} pictures were dropped, "
            f"{self.repeated} shown again"
        )

    def begin_again(self) -> None:
        """Forget what was read: the next picture comes from another place."""
        self._shown: Timed | None = None
        self._after: Timed | None = None
        self._begun = self._ended = False
        self._tick: int | None = None

    def next(self) -> Timed | None:
        """Return the next picture, its number at the new rate, and 1; None at the end.

        Raises:
            DecodeError: a picture cannot be decoded; the next call goes on after it.
        """
        while True:
            if self._shown is None and not self._advance():
                return None
            assert self._shown is not None
            self._look_ahead()
            picture, pts, duration = self._shown
            begins = self._round(pts)
            tick = begins if self._tick is None else max(begins, self._tick)
            if tick < self._end(pts, duration):
                self.repeated += self._begun
                self._begun, self._tick = True, tick + 1
                return picture, tick, 1
            self.dropped += not self._begun
            self._shown = None

    def _look_ahead(self) -> None:
        """Take the picture after, unless it is there; where that raises, the next call asks again."""
        if self._after is None and not self._ended:
            self._after = self._following()
            self._ended = self._after is None

    def _advance(self) -> bool:
        """Go on to the picture after; return whether there is one."""
        self._look_ahead()
        self._shown, self._after, self._begun = self._after, None, False
        return self._shown is not None

    def _end(self, pts: int, duration: int | None) -> int:
        """Return the first time at which the picture is not shown any more."""
        if self._after is not None:
            return self._round(self._after[1])
        end = self._round(pts + duration) if duration else self._round(pts) + 1
        return end if self._tick is not None else max(end, self._round(pts) + 1)

    def _round(self, pts: int) -> int:
        return math.floor(pts * self._ticks + 1 - _ROUNDED_UP)
