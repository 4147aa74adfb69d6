"""Times of animations (GIF, WebP, APNG): in units that they count in, and none shorter than browsers show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

_OFF_SECONDS = Fraction(1, 1000)  # by which a picture may come late before it is left out


@dataclass(frozen=True, slots=True)
class Pace:
    """How quickly an animation can show pictures.

    Attributes:
        name: name of the kind, as users know it.
        tick_seconds: the unit it counts in; None: whatever the source counts in.
        least_seconds: shortest delay that browsers keep to; they take a shorter one for a tenth of a second.
    """

    name: str
    tick_seconds: Fraction | None
    least_seconds: Fraction

    @property
    def most_fps(self) -> Fraction:
        """Most pictures a second."""
        return 1 / self.least_seconds

    @property
    def too_fast(self) -> str:
        """Why a picture is left out."""
        return f"faster than {self.name} shows"


PACES = {
    "gif": Pace("GIF", Fraction(1, 100), Fraction(1, 50)),
    "webp": Pace("WebP", Fraction(1, 1000), Fraction(11, 1000)),
    "apng": Pace("APNG", None, Fraction(11, 1000)),
}
"""Paces of the containers that are animations, by FFmpeg's names of their muxers."""


class AnimationTimes:
    """Gives pictures times that an animation can state, close to their own, and passes over what comes too
    fast.

    The speed stays: no time is off by more than a tick, or a millisecond where ticks are shorter.

    Args:
        pace: pace of the animation.
        time_base: unit of the source's times, in seconds.

    Attributes:
        tick_seconds: unit of the times given.
        least_ticks: least distance of two.
    """

    def __init__(self, pace: Pace, time_base: Fraction) -> None:
        self.tick_seconds = pace.tick_seconds or time_base
        self.least_ticks = math.ceil(pace.least_seconds / self.tick_seconds)
        self._most_off_ticks = max(_OFF_SECONDS / self.tick_seconds, Fraction(1))
        self._last: int | None = None

    def place(self, seconds: Fraction) -> int | None:
        """Return the time of the next picture in ticks; None where it must be left out.

        Example:
            >>> times = AnimationTimes(PACES["gif"], Fraction(1, 60))
            >>> [times.place(Fraction(number, 60)) for number in range(7)]
            [0, 2, 4, 6, None, 8, 10]
        """
        ticks = seconds / self.tick_seconds
        earliest = round(ticks) if self._last is None else self._last + self.least_ticks
        if earliest - ticks > self._most_off_ticks:
            return None
        self._last = max(round(ticks), earliest)
        return self._last
