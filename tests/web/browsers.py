"""A visitor's browser in code: it does what the page does, with aiortc at its end of the connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import aiohttp
import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from streamfx.capture.pattern import PatternSource, read_stamp
from streamfx.encode.pixels import Packer
from streamfx.media.av_planes import plane_array
from streamfx.media.frame import CodeRange, Plane

LIMIT_SECONDS = 60.0


class TestCamera(MediaStreamTrack):
    """Sends a test picture; `turn` goes on to the next one."""

    __test__ = False
    kind = "video"

    def __init__(self, *pictures: str) -> None:
        super().__init__()
        self._sources = [PatternSource(text) for text in pictures]
        self._sent = 0

    def turn(self) -> None:
        del self._sources[0]

    async def recv(self) -> av.VideoFrame:
        source = self._sources[0]
        frame = await asyncio.to_thread(source.read)
        if frame is None or self.readyState != "live":
            raise MediaStreamError
        picture = Packer(source.format, "yuv420p", CodeRange.LIMITED).pack(frame)
        picture.pts, picture.time_base = self._sent * 3000, Fraction(1, 90_000)
        self._sent += 1
        return picture


@dataclass
class Browser:
    """What a visitor's browser has seen and heard."""

    socket: aiohttp.ClientWebSocketResponse
    connection: RTCPeerConnection
    camera: TestCamera
    pictures: list[av.VideoFrame] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def join(self, **offer: object) -> None:
        """Send the offer and take the answer, as the page does."""
        await self.offer(**offer)
        answer = await self.heard("answer")
        await self.connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))

    async def offer(self, **offer: object) -> None:
        """Send the offer, and listen from then on."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sdp = self.connection.localDescription.sdp
        said = {"type": "offer", "sdp": sdp, "effect": "tiny"} | offer
        await self.socket.send_json({name: value for name, value in said.items() if value is not None})
        self.tasks.append(asyncio.create_task(self._hear()))

    async def heard(self, name: str) -> dict[str, Any]:
        """Return the latest message of that type, waiting for one where there is none."""
        found: dict[str, Any] = await self.until(lambda: self.latest(name), name)
        return found

    def latest(self, name: str) -> dict[str, Any]:
        """Return the latest message of that type; empty where there is none."""
        return next((each for each in reversed(self.messages) if each["type"] == name), {})

    async def until(self, happened: Any, what: str = "it") -> Any:
        """Wait until ``happened`` returns something true, and return that."""
        deadline = asyncio.get_running_loop().time() + LIMIT_SECONDS
        while not (found := happened()):
            assert asyncio.get_running_loop().time() < deadline, (
                f"{what} did not happen: {self.messages[-3:]}"
            )
            await asyncio.sleep(0.02)
        return found

    async def seen(self, count: int) -> av.VideoFrame:
        """Return the latest picture, once ``count`` more have come."""
        before = len(self.pictures)
        await self.until(lambda: len(self.pictures) >= before + count, f"{count} pictures")
        return self.pictures[-1]

    async def _hear(self) -> None:
        async for message in self.socket:
            self.messages.append(json.loads(message.data))

    async def _see(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                picture = await track.recv()
                assert isinstance(picture, av.VideoFrame)
                self.pictures.append(picture)
        except MediaStreamError:
            return


@asynccontextmanager
async def browser(address: str, *pictures: str) -> AsyncIterator[Browser]:
    """Give a browser on the page at ``address`` until its tab closes; its camera shows the first of
    ``pictures``."""
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(f"{address}visit")
        connection = RTCPeerConnection(RTCConfiguration([]))
        tab = Browser(socket, connection, TestCamera(*pictures))
        connection.addTrack(tab.camera)
        connection.add_listener(
            "track", lambda track: tab.tasks.append(asyncio.get_running_loop().create_task(tab._see(track)))
        )
        try:
            yield tab
        finally:
            await socket.close()
            await connection.close()
            for task in tab.tasks:
                task.cancel()
            await asyncio.gather(*tab.tasks, return_exceptions=True)


def stamp_of(picture: av.VideoFrame) -> int | None:
    """Return the frame number in a picture."""
    return read_stamp(luma_of(picture))


def luma_of(picture: av.VideoFrame) -> Plane:
    """Return the luma plane."""
    return plane_array(picture.planes[0], 8)
