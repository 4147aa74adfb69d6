"""When a coded picture is decoded, and how long it is shown: up to the next one, whatever the source says."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

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
