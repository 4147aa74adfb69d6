"""Picture times: when pictures are decoded and shown, for how long, and what a container makes of that."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from streamfx.media.notes import Converted

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream


LEAST_PICTURES = 3
"""x265 takes the delay of decoding times from the third picture; with fewer it states memory it never set."""


def state_decoding_times(packets: Sequence[Packet[VideoStream]]) -> None:
    """Set when each picture of a whole film, in coding order, is decoded: as late as its pictures allow.

    Decoding times never fall, and none is later than the time its picture is shown.
    """
    shown = [packet.pts for packet in packets if packet.pts is not None]
    if len(shown) < len(packets):
        return
    ordered = sorted(shown)
    delay = max((at - pts for at, pts in zip(ordered, shown, strict=True)), default=0)
    for packet, at in zip(packets, ordered, strict=True):
        packet.dts = at - delay


class Durations:
    """Holds packets back until the picture after theirs is known, and gives them its distance as duration.

    Containers that state durations and not times (MP4) go wrong where a source says that a picture lasts a
    moment, and the next one comes after a minute.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._next: dict[int, int] = {}  # the time after a time, in units of the frames' time base
        self._held: deque[Packet[VideoStream]] = deque()

    def shown(self, pts: int | None) -> None:
        """Note the time of the next picture, in order of presentation."""
        if pts is not None and self._last is not None:
            self._next[self._last] = pts
        self._last = pts if pts is not None else self._last

    def settled(
        self, packets: list[Packet[VideoStream]], *, last: bool = False
    ) -> Iterator[Packet[VideoStream]]:
        """Yield the packets whose durations are known, in coding order.

        Args:
            packets: packets of the encoder, with times in the same units.
            last: nothing follows; the last picture keeps the duration it has.
        """
        self._held.extend(packets)
        while self._held:
            packet = self._held[0]
            after = None if packet.pts is None else self._next.pop(packet.pts, None)
            if after is None and packet.pts == self._last and not last:
                return
            if after is not None and packet.pts is not None:
                packet.duration = after - packet.pts
            yield self._held.popleft()


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
