"""WHIP: a source that listens. Whoever has the address sends a video to it by WebRTC: OBS, a browser.

A publisher posts its offer (SDP), the answer comes back, and the resource that it names ends the stream when
it is deleted: S. Murillo, A. Gouaillard, *WebRTC-HTTP Ingestion Protocol (WHIP)*, RFC 9725, 2025.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from aiohttp import web

from streamfx.capture.live.browser import IncomingPictures, open_published
from streamfx.capture.live.settings import LiveSettings
from streamfx.capture.source import Source
from streamfx.config.live import WebConfig
from streamfx.errors import SourceOpenError
from streamfx.web.listen_address import Access, place_of
from streamfx.web.publishing_peer import PublishingPeer
from streamfx.web.sdp import SDP_TYPE, offer_of
from streamfx.web.site import ACCESS, Site

log = logging.getLogger(__name__)

_PATH = "/whip"
_OPEN_SECONDS = 20.0
_CLOSE_SECONDS = 2.0


class Publishers:
    """Lets one publisher in at a time. Lives in the loop of its site, but for `next` and `stop`.

    Args:
        name: name of the source, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._here: tuple[str, PublishingPeer] | None = None
        self._came: deque[IncomingPictures] = deque()
        self._changed = threading.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return what is answered by HTTP."""
        return [web.post(_PATH, self._offered), web.delete(_PATH + "/{name}", self._deleted)]

    def next(self, wait_seconds: float, stopped: threading.Event) -> IncomingPictures | None:
        """Return the pictures of the next who comes; None where nobody came in time, or the wait was stopped.

        Args:
            wait_seconds: time to wait at most.
            stopped: says that nobody is wanted any more; set by `stop`.
        """
        with self._changed:
            self._changed.wait_for(lambda: stopped.is_set() or bool(self._came), wait_seconds)
            return None if stopped.is_set() or not self._came else self._came.popleft()

    def stop(self, stopped: threading.Event) -> None:
        """Have a wait end without anybody. Safe from any thread."""
        with self._changed:
            stopped.set()
            self._changed.notify_all()

    async def end(self) -> None:
        """Send away who publishes."""
        self._leave()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)

    async def _offered(self, request: web.Request) -> web.Response:
        if request[ACCESS] is not Access.CHANGE:
            raise web.HTTPForbidden(text="This link is for looking on; ask whoever gave it to you.\n")
        offer = await offer_of(request)
        if self._here is not None:
            raise web.HTTPConflict(text="Somebody publishes here already; one at a time may.\n")
        name = secrets.token_urlsafe(16)
        incoming = IncomingPictures(partial(self._drop, asyncio.get_running_loop(), name))
        peer = PublishingPeer(incoming, partial(self._leave, name))
        self._here = name, peer
        try:
            answer = await peer.answer(offer)
        except SourceOpenError as error:
            self._leave(name)
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        except BaseException:
            self._leave(name)
            raise
        with self._changed:
            self._came.append(incoming)
            self._changed.notify_all()
        asyncio.get_running_loop().call_later(_OPEN_SECONDS, self._see_open, name)
        log.info("%s: somebody publishes", self._name)
        token = request.query.get("token")
        location = f"{_PATH}/{name}" + (f"?token={token}" if token else "")
        return web.Response(status=201, text=answer, content_type=SDP_TYPE, headers={"Location": location})

    async def _deleted(self, request: web.Request) -> web.Response:
        if not self._leave(request.match_info["name"]):
            raise web.HTTPNotFound(text="There is no such stream; it may have ended.\n")
        return web.Response()

    def _see_open(self, name: str) -> None:
        if self._here is not None and self._here[0] == name and self._here[1].state != "connected":
            log.info("%s: no connection came within %g s; it is given up", self._name, _OPEN_SECONDS)
            self._leave(name)

    def _drop(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        """End a stream that is not taken any more, so that another may come. For any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._leave, name)

    def _leave(self, name: str | None = None) -> bool:
        """End the stream of that name, or whichever there is; return whether there was one."""
        if self._here is None or name not in (None, self._here[0]):
            return False
        (_, peer), self._here = self._here, None
        task = asyncio.get_running_loop().create_task(peer.close())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True


@contextmanager
def publishing(
    text: str, settings: WebConfig, announce: Callable[[str], None]
) -> Iterator[Callable[[LiveSettings], Source]]:
    """Listen for publishers; give what opens the source that they feed.

    Args:
        text: the source as the user wrote it, ``whip:[HOST:]PORT``.
        settings: settings of pages; who may come in is the same.
        announce: callback that is called with the address to publish to, token included.

    Raises:
        ConfigError: the address cannot be read, or must not do without a token.
        SinkError: it cannot be listened at.
    """
    publishers = Publishers(text)
    place = place_of(text, settings.names, token=settings.token)
    site = Site(text, place, [], publishers.routes(), publishers.end)

    def open_source(live: LiveSettings) -> Source:
        stopped = threading.Event()
        return open_published(
            text, lambda seconds: publishers.next(seconds, stopped), live, lambda: publishers.stop(stopped)
        )

    site.start()
    home, mark, token = site.address.partition("?")
    announce(f"{home.rstrip('/')}{_PATH}{mark}{token}")
    try:
        yield open_source
    finally:
        site.stop()
