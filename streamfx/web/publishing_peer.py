"""Publishing peer: the WebRTC connection with one who sends a video to streamfx (aiortc)."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.audio.stream import AudioStream

from streamfx.capture.live.browser import IncomingPictures
from streamfx.errors import SourceOpenError
from streamfx.web.peer import NOT_AN_OFFER, close_connection
from streamfx.web.sdp import begun_by_it, check_kinds, without_hidden_addresses

if TYPE_CHECKING:
    from streamfx.media.tracks import TrackPacket

log = logging.getLogger(__name__)

_RATE = 48_000
_TICK_SECONDS = Fraction(1, _RATE)
_BITS_PER_SECOND = 128_000
_HELD_SECONDS = 3 * Fraction(20, 1000)  # aiortc gives sound out once four packets of it have come
_MOVED_SECONDS = Fraction(2, 1000)  # of the times of a stream, from frame to frame


class PublishingPeer:
    """One connection. For the thread of the event loop it was made in.

    Args:
        incoming: place where pictures and sound go; ended with the connection.
        ended: callback that is called once when no more will come, in the event loop.
    """

    def __init__(self, incoming: IncomingPictures, ended: Callable[[], object]) -> None:
        self._incoming, self._ended = incoming, ended
        # An empty list: without one, aiortc asks a public server where it is.
        self._connection = RTCPeerConnection(RTCConfiguration([]))
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_over = False
        self._connection.add_listener("track", self._receive)
        self._connection.add_listener("connectionstatechange", self._look)

    @property
    def state(self) -> str:
        """State of the connection, as WebRTC calls it: new, connecting, connected, closed, failed."""
        return str(self._connection.connectionState)

    async def answer(self, offer: str) -> str:
        """Return the answer to an offer (both SDP); the connection opens by itself then.

        Args:
            offer: description of one video to be sent, and at most one sound.

        Raises:
            SourceOpenError: it is no offer, or brings something else.
        """
        check_kinds(offer)
        connection = self._connection
        try:
            description = RTCSessionDescription(begun_by_it(without_hidden_addresses(offer)), "offer")
            await connection.setRemoteDescription(description)
            if not any(each.receiver.track.kind == "video" for each in connection.getTransceivers()):
                raise ValueError("it sends no video")
            await connection.setLocalDescription(await connection.createAnswer())
        except NOT_AN_OFFER as error:
            raise SourceOpenError(f"the offer cannot be used: {error}") from error
        return str(connection.localDescription.sdp)

    async def close(self) -> None:
        """Close the connection and free all that belongs to it. May be called twice."""
        await close_connection(self._connection)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._over()

    def _receive(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            work = self._pictures(track)
        else:
            sound = IncomingSound()
            self._incoming.others.append(sound.stream)
            work = self._sounds(track, sound)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pictures(self, track: MediaStreamTrack) -> None:
        clock = _Clock()
        try:
            while True:
                picture = await track.recv()
                assert isinstance(picture, av.VideoFrame)
                clock.correct(picture)
                self._incoming.put(picture)
        except MediaStreamError:
            self._over()

    async def _sounds(self, track: MediaStreamTrack, sound: IncomingSound) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.AudioFrame)
                for packet in sound.coded(frame):
                    self._incoming.put_sound(packet)
        except MediaStreamError:
            return

    def _look(self) -> None:
        log.debug("connection is %s", self.state)
        if self.state in ("closed", "failed"):
            self._over()

    def _over(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._incoming.end()
            self._ended()


class IncomingSound:
    """Sound of a publisher, coded again, since aiortc decodes it: outputs take packets.

    Attributes:
        stream: stream of the packets.
    """

    def __init__(self) -> None:
        self._holder = av.open(io.BytesIO(), "w", format="matroska")
        stream = self._holder.add_stream("libopus", rate=_RATE)
        assert isinstance(stream, AudioStream)
        self.stream = stream
        stream.codec_context.layout = "stereo"
        stream.codec_context.bit_rate = _BITS_PER_SECOND
        stream.codec_context.time_base = _TICK_SECONDS
        self._holder.start_encoding()
        self._resampler = av.AudioResampler(
            "flt", "stereo", _RATE, frame_size=stream.codec_context.frame_size
        )
        self._clock = _Clock(_HELD_SECONDS)

    def coded(self, frame: av.AudioFrame) -> list[TrackPacket]:
        """Return the packets that 20 ms of sound complete."""
        self._clock.correct(frame)
        packets: list[TrackPacket] = []
        for ready in self._resampler.resample(frame):
            packets += self.stream.encode(ready)
        return packets


class _Clock:
    """Puts the times of a stream onto the machine's clock, by when its frames come.

    Each stream of WebRTC has a clock of its own, which begins anywhere. The first frame tells where it
    begins, and later ones that come sooner tell it better: then times are moved forward, unnoticeably, so
    that pictures and sound come into step.

    Args:
        held_seconds: time that frames are held back before they come here.
    """

    def __init__(self, held_seconds: Fraction = Fraction(0)) -> None:
        self._held_seconds = held_seconds
        self._offset_seconds: Fraction | None = None

    def correct(self, frame: Any) -> None:
        base = Fraction(frame.time_base)
        found_seconds = Fraction(time.monotonic_ns(), 10**9) - self._held_seconds - frame.pts * base
        if self._offset_seconds is None:
            self._offset_seconds = found_seconds
        late_seconds = self._offset_seconds - found_seconds
        self._offset_seconds -= min(max(late_seconds, Fraction(0)), _MOVED_SECONDS)
        frame.pts += round(self._offset_seconds / base)
