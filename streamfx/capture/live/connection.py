"""One connection to a live source: what comes through it, until it is lost. Every kind of live source is one.

A new kind of live source is a connection of its own and a line in `streamfx.capture.opening`. What happens
when it is lost, stands still or changes the size of its pictures is the same for all, and in `source.py`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol, TypeAlias

from streamfx.capture.timestamps import PacketClock

if TYPE_CHECKING:
    from av import VideoFrame
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream


@dataclass(frozen=True, slots=True)
class PictureArrived:
    """A decoded picture, and when its data came.

    Attributes:
        picture: picture with a time and its unit where the source states one.
        arrived_ns: monotonic clock.
    """

    picture: VideoFrame
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class PacketArrived:
    """A coded packet of a stream beside the video.

    Attributes:
        index: number of its stream: in the connection, as an event of the receiver in the first connection.
        packet: packet as it came.
    """

    index: int
    packet: Packet[Stream]


Arrival: TypeAlias = PictureArrived | PacketArrived


class Connection(Protocol):
    """A live source for as long as a connection to it lasts. Used by one thread.

    Attributes:
        rate_fps: nominal rate of the pictures; None where it states none.
        codec: name of FFmpeg's decoder of the pictures; empty where they come raw.
        sample_aspect_ratio: width of a pixel by its height; None where it states none.
        finite: whether it has an end that is meant, as a recording has.
        others: the streams that are not video.
        notes: facts worth knowing about it, for the report.
    """

    rate_fps: Fraction | None
    codec: str
    sample_aspect_ratio: Fraction | None
    finite: bool
    others: list[Stream]
    notes: list[str]

    def receive(self) -> Sequence[Arrival] | None:
        """Return what came next, which may be nothing; None at an end that is meant.

        Raises:
            DecodeError: a picture is broken; the next call goes on after it.
            SourceLostError: nothing more will come, or nothing came within the time limit.
            SourceOpenError: nothing more is to be taken from it, and it is not to be opened again.
        """

    def close(self) -> None:
        """Release everything. From the thread that reads."""


class PacketConnection(Protocol):
    """A connection that gives coded packets, until it is lost. Used by one thread.

    Attributes:
        video: video stream.
        others: the streams that are not video.
        finite: whether it has an end that is meant, as a recording has.
        notes: facts worth knowing about it.
    """

    video: VideoStream
    others: list[Stream]
    finite: bool
    notes: list[str]

    def packet(self) -> Packet[Stream] | None:
        """Return the next packet; None at an end that is meant.

        Raises:
            SourceLostError: nothing more will come, or nothing came within the time limit.
        """

    def pictures(self, packet: Packet[Stream]) -> list[VideoFrame]:
        """Return the pictures that a packet of the video stream completes.

        Raises:
            DecodeError: it is broken.
        """

    def close(self) -> None:
        """Release everything. From the thread that reads."""


class DemuxedConnection:
    """A connection whose packets are given times that go forward, and decoded; see ``Connection``.

    Args:
        inner: connection that gives the packets; owned from here on.
    """

    def __init__(self, inner: PacketConnection) -> None:
        video = inner.video
        self.rate_fps, self.codec = rate_of(video), video.codec_context.name
        self.sample_aspect_ratio = video.sample_aspect_ratio or None
        self.finite, self.others, self.notes = inner.finite, inner.others, inner.notes
        self._inner, self._clock = inner, PacketClock(discontinuous=True)

    def receive(self) -> Sequence[Arrival] | None:
        """Return the pictures that the next packet completes, or the packet if it is of another stream."""
        packet = self._inner.packet()
        arrived_ns = time.monotonic_ns()
        if packet is None:
            return None
        self._clock.correct(packet)
        if packet.stream_index == self._inner.video.index:
            return [PictureArrived(picture, arrived_ns) for picture in self._inner.pictures(packet)]
        return [PacketArrived(packet.stream_index, packet)] if packet.size else []

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()


def rate_of(video: VideoStream) -> Fraction | None:
    """Return the nominal rate of a live stream, None where what it states cannot be one."""
    rate_fps = video.average_rate or video.guessed_rate or None
    return rate_fps if rate_fps and 1 <= rate_fps <= 1000 else None
