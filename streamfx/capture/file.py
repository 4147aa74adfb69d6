"""Video files, and whatever else FFmpeg can demux, read through PyAV."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque

import av
from av import VideoFrame
from av.container import InputContainer

from streamfx.addresses import without_credentials
from streamfx.capture.clock import FrameClock, PacketClock
from streamfx.capture.container import best_video, gather_extras, open_container
from streamfx.capture.decoding import Decoding
from streamfx.capture.on_device import PicturesOnDevice
from streamfx.capture.planar import Planarizer, assumptions, colour_of
from streamfx.capture.side_data import display_matrix, hdr_metadata
from streamfx.errors import DecodeError, FrameError, SourceOpenError
from streamfx.extras import Extras
from streamfx.frame import NO_PLANES, Frame, OnDevice, VideoFormat

log = logging.getLogger(__name__)

_FREE_CLOCKS = {"mpegts", "mpeg"}  # containers whose clock starts anywhere and may be set anew in between
_LEEWAY_SECONDS, _LEEWAY_SHARE = 1.0, 0.02  # by how much a container's duration may be wrong unremarked
_UNDECODABLE_AT_OPEN = 200  # broken packets before the first good picture, after which the file is given up


class FileSource:
    """A video file as a source: every picture of its best video stream, in order, with exact times.

    Planes are views of the decoder's memory, not copies. Everything else in the file waits in ``extras``.

    Args:
        address: a path, ``-`` for standard input, or the address of a file on a web server.
        threads: decoder threads; None for one per processor.
        pictures: where decoded pictures are to stay on a device.

    Attributes:
        damaged: frames delivered so far that the decoder had to patch up because data was missing.
        (the others are those of ``Source``)

    Raises:
        SourceOpenError: there is nothing to read, nothing that is a video, or no picture can be decoded.
    """

    def __init__(
        self, address: str, *, threads: int | None = None, pictures: PicturesOnDevice | None = None
    ) -> None:
        self.name = text = without_credentials(address)
        self._on_device = pictures
        self.live = False
        self.notes: list[str] = []
        self.shortfall = 0
        self.damaged = 0
        self._lock = threading.Lock()
        self._closing = False
        self._pictures: deque[VideoFrame] = deque()
        self._ended = self._summed_up = False
        self._index = 0
        self._early_failures: deque[DecodeError] = deque()  # met while opening; reported by the first reads
        self._container: InputContainer | None
        self._container, self._file = open_container(address, pictures.hwaccel() if pictures else None)
        try:
            self._video = best_video(self._container, text, self.notes)
            self._video.thread_type = "AUTO"
            self._video.codec_context.thread_count = threads or os.cpu_count() or 1
            extras = gather_extras(self._container, self._video, self.notes)
            self.extras: Extras | None = extras
            self._container_name = self._container.format.name
            self._clock = PacketClock(discontinuous=self._container_name in _FREE_CLOCKS)
            self._decoding = Decoding(
                self._container,
                self._video,
                name=text,
                extras=extras,
                clock=self._clock,
                notes=self.notes,
            )
            first = self._first_picture()
            if pictures is not None and (problem := pictures.problem(first)):
                raise SourceOpenError(f"{text}: cannot be decoded on the device: {problem}")
            self._describe(self._container, first)
        except BaseException:
            self._closing = True
            self._close_files()
            raise

    def read(self) -> Frame | None:
        """Return the next frame, or None at the end or once closed.

        Raises:
            DecodeError: a packet cannot be decoded; the next call goes on after it.
        """
        with self._lock:
            if self._closing:
                self._release()
                return None
            if self.extras is not None:
                self.extras.start()
            if self._early_failures:
                raise self._early_failures.popleft()
            picture = self._next_picture()
            if picture is None:
                self._refuse_broken_end()
                self._note_what_was_found()
                return None
            frame = self._frame(picture)
            self._index += 1
            return frame

    def close(self) -> None:
        """Release file and decoder. While another thread reads, it is done when that read returns."""
        self._closing = True
        if self._lock.acquire(timeout=0.2):
            try:
                self._release()
            finally:
                self._lock.release()

    # -- opening --

    def _first_picture(self) -> VideoFrame:
        """Decode up to the first picture, which tells what the header leaves open, and keep it for
        ``read``."""
        for _ in range(_UNDECODABLE_AT_OPEN):
            try:
                picture = self._next_picture()
            except DecodeError as error:
                self._early_failures.append(error)
                continue
            if picture is None:
                break
            self._pictures.appendleft(picture)
            return picture
        failure = self._early_failures[-1] if self._early_failures else None
        why = f": {failure}" if failure else ""
        raise SourceOpenError(f"{self.name}: no picture in it can be decoded{why}") from failure

    def _describe(self, container: InputContainer, first: VideoFrame) -> None:
        video = self._video
        time_base = video.time_base or first.time_base
        assert time_base is not None
        assert self.extras is not None
        self._planarizer = Planarizer(first)
        layout = self._planarizer.layout
        rate_fps = video.average_rate or video.guessed_rate or None
        duration_seconds = float(video.duration * time_base) if video.duration else None
        if duration_seconds is None and container.duration:
            duration_seconds = container.duration / 1_000_000
        self.format = VideoFormat(
            size=self._planarizer.size,
            subsampling=layout.subsampling,
            depth=layout.depth,
            colour=colour_of(first, video.codec_context.name),
            time_base=time_base,
            rate_fps=rate_fps if rate_fps and rate_fps <= 1 / time_base else None,
            sample_aspect_ratio=video.sample_aspect_ratio or None,
            rotation_degrees=round(first.rotation / 90) * 90,
            frame_count=video.frames or None,
            duration_seconds=duration_seconds,
            hdr=hdr_metadata(first),
        )
        self.extras.display_matrix = display_matrix(first)
        self.extras.shift_seconds = self._clock.start_shift_seconds(container)
        self._shift = round(self.extras.shift_seconds / time_base)
        self._times = FrameClock(self.format)
        self._note_what_differs(first)

    def _note_what_differs(self, first: VideoFrame) -> None:
        layout = self._planarizer.layout
        if layout.note and self._on_device is None:
            self.notes.append(layout.note)
        elif self._video.metadata.get("alpha_mode") == "1":
            self.notes.append("alpha is dropped")
        if first.interlaced_frame:
            self.notes.append("interlaced; fields are passed on as they are, in one frame")
        missing = assumptions(self.format.colour, self.format.size[0])
        if missing:
            self.notes.append(missing)
            log.info("%s: %s", self.name, missing)
        if self.extras is not None and self.extras.shift_seconds:
            shift = float(self.extras.shift_seconds)
            self.notes.append(f"the source's clock starts at {shift:.3f} s; the output's starts at zero")

    # -- reading --

    def _next_picture(self) -> VideoFrame | None:
        # One picture more than needed: its time shows whether this one's can be right.
        while len(self._pictures) < 2 and not self._ended:
            picture = self._decoding.next()
            if picture is None:
                self._ended = True
            else:
                self._pictures.append(picture)
        return self._pictures.popleft() if self._pictures else None

    def _frame(self, picture: VideoFrame) -> Frame:
        if picture.is_corrupt:
            self.damaged += 1
        if not self._planarizer.fits(picture):
            self._note_once(
                f"picture {self._index} is {picture.width}x{picture.height} {picture.format.name}, not "
                f"{self.format.size[1]}x{self.format.size[0]}; such pictures are scaled to the first's size"
            )
        next_pts = self._pictures[0].pts if self._pictures else None
        pts, duration = self._times.time_of(picture, next_pts, self._shift)
        try:
            held = self._held(picture)
            return self.format.frame(
                NO_PLANES if held else self._planarizer.planes(picture),
                held=held,
                index=self._index,
                pts=pts,
                duration=duration,
                captured_ns=time.monotonic_ns(),
            )
        except (av.FFmpegError, FrameError) as error:
            raise DecodeError(f"{self.name}: picture {self._index} cannot be used: {error}") from error

    def _held(self, picture: VideoFrame) -> OnDevice | None:
        if self._on_device is None:
            return None
        if not self._planarizer.fits(picture):
            raise FrameError("it is not like the first, and is not scaled on a device; run with --device cpu")
        return self._on_device.hold(picture)

    def _note_what_was_found(self) -> None:
        """At the end: what was made up or patched up on the way."""
        if self._summed_up:
            return
        self._summed_up = True
        self._measure_shortfall()
        self.notes.extend(self._times.notes())
        if self.damaged:
            self.notes.append(f"{self.damaged} pictures are damaged in the source and were patched up")

    def _note_once(self, note: str) -> None:
        start = note.split(" is ")[-1]
        if not any(old.endswith(start) for old in self.notes):
            self.notes.append(note)

    def _measure_shortfall(self) -> None:
        """Compare what was found with what the container promised: pictures where it counts them, else
        time."""
        promised, duration_seconds = self.format.frame_count, self.format.duration_seconds
        found, reached_seconds = self._decoding.video_packets, self._decoding.reached_seconds
        if promised is not None and found < promised:
            self.shortfall = promised - found
            self.notes.append(f"the file ends early: it promises {promised} pictures and holds {found}")
        elif promised is None and duration_seconds is not None and self._container_name not in _FREE_CLOCKS:
            leeway_seconds = max(_LEEWAY_SECONDS, _LEEWAY_SHARE * duration_seconds)
            if reached_seconds < duration_seconds - leeway_seconds:
                ends = f"it promises {duration_seconds:.2f} s and ends at {reached_seconds:.2f} s"
                self.notes.append(f"the file ends early: {ends}")

    def _refuse_broken_end(self) -> None:
        """Raise, once, when reading failed before everything was there."""
        reason, self._decoding.broke_off = self._decoding.broke_off, None
        if reason is not None and not self._all_came():
            raise DecodeError(f"{self.name}: {reason}; what follows is missing")

    def _all_came(self) -> bool:
        """Return whether all that the container promised was there, so that what cannot be read is no part
        of it."""
        promised, duration_seconds = self.format.frame_count, self.format.duration_seconds
        if promised is not None:
            return self._decoding.video_packets >= promised
        step_seconds = 1 / float(self.format.rate_fps) if self.format.rate_fps else 0.0
        return (
            duration_seconds is not None
            and self._decoding.reached_seconds >= duration_seconds - 1.5 * step_seconds
        )

    def _release(self) -> None:
        self._decoding.close()
        self._close_files()

    def _close_files(self) -> None:
        self._pictures.clear()
        if self._container is not None:
            self._container.close()
            self._container = None
        if self._file is not None:
            self._file.close()
            self._file = None
