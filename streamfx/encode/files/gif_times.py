"""Times of a GIF: hundredths of a second, and none shorter than browsers show."""

from __future__ import annotations

from fractions import Fraction

TICK_SECONDS = Fraction(1, 100)
LEAST_TICKS = 2  # browsers take a shorter delay for a tenth of a second
MOST_FPS = 1 / (LEAST_TICKS * TICK_SECONDS)
TOO_FAST = "faster than GIF shows"


class GifTimes:
    """Gives pictures times that a GIF can state, close to their own, and passes over what comes too fast.

    The speed stays: no time is off by more than a tick.
    """

    def __init__(self) -> None:
        self._last: int | None = None

    def place(self, seconds: Fraction) -> int | None:
        """Return the time of the next picture in ticks; None where it must be left out.

        Example:
            >>> times = GifTimes()
            >>> [times.place(Fraction(number, 60)) for number in range(7)]
            [0, 2, 4, 6, None, 8, 10]
        """
        ticks = seconds / TICK_SECONDS
        earliest = round(ticks) if self._last is None else self._last + LEAST_TICKS
        if earliest - ticks > 1:
            return None
        self._last = max(round(ticks), earliest)
        return self._last
