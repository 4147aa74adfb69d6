"""Stream: the pictures and the sound of a run for those who watch by WebRTC."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction
from functools import partial

from aiohttp import web

from streamfx.config.live import WebConfig
from streamfx.errors import SinkError
from streamfx.media.frame import Frame, VideoFormat
from streamfx.media.tracks import OtherTracks
from streamfx.web.stream_encoder import StreamEncoder, StreamPacket
from streamfx.web.stream_sound import StreamSound
from streamfx.web.whep import PATH, Whep

log = logging.getLogger(__name__)

_USUAL_SECONDS = Fraction(1, 30)


class RunStream:
    """Codes frames while somebody watches, and hands them to the connections. `write` is for one thread.

    Args:
        video: format of the frames.
        settings: settings of pages.
        other_tracks: streams beside the pictures, with a queue of their own, not yet read; None: none.
        in_loop: function that has something called in the event loop of the connections.
        changed: callback that is called in that loop when somebody comes, goes, or wants something else.

    Attributes:
        watchers: everybody who watches.
        offered: whether anybody may.
    """

    def __init__(
        self,
        video: VideoFormat,
        settings: WebConfig,
        other_tracks: OtherTracks | None,
        in_loop: Callable[[Callable[[], object]], None],
        changed: Callable[[], None],
    ) -> None:
        self._encoder = StreamEncoder(video, settings.width, settings.stream_kbps)
        step_seconds = 1 / video.rate_fps if video.rate_fps else _USUAL_SECONDS
        self._sound = StreamSound(other_tracks, step_seconds) if other_tracks is not None else None
        self._time_base, self._in_loop = video.time_base, in_loop
        self._problem, self._not_shown = "", 0
        self.offered = settings.streams > 0
        self.watchers = Whep(settings.streams, lambda: self.sound, changed)

    @property
    def sound(self) -> bool:
        """Whether there is any sound."""
        return self._sound is not None and self._sound.there

    def address(self, page: str) -> str | None:
        """Return where players ask for the stream, by the address of the page; None where nobody may."""
        home, mark, token = page.partition("?")
        return f"{home.rstrip('/')}{PATH}{mark}{token}" if self.offered else None

    @property
    def notes(self) -> list[str]:
        """What the report says of it."""
        watchers = self.watchers
        if not watchers.most_seen:
            return []
        problem = f"; {self._not_shown} frames could not be shown, the last: {self._problem}"
        return [
            f"watched by WebRTC: {watchers.most_seen} at a time, {watchers.sent} pictures sent"
            + problem * bool(self._problem)
        ]

    def routes(self) -> list[web.RouteDef]:
        """Return what is answered by HTTP."""
        return self.watchers.routes()

    def write(self, frame: Frame, before: Frame | None) -> None:
        """Show a frame to whoever watches, with the sound of its time."""
        watchers, sounds = self.watchers, []
        if self._sound is not None:
            sounds = self._sound.take(frame.pts * self._time_base, wanted=watchers.listeners)
        kinds = watchers.kinds
        pictures = self._pictures(frame, before) if kinds else []
        if pictures or sounds:
            self._in_loop(partial(watchers.deliver, pictures, sounds))

    def _pictures(self, frame: Frame, before: Frame | None) -> list[StreamPacket]:
        """Return the packets of a frame; none where it cannot be coded: no viewer ends a run."""
        try:
            return self._encoder.encode(frame, before, self.watchers.kinds, self.watchers.take_keys())
        except (SinkError, ValueError, MemoryError) as error:
            if not self._problem:
                log.warning("%s; such frames are not shown to those who watch by WebRTC", error)
            self._problem, self._not_shown = str(error), self._not_shown + 1
            return []
