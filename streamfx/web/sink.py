"""The web page as an output: ``web:8080`` shows the pictures and has the knobs."""

from __future__ import annotations

import asyncio
import logging
import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiohttp import web

from streamfx.config.live import WebConfig
from streamfx.errors import SinkError
from streamfx.media.frame import Frame, VideoFormat
from streamfx.media.tracks import OtherTracks
from streamfx.pipeline.fan_out import OutputAccount
from streamfx.run.control_state import MOST_EFFECTS
from streamfx.run.controls import RunControls
from streamfx.version import __version__
from streamfx.web.commands import Command, Record, TakeSnapshot, turn
from streamfx.web.figures import Figures
from streamfx.web.gallery import Gallery
from streamfx.web.listen_address import Access, place_of
from streamfx.web.pictures import PictureMaker
from streamfx.web.qr_code import qr_code
from streamfx.web.recorder import OpenFile, Recorder
from streamfx.web.site import ACCESS, Site
from streamfx.web.stream import RunStream
from streamfx.web.viewers import Viewer, Viewers

log = logging.getLogger(__name__)

# A picture's message: its number, how many bytes the picture after the effects has and how many the one
# before; then both as JPEG. None before: nothing changed it, or nobody wants to see it.
_HEADER = struct.Struct(">III")
_NUMBERS = 0xFFFFFFFF
_FIGURES_SECONDS = 0.5
_MOST_SNAPSHOTS = 4


class PageSink:
    """Shows frames on a page that several viewers can have open, with what changes the run.

    A frame counts as written when it was taken: with nobody looking it costs nothing, with any number of
    viewers it is coded once: as video for those who watch by WebRTC, as a JPEG for the others. That is done
    in the thread that writes, so it is part of the encode time; handing it to the viewers is not, and a slow
    one only misses pictures.

    Args:
        text: the output as the user wrote it, ``web:[HOST:]PORT``.
        title: name of the source as the page shows it.
        video: format of the frames.
        controls: place where the run is changed.
        settings: settings of pages.
        open_file: function that opens a file for a recording.
        other_tracks: streams beside the pictures, with a queue of their own, for recordings; None: none.

    Attributes:
        address: address to open in a browser, token included.
        (the others are those of ``Sink``)

    Raises:
        ConfigError: the address cannot be read.
        SinkError: it cannot be listened at.
    """

    def __init__(
        self,
        text: str,
        title: str,
        video: VideoFormat,
        controls: RunControls,
        settings: WebConfig,
        open_file: OpenFile,
        other_tracks: OtherTracks | None = None,
    ) -> None:
        self.name = text
        self.frames_written = self.packets_written = 0
        self._title, self._video, self._controls = title, video, controls
        self._maker = PictureMaker(video, settings.width, settings.quality)
        self._recorder = Recorder(Path(settings.recordings), open_file, other_tracks, video.time_base)
        self._figures = Figures(controls)
        sound = other_tracks.branch() if other_tracks is not None else None
        self._stream = RunStream(video, settings, sound, self._in_loop, self._viewers_changed)
        self._viewers = Viewers(self._greeting, self._act, self._viewers_changed, self._stream.watchers)
        self._latest: tuple[Frame, Frame | None] | None = None
        self._snapshots: dict[str, bytes] = {}
        self._telling: asyncio.Task[None] | None = None
        self._watching = self._ended = False
        self._problem, self._not_shown = "", 0
        routes = [
            web.get("/live", self._viewers.serve),
            web.get("/snapshots/{name}", self._fetch_snapshot),
            web.get("/recordings/{name}", self._fetch_recording),
            web.get("/share", self._share),
            *self._stream.routes(),
            *Gallery().routes(),
        ]
        page = files("streamfx.web") / "page"
        self._site = Site(
            text, place_of(text, settings.names, token=settings.token), [page], routes, self._end
        )
        self._site.start()
        self.address = self._site.address
        self._stop_listening = controls.listen(self._changed)

    @property
    def notes(self) -> list[str]:
        """What the report says of the page: its viewers and recordings."""
        viewers = self._viewers
        seen = f"{viewers.most} at a time" if viewers.most else "none"
        return [
            f"viewers of the page: {seen}, {viewers.sent} pictures sent, {viewers.skipped} skipped for those "
            "that were not ready",
            *self._stream.notes,
            *(
                [f"{self._not_shown} frames could not be shown, the last: {self._problem}"]
                * bool(self._problem)
            ),
            *self._recorder.notes,
        ]

    @notes.setter
    def notes(self, _notes: list[str]) -> None:  # the protocol has it as a plain attribute
        raise AttributeError("the notes of a page are its own")

    @property
    def recordings(self) -> list[OutputAccount]:
        """What became of the frames of each recording, after the end."""
        return self._recorder.accounts

    def write(self, frame: Frame) -> None:
        """Take a frame: show it to whoever looks, record it where that is wanted."""
        before = self._before(frame)
        self._latest = frame, before
        self._recorder.write(frame)
        self._stream.write(frame, before)
        if self._viewers.wanted:
            picture = self._shown(frame, before) if self._viewers.ready else None
            self._site.call(partial(self._viewers.offer, frame.index & _NUMBERS, frame.captured_ns, picture))
        if frame.captured_ns:
            self._figures.took((time.monotonic_ns() - frame.captured_ns) / 1e9)
        self.frames_written += 1
        self.packets_written += 1

    def finish(self) -> None:
        """Complete a recording that goes on, tell the viewers, and close the page."""
        if self._ended:
            return
        self._ended = True
        self._stop_listening()
        self._recorder.stop()
        self._site.stop()
        if self._watching:
            self._watching = False
            self._controls.sources.watch(on=False)

    def abort(self) -> None:
        """Close the page. A recording that goes on is completed all the same: somebody asked for it."""
        self.finish()

    def _before(self, frame: Frame) -> Frame | None:
        """Return what a frame was before the effects; None where nothing changed it, or it was not kept."""
        source = self._controls.sources.find(frame.index)
        if source is None and frame.repeated and self._latest is not None:
            shown, source = self._latest
            if shown.planes[0] is not frame.planes[0]:
                return None
        if source is None or source.planes[0] is frame.planes[0]:
            return None
        return source

    def _shown(self, frame: Frame, before: Frame | None) -> bytes | None:
        """Return the picture for the viewers; None where it cannot be made: no viewer ends a run."""
        try:
            return self._picture(frame, before)
        except (OSError, ValueError, MemoryError) as error:
            if not self._problem:
                log.warning("%s: %s; such frames are not shown", self.name, error)
            self._problem, self._not_shown = str(error), self._not_shown + 1
            return None

    def _picture(self, frame: Frame, before: Frame | None) -> bytes:
        after = self._maker.jpeg(frame)
        earlier = self._maker.jpeg(before) if before is not None and self._viewers.before else b""
        return _HEADER.pack(frame.index & _NUMBERS, len(after), len(earlier)) + after + earlier

    # From here on in the loop of the site.

    def _in_loop(self, what: Callable[[], object]) -> None:
        self._site.call(what)

    def _greeting(self, viewer: Viewer) -> list[dict[str, Any]]:
        (height, width), (shown_height, shown_width) = self._video.size, self._maker.size
        hello = {
            "type": "hello",
            "title": self._title,
            "version": __version__,
            "width": width,
            "height": height,
            "shown_width": shown_width,
            "shown_height": shown_height,
            "folder": str(Path(self._recorder.folder).absolute()),
            "sound": self._recorder.sound,
            "streams": self._stream.offered,
            "most_effects": MOST_EFFECTS,
            "may_change": viewer.access is Access.CHANGE,
        }
        return [hello, self._state()]

    def _state(self) -> dict[str, Any]:
        return {
            "type": "state",
            **asdict(self._controls.state()),
            "recording": asdict(self._recorder.state),
            "viewers": len(self._viewers) + self._stream.watchers.players,
        }

    def _changed(self) -> None:
        """Tell every viewer how things stand, whoever changed them, so that their controls agree."""
        self._site.call(lambda: self._viewers.tell(self._state()))

    def _viewers_changed(self) -> None:
        if (self._viewers.wanted or self._stream.watchers.before) is not self._watching:
            self._watching = not self._watching
            self._controls.sources.watch(on=self._watching)
        if len(self._viewers) and self._telling is None:
            self._telling = asyncio.create_task(self._tell_figures())
        elif not len(self._viewers) and self._telling is not None:
            self._telling.cancel()
            self._telling = None
        self._viewers.tell(self._state())

    async def _tell_figures(self) -> None:
        recording = self._recorder.state
        while True:
            if recording != (recording := self._recorder.state):
                self._viewers.tell(self._state())  # one that failed ends by itself
            figures = self._figures.now()
            if figures is not None:
                self._viewers.tell_figures(figures)
            await asyncio.sleep(_FIGURES_SECONDS)

    async def _act(self, viewer: Viewer, command: Command) -> None:
        if await turn(self._controls, command):
            return
        if isinstance(command, Record):
            await self._record(on=command.on)
        elif isinstance(command, TakeSnapshot):
            await self._take_snapshot(viewer)

    async def _record(self, *, on: bool) -> None:
        recorder = self._recorder
        try:
            if on:
                path = await asyncio.to_thread(recorder.start)
                self._controls.note(f"recording to {path} started")
            else:
                await asyncio.to_thread(recorder.stop)
                if recorder.state.file is not None:
                    self._controls.note(f"recording to {recorder.state.file} stopped")
        finally:
            self._viewers.tell(self._state())

    async def _take_snapshot(self, viewer: Viewer) -> None:
        if self._latest is None:
            raise SinkError("there is no picture yet")
        frame, before = self._latest
        key = secrets.token_hex(8)
        pictures = {"after": frame} | ({"before": before} if before is not None else {})
        for what, picture in pictures.items():
            maker = PictureMaker(self._video, self._video.size[1], 100)
            self._snapshots[f"{key}-{what}.png"] = await asyncio.to_thread(maker.png, picture)
        while len(self._snapshots) > 2 * _MOST_SNAPSHOTS:
            del self._snapshots[next(iter(self._snapshots))]
        links = {
            what: {"url": f"/snapshots/{key}-{what}.png", "file": f"streamfx_frame{frame.index}_{what}.png"}
            for what in pictures
        }
        viewer.tell({"type": "snapshot", "frame": frame.index, "pictures": links}, latest_only=False)

    async def _fetch_snapshot(self, request: web.Request) -> web.Response:
        content = self._snapshots.get(request.match_info["name"])
        if content is None:
            raise web.HTTPNotFound(text="This picture is not kept any more; take another.\n")
        return web.Response(body=content, content_type="image/png")

    async def _fetch_recording(self, request: web.Request) -> web.StreamResponse:
        """Give a recording that was made on this page, and no other file."""
        path = self._recorder.find(request.match_info["name"])
        if path is None or not path.is_file():
            raise web.HTTPNotFound(text="There is no such recording of this run.\n")
        named = f'attachment; filename="{path.name}"'
        return web.FileResponse(
            path, headers={"Content-Disposition": named, "Content-Type": "video/x-matroska"}
        )

    async def _share(self, request: web.Request) -> web.Response:
        """Tell a viewer who may change the run with which links others come to this page."""
        if request[ACCESS] is not Access.CHANGE:
            raise web.HTTPForbidden(text="This link is for looking on; ask whoever gave it to you.\n")
        links = {Access.LOOK: self._site.look_address, Access.CHANGE: self._site.address}
        return web.json_response(
            {
                "here": self._site.place.loopback,
                "player": self._stream.address(links[Access.LOOK]),
                "links": {access: {"address": link, "code": qr_code(link)} for access, link in links.items()},
            }
        )

    async def _end(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
        await asyncio.gather(self._viewers.end(), self._stream.watchers.end())
