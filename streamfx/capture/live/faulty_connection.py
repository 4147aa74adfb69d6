"""A connection that misbehaves: what comes through it is lost, delayed, moved in time or damaged."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

from av import VideoFrame
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from streamfx.capture.live.connection import PacketConnection


class FaultyConnection:
    """A `PacketConnection` whose packets and pictures pass through ``alter`` and ``repaint``.

    Args:
        inner: the good connection; owned from here on.
        alter: function that gets each packet and its time in seconds since the first; returns it, or None to
            lose it.
        repaint: function that gets each picture and the same time; returns the picture to deliver.
    """

    def __init__(
        self,
        inner: PacketConnection,
        alter: Callable[[Packet[Stream], float], Packet[Stream] | None] | None = None,
        repaint: Callable[[VideoFrame], VideoFrame] | None = None,
    ) -> None:
        self._inner, self._alter, self._repaint = inner, alter, repaint
        self.video: VideoStream = inner.video
        self.others, self.finite, self.notes = inner.others, inner.finite, inner.notes
        self._first: Fraction | None = None

    def packet(self) -> Packet[Stream] | None:
        """Return the next packet that is not lost."""
        while (packet := self._inner.packet()) is not None:
            altered = packet if self._alter is None else self._alter(packet, self._seconds(packet))
            if altered is not None:
                return altered
        return None

    def pictures(self, packet: Packet[Stream]) -> list[VideoFrame]:
        """Return the pictures that a packet completes."""
        pictures = self._inner.pictures(packet)
        return pictures if self._repaint is None else list(map(self._repaint, pictures))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def _seconds(self, packet: Packet[Stream]) -> float:
        if packet.dts is None:
            return 0.0
        seconds = packet.dts * packet.time_base
        self._first = seconds if self._first is None else self._first
        return float(seconds - self._first)


def shift(packet: Packet[Stream], seconds: Fraction) -> None:
    """Make the times of a packet later by so many seconds."""
    ticks = round(seconds / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks


def damaged(packet: Packet[Stream], luck: random.Random) -> Packet[Stream]:
    """Overwrite the middle of a packet, as a lossy line would."""
    data = bytearray(bytes(packet))
    begin = len(data) // 4
    end = min(begin + max(len(data) // 2, 1), len(data))
    data[begin:end] = luck.randbytes(end - begin)
    memoryview(packet)[:] = bytes(data)
    return packet
