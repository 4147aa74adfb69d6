"""Packets of coded video in a file of their own: exact times, a checksum for each, nothing else.

A container would round times, or state them as its players want them. Here they stay what the encoder said.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from streamfx.errors import SinkError

if TYPE_CHECKING:
    from av.packet import Packet

_MAGIC = b"streamfx packets 1\n"
_HEAD = struct.Struct("<qqqBI")  # pts, dts, duration, whether it is a key frame, bytes
_CHECKSUM = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Coded:
    """A packet of coded video; times in units of the video's time base."""

    pts: int
    dts: int
    duration: int
    key: bool
    data: bytes

    def packet(self) -> Packet[Any]:
        """Return it as PyAV's."""
        packet: Packet[Any] = av.Packet(self.data)
        packet.pts, packet.dts, packet.duration, packet.is_keyframe = (
            self.pts,
            self.dts,
            self.duration,
            self.key,
        )
        return packet


class PacketFile:
    """Writes packets.

    Args:
        path: destination; what is there is replaced.

    Raises:
        OSError: it cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=1 << 20)
        self._file.write(_MAGIC)

    def write(self, packet: Packet[Any]) -> None:
        """Write a packet.

        Raises:
            ValueError: the encoder gave it no time.
            OSError: it cannot be written.
        """
        if packet.pts is None:
            raise ValueError("the encoder gave a packet without a time")
        data, dts = bytes(packet), packet.pts if packet.dts is None else packet.dts
        head = _HEAD.pack(packet.pts, dts, packet.duration or 0, packet.is_keyframe, len(data))
        self._file.write(head)
        self._file.write(data)
        self._file.write(_CHECKSUM.pack(zlib.crc32(data, zlib.crc32(head))))

    def close(self) -> None:
        """Bring everything to the disk and close."""
        if not self._file.closed:
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
            finally:
                self._file.close()


def read_packets(path: Path) -> Iterator[Coded]:
    """Yield the packets of a file, each checked.

    Raises:
        SinkError: it is damaged, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise SinkError(f"{path}: is no file of packets")
            while head := file.read(_HEAD.size):
                if len(head) < _HEAD.size:
                    raise SinkError(f"{path}: ends within a packet")
                pts, dts, duration, key, size_bytes = _HEAD.unpack(head)
                data, checksum = file.read(size_bytes), file.read(_CHECKSUM.size)
                if checksum != _CHECKSUM.pack(zlib.crc32(data, zlib.crc32(head))):
                    raise SinkError(f"{path}: a packet in it is damaged")
                yield Coded(pts, dts, duration, bool(key), data)
    except OSError as error:
        raise SinkError(f"{path}: cannot be read: {error.strerror or error}") from error
