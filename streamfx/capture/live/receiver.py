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

from streamfx.capture.live.connection import Arrival, Connection, PacketArrived, PictureArrived
from streamfx.errors import DecodeError, SourceLostError, SourceOpenError
from streamfx.media.backoff import Backoff
from streamfx.media.frame_queue import FrameQueue
from streamfx.media.tracks import OtherTrack

if TYPE_CHECKING:
    from av.stream import Stream

log = logging.getLogger(__name__)

_MOST_HASTY = 3
_STOP_SECONDS = 0.2
_EVENTS_WAITING = 32  # pictures are large; a consumer that does not come makes the thread wait


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection is there; see `Connection`."""

    rate_fps: Fraction | None
    codec: str
    finite: bool
    sample_aspect_ratio: Fraction | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PacketUndecodable:
    """A packet could not be decoded."""

    error: DecodeError


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The connection is gone; the next event is ``Connected`` or ``ReconnectFailed``."""

    reason: str


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """The source came to an end that is meant."""


@dataclass(frozen=True, slots=True)
class ReconnectFailed:
    """The source could not be opened, or not be got back."""

    error: Exception


Event: TypeAlias = (
    Connected
    | PictureArrived
    | PacketArrived
    | PacketUndecodable
    | ConnectionLost
    | SourceEnded
    | ReconnectFailed
)


class Receiver:
    """Reads one connection after the other in a thread of its own.

    Args:
        connect: function that opens a connection; raises SourceOpenError.
        reconnect: rule for when to try again.
        name: name of the source, for messages.

    Attributes:
        events: queue of events, in order. Cancelled by ``stop``.
        streams: the streams beside the video, known after the first ``Connected``. Their templates are copies
            that outlive the connection.
        connections: number of connections so far.
    """

    def __init__(self, connect: Callable[[], Connection], reconnect: Backoff, name: str) -> None:
        self.events = FrameQueue[Event](_EVENTS_WAITING)
        self.streams: tuple[OtherTrack, ...] = ()
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
            self.events.put(ReconnectFailed(error))
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
                self.events.put(ConnectionLost(self._reason(error)))
                self._last_error = error
            finally:
                connection.close()
            steady = time.monotonic() - started >= self._reconnect.steady_seconds
            hasty = 0 if steady else min(hasty + 1, _MOST_HASTY)

    def _open(self, hasty: int) -> Connection | None:
        """Return an open connection; None when there will be none."""
        while not self._stopping.wait(self._reconnect.delay_seconds(hasty + self._failed)):
            if self._reconnect.exhausted(self._failed):
                attempts = f"{self._failed} attempt{'s' * (self._failed != 1)}"
                raise SourceLostError(
                    f"{self._name}: lost, and not back after {attempts}; the last: "
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
        streams = self._streams_of(connection)
        self.events.put(
            Connected(
                connection.rate_fps,
                connection.codec,
                connection.finite,
                connection.sample_aspect_ratio,
                tuple(connection.notes),
            )
        )
        while not self._stopping.is_set():
            try:
                arrivals = connection.receive()
            except DecodeError as error:
                self.events.put(PacketUndecodable(error))
                continue
            if arrivals is None:
                self.events.put(SourceEnded())
                break
            for arrival in arrivals:
                self._pass_on(arrival, streams)

    def _pass_on(self, arrival: Arrival, streams: dict[int, int]) -> None:
        if isinstance(arrival, PictureArrived):
            self._failed = 0
        elif arrival.index not in streams:
            return
        else:
            arrival = PacketArrived(streams[arrival.index], arrival.packet)
        if not self._unwanted.is_set():
            self.events.put(arrival)

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


def _held(streams: list[Stream]) -> list[OtherTrack]:
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
        held.append(OtherTrack(stream.index, stream.type, stream.codec_context.name, copy))
    return held


def _key(stream: Stream) -> tuple[object, ...]:
    """Return what must be the same for a stream to carry another one on."""
    context: object = stream.codec_context
    rate, layout = getattr(context, "sample_rate", None), getattr(context, "layout", None)
    return stream.type, getattr(context, "name", None), rate, getattr(layout, "name", None)
