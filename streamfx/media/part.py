"""Part of a film: from when to when it is wanted, exact to the frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

_LEEWAY_SECONDS = Fraction(1, 2000)  # people write times to the millisecond, and frames lie between


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a film that is wanted, on the clock of the whole film's output.

    The first frame is the first that begins at the start or after it, as FFmpeg's accurate seeking has it;
    the one that is on the screen already is not in it. The last is the last that begins before the end. Two
    parts that share a moment therefore share no frame, and lose none.

    Attributes:
        start_seconds: start of the part; 0 is the film's beginning.
        end_seconds: end of the part; None: to the film's end.

    Example:
        >>> part = Part(Fraction(1), Fraction(2))
        >>> [part.has(Fraction(seconds, 25)) for seconds in (24, 25, 49, 50)]
        [False, True, True, False]
        >>> Part(Fraction("3.337")).has(Fraction(100_100, 30_000))  # 3.33667 s: frame 100 of 29.97 fps
        True
    """

    start_seconds: Fraction = Fraction(0)
    end_seconds: Fraction | None = None

    def has(self, seconds: Fraction) -> bool:
        """Return whether a frame that begins at this time is in it."""
        return self.is_begun(seconds) and not self.is_over(seconds)

    def is_begun(self, seconds: Fraction) -> bool:
        """Return whether a frame that begins at this time does not come too early."""
        return seconds >= self.start_seconds - _LEEWAY_SECONDS

    def is_over(self, seconds: Fraction) -> bool:
        """Return whether a frame that begins at this time comes too late."""
        return self.end_seconds is not None and seconds >= self.end_seconds - _LEEWAY_SECONDS

    def first_tick_after(self, time_base: Fraction) -> int:
        """Return the first time, in units of the base, that is too late."""
        assert self.end_seconds is not None
        return math.ceil((self.end_seconds - _LEEWAY_SECONDS) / time_base)

    def __str__(self) -> str:
        end = "the end" if self.end_seconds is None else f"{float(self.end_seconds):.3f} s"
        return f"{float(self.start_seconds):.3f} s to {end}"


def part_of(start: float | None, end: float | None, duration: float | None) -> Part | None:
    """Return the part that settings ask for, in seconds; None where they ask for all of a film.

    Example:
        >>> print(part_of(2.5, None, 0.1))
        2.500 s to 2.600 s
    """
    if start is None and end is None and duration is None:
        return None
    begins, ends = _exact(start or 0.0), None if end is None else _exact(end)
    return Part(begins, ends if duration is None else begins + _exact(duration))


def _exact(seconds: float) -> Fraction:
    """Return the time that was written, not the one that a float makes of it."""
    return Fraction(repr(float(seconds)))
