"""Live sources, of every kind. Lost, they are got back; the times of the output go on."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction

import av

from streamfx.capture.live.audio import LiveTracks
from streamfx.capture.live.connection import Connection, PacketArrived, PictureArrived
from streamfx.capture.live.jitter import JitterBuffer
from streamfx.capture.live.outages import Outage, Outages
from streamfx.capture.live.receiver import (
    Connected,
    ConnectionLost,
    Event,
    PacketUndecodable,
    Receiver,
    ReconnectFailed,
    SourceEnded,
)
from streamfx.capture.live.settings import Gap, LiveSettings
from streamfx.capture.live.timeline import TIME_BASE, Timeline
from streamfx.capture.picture_conversion import PictureScaler
from streamfx.capture.planar import Planarizer, assumptions, colour_of
from streamfx.capture.side_data import hdr_metadata
from streamfx.errors import DecodeError, FrameError, SourceAwayError, SourceLostError
from streamfx.media.addresses import without_credentials
from streamfx.media.av_planes import planar_name
from streamfx.media.frame import Frame, Planes, VideoFormat
from streamfx.media.tracks import OtherTracks

log = logging.getLogger(__name__)

_STALL_SECONDS, _STALL_STEPS = (
    0.5,
    4,
)  # without a picture for so long, and for so many steps: filler frames begin
_STALE_SECONDS = 0.2  # a picture that waited longer for the first read is not shown
_LATE_SECONDS = 0.5  # a paced picture later than this is not waited up for: the pace starts anew with it
_MOST_SIZES_NOTED = 8  # a browser that adapts to its connection has a few; a hostile one could have thousands
_MOST_WAITING = 5000  # packets of sound: a minute and a half


class LiveSource:
    """A live source over connections that may be lost: read by a thread of its own, got back when lost.

    While it is away, ``read`` gives what ``LiveSettings.gap`` says, at the source's rate. Pictures of another
    size, shape or format are brought into the format of the first, or into the one that is expected.

    Args:
        name: name as the user wrote it.
        connect: function that opens a connection.
        settings: time limits, what is shown while it is away, when it is tried again.
        paced: hand pictures out at their times, because they do not come at them by themselves.
        expected: function that gives the format of the frames, from that of the first picture; None: they
            are the same.
        close_waits: callback of ``close``, for what waits in a connection of one's own.

    Attributes:
        damaged: pictures that came although some of their data was lost or garbled on its way.
        (the others are those of ``Source``)

    Raises:
        SourceAwayError: nobody there, or nothing came in time.
        SourceOpenError: it is refused, or there is no picture in it.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Connection],
        settings: LiveSettings | None = None,
        *,
        paced: bool = False,
        expected: Callable[[VideoFormat], VideoFormat] | None = None,
        close_waits: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.live, self.shortfall = without_credentials(name), True, 0
        self.notes: list[str] = []
        self.damaged = 0
        self._settings = settings = settings or LiveSettings()
        self._paced, self._expected, self._close_waits = paced, expected, close_waits
        self._closed = threading.Event()
        self._early: deque[Event] = deque()
        self._index = self._sizes_noted = 0
        self._fresh_from_ns = 0
        self._outages = Outages(self.name)
        self._jitter = JitterBuffer(settings.jitter_seconds)
        self._beside: LiveTracks | None = None
        self._filling = False
        self._clean = False  # a picture of this connection came whole: until then it is being joined
        self._pace_origin: float | None = None
        self._last_planes: Planes | None = None
        self._receiver = Receiver(connect, settings.reconnect, self.name)
        try:
            joined, first = self._first_picture()
            self._describe(joined, first)
            if not self._paced:
                self._receiver.hold()  # until the first read: effects and outputs are still to be opened
        except BaseException:
            self.close()
            raise

    @property
    def outages(self) -> list[Outage]:
        """When it was away."""
        return self._outages.all

    def read(self) -> Frame | None:
        """Return the next frame, or None at the end or once closed.

        Raises:
            DecodeError: a packet cannot be decoded; the next call goes on after it.
            SourceLostError: the source is gone, and the attempts to get it back are used up.
        """
        if not self._index:
            self._begin()
        while not self._closed.is_set():
            try:
                event = self._next_event()
            except TimeoutError:
                return self._filler()
            if isinstance(event, PictureArrived):
                if event.arrived_ns < self._fresh_from_ns:
                    continue  # it came while effects and outputs were still being opened
                return self._frame(event)
            if isinstance(event, PacketUndecodable):
                raise event.error
            if isinstance(event, ReconnectFailed):
                self._outages.end()
                raise SourceLostError(str(event.error)) from event.error
            if isinstance(event, SourceEnded) or event is None:
                break
            self._note(event)
        self._outages.end()
        return None

    def close(self) -> None:
        """End the source: a waiting read returns at once. The connection closes when its thread notices."""
        self._closed.set()
        self._close_waits()
        self._receiver.stop()
        self.notes.extend(note for note in self._beside_notes() if note not in self.notes)

    def _begin(self) -> None:
        """At the first read: start with what comes now."""
        if self.other_tracks is not None:
            self.other_tracks.start()
        self._receiver.resume()
        if not self._paced and not self._fresh_from_ns:
            self._fresh_from_ns = time.monotonic_ns() - round(_STALE_SECONDS * 1e9)

    # -- opening --

    def _first_picture(self) -> tuple[Connected, PictureArrived]:
        """Wait for the first picture, which tells what the stream is, and keep it for ``read``."""
        settings = self._settings
        # FFmpeg's own limits come first, and say more; looking up a host's name is under none of them.
        deadline = time.monotonic() + settings.open_seconds + 2 * settings.read_seconds
        joined: Connected | None = None
        while True:
            try:
                event = self._receiver.events.get(max(deadline - time.monotonic(), 0.0))
            except TimeoutError as error:
                raise SourceAwayError(f"{self.name}: no picture came in time") from error
            if isinstance(event, ReconnectFailed):
                raise event.error
            if isinstance(event, ConnectionLost):
                raise SourceAwayError(f"{self.name}: no picture came: {event.reason}")
            if isinstance(event, SourceEnded) or event is None:
                raise SourceAwayError(f"{self.name}: it ended before a picture came")
            if isinstance(event, Connected):
                joined = event
            elif isinstance(event, PictureArrived):
                assert joined is not None
                self._early.append(event)
                return joined, event
            # Sound before the first picture has nothing to be in step with, and broken packets before it are
            # no pictures of this run: neither is kept.

    def _describe(self, joined: Connected, first: PictureArrived) -> None:
        picture = first.picture
        planarizer = Planarizer(picture)
        layout = planarizer.layout
        self.format = VideoFormat(
            size=planarizer.size,
            subsampling=layout.subsampling,
            depth=layout.depth,
            colour=colour_of(picture, joined.codec),
            time_base=TIME_BASE,
            rate_fps=joined.rate_fps,
            sample_aspect_ratio=joined.sample_aspect_ratio,
            rotation_degrees=round(picture.rotation / 90) * 90,
            hdr=hdr_metadata(picture),
        )
        if self._expected is not None:
            self.format = self._expected(self.format)
            (height, width), samples = (
                self.format.size,
                planar_name(self.format.subsampling, self.format.depth),
            )
            planarizer = Planarizer(av.VideoFrame(width, height, samples))
        self._refit = PictureScaler(self.format, planarizer)
        self._timeline = Timeline(self.format.rate_fps)
        self.other_tracks: OtherTracks | None = OtherTracks(
            streams=self._receiver.streams, most_waiting=_MOST_WAITING
        )
        self._beside = LiveTracks(self.other_tracks)
        self.notes.extend(joined.notes)
        missing = assumptions(self.format.colour, self.format.size[0])
        self.notes.extend(filter(None, (layout.note, missing)))

    # -- reading --

    def _next_event(self) -> Event | None:
        if self._early:
            return self._early.popleft()
        if self._settings.gap is Gap.PAUSE or not self._index:
            return self._receiver.events.get()
        now, timeline = time.monotonic(), self._timeline
        wait_seconds = timeline.next_due_seconds(now)
        if not self._filling:
            step_seconds = float(timeline.step * TIME_BASE)
            wait_seconds += max(_STALL_SECONDS, _STALL_STEPS * step_seconds) - step_seconds
        return self._receiver.events.get(max(wait_seconds, 0.0))

    def _frame(self, event: PictureArrived) -> Frame:
        picture, now = event.picture, time.monotonic()
        try:
            planes = self._refit.planes(picture)
        except (av.FFmpegError, FrameError, ValueError) as error:
            raise DecodeError(f"{self.name}: picture {self._index} cannot be used: {error}") from error
        self._clean = self._clean or not picture.is_corrupt
        self.damaged += picture.is_corrupt and self._clean
        if (picture.height, picture.width) != self.format.size:
            self._note_size(picture.height, picture.width)
        base = picture.time_base
        seconds = None if picture.pts is None or base is None else Fraction(picture.pts) * base
        keep_pace = self._settings.gap is not Gap.PAUSE and not self._paced
        time_ticks = self._timeline.place(seconds, now, keep_pace=keep_pace)
        arrived_ns = event.arrived_ns
        if self._paced:
            self._keep_pace(time_ticks)
            arrived_ns = time.monotonic_ns()
        elif wait_seconds := self._jitter.wait_seconds(float(time_ticks * TIME_BASE), arrived_ns / 1e9):
            self._closed.wait(max(arrived_ns / 1e9 + wait_seconds - time.monotonic(), 0.0))
        self._timeline.came(time.monotonic())
        self._outages.back()
        self._filling = False
        self._last_planes = planes
        return self._made(planes, time_ticks, arrived_ns)

    def _filler(self) -> Frame:
        now = time.monotonic()
        self._outages.gone(self._timeline.last_seconds, "nothing came").repeated += 1
        self._filling = True
        black = self._settings.gap is Gap.BLACK
        planes = self._refit.black() if black or self._last_planes is None else self._last_planes
        return self._made(planes, self._timeline.filler(now), time.monotonic_ns(), repeated=True)

    def _made(self, planes: Planes, pts: int, captured_ns: int, *, repeated: bool = False) -> Frame:
        frame = self.format.frame(
            planes,
            index=self._index,
            pts=pts,
            duration=self._timeline.step,
            captured_ns=captured_ns,
            repeated=repeated,
        )
        self._index += 1
        return frame

    def _note(self, event: Connected | ConnectionLost | PacketArrived) -> None:
        if isinstance(event, PacketArrived):
            if self._beside is not None:
                self._beside.put(event.packet, event.index, self._timeline.shift_seconds)
        elif isinstance(event, ConnectionLost):
            self._outages.gone(self._timeline.last_seconds, event.reason).reason = event.reason
            self._timeline.leave()
        else:
            self._clean = False
            self._jitter.reset()
            self._timeline.leave()
            self._timeline.set_rate(event.rate_fps)
            self._pace_origin = None

    def _keep_pace(self, ticks: int) -> None:
        """Wait until a picture is due; where they come in bursts, the first of a burst sets the pace."""
        now, seconds = time.monotonic(), float(ticks * TIME_BASE)
        if self._pace_origin is None or now - (self._pace_origin + seconds) > _LATE_SECONDS:
            self._pace_origin = now - seconds
        self._closed.wait(max(self._pace_origin + seconds - now, 0.0))

    def _beside_notes(self) -> list[str]:
        return self._beside.notes() if self._beside is not None else []

    def _note_size(self, height: int, width: int) -> None:
        note = f"pictures came as {width}x{height} too; they are scaled into {self.format.size[1]}x"
        note += f"{self.format.size[0]}"
        if note not in self.notes and self._sizes_noted < _MOST_SIZES_NOTED:
            self._sizes_noted += 1
            self.notes.append(note)
