"""When the pictures of an output begin and end, and what the container's unit of time does to their times."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from streamfx.media.notes import Converted


class WrittenTimes:
    """Keeps account of the times of pictures that were written.

    Args:
        tick_seconds: the unit the container rounds times to; None when it takes on the source's own.

    Attributes:
        first_seconds: time of the first picture.
        last_seconds: time of the last one.
        end_seconds: time when the last one ends.
    """

    def __init__(self, tick_seconds: Fraction | None) -> None:
        self._tick_seconds = tick_seconds
        self.first_seconds = self.last_seconds = self.end_seconds = Fraction(0)
        self._count = self._rounded = self._coinciding = 0

    def add(self, seconds: Fraction, duration_seconds: Fraction) -> None:
        """Count in the next picture."""
        tick_seconds = self._tick_seconds
        if tick_seconds is not None:
            self._rounded += seconds % tick_seconds != 0
            same = round(seconds / tick_seconds) == round(self.last_seconds / tick_seconds)
            self._coinciding += bool(self._count) and same
        if not self._count:
            self.first_seconds = seconds
        self.last_seconds, self.end_seconds = seconds, seconds + duration_seconds
        self._count += 1

    def notes(self, ending: str) -> Iterator[str]:
        """Yield what became of times that the container cannot state.

        Args:
            ending: ending of the file, for the text.
        """
        if self._tick_seconds is None:
            return
        tick_ms = float(self._tick_seconds * 1000)
        if self._rounded:
            yield f"{self._rounded} times are rounded to the {tick_ms:.3g} ms of {ending}"
        if self._coinciding:
            count = "1 picture has" if self._coinciding == 1 else f"{self._coinciding} pictures have"
            yield Converted(f"{count} the time of the one before: {ending} counts in {tick_ms:.3g} ms")
