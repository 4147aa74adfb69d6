"""Connection limits: accepts the connections of a site within limits, so that nobody can keep others out.

A web server waits for a request for as long as the other side likes. Whoever opens connections and says
nothing, or a letter a minute, would hold them all. Here a connection has to bring a request soon, one address
has a few at a time, and where there is no room for another, the oldest that has not asked for anything goes.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

_BACKLOG = 128
_END_OF_HEAD = b"\r\n\r\n"
_NO_ROOM_SECONDS = 0.05  # until it is tried again where the process may open nothing more
_TELL_EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What connections may take.

    Attributes:
        connections: connections at a time, in all.
        of_one_address: connections at a time from one address: a browser opens half a dozen for a
            page, and others may come from behind the same address.
        head_seconds: time within which a connection brings its first request, TLS included.
        idle_seconds: time after which one that asks for nothing more is closed.
    """

    connections: int = 256
    of_one_address: int = 64
    head_seconds: float = 10.0
    idle_seconds: float = 15.0


LIMITS = ConnectionLimits()


class ConnectionListener:
    """Listens, and hands connections to the protocol of a server. Lives in one event loop.

    Args:
        name: name of the site, for the log.
        serve: function that makes the protocol for one connection.
        limits: limits of what connections may take.
        tls: certificate and key for https; None: http.

    Attributes:
        port: port listened at.
        turned_away: connections that were closed for lack of room, or because they brought no request.
    """

    def __init__(
        self,
        name: str,
        serve: Callable[[], asyncio.Protocol],
        limits: ConnectionLimits = LIMITS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = self.turned_away = 0
        self._name, self._serve, self._limits, self._tls = name, serve, limits, tls
        self._sockets: list[socket.socket] = []
        self._here: dict[_LimitedConnection, None] = {}  # in the order they came
        self._tasks: set[asyncio.Task[None]] = set()
        self._told_at, self._told = float("-inf"), 0

    async def listen(self, host: str, port: int) -> None:
        """Listen at every address that a host name has.

        Raises:
            OSError, ValueError: that cannot be done.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE, proto=socket.IPPROTO_TCP
        )
        for family, _, _, _, address in dict.fromkeys(found):
            listening = socket.create_server(
                (str(address[0]), self.port or int(address[1])), family=family, backlog=_BACKLOG
            )
            listening.setblocking(False)
            self._sockets.append(listening)
            self.port = listening.getsockname()[1]
        for listening in self._sockets:
            self._start(self._accept(listening))

    async def close(self) -> None:
        """Listen no more. Connections that are there belong to the server."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listening in self._sockets:
            listening.close()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                came, address = await loop.sock_accept(listening)
            except OSError:  # the process may open nothing more, or the other side has gone already
                self._make_room(None)
                await asyncio.sleep(_NO_ROOM_SECONDS)
                continue
            came.setblocking(False)
            if self._has_room(address[0]):
                limited = _LimitedConnection(self, self._serve, came, address[0])
                self._here[limited] = None
                self._start(limited.stay(self._tls, self._limits.head_seconds))
            else:
                came.close()
                self._turn_away()

    def _has_room(self, address: str) -> bool:
        """Return whether one more may come from an address; where there is no room, some is made."""
        of_one = sum(limited.address == address for limited in self._here)
        if of_one >= self._limits.of_one_address:
            return self._make_room(address)
        return len(self._here) < self._limits.connections or self._make_room(None)

    def _make_room(self, address: str | None) -> bool:
        """Close the oldest connection, of an address or of any, that has not asked for anything yet."""
        for limited in self._here:
            if not limited.asked and address in (None, limited.address):
                limited.leave()
                return True
        return False

    def forget(self, limited: _LimitedConnection) -> None:
        """Take note that a connection is closed; may be called twice."""
        if limited in self._here:
            del self._here[limited]
            if not limited.asked:
                self._turn_away()

    def _turn_away(self) -> None:
        self.turned_away += 1
        now = time.monotonic()
        if now - self._told_at >= _TELL_EVERY_SECONDS:
            count, self._told, self._told_at = self.turned_away - self._told, self.turned_away, now
            log.info("%s: %d connections brought no request, or there was no room", self._name, count)


@dataclass(eq=False, slots=True)
class _LimitedConnection(asyncio.Protocol):
    """One connection: passes on to the server's protocol what comes, and sees whether it is a request.

    Attributes:
        listener: listener that is told when it is closed.
        serve: function that makes the server's protocol.
        socket: socket of the connection.
        address: address of the other side.
        asked: whether it has brought the head of a request.
    """

    listener: ConnectionListener
    serve: Callable[[], asyncio.Protocol]
    socket: socket.socket
    address: str
    asked: bool = False
    _inner: asyncio.Protocol = field(default_factory=asyncio.Protocol)
    _transport: asyncio.BaseTransport | None = None
    _tail: bytes = b""
    _decided: asyncio.Event = field(default_factory=asyncio.Event)

    async def stay(self, tls: ssl.SSLContext | None, head_seconds: float) -> None:
        """Have the server serve the connection; ends once it has brought a request, or is closed."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(head_seconds):
                await loop.connect_accepted_socket(lambda: self, self.socket, ssl=tls)
                await self._decided.wait()
        except OSError as error:  # TimeoutError and SSLError are such
            log.debug("%s: %s", self.address, error)
        finally:
            if not self.asked:
                self.leave()

    def leave(self) -> None:
        """Close the connection at once."""
        transport = self._transport
        if isinstance(transport, asyncio.Transport):
            transport.abort()
        elif transport is None:
            self.socket.close()
        self.listener.forget(self)
        self._decided.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._inner = transport, self.serve()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not self.asked:
            self.asked = _END_OF_HEAD in self._tail + data
            self._tail = (self._tail + data)[-len(_END_OF_HEAD) + 1 :]
            if self.asked:
                self._decided.set()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exception: Exception | None) -> None:
        self._inner.connection_lost(exception)
        self.listener.forget(self)
        self._decided.set()
