"""Peer: the WebRTC connection with one browser (aiortc): its camera comes in, pictures go back."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs import h264, vpx
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import VIDEO_TIME_BASE, MediaStreamError, MediaStreamTrack
from av import VideoFrame

from streamfx.errors import SourceOpenError
from streamfx.media.stage import Stage
from streamfx.web.sdp import without_hidden_addresses

log = logging.getLogger(__name__)

_TAKE_SECONDS = 1.0  # a connection that takes no picture for so long is away
_LEAST = 250_000  # bits a second
_LOOK_SECONDS, _CHECKING_LOOKS = 0.05, 10
_FIRST_SHARE = 0.5  # of the most bits a second, to begin with: the browser then says what it can take
# What aiortc raises for a description that is not one; it parses without checking.
NOT_AN_OFFER = (
    ValueError, LookupError, TypeError, AttributeError, AssertionError, InvalidAccessError, InvalidStateError,
    OperationError,
)  # fmt: skip
Measure = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or a TURN server, as WebRTC names what there is to know of it.

    Attributes:
        urls: address of the server.
        username: user of a TURN server; None: of a STUN server.
        credential: password of a TURN server.
    """

    urls: str
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


class Peer:
    """One connection. Everything but `give` is for the thread of the event loop it was made in.

    Args:
        came: callback that is called with each picture of the camera, in the event loop.
        ended: callback that is called once when no more will come, in the event loop.
        ice: servers by which the two find each other; none are needed where they reach each other.

    Attributes:
        measure: callback that is called with "send" and the seconds that a picture took to be compressed and
            sent.
    """

    def __init__(
        self,
        came: Callable[[VideoFrame], None],
        ended: Callable[[], None],
        *,
        ice: Sequence[IceServer] = (),
    ) -> None:
        self.measure: Measure = lambda _stage, _seconds: None
        self._came, self._ended = came, ended
        # An empty list: without one, aiortc asks a public server where it is.
        self._connection = RTCPeerConnection(
            RTCConfiguration([RTCIceServer(each.urls, each.username, each.credential) for each in ice])
        )
        self._returned = _Returned(lambda seconds: self.measure(Stage.SEND, seconds))
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_over = False
        self._connection.add_listener("track", self._receive)
        self._connection.add_listener("connectionstatechange", self._look)

    @property
    def state(self) -> str:
        """State of the connection, as WebRTC calls it: new, connecting, connected, closed, failed."""
        return str(self._connection.connectionState)

    async def answer(self, offer: str) -> str:
        """Return the answer to a browser's offer (both SDP); the connection opens by itself then.

        Raises:
            SourceOpenError: it is no offer, or not one of exactly one camera in VP8 or H.264.
        """
        connection = self._connection
        connection.addTrack(self._returned)
        try:
            await connection.setRemoteDescription(
                RTCSessionDescription(without_hidden_addresses(offer), "offer")
            )
            kinds = [transceiver.kind for transceiver in connection.getTransceivers()]
            if kinds != ["video"] or connection.sctp is not None or not self._tasks:
                raise ValueError(f"it has {', '.join(kinds) or 'nothing'}, and not one video to send")
            await connection.setLocalDescription(await connection.createAnswer())
        except NOT_AN_OFFER as error:
            raise SourceOpenError(f"the browser's offer cannot be used: {error}") from error
        return str(connection.localDescription.sdp)

    def give(self, picture: VideoFrame) -> str | None:
        """Hand a picture over to be sent, as soon as the one before is; return why it was not taken, or None.

        For any one thread; waits.
        """
        return self._returned.give(picture)

    async def close(self) -> None:
        """Close the connection and free all that belongs to it. May be called twice."""
        self._returned.stop()
        await close_connection(self._connection)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._over()

    def _receive(self, track: MediaStreamTrack) -> None:
        async def receive() -> None:
            try:
                while True:
                    picture = await track.recv()
                    assert isinstance(picture, VideoFrame)
                    self._came(picture)
            except MediaStreamError:
                self._over()

        if track.kind == "video":
            task = asyncio.get_running_loop().create_task(receive())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _look(self) -> None:
        log.debug("connection is %s", self.state)
        if self.state in ("closed", "failed"):
            self._over()

    def _over(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._ended()


class _Returned(MediaStreamTrack):
    """The track that goes back to the browser. A picture is taken when the one before has been sent."""

    kind = "video"

    def __init__(self, sent: Callable[[float], None]) -> None:
        super().__init__()
        self._in_loop: Callable[..., object] = asyncio.get_running_loop().call_soon_threadsafe
        self._sent = sent
        self._wanted = threading.Event()  # the sender has nothing to do
        self._given: asyncio.Queue[VideoFrame | None] = asyncio.Queue()
        self._taken_at: float | None = None

    async def recv(self) -> VideoFrame:
        """Return the next picture; called by the sender when it has sent the one before."""
        if self._taken_at is not None:
            self._sent(time.monotonic() - self._taken_at)
        if self.readyState == "live":
            self._wanted.set()
        picture = await self._given.get()
        if picture is None or self.readyState != "live":
            raise MediaStreamError
        # The time it is sent, not the camera's: by that one, a browser takes the time that a picture
        # spends here for an unsteady network, and holds pictures back (0.1 to 0.2 s more, there and back).
        now = self._taken_at = time.monotonic()
        picture.pts, picture.time_base = round(now / VIDEO_TIME_BASE), VIDEO_TIME_BASE
        return picture

    def give(self, picture: VideoFrame) -> str | None:
        if not self._wanted.wait(_TAKE_SECONDS):
            return "the connection took no picture in time"
        if self.readyState != "live":
            return "the connection has ended"
        self._wanted.clear()
        self._in_loop(self._given.put_nowait, picture)
        return None

    def stop(self) -> None:
        """End the track; whoever waits for it goes on."""
        super().stop()
        self._wanted.set()
        self._given.put_nowait(None)


async def close_connection(connection: RTCPeerConnection) -> None:
    """Close a connection, whatever it is about to do."""
    # aioice 0.13 leaves a task behind, for half a minute, where it is closed in the moment between its
    # checks and the connection; so a connection that is about to open may.
    for _ in range(_CHECKING_LOOKS):
        if connection.iceConnectionState != "checking":
            break
        await asyncio.sleep(_LOOK_SECONDS)
    await connection.close()


def allow_bitrate(most_kbps: int) -> None:
    """Let every connection of this process send up to ``most_kbps``.

    aiortc's own limits (1.5 Mbit/s in VP8) are for small pictures of faces, and are constants of its modules;
    within them, each connection sends what the browser says it can take.
    """
    most = most_kbps * 1000
    for codec in (vpx, h264):
        limits = {"MAX": most, "DEFAULT": round(most * _FIRST_SHARE), "MIN": min(_LEAST, most)}
        for name, value in limits.items():
            setattr(codec, f"{name}_BITRATE", value)
