"""WHEP: players ask for the stream of a run by HTTP, and get it by WebRTC.

A player posts its offer (SDP), the answer comes back, and the resource that it names ends the stream when
it is deleted: S. Murillo, C. Chen, *WebRTC-HTTP Egress Protocol*, IETF draft, 2024.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from streamfx.errors import SourceOpenError
from streamfx.web.sdp import SDP_TYPE, offer_of
from streamfx.web.stream_encoder import StreamKind, StreamPacket
from streamfx.web.viewing_peer import ViewingPeer

if TYPE_CHECKING:
    import av

log = logging.getLogger(__name__)

PATH = "/whep"
_OPEN_SECONDS = 20.0
_KEY_EVERY_SECONDS = 0.5  # a viewer on a bad line must not have key frames made all the time
_CLOSE_SECONDS = 2.0
_RETRY_SECONDS = "5"


@dataclass(eq=False, slots=True)
class Watcher:
    """One who watches by WebRTC.

    Attributes:
        peer: connection with it.
        before: whether it wants to see what pictures were before the effects.
        pictures: whether it wants pictures now; sound: and sound.
        of_page: whether it belongs to a page, which counts as a viewer already.
    """

    peer: ViewingPeer
    before: bool = False
    pictures: bool = True
    sound: bool = True
    of_page: bool = False

    @property
    def kind(self) -> StreamKind:
        """The stream that it watches."""
        return StreamKind(self.peer.coding, self.before)


class Whep:
    """All who watch a run by WebRTC. Lives in the loop, but for `kinds`, `listeners` and `take_keys`, which
    the thread that encodes asks.

    Args:
        most: most who may watch at a time.
        sound: function that says whether there is sound.
        changed: callback that is called when somebody comes, goes, or wants something else.

    Attributes:
        most_seen: largest number of those who watched at a time.
        sent: pictures sent, all together.
    """

    def __init__(self, most: int, sound: Callable[[], bool], changed: Callable[[], None]) -> None:
        self.most_seen = self.sent = 0
        self.kinds: frozenset[StreamKind] = frozenset()
        self.listeners = False
        self._most, self._sound, self._changed = most, sound, changed
        self._watchers: dict[str, Watcher] = {}
        self._keys: set[StreamKind] = set()
        self._keyed_at: dict[StreamKind, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = False

    def routes(self) -> list[web.RouteDef]:
        """Return what is answered by HTTP."""
        return [web.post(PATH, self._offered), web.delete(PATH + "/{name}", self._deleted)]

    @property
    def players(self) -> int:
        """How many watch without the page."""
        return sum(not watcher.of_page for watcher in self._watchers.values())

    @property
    def before(self) -> bool:
        """Whether anybody wants to see what pictures were before."""
        return any(kind.before for kind in self.kinds)

    def take_keys(self) -> frozenset[StreamKind]:
        """Return the streams that key frames are asked for, none of them too often; called for each frame."""
        now, found = time.monotonic(), set()
        for kind in self._keys & self.kinds:
            if now - self._keyed_at.get(kind, float("-inf")) >= _KEY_EVERY_SECONDS:
                self._keys.discard(kind)
                self._keyed_at[kind] = now
                found.add(kind)
        return frozenset(found)

    def deliver(self, pictures: Sequence[StreamPacket], sounds: Sequence[av.Packet[Any]]) -> None:
        """Hand what was made to everybody who wants it."""
        for watcher in self._watchers.values():
            for picture in pictures:
                if watcher.pictures and picture.kind == watcher.kind:
                    watcher.peer.put_picture(picture.packet, key=picture.key)
                    self.sent += 1
            if watcher.sound:
                for sound in sounds:
                    watcher.peer.put_sound(sound)

    def follow(self, name: str, *, pictures: bool, before: bool, sound: bool) -> bool:
        """Have the stream of a page show what is looked at there; return whether there is such a stream."""
        watcher = self._watchers.get(name)
        if watcher is None:
            return False
        anew = (pictures and not watcher.pictures) or before is not watcher.before
        watcher.pictures, watcher.before, watcher.sound, watcher.of_page = pictures, before, sound, True
        if anew:
            watcher.peer.begin_anew()
        self._look()
        return True

    def leave(self, name: str) -> bool:
        """End a stream; return whether there was one."""
        watcher = self._watchers.pop(name, None)
        if watcher is None:
            return False
        task = asyncio.get_running_loop().create_task(watcher.peer.close())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._look()
        return True

    async def end(self) -> None:
        """End all streams."""
        self._ended = True
        for name in tuple(self._watchers):
            self.leave(name)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)

    async def _offered(self, request: web.Request) -> web.Response:
        offer = await offer_of(request)
        if self._ended or len(self._watchers) >= self._most:
            raise web.HTTPServiceUnavailable(
                text=f"{len(self._watchers)} watch by WebRTC already, as many as may (the setting "
                "web.streams); try again later, or open the page.\n",
                headers={"Retry-After": _RETRY_SECONDS},
            )
        name = secrets.token_urlsafe(16)
        peer = ViewingPeer(lambda: self._ask_key(name), lambda: self._peer_changed(name))
        before = request.query.get("before")  # pages say so, and what they look at from then on by `follow`
        watcher = Watcher(peer, before=before == "true", of_page=before is not None)
        self._watchers[name] = watcher
        try:
            answer = await watcher.peer.answer(offer, sound=self._sound())
        except SourceOpenError as error:
            self.leave(name)
            raise web.HTTPBadRequest(text=f"{error}\n") from error
        except BaseException:
            self.leave(name)
            raise
        watcher.sound = watcher.peer.sound
        self.most_seen = max(self.most_seen, len(self._watchers))
        asyncio.get_running_loop().call_later(_OPEN_SECONDS, self._see_open, name)
        self._look()
        token = request.query.get("token")
        location = f"{PATH}/{name}" + (f"?token={token}" if token else "")
        return web.Response(status=201, text=answer, content_type=SDP_TYPE, headers={"Location": location})

    async def _deleted(self, request: web.Request) -> web.Response:
        if not self.leave(request.match_info["name"]):
            raise web.HTTPNotFound(text="There is no such stream; it may have ended.\n")
        return web.Response()

    def _ask_key(self, name: str) -> None:
        watcher = self._watchers.get(name)
        if watcher is not None:
            self._keys.add(watcher.kind)

    def _peer_changed(self, name: str) -> None:
        watcher = self._watchers.get(name)
        if watcher is not None and watcher.peer.state in ("closed", "failed"):
            self.leave(name)
        self._look()

    def _see_open(self, name: str) -> None:
        watcher = self._watchers.get(name)
        if watcher is not None and watcher.peer.state != "connected":
            log.info("a stream was not taken within %g s; it is given up", _OPEN_SECONDS)
            self.leave(name)

    def _look(self) -> None:
        """See what is to be made, for whom."""
        opened = [each for each in self._watchers.values() if each.peer.state == "connected"]
        self.kinds = frozenset(each.kind for each in opened if each.pictures)
        self.listeners = any(each.sound for each in opened)
        self._changed()
