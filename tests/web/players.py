"""A player and a publisher in code, WHEP and WHIP, with aiortc at their end of the connection."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import aiohttp
import av
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamTrack

from streamfx.web.stream_encoder import Coding

_ADDRESS = re.compile(r"^(a=candidate:\S+ \d udp \d+) \S+", re.MULTILINE)
HEADERS = {"Content-Type": "application/sdp"}


@dataclass
class Player:
    """What a player has.

    Attributes:
        status: status of the answer; said: its text; place: where the stream is.
    """

    session: aiohttp.ClientSession
    connection: RTCPeerConnection
    video: RTCRtpTransceiver
    audio: RTCRtpTransceiver
    status: int
    said: str
    place: str

    async def picture(self) -> av.VideoFrame:
        """Return the next picture."""
        async with asyncio.timeout(60):
            found = await self.video.receiver.track.recv()
        assert isinstance(found, av.VideoFrame)
        return found

    async def sound(self) -> av.AudioFrame:
        """Return the next 20 ms of sound."""
        async with asyncio.timeout(60):
            found = await self.audio.receiver.track.recv()
        assert isinstance(found, av.AudioFrame)
        return found

    async def leave(self) -> int:
        """End the stream as the protocol has it; return the status."""
        async with self.session.delete(self.place) as answer:
            return answer.status


@asynccontextmanager
async def playing(
    address: str,
    coding: Coding | None = None,
    *,
    question: str = "",
    headers: dict[str, str] | None = None,
    hidden: bool = False,
) -> AsyncIterator[Player]:
    """Ask for the stream of a page.

    Args:
        address: address of the page, with the token where there is one.
        coding: coding of the video that the player takes; None: all that aiortc has.
        question: query beside the token.
        headers: headers beside the type.
        hidden: whether it gives addresses that nobody can find, and says that there are no more.
    """
    home, _, token = address.partition("?")
    asked = "&".join(filter(None, (token, question)))
    connection = RTCPeerConnection(RTCConfiguration([]))
    video, audio = (connection.addTransceiver(kind, "recvonly") for kind in ("video", "audio"))
    if coding is not None:
        known = RTCRtpReceiver.getCapabilities("video")
        codecs = known.codecs if known is not None else []
        video.setCodecPreferences([codec for codec in codecs if codec.name == coding])
    await connection.setLocalDescription(await connection.createOffer())
    offer: Any = connection.localDescription.sdp
    if hidden:
        offer = _ADDRESS.sub(r"\1 nobody.local", offer)
        assert "a=end-of-candidates" in offer
    async with aiohttp.ClientSession() as session:
        try:
            posted = HEADERS | (headers or {})
            async with session.post(f"{home}whep?{asked}", data=offer, headers=posted) as answer:
                status, said = answer.status, await answer.text()
                place = home.rstrip("/") + answer.headers.get("Location", "")
            if status == 201:
                await connection.setRemoteDescription(RTCSessionDescription(said, "answer"))
            yield Player(session, connection, video, audio, status, said, place)
        finally:
            await connection.close()


@asynccontextmanager
async def publishing(address: str, *tracks: MediaStreamTrack) -> AsyncIterator[Player]:
    """Send tracks, a video and perhaps a sound, to an address; what comes of it is there as for a player."""
    connection = RTCPeerConnection(RTCConfiguration([]))
    for track in tracks:
        connection.addTrack(track)
    await connection.setLocalDescription(await connection.createOffer())
    offer: Any = connection.localDescription.sdp
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(address, data=offer, headers=HEADERS) as answer:
                status, said = answer.status, await answer.text()
                place = urljoin(address, answer.headers.get("Location", ""))
            if status == 201:
                await connection.setRemoteDescription(RTCSessionDescription(said, "answer"))
            first, *_, last = (*connection.getTransceivers(),) * 2
            yield Player(session, connection, first, last, status, said, place)
        finally:
            for track in tracks:
                track.stop()
            await connection.close()
