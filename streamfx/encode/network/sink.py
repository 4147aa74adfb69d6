"""Network sinks: RTMP, RTSP, UDP, SRT, HLS folders. Lost, they are opened anew while frames go past them."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field, replace

import av

from streamfx.encode.encoding import Encoding
from streamfx.encode.network.broadcast import Broadcast
from streamfx.encode.network.targets import NetworkTarget, route_of
from streamfx.encode.pixels import Packer
from streamfx.encode.plan import OutputPlan, plan
from streamfx.encode.sink import AWAY
from streamfx.encode.tracks.selection import streams_to_copy
from streamfx.encode.video_stream import prove_encoder
from streamfx.errors import SinkAwayError, SinkError
from streamfx.media.backoff import Backoff
from streamfx.media.frame import Frame, VideoFormat
from streamfx.media.tracks import OtherTracks

log = logging.getLogger(__name__)

_LOW_DELAY = {
    "libx264": {"tune": "zerolatency", "forced-idr": "1"},
    "libx265": {"tune": "zerolatency", "forced-idr": "1"},
    "h264_nvenc": {"tune": "ull", "zerolatency": "1", "bf": "0", "forced-idr": "1"},
    "hevc_nvenc": {"tune": "ull", "zerolatency": "1", "bf": "0", "forced-idr": "1"},
    "h264_qsv": {"async_depth": "1", "bf": "0", "forced_idr": "1"},
    "hevc_qsv": {"async_depth": "1", "bf": "0", "forced_idr": "1"},
    "h264_amf": {"usage": "ultralowlatency", "bf": "0", "forced_idr": "1"},
    "hevc_amf": {"usage": "ultralowlatency", "forced_idr": "1"},
    "h264_videotoolbox": {"realtime": "1", "bf": "0"},
    "hevc_videotoolbox": {"realtime": "1", "bf": "0"},
}
_START_SECONDS = 3.0  # a server that has not answered by then is waited for while the run begins
_DISPLAYABLE = "yuv420p"  # what every receiver can show


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a network sink is kept going.

    Attributes:
        open_seconds: give up opening after this time.
        write_seconds: an output that takes nothing for so long is lost.
        bitrate_kbps: upper limit of the video's bit rate; None for constant quality alone.
        keyframe_seconds: longest time between two pictures that can be joined at.
        reconnect: times when a lost output is tried again.
        wait: an output that is away at the start is waited for, while frames go past it.
    """

    open_seconds: float = 10.0
    write_seconds: float = 5.0
    bitrate_kbps: int | None = None
    keyframe_seconds: float = 2.0
    reconnect: Backoff = field(default_factory=Backoff)
    wait: bool = False


class NetworkSink:
    """Encodes frames without delay and sends them to a server, a multicast group or an HLS folder.

    When the connection is lost, frames are dropped (``write`` says so) while a thread opens it anew; what is
    sent then starts with a picture that can be joined at, and the times go on.

    Args:
        text: the output as the user wrote it.
        video: format of the frames.
        other_tracks: sound to send along; what the output cannot take is left out. None for none.
        encoding: codec and settings of the encoder. Where nothing is to be written, nobody is connected to;
            what can be refused without that is refused.
        delivery: time limits, and when a lost output is tried again.

    Attributes:
        losses: number of times that the connection was lost.
        (the others are those of ``Sink``)

    Raises:
        ConfigError: codec, preset and quality do not go together, or the address cannot be written.
        SinkAwayError: nobody is there, and it is not to be waited for.
        SinkError: it cannot be opened.
    """

    def __init__(
        self,
        text: str,
        video: VideoFormat,
        *,
        other_tracks: OtherTracks | None = None,
        encoding: Encoding | None = None,
        delivery: Delivery | None = None,
    ) -> None:
        self._delivery = delivery = delivery or Delivery()
        encoding = encoding or Encoding()
        self._route = route_of(
            text,
            keyframe_seconds=delivery.keyframe_seconds,
            overwrite=encoding.overwrite,
            written=encoding.written,
        )
        self.name = self._route.name
        self._plan = low_delay_plan(self._route, video, encoding, delivery)
        self.notes = self._plan.conversions()
        self.frames_written = self.packets_written = self.losses = 0
        self._other_tracks = other_tracks
        self._streams = (
            streams_to_copy(self._plan, other_tracks, self.notes, encoding.tracks) if other_tracks else []
        )
        self._packer = Packer(video, self._plan.pix_fmt, self._plan.colour.code_range, size=self._plan.size)
        self._out: Broadcast | None = None
        self._lock = threading.Lock()
        self._ready: Broadcast | None = None
        self._gave_up: SinkError | None = None
        self._closing = threading.Event()
        self._tried = threading.Event()
        if not encoding.written:
            prove_encoder(self._plan)
            return
        self._start(None)
        self._tried.wait(_START_SECONDS if delivery.wait else None)
        self._current()

    def write(self, frame: Frame) -> str | None:
        """Send one frame; return why it was dropped, None when it was not.

        Raises:
            SinkError: the output is lost, and the attempts to get it back are used up.
        """
        picture = self._packer.pack(frame)
        out = self._current()
        if out is None:
            if self._other_tracks is not None:
                self._other_tracks.take()  # sound that came meanwhile goes past the output, too
            return AWAY
        try:
            out.write(picture, self._delivery.keyframe_seconds)
        except (av.FFmpegError, OSError, ValueError) as error:
            self._lose(out, error)
            return AWAY
        self.frames_written += 1
        self.packets_written += 1
        return None

    def finish(self) -> None:
        """End the stream properly. An output that is away is left as it is.

        Raises:
            SinkError: what was still on its way could not be sent.
        """
        self._closing.set()
        out, self._out = self._out, None
        self._drop_ready()
        if self.losses:
            self.notes.append(f"{self.name}: the connection was lost {self.losses} times")
        if out is not None:
            try:
                out.finish()
            except (av.FFmpegError, OSError, ValueError) as error:
                reason = out.problem(error)
                out.abort()
                raise SinkError(f"{self.name}: could not be ended properly: {reason}") from OSError(reason)

    def abort(self) -> None:
        """Let the connection go at once."""
        self._closing.set()
        out, self._out = self._out, None
        if out is not None:
            out.abort()
        self._drop_ready()

    def _opened(self) -> Broadcast:
        delivery = self._delivery
        return Broadcast(
            self._route,
            self._plan,
            self._other_tracks,
            self._streams,
            open_seconds=delivery.open_seconds,
            write_seconds=delivery.write_seconds,
            closing=self._closing,
        )

    def _current(self) -> Broadcast | None:
        """Return the connection to write to, a new one when it is ready; None while there is none."""
        if self._out is None:
            with self._lock:
                self._out, self._ready = self._ready, None
                if self._out is None and self._gave_up is not None:
                    raise self._gave_up
        return self._out

    def _lose(self, out: Broadcast, error: Exception) -> None:
        self._out = None
        self.losses += 1
        log.warning("%s: lost: %s; it is opened anew meanwhile", self.name, out.problem(error))
        self._start(out)

    def _start(self, lost: Broadcast | None) -> None:
        thread = threading.Thread(target=self._get_back, args=(lost,), name="streamfx-reconnect", daemon=True)
        thread.start()

    def _get_back(self, lost: Broadcast | None) -> None:
        """Open the output, or open it anew where it was lost; runs in a thread of its own."""
        try:
            self._try_again_and_again(lost)
        finally:
            self._tried.set()

    def _try_again_and_again(self, lost: Broadcast | None) -> None:
        if lost is not None:
            lost.abort()
        attempt, waits = 0, 0 if lost is None else 1
        while not self._closing.wait(self._delivery.reconnect.delay_seconds(attempt + waits)):
            attempt += 1
            try:
                opened = self._opened()
            except SinkError as error:
                self._gave_up = self._hopeless(error, lost, attempt)
                if self._gave_up is not None:
                    return
                log.warning("%s (attempt %d)", error, attempt)
                self._tried.set()
                continue
            with self._lock:
                self._ready = opened
            if self._closing.is_set():
                self._drop_ready()
            log.info("%s: there", self.name)
            return

    def _hopeless(self, error: SinkError, lost: Broadcast | None, attempt: int) -> SinkError | None:
        """Return what to say where it makes no sense to try again; None where it does."""
        delivery = self._delivery
        if lost is None:  # never there yet: waited for, however long it takes, if at all
            return None if delivery.wait and isinstance(error, SinkAwayError) else error
        if not delivery.reconnect.exhausted(attempt):
            return None
        reason = str(error).removeprefix(f"{self.name}: ")
        return SinkError(f"{self.name}: lost, and not back after {attempt} attempts; the last: {reason}")

    def _drop_ready(self) -> None:
        with self._lock:
            ready, self._ready = self._ready, None
        if ready is not None:
            ready.abort()


def low_delay_plan(
    route: NetworkTarget, video: VideoFormat, encoding: Encoding, delivery: Delivery
) -> OutputPlan:
    """Return how to encode ``video`` for ``route`` so that every picture leaves as soon as it came.

    Raises:
        ConfigError: codec, preset and quality do not go together.
    """
    encoding = replace(encoding, pixel_format=encoding.pixel_format or _DISPLAYABLE)
    made = plan(route.name, route.kind, route.container, video, encoding)
    options = made.encoder_options | _LOW_DELAY.get(made.codec.encoder, {})
    if delivery.bitrate_kbps is not None:
        limit = f"{delivery.bitrate_kbps}k"
        options |= {"maxrate": limit, "bufsize": limit}
    return replace(made, encoder_options=options | dict(encoding.options), low_delay=True)
