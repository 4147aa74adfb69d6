"""One connection to a network source: opened under a time limit, demuxed and decoded with little delay."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from fractions import Fraction

import av
from av import VideoFrame
from av.codec.context import Flags
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from streamfx.capture.files.container import best_video
from streamfx.capture.live.backlog import Backlog
from streamfx.capture.live.connection import Connection, DemuxedConnection
from streamfx.capture.live.settings import LiveSettings
from streamfx.capture.live.source import LiveSource
from streamfx.errors import DecodeError, SourceAwayError, SourceLostError, SourceOpenError
from streamfx.media.addresses import scheme_of, without_credentials

_PROBE_SECONDS = 2  # FFmpeg looks 5 s at a stream to learn its rate; sound and size show in less
_END_SECONDS = 2  # an end this close to the one that was promised is meant
# What does not become better by waiting.
_FINAL = (
    av.ArgumentError, av.DecoderNotFoundError, av.HTTPBadRequestError, av.HTTPForbiddenError,
    av.HTTPUnauthorizedError, av.OptionNotFoundError, av.ProtocolNotFoundError,
)  # fmt: skip
_WITHOUT_KEYFRAME = 250  # packets after which a picture is tried without one (streams with intra refresh)


def open_network(
    address: str, settings: LiveSettings | None = None, *, threads: int | None = None
) -> LiveSource:
    """Return a network stream as a live source.

    What comes over HTTP and HLS comes in bursts, so it is handed out at its times.

    Args:
        address: address as the user wrote it.
        settings: time limits and more; None: the usual ones.
        threads: decoder threads; None for one per processor.

    Raises:
        SourceAwayError: nobody there, or nothing came in time.
        SourceOpenError: it is refused, or there is no picture in it.
    """
    settings = settings or LiveSettings()

    def connect() -> Connection:
        return DemuxedConnection(NetworkConnection(address, settings, threads))

    paced = (scheme_of(address) or "").startswith("http")
    return LiveSource(address, connect, settings, paced=paced)


class NetworkConnection:
    """A connection through FFmpeg; see ``PacketConnection``.

    Raises:
        SourceAwayError: nobody there, or nothing came in time.
        SourceOpenError: it is refused, or there is no video in it.
    """

    def __init__(self, address: str, settings: LiveSettings, threads: int | None = None) -> None:
        self._name = name = without_credentials(address)
        self._read_seconds = settings.read_seconds
        self.notes: list[str] = []
        options = protocol_options(address, settings) | dict(settings.options)
        try:
            self._container = av.open(
                address,
                "r",
                options=options,
                timeout=(settings.open_seconds, settings.read_seconds),
                metadata_errors="surrogateescape",
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            kind = SourceOpenError if _is_final(error, address) else SourceAwayError
            raise kind(f"{name}: {_open_problem(error, settings)}") from _bare(error)
        try:
            self.video = best_video(self._container, name, self.notes)
        except SourceOpenError:
            self._container.close()
            raise
        decode_without_delay(self.video, threads)
        self.others = [stream for stream in self._container.streams if stream.type != "video"]
        self._duration = Fraction(self._container.duration or 0, av.time_base)
        self.finite = self._duration > 0
        self._began: Fraction | None = None
        self._reached = Fraction(0)  # seconds since the first packet
        self._packets: Iterator[Packet[Stream]] = self._container.demux()
        self._awaiting_keyframe = _WITHOUT_KEYFRAME
        self._backlog = Backlog() if has_backlog(address, finite=self.finite) else None
        self._came = self._waited_seconds = 0.0  # of the last packet
        self._count = 0

    def packet(self) -> Packet[Stream] | None:
        """Return the next packet; see ``PacketConnection``."""
        asked = time.monotonic()
        try:
            packet = next(self._packets, None)
        except (av.FFmpegError, OSError) as error:
            raise SourceLostError(f"{self._name}: {self._read_problem(error)}") from _bare(error)
        if packet is None or (not packet.size and packet.dts is None and packet.pts is None):
            if self.finite and self._reached >= self._duration - _END_SECONDS:
                return None
            raise SourceLostError(f"{self._name}: the other side ended the stream")
        self._came = time.monotonic()
        self._waited_seconds = self._came - asked
        if packet.dts is not None:
            seconds = packet.dts * packet.time_base
            self._began = seconds if self._began is None else self._began
            self._reached = max(self._reached, seconds - self._began)
        return packet

    def pictures(self, packet: Packet[Stream]) -> list[VideoFrame]:
        """Return the pictures that a packet completes; none before the first that can be joined at, and none
        that waited while the connection was being opened.
        """
        if self._awaiting_keyframe:
            self._awaiting_keyframe = 0 if packet.is_keyframe else self._awaiting_keyframe - 1
            if self._awaiting_keyframe:
                return []
        self._count += 1
        pictures = decoded(packet, self._name, self._count)  # of old ones too: later ones follow from them
        ticks = packet.pts if packet.dts is None else packet.dts
        seconds = None if ticks is None else ticks * packet.time_base
        backlog = self._backlog
        old = backlog is not None and backlog.holds(seconds, self._came, self._waited_seconds)
        return [] if old else pictures

    def close(self) -> None:
        """Close the connection. Safe to call twice."""
        self._packets = iter(())
        self._container.close()

    def _read_problem(self, error: Exception) -> str:
        if isinstance(error, av.ExitError | TimeoutError):
            return f"nothing came within {self._read_seconds:g} s"
        return _reason(error)


def protocol_options(address: str, settings: LiveSettings) -> dict[str, str]:
    """Return FFmpeg's options for reading ``address`` with little delay and under time limits.

    FFmpeg's ``fflags=nobuffer`` is not among them: it throws away what was read to find the streams, and
    the first key picture with it. Nothing waits for that buffer: old pictures in it are dropped as any other.
    """
    scheme = scheme_of(address) or ""
    read_us = str(round(settings.read_seconds * 1_000_000))
    options = {"analyzeduration": str(_PROBE_SECONDS * 1_000_000), "flags": "low_delay"}
    if scheme.startswith("rtsp"):
        # Over TCP nothing is lost to full socket buffers, and it passes where UDP is filtered.
        options |= {"rtsp_transport": "tcp", "timeout": read_us, "max_delay": "200000", "tcp_nodelay": "1"}
    elif scheme.startswith("rtmp"):
        # Not "timeout": with RTMP that means to wait for somebody to connect. Without sound, FFmpeg looks for
        # it to the end of the time; with RTMP it comes at once.
        options |= {"analyzeduration": "1000000"}
        options |= {"rtmp_live": "live", "rtmp_buffer": "100", "rw_timeout": read_us}
    elif scheme == "udp":
        options |= {"timeout": read_us, "overrun_nonfatal": "1", "fifo_size": "50000"}
    elif scheme.startswith("http"):
        options |= {"timeout": read_us, "rw_timeout": read_us}
    elif scheme in ("srt", "tcp"):
        options |= {"timeout": read_us}
    return options


def has_backlog(address: str, *, finite: bool) -> bool:
    """Return whether pictures of ``address`` that come faster than they were made are old ones.

    Recordings, and HTTP with HLS, come in bursts all the time, and are handed out at their pace.
    """
    return not finite and not (scheme_of(address) or "").startswith("http")


def decode_without_delay(video: VideoStream, threads: int | None) -> None:
    """Set a decoder up to give each picture out as soon as it can."""
    # Frame threads hold as many pictures back as there are threads; slices hold none.
    video.thread_type = "SLICE"
    video.codec_context.thread_count = threads or os.cpu_count() or 1
    video.codec_context.flags |= Flags.low_delay


def decoded(packet: Packet[Stream], name: str, number: int) -> list[VideoFrame]:
    """Return the pictures that packet ``number`` of a source completes.

    Raises:
        DecodeError: it is broken.
    """
    try:
        return [picture for picture in packet.decode() if isinstance(picture, VideoFrame)]
    except av.FFmpegError as error:
        raise DecodeError(f"{name}: video packet {number} cannot be decoded: {error.strerror}") from _bare(
            error
        )


def _is_final(error: Exception, address: str) -> bool:
    """Return whether it makes no sense to try again later: refused, or something else than a video."""
    # A playlist may have nothing in it yet; any other page of a web server stays what it is.
    page = (scheme_of(address) or "").startswith("http") and ".m3u8" not in address
    return isinstance(error, _FINAL) or (page and isinstance(error, av.InvalidDataError))


def _open_problem(error: Exception, settings: LiveSettings) -> str:
    if isinstance(error, av.ExitError | TimeoutError):
        return f"cannot be opened: no answer within {settings.open_seconds:g} s"
    return f"cannot be opened: {_reason(error)}"


def _reason(error: Exception) -> str:
    """Return why, in words, without the address: FFmpeg's messages repeat it with its password."""
    return getattr(error, "strerror", None) or type(error).__name__


def _bare(error: Exception) -> Exception:
    """Return the error without the address in it, as the cause to show with a traceback."""
    return OSError(getattr(error, "errno", None) or 0, _reason(error))
