"""Viewers: everybody who has the page open, each served at a pace of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any, Protocol

from aiohttp import WSCloseCode, WSMsgType, web

from streamfx.errors import ConfigError, StreamfxError
from streamfx.web.commands import MOST_COMMAND_BYTES, Command, Shown, View, read_command
from streamfx.web.listen_address import Access
from streamfx.web.site import ACCESS

log = logging.getLogger(__name__)

_MOST_ON_THE_WAY = 2  # pictures that a viewer has not shown yet: one travels while one is decoded
_MOST_ANSWERS = 32
_DELAYS = 60
_PING_SECONDS = 15.0
_CLOSE_SECONDS = 1.0


class Viewer:
    """One open page. Only the newest picture, and the newest message of each kind, waits for it.

    Lives in the loop.

    Attributes:
        access: rights that its link gave it.
        pictures: whether it wants pictures, one by one; before: and what they were before the effects.
        stream: stream by which it gets them instead.
        sent: pictures sent; skipped: those it was spared because it was not ready for them.
    """

    def __init__(self, socket: web.WebSocketResponse, access: Access = Access.CHANGE) -> None:
        self.access = access
        self.pictures = self.before = True
        self.stream: str | None = None
        self.sent = self.skipped = 0
        self._socket = socket
        self._on_the_way: deque[tuple[int, int]] = deque()
        self._picture: tuple[int, int, bytes] | None = None
        self._delays: deque[float] = deque(maxlen=_DELAYS)
        self._latest: dict[str, str] = {}
        self._answers: deque[str] = deque(maxlen=_MOST_ANSWERS)
        self._wake = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether it wants a picture, and none is waiting for it."""
        return self.pictures and self._picture is None and len(self._on_the_way) < _MOST_ON_THE_WAY

    @property
    def screen_ms(self) -> float | None:
        """From capture to where this viewer says that the picture is shown, median of the last ones."""
        return median(self._delays) * 1000 if self._delays else None

    def offer(self, number: int, captured_ns: int, picture: bytes | None) -> None:
        """Hand a picture over; it takes the place of one that still waits. None: there was none to be had."""
        if not self.pictures:
            return
        if picture is None or self._picture is not None:
            self.skipped += 1
        if picture is not None:
            self._picture = number, captured_ns, picture
            self._wake.set()

    def shown(self, number: int) -> None:
        """Take note that a picture is on the screen, and with it all that were sent before."""
        while any(number == sent for sent, _ in self._on_the_way):
            sent, captured_ns = self._on_the_way.popleft()
            if sent == number and captured_ns:
                self._delays.append((time.monotonic_ns() - captured_ns) / 1e9)
        self._wake.set()

    def tell(self, message: dict[str, Any], *, latest_only: bool = True) -> None:
        """Send a message; one of the same kind that still waits is replaced unless told otherwise."""
        text = json.dumps(message, separators=(",", ":"))
        if latest_only:
            self._latest[message["type"]] = text
        else:
            self._answers.append(text)
        self._wake.set()

    async def write(self) -> None:
        """Send what there is to send, until cancelled or the connection is gone."""
        socket = self._socket
        while not socket.closed:
            await self._wake.wait()
            self._wake.clear()
            while self._answers:
                await socket.send_str(self._answers.popleft())
            while self._latest:
                await socket.send_str(self._latest.pop(next(iter(self._latest))))
            if self._picture is not None and len(self._on_the_way) < _MOST_ON_THE_WAY:
                (number, captured_ns, picture), self._picture = self._picture, None
                self._on_the_way.append((number, captured_ns))
                self.sent += 1
                await socket.send_bytes(picture)

    async def close(self, message: dict[str, Any]) -> None:
        """Say a last thing and close; does not wait for a viewer that does not listen."""
        with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._socket.send_str(json.dumps(message))
                await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"the run has ended")


class Streams(Protocol):
    """Streams by which pages may get their pictures, by name."""

    def follow(self, name: str, *, pictures: bool, before: bool, sound: bool) -> bool:
        """Have a stream show what is looked at; return whether there is such a stream."""

    def leave(self, name: str) -> bool:
        """End a stream; return whether there was one."""


class Viewers:
    """All viewers of a page. Lives in the loop, but for `ready` and `before`, which any thread may ask.

    Args:
        greet: function that returns the messages that a new viewer gets first.
        act: function that does what a viewer asks for; an error that it raises is told to that viewer.
        changed: callback that is called when viewers come, go, or look at something else.
        streams: streams by which pages may get their pictures.

    Attributes:
        most: viewers at a time, at most; sent, skipped: pictures, all viewers together.
    """

    def __init__(
        self,
        greet: Callable[[Viewer], list[dict[str, Any]]],
        act: Callable[[Viewer, Command], Awaitable[None]],
        changed: Callable[[], None],
        streams: Streams,
    ) -> None:
        self.most = self._gone_sent = self._gone_skipped = 0
        self._greet, self._act, self._changed, self._streams = greet, act, changed, streams
        self._viewers: list[Viewer] = []
        self._ended = False

    def __len__(self) -> int:
        return len(self._viewers)

    @property
    def wanted(self) -> bool:
        """Whether anybody looks at pictures."""
        return any(viewer.pictures for viewer in tuple(self._viewers))

    @property
    def ready(self) -> bool:
        """Whether anybody waits for a picture."""
        return any(viewer.ready for viewer in tuple(self._viewers))

    @property
    def before(self) -> bool:
        """Whether anybody wants to see what pictures were before."""
        return any(viewer.pictures and viewer.before for viewer in tuple(self._viewers))

    @property
    def sent(self) -> int:
        """Pictures sent."""
        return self._gone_sent + sum(viewer.sent for viewer in self._viewers)

    @property
    def skipped(self) -> int:
        """Pictures that viewers were spared."""
        return self._gone_skipped + sum(viewer.skipped for viewer in self._viewers)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one viewer, from its coming to its going."""
        socket = web.WebSocketResponse(
            heartbeat=_PING_SECONDS, max_msg_size=MOST_COMMAND_BYTES, compress=False, timeout=_CLOSE_SECONDS
        )
        await socket.prepare(request)
        viewer = Viewer(socket, request[ACCESS])
        for message in self._greet(viewer):
            viewer.tell(message)
        if self._ended:
            await viewer.close({"type": "ended"})
            return socket
        self._viewers.append(viewer)
        self.most = max(self.most, len(self))
        self._changed()
        writing = asyncio.create_task(viewer.write())
        try:
            async for asked in socket:
                if asked.type is WSMsgType.TEXT:
                    await self._take(viewer, asked.data)
        finally:
            self._viewers.remove(viewer)
            if viewer.stream is not None:
                self._streams.leave(viewer.stream)
            self._gone_sent += viewer.sent
            self._gone_skipped += viewer.skipped
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await writing
            self._changed()
        return socket

    def offer(self, number: int, captured_ns: int, picture: bytes | None) -> None:
        """Hand a picture to every viewer."""
        for viewer in self._viewers:
            viewer.offer(number, captured_ns, picture)

    def tell_figures(self, figures: dict[str, Any]) -> None:
        """Send figures to every viewer, each with its own."""
        for viewer in self._viewers:
            own = {"screen_ms": viewer.screen_ms, "sent": viewer.sent, "skipped": viewer.skipped}
            viewer.tell({"type": "figures", **figures, **own})

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message to every viewer."""
        for viewer in self._viewers:
            viewer.tell(message)

    async def end(self) -> None:
        """Tell every viewer that the run has ended, and close."""
        self._ended = True
        await asyncio.gather(*(viewer.close({"type": "ended"}) for viewer in tuple(self._viewers)))

    def _look(self, viewer: Viewer, view: View) -> None:
        followed = view.stream is not None and self._streams.follow(
            view.stream, pictures=view.pictures, before=view.before, sound=view.sound
        )
        viewer.stream = view.stream if followed else None
        viewer.pictures, viewer.before = view.pictures and not followed, view.before

    async def _take(self, viewer: Viewer, text: str) -> None:
        try:
            command = read_command(text)
            if isinstance(command, Shown):
                viewer.shown(command.number)
            elif isinstance(command, View):
                self._look(viewer, command)
                self._changed()
            elif viewer.access is Access.LOOK:
                raise ConfigError("this link is for looking on; it changes nothing")
            else:
                await self._act(viewer, command)
        except StreamfxError as error:
            viewer.tell({"type": "problem", "text": str(error)}, latest_only=False)
