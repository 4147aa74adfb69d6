"""LiveTracks the pictures: sound of a live source, moved as they are, and never back in time."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from streamfx.media.tracks import OtherTracks

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream


_USUAL_SECONDS = Fraction(1, 500)  # of a packet that does not say how long it lasts: they differ by a half


class LiveTracks:
    """Hands packets of sound on to the outputs, in the time of the output. Used by one thread.

    Args:
        other_tracks: place where outputs find them.
    """

    def __init__(self, other_tracks: OtherTracks) -> None:
        self._other_tracks = other_tracks
        # Never by the packet's own stream: it may be gone with its connection.
        self._sound = {stream.index for stream in other_tracks.streams if stream.kind == "audio"}
        self._until: dict[int, Fraction] = {}  # by stream: where the last packet ends, in seconds
        self._overlapping = 0

    def put(self, packet: Packet[Stream], index: int, shift_seconds: Fraction | None) -> None:
        """Hand a packet on.

        Args:
            packet: packet with the times of its connection.
            index: number of its stream.
            shift_seconds: offset of the pictures' times; None before the first picture of a connection: then
                there is nothing to be in step with.
        """
        if shift_seconds is None:
            return
        ticks = round(shift_seconds / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + ticks
        packet.dts = None if packet.dts is None else packet.dts + ticks
        earliest = packet.pts if packet.pts is not None else packet.dts
        if earliest is not None and earliest >= 0 and self._goes_on(packet, index):
            self._other_tracks.put(packet, index)

    def notes(self) -> list[str]:
        """Return what was left out, for the report."""
        if not self._overlapping:
            return []
        return [f"{self._overlapping} packets of sound came for times that had sound already; left out"]

    def _goes_on(self, packet: Packet[Stream], index: int) -> bool:
        """Return whether a packet of sound comes after the one before it.

        A sender that was started anew may put its first sound where the last of the one before is already.
        Moved behind that, all of it would have next to the same time, which MP4 does not hold.
        """
        ticks = packet.pts if packet.dts is None else packet.dts
        if index not in self._sound or ticks is None:
            return True
        begin = ticks * packet.time_base
        length = packet.duration * packet.time_base if packet.duration else _USUAL_SECONDS
        if begin < self._until.get(index, begin) - length / 2:
            self._overlapping += 1
            return False
        self._until[index] = begin + length
        return True
