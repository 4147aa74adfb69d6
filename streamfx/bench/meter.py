"""Meter: which picture of the test source arrives at the end, read from its pixels, and how long it took.

The number that the source stamps into each picture is looked for among those of the last pictures taken up
(``nearest_stamp``): it can be read after every effect, at every factor, and after a lossy codec. So it is the
latency of the picture that is really shown, whatever times and numbers travel along beside it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from streamfx.capture.pattern import nearest_stamp
from streamfx.media.frame import Frame, Plane
from streamfx.pipeline.stats import Times, Timing

REMEMBERED = 128  # pictures: over two seconds at 60 fps


@dataclass(frozen=True, slots=True)
class Readings:
    """What the pictures at one end said.

    Attributes:
        pictures: number of pictures looked at.
        unreadable: pictures that showed none of the numbers that were under way.
        mistaken: pictures that showed another number than they should, by what they carried along.
        out_of_order: pictures that showed a number that is not above the one before.
        latency: latency from when the picture was captured until it was seen here.
    """

    pictures: int
    unreadable: int
    mistaken: int
    out_of_order: int
    latency: Times

    @property
    def wrong(self) -> int:
        """Pictures that were not what they should be."""
        return self.unreadable + self.mistaken + self.out_of_order


@dataclass(slots=True)
class Tally:
    """Counts what pictures say, one after the other."""

    pictures: int = 0
    unreadable: int = 0
    mistaken: int = 0
    out_of_order: int = 0
    last: int = -1
    latency: Timing = field(default_factory=Timing)

    def count(self, number: int | None, carried: int | None = None) -> None:
        """Count a picture with the number read from it, and the one it should have, where that is known."""
        self.pictures += 1
        if number is None:
            self.unreadable += 1
            return
        self.mistaken += carried is not None and number != carried
        self.out_of_order += number <= self.last
        self.last = number

    def readings(self) -> Readings:
        """Return the counts so far."""
        return Readings(
            self.pictures, self.unreadable, self.mistaken, self.out_of_order, self.latency.times()
        )


class PictureMeter:
    """Reads the pictures at one end of the way; ``sent`` may be called by another thread than ``seen``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: dict[int, float] = {}  # number: when captured, monotonic clock, seconds
        self._tally, self._span = Tally(), Timing()

    @property
    def last(self) -> int:
        """The number read last; -1 before the first."""
        return self._tally.last

    def sent(self, frame: Frame) -> None:
        """Remember when a frame of the test source was captured; its index is the number in its pixels."""
        with self._lock:
            self._sent[frame.index] = frame.captured_ns / 1e9
            while len(self._sent) > REMEMBERED:
                del self._sent[next(iter(self._sent))]

    def seen(self, luma: Plane, at_seconds: float, carried: int | None = None) -> None:
        """Read a picture.

        Args:
            luma: the picture.
            at_seconds: time when it was there (monotonic clock).
            carried: the number it should have; None where it came without one.
        """
        with self._lock:
            sent = dict(self._sent)
        number = nearest_stamp(luma, list(sent))
        with self._lock:
            self._tally.count(number, carried)
            if number is not None:
                self._tally.latency.add(at_seconds - sent[number])
                self._span.add(at_seconds - sent[number])

    def readings(self) -> Readings:
        """Return what was read so far."""
        with self._lock:
            return self._tally.readings()

    def span(self) -> Times:
        """Return the latency since the last call, and begin anew."""
        with self._lock:
            span, self._span = self._span, Timing()
        return span.times()
