"""Receiver: the thread that reads a source that may go away and gets it back; what happens are events."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

import av

from streamfx.capture.live.connection import Connection, rate_of
from streamfx.capture.timestamps import PacketClock
from streamfx.errors import DecodeError, SourceLostError, SourceOpenError
from streamfx.media.backoff import Backoff
from streamfx.media.frame_queue import FrameQueue
from streamfx.media.tracks import ExtraStream

if TYPE_CHECKING:
    from av import VideoFrame
    from av.packet import Packet
    from av.stream import Stream

log = logging.getLogger(__name__)

_MOST_HASTY = 3
_STOP_SECONDS = 0.2
_EVENTS_WAITING = 32  # pictures are large; a consumer that does not come makes the thread wait


@dataclass(frozen=True, slots=True)
class Joined:
    """A connection is there; ``notes`` is what is worth knowing about it."""

    rate_fps: Fraction | None
    codec: str
    finite: bool
    sample_aspect_ratio: Fraction | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Came:
    """A picture came; ``arrived_ns`` is when its data did (monotonic clock)."""

    picture: VideoFrame
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class CameBeside:
    """A packet of another stream came: number ``index`` of the streams of the first connection."""

    index: int
    packet: Packet[Stream]


@dataclass(frozen=True, slots=True)
class Broken:
    """A packet could not be decoded."""

    error: DecodeError


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone; the next event is ``Joined`` or ``GaveUp``."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The source came to an end that is meant."""


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The source could not be opened, or not be got back."""

    error: Exception


Event: TypeAlias = Joined | Came | CameBeside | Broken | Lost | Ended | GaveUp


class Receiver:
    """Reads one connection after the other in a thread of its own.

    Args:
        connect: opens a connection; raises SourceOpenError.
        reconnect: when to try again.
        name: of the source, for messages.

    Attributes:
        events: what happened, in order. Cancelled by ``stop``.
        streams: the streams beside the video, known after the first ``Joined``. Their templates are copies
            that outlive the connection.
        connections: how many there were.
    """

    def __init__(self, connect: Callable[[], Connection], reconnect: Backoff, name: str) -> None:
        self.events = FrameQueue[Event](_EVENTS_WAITING)
        self.streams: tuple[ExtraStream, ...] = ()
        self.connections = 0
        self._connect, self._reconnect, self._name = connect, reconnect, name
        self._keys: list[tuple[object, ...]] = []
        self._last_error: Exception | None = None
        self._failed = 0  # attempts in a row that brought no picture
        self._stopping = threading.Event()
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamfx-receive", daemon=True)
        self._thread.start()

    def hold(self) -> None:
        """Throw pictures and sound away until ``resume``: a live picture that waits is an old one."""
        self._unwanted.set()

    def resume(self) -> None:
        """Deliver again."""
        self._unwanted.clear()

    def stop(self) -> None:
        """End the thread. Inside FFmpeg it notices when something comes, or its time limit is over: it is not
        waited for that long."""
        self._stopping.set()
        self.events.cancel()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        try:
            self._receive()
        except Exception as error:  # the thread boundary: read() raises it
            self.events.put(GaveUp(error))
        finally:
            self.events.close()
            self._last_error = None  # its traceback holds the connection it came from

    def _receive(self) -> None:
        hasty = 0  # connections in a row that were soon lost: a server that does so is not hammered
        while (connection := self._open(hasty)) is not None:
            started = time.monotonic()
            try:
                self._read(connection)
                return  # at an end that is meant, or because a stop was asked for
            except SourceLostError as error:
                log.warning("%s", str(error))  # text: a log may keep what it is given
                self.events.put(Lost(self._reason(error)))
                self._last_error = error
            finally:
                connection.close()
            steady = time.monotonic() - started >= self._reconnect.steady_seconds
            hasty = 0 if steady else min(hasty + 1, _MOST_HASTY)

    def _open(self, hasty: int) -> Connection | None:
        """Return an open connection; None when there will be none."""
        while not self._stopping.wait(self._reconnect.delay_seconds(hasty + self._failed)):
            if self._reconnect.exhausted(self._failed):
                raise SourceLostError(
                    f"{self._name}: lost, and not back after {self._failed} attempts; the last: "
                    f"{self._reason(self._last_error)}"
                ) from self._last_error
            self._failed += 1  # until a picture comes
            try:
                connection = self._connect()
            except SourceOpenError as error:
                if not self.connections:
                    raise  # what could never be opened is refused, not waited for
                log.warning("%s (attempt %d)", str(error), self._failed)
                self._last_error = error
                continue
            self.connections += 1
            return connection
        return None

    def _reason(self, error: Exception | None) -> str:
        return str(error).removeprefix(f"{self._name}: ")

    def _read(self, connection: Connection) -> None:
        video = connection.video
        streams = self._streams_of(connection)
        clock = PacketClock(discontinuous=True)
        self.events.put(
            Joined(
                rate_of(video),
                video.codec_context.name,
                connection.finite,
                video.sample_aspect_ratio or None,
                tuple(connection.notes),
            )
        )
        while not self._stopping.is_set():
            packet = connection.packet()
            arrived_ns = time.monotonic_ns()
            if packet is None:
                self.events.put(Ended())
                break
            clock.correct(packet)
            if packet.stream_index == video.index:
                self._decode(connection, packet, arrived_ns)
            elif packet.size and packet.stream_index in streams and not self._unwanted.is_set():
                self.events.put(CameBeside(streams[packet.stream_index], packet))

    def _decode(self, connection: Connection, packet: Packet[Stream], arrived_ns: int) -> None:
        try:
            pictures = connection.pictures(packet)
        except DecodeError as error:
            self.events.put(Broken(error))
            return
        for picture in pictures:
            self._failed = 0
            if not self._unwanted.is_set():
                self.events.put(Came(picture, arrived_ns))

    def _streams_of(self, connection: Connection) -> dict[int, int]:
        """Return which of the first connection's streams each of this one's carries on."""
        if not self._keys:
            self.streams = tuple(_held(connection.others))
            self._keys = [_key(stream.template) for stream in self.streams]
        left = dict(enumerate(self._keys))
        carried = {}
        for stream in connection.others:
            number = next((number for number, key in left.items() if key == _key(stream)), None)
            if number is not None:
                del left[number]
                carried[stream.index] = self.streams[number].index
        return carried


def _held(streams: list[Stream]) -> list[ExtraStream]:
    """Return copies of the streams' parameters in a container of our own, which is never written.

    A stream is gone with its connection; an output that is opened anew later still needs to know what it was.
    """
    holder = av.open(io.BytesIO(), "w", format="matroska")
    held = []
    for stream in streams:
        context: object = stream.codec_context  # None where FFmpeg does not know the coding
        if stream.type not in ("audio", "subtitle") or context is None:
            continue
        try:
            copy = holder.add_stream_from_template(stream, opaque=True)
        except (av.FFmpegError, ValueError):
            continue
        copy.metadata.update(stream.metadata)
        held.append(ExtraStream(stream.index, stream.type, stream.codec_context.name, copy))
    return held


def _key(stream: Stream) -> tuple[object, ...]:
    """Return what must be the same for a stream to carry another one on."""
    context: object = stream.codec_context
    rate, layout = getattr(context, "sample_rate", None), getattr(context, "layout", None)
    return stream.type, getattr(context, "name", None), rate, getattr(layout, "name", None)
