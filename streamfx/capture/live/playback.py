"""A recording played as a live stream without an end, in place of a network connection."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import av
from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from streamfx.capture.files.container import best_video, open_container
from streamfx.capture.live.connection import Connection, DemuxedConnection
from streamfx.capture.live.network import decode_without_delay, decoded
from streamfx.capture.live.settings import LiveSettings
from streamfx.capture.live.source import LiveSource
from streamfx.capture.pattern import PatternSource
from streamfx.errors import SourceLostError
from streamfx.media.av_planes import planar_name, plane_array

_PATTERN_FRAMES = 100


class Playback:
    """A file, or the test picture, delivered in real time, from the beginning again at its end.

    See ``PacketConnection``; the times go on at every beginning.

    Args:
        text: a path, or ``test:bars`` with its options.
        closed: event that ends every wait.
        threads: decoder threads; None for one per processor.

    Raises:
        SourceOpenError: it cannot be opened.
        ConfigError: an option of the test picture is wrong.
    """

    def __init__(self, text: str, closed: threading.Event, threads: int | None = None) -> None:
        self._name, self._closed = text, closed
        self.notes: list[str] = []
        self.finite = False
        self._shift = self._end = self._due = Fraction(0)
        self._first: Fraction | None = None  # time of the first packet since the beginning
        self._origin: float | None = None
        self._count = 0
        self._container: InputContainer
        if text.startswith("test:"):
            self._container = av.open(io.BytesIO(coded_pattern(text)), "r")
        else:
            self._container, _ = open_container(text)
        self.video = best_video(self._container, text, [])
        decode_without_delay(self.video, threads)
        self.others = [stream for stream in self._container.streams if stream.type != "video"]
        self._packets: Iterator[Packet[Stream]] = self._container.demux()

    def packet(self) -> Packet[Stream] | None:
        """Return the next packet when it is due; None once closed."""
        while True:
            packet = next(self._packets, None)
            if packet is not None and not packet.size and packet.dts is None:
                if packet.stream is self.video:
                    return packet  # the decoder gives what it still holds
                continue
            if packet is None:
                if not self._count:
                    raise SourceLostError(f"{self._name}: there is nothing in it")
                self._shift, self._first = self._end, None
                self._container.seek(0)
                self.video.codec_context.flush_buffers()
                self._packets = self._container.demux()
                continue
            # Matroska states no decoding time for the first pictures where some are shown out of order: such
            # packets are due with the one before.
            at = packet.pts if packet.dts is None else packet.dts
            if at is None:
                continue
            if self._first is None:
                self._first = at * packet.time_base
                self._due = self._shift
            ticks = round((self._shift - self._first) / packet.time_base)
            if packet.dts is not None:
                packet.dts += ticks
                self._due = packet.dts * packet.time_base
            packet.pts = None if packet.pts is None else packet.pts + ticks
            self._end = max(self._end, self._due + (packet.duration or 0) * packet.time_base)
            return packet if self._wait(float(self._due)) else None

    def pictures(self, packet: Packet[Stream]) -> list[VideoFrame]:
        """Return the pictures that a packet completes.

        Raises:
            DecodeError: it is broken.
        """
        self._count += bool(packet.size)
        return decoded(packet, self._name, self._count)

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._packets = iter(())
        self._container.close()

    def _wait(self, seconds: float) -> bool:
        now = time.monotonic()
        if self._origin is None:
            self._origin = now - seconds
        return not self._closed.wait(max(self._origin + seconds - now, 0.0))


def open_loop(text: str, settings: LiveSettings | None = None, threads: int | None = None) -> LiveSource:
    """Return a file as a live source without an end.

    Raises:
        SourceOpenError: it cannot be opened.
    """
    closed = threading.Event()

    def connect() -> Connection:
        return DemuxedConnection(Playback(text, closed, threads))

    return LiveSource(text, connect, settings, paced=True, close_waits=closed.set)


def coded_pattern(text: str) -> bytes:
    """Return some seconds of the test picture as a file that can be played in a loop.

    Raises:
        ConfigError: an option is wrong.
    """
    source = PatternSource(text)
    video, data = source.format, io.BytesIO()
    assert video.rate_fps is not None
    with av.open(data, "w", format="mpegts") as out:
        stream = out.add_stream("libx264", rate=video.rate_fps, options={"preset": "ultrafast", "g": "25"})
        stream.codec_context.height, stream.codec_context.width = video.size
        stream.codec_context.pix_fmt = planar_name(video.subsampling, video.depth)
        stream.codec_context.max_b_frames = 0
        for number in range(min(video.frame_count or _PATTERN_FRAMES, _PATTERN_FRAMES)):
            picture = VideoFrame(video.size[1], video.size[0], planar_name(video.subsampling, video.depth))
            for plane, samples in zip(picture.planes, source.planes(number), strict=True):
                plane_array(plane, video.depth)[:] = samples
            picture.pts, picture.time_base = number, 1 / video.rate_fps
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return data.getvalue()
