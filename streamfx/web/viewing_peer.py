"""Viewing peer: the WebRTC connection with one who watches (aiortc): coded pictures and sound go out."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable
from typing import Any

import av
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from streamfx.errors import SourceOpenError
from streamfx.web.peer import NOT_AN_OFFER, close_connection
from streamfx.web.sdp import begun_by_it, check_kinds, without_hidden_addresses
from streamfx.web.stream_encoder import Coding

log = logging.getLogger(__name__)

_MOST_WAITING = 90  # packets that the connection has not taken; it takes each at once once it is open


class ViewingPeer:
    """One connection. For the thread of the event loop it was made in.

    Args:
        ask_key: callback that is called when a key frame is needed: to begin with, or because something was
            lost.
        changed: callback that is called when the connection opens or ends.

    Attributes:
        coding: coding of the video, known once the offer is answered.
        sound: whether sound was asked for.
    """

    def __init__(self, ask_key: Callable[[], None], changed: Callable[[], None]) -> None:
        self.coding, self.sound = Coding.H264, False
        self._changed = changed
        # An empty list: without one, aiortc asks a public server where it is.
        self._connection = RTCPeerConnection(RTCConfiguration([]))
        self._connection.add_listener("connectionstatechange", self._look)
        self._pictures, self._sounds = _Packets("video", ask_key), _Packets("audio", lambda: None)

    @property
    def state(self) -> str:
        """State of the connection, as WebRTC calls it: new, connecting, connected, closed, failed."""
        return str(self._connection.connectionState)

    async def answer(self, offer: str, *, sound: bool) -> str:
        """Return the answer to an offer (both SDP); the connection opens by itself then.

        Args:
            offer: description of one video to be received, and at most one sound.
            sound: whether there is any.

        Raises:
            SourceOpenError: it is no offer, or asks for something else.
        """
        kinds = check_kinds(offer)
        connection = self._connection
        sender = connection.addTrack(self._pictures)
        # aiortc gives no notice of a key frame that a viewer asks for; this is where it takes note.
        sender._send_keyframe = self._pictures.ask_key  # type: ignore[method-assign]
        _prefer_h264(connection.getTransceivers()[0])
        self.sound = sound and "audio" in kinds
        if self.sound:
            connection.addTrack(self._sounds)
        try:
            await connection.setRemoteDescription(
                RTCSessionDescription(begun_by_it(without_hidden_addresses(offer)), "offer")
            )
            await connection.setLocalDescription(await connection.createAnswer())
            self.coding = _coding_of(connection.localDescription.sdp)
        except NOT_AN_OFFER as error:
            raise SourceOpenError(f"the offer cannot be used: {error}") from error
        return str(connection.localDescription.sdp)

    def put_picture(self, packet: av.Packet[Any], *, key: bool) -> None:
        """Send a coded picture; a viewer begins with a key frame."""
        self._pictures.put(packet, key=key)

    def put_sound(self, packet: av.Packet[Any]) -> None:
        """Send sound."""
        self._sounds.put(packet, key=True)

    def begin_anew(self) -> None:
        """Send nothing more before the next key frame."""
        self._pictures.begin_anew()

    async def close(self) -> None:
        """Close the connection and free all that belongs to it. May be called twice."""
        self._pictures.stop()
        self._sounds.stop()
        await close_connection(self._connection)

    def _look(self) -> None:
        log.debug("connection is %s", self.state)
        self._changed()


class _Packets(MediaStreamTrack):
    """A track of packets that were made elsewhere. What waits too long goes, up to the next key frame."""

    def __init__(self, kind: str, ask_key: Callable[[], None]) -> None:
        self.kind = kind
        super().__init__()
        self.ask_key = ask_key
        self._packets: deque[av.Packet[Any]] = deque()
        self._came = asyncio.Event()
        self._taken = False
        self._needs_key = True

    async def recv(self) -> av.Packet[Any]:  # aiortc takes frames or packets
        """Return the next packet; called by the sender once the connection is open."""
        if not self._taken:
            self._taken = True
            self.begin_anew()
        while not self._packets:
            if self.readyState != "live":
                raise MediaStreamError
            self._came.clear()
            await self._came.wait()
        return self._packets.popleft()

    def put(self, packet: av.Packet[Any], *, key: bool) -> None:
        if not self._taken or (self._needs_key and not key):
            return
        if len(self._packets) >= _MOST_WAITING:
            self._packets.clear()
            if not key:
                self.begin_anew()
                return
        self._needs_key = False
        self._packets.append(packet)
        self._came.set()

    def begin_anew(self) -> None:
        """Ask for a key frame, and send nothing before it."""
        self._needs_key = True
        self.ask_key()

    def stop(self) -> None:
        super().stop()
        self._came.set()


def _prefer_h264(transceiver: RTCRtpTransceiver) -> None:
    """Have the video sent as H.264 where the other side takes that: it is the cheaper one to make."""
    codecs = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences(sorted(codecs, key=lambda codec: codec.name != Coding.H264))


def _coding_of(answer: str) -> Coding:
    """Return the coding that an answer (SDP) settles on for the video: the first it names.

    Raises:
        ValueError: it is none of ours.
    """
    _, _, video = answer.partition("m=video ")
    first = video.split("\r\n", 1)[0].split()[2:3]
    named = re.search(rf"^a=rtpmap:{first[0]} (\w+)/90000", video, re.MULTILINE) if first else None
    if named is None or named[1] not in list(Coding):
        raise ValueError("it has no coding of video that can be sent: H264 (packetization-mode=1) or VP8")
    return Coding(named[1])
