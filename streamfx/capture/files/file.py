"""Video files, and whatever else FFmpeg can demux, read through PyAV."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from dataclasses import replace
from fractions import Fraction

import av
from av import VideoFrame
from av.codec.context import Flags
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext

from streamfx.capture.device_decoding import PicturesOnDevice
from streamfx.capture.files.container import (
    alpha_decoder,
    best_video,
    gather_other_tracks,
    has_coded_alpha,
    open_container,
)
from streamfx.capture.files.decoding import Decoding
from streamfx.capture.files.description import describe, worth_knowing
from streamfx.capture.files.preparation import Preparation, Prepared
from streamfx.capture.files.shortfall import FREE_CLOCKS, all_came, shortfall_of
from streamfx.capture.files.steady_rate import SteadyRate
from streamfx.capture.files.timed import TimedPictures
from streamfx.capture.planar import Planarizer
from streamfx.capture.side_data import display_matrix, not_passed_on
from streamfx.capture.timestamps import PacketClock
from streamfx.errors import DecodeError, FrameError, SourceOpenError
from streamfx.media.addresses import without_credentials
from streamfx.media.frame import NO_PLANES, DevicePixels, Frame, Plane, Planes
from streamfx.media.notes import Converted, LeftOut
from streamfx.media.part import Part
from streamfx.media.tracks import OtherTracks

log = logging.getLogger(__name__)

_UNDECODABLE_AT_OPEN = 200  # broken packets before the first good picture, after which the file is given up


class FileSource:
    """A video file as a source: every picture of its best video stream, in order, with exact times.

    Planes are views of the decoder's memory, not copies. Everything else in the file is in ``other_tracks``.

    Args:
        address: a path, ``-`` for standard input, or the address of a file on a web server.
        threads: decoder threads; None for one per processor.
        pictures: place where decoded pictures are to stay on a device.
        preparation: treatment of the pictures before anything else; None: the usual one.

    Attributes:
        damaged: frames delivered so far that the decoder had to patch up because data was missing.
        (the others are those of ``Source``)

    Raises:
        SourceOpenError: there is nothing to read, nothing that is a video, or no picture can be decoded.
    """

    def __init__(
        self,
        address: str,
        *,
        threads: int | None = None,
        pictures: PicturesOnDevice | None = None,
        preparation: Preparation | None = None,
    ) -> None:
        self.name = text = without_credentials(address)
        self._on_device = pictures
        self._preparation = preparation or Preparation()
        self.live = False
        self.notes: list[str] = []
        self.shortfall = 0
        self.damaged = 0
        self._lock = threading.Lock()
        self._closing = False
        self._summed_up = False
        self._index = 0
        self._before: VideoFrame | None = None
        self._early_failures: deque[DecodeError] = deque()  # met while opening; reported by the first reads
        self._container: InputContainer | None
        self._container, self._file = open_container(address, pictures.hwaccel() if pictures else None)
        try:
            self._video = best_video(self._container, text, self.notes)
            self._video.thread_type = "AUTO"
            self._video.codec_context.thread_count = threads or os.cpu_count() or 1
            # Else a picture that is cut at the left keeps columns that are not to be shown, for quick access.
            self._video.codec_context.flags |= Flags.unaligned
            shape = self._video.sample_aspect_ratio or None
            self._prepared = Prepared(self._preparation, text, shape)
            other_tracks = gather_other_tracks(self._container, self._video, self.notes)
            self.other_tracks: OtherTracks | None = other_tracks
            self._container_name = self._container.format.name
            self._clock = PacketClock(discontinuous=self._container_name in FREE_CLOCKS)
            self._decoding = Decoding(
                self._container,
                self._video,
                name=text,
                other_tracks=other_tracks,
                clock=self._clock,
                notes=self.notes,
                prepared=self._prepared if pictures is None else None,
                decoder=self._own_decoder(),
            )
            self._timed = TimedPictures(self._decoding, self._video, text)
            first = self._first_picture()
            if pictures is not None and (
                problem := pictures.problem(first) or self._preparation.needs_filters(first)
            ):
                raise SourceOpenError(f"{text}: cannot be decoded on the device: {problem}")
            self._describe(self._container, other_tracks, first)
            if self._preparation.part is not None:
                self._begin_part(self._container, self._preparation.part)
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
            if self.other_tracks is not None:
                self.other_tracks.start()
            if self._early_failures:
                raise self._early_failures.popleft()
            timed = self._timed.next() if self._rate is None else self._rate.next()
            if timed is None:
                self._refuse_broken_end()
                self._note_what_was_found()
                return None
            frame = self._frame(*timed)
            self._index += 1
            return frame

    @property
    def can_seek(self) -> bool:
        """Whether pictures can be found again by their times: the file states all, on one clock."""
        return self._file is None and self._container_name not in FREE_CLOCKS and self._timed.clock.stated

    def seek(self, seconds: Fraction) -> None:
        """Move to a picture at or before a time with which decoding can begin, or as near as the file allows.

        Pictures are numbered from there on, until ``number_from`` says which is next.
        """
        with self._lock:
            assert self._container is not None
            self._early_failures.clear()
            self._summed_up = False
            self._timed.seek(self._container, seconds)
            self._before = None
            if self._rate is not None:
                self._rate.begin_again()
            self._index = 0

    def number_from(self, index: int) -> None:
        """Give the next picture this number."""
        self._index = index

    def skip(self) -> float | None:
        """Pass over a packet without decoding it; those of other streams go to ``other_tracks``, as ever.

        Returns:
            The time reached, in seconds of the file's clock; None at the end.
        """
        with self._lock:
            if self.other_tracks is not None:
                self.other_tracks.start()
            if self._timed.skip():
                return self._decoding.reached_seconds
            self._note_what_was_found()
            return None

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
                picture = self._timed.take()
            except DecodeError as error:
                self._early_failures.append(error)
                continue
            if picture is None:
                break
            self._timed.put_back(picture)
            return picture
        failure = self._early_failures[-1] if self._early_failures else None
        why = f": {failure}" if failure else ""
        raise SourceOpenError(f"{self.name}: no picture in it can be decoded{why}") from failure

    def _own_decoder(self) -> VideoCodecContext | None:
        decoder = alpha_decoder(self._video) if self._preparation.alpha else None
        if decoder is not None:
            decoder.thread_count = self._video.codec_context.thread_count
        return decoder

    def _describe(self, container: InputContainer, other_tracks: OtherTracks, first: VideoFrame) -> None:
        self._planarizer = Planarizer(first)
        shows_through = self._planarizer.shows_through(first, seen=self._container_name == "gif")
        # FFmpeg gives alpha to every GIF, so there the first picture must show it.
        alpha = shows_through and self._preparation.alpha
        if (shows_through or has_coded_alpha(self._video)) and not alpha:
            self.notes.append(LeftOut("alpha is left out: the output does not hold it"))
        self.format = describe(container, self._video, first, self._planarizer, self._prepared, alpha=alpha)
        other_tracks.display_matrix = None if self._prepared.turned else display_matrix(first)
        other_tracks.shift_seconds = self._clock.start_shift_seconds(container)
        self._promised = self.format
        self._timed.start(self.format, other_tracks)
        self._set_rate(self._preparation.rate_fps)
        self._note_what_differs(first)

    def _set_rate(self, rate_fps: Fraction | None) -> None:
        """Have frames come at a steady rate from here on; None: as the file has them."""
        self._rate: SteadyRate | None = None
        if rate_fps is not None:
            self._rate = SteadyRate(self._timed.next, self.format.time_base, rate_fps)
            self.format = replace(self.format, time_base=1 / rate_fps, rate_fps=rate_fps, frame_count=None)

    def _begin_part(self, container: InputContainer, part: Part) -> None:
        """Move to the part that is wanted; the format says from here on how long that is."""
        self._timed.begin(container, part, can_seek=self.can_seek)
        self._early_failures.clear()  # none of the part's
        film_seconds = self.format.duration_seconds
        end_seconds = None if part.end_seconds is None else float(part.end_seconds)
        promised_seconds = None if film_seconds is None else min(film_seconds, end_seconds or film_seconds)
        length_seconds = None if promised_seconds is None else promised_seconds - float(part.start_seconds)
        self._promised = replace(self._promised, frame_count=None, duration_seconds=promised_seconds)
        self.format = replace(self.format, frame_count=None, duration_seconds=length_seconds)
        self.notes.append(f"a part of the film is taken: {part}")

    def _note_what_differs(self, first: VideoFrame) -> None:
        layout = self._planarizer.layout
        if layout.note and self._on_device is None:
            self.notes.append(layout.note)
        self.notes.extend(LeftOut(f"{what}: left out") for what in not_passed_on(first))
        self._note_deinterlacing()
        self.notes.extend(worth_knowing(self.name, self.format, self._prepared))
        if self.other_tracks is not None and self.other_tracks.shift_seconds:
            shift = float(self.other_tracks.shift_seconds)
            self.notes.append(f"the source's clock starts at {shift:.3f} s; the output's starts at zero")

    # -- reading --

    def _frame(self, picture: VideoFrame, pts: int, duration: int | None) -> Frame:
        again = picture is self._before
        if not self._planarizer.fits(picture):
            self._note_once(
                f"picture {self._index} is {picture.width}x{picture.height} {picture.format.name}, not "
                f"{self.format.size[1]}x{self.format.size[0]}; such pictures are scaled to the first's size"
            )
        try:
            device_pixels = self._kept_on_device(picture)
            planes, alpha = (NO_PLANES, None) if device_pixels else self._planes(picture)
            frame = self.format.frame(
                planes,
                device_pixels=device_pixels,
                alpha=alpha,
                index=self._index,
                pts=pts,
                duration=duration,
                captured_ns=time.monotonic_ns(),
                key=bool(picture.key_frame) and not again,
                again=again,
            )
        except (av.FFmpegError, FrameError) as error:
            raise DecodeError(f"{self.name}: picture {self._index} cannot be used: {error}") from error
        self.damaged += picture.is_corrupt and not again
        self._before = picture
        return frame

    def _planes(self, picture: VideoFrame) -> tuple[Planes, Plane | None]:
        if self.format.alpha:
            return self._planarizer.with_alpha(picture)
        return self._planarizer.planes(picture), None

    def _kept_on_device(self, picture: VideoFrame) -> DevicePixels | None:
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
        self._note_deinterlacing()
        self.shortfall, early = shortfall_of(self._promised, self._decoding, self._container_name)
        self.notes.extend([early] if early else [])
        self.notes.extend(self._timed.clock.notes())
        self.notes.extend(note for note in self._prepared.notes if note not in self.notes)
        if self._rate is not None and (self._rate.dropped or self._rate.repeated):
            self.notes.append(Converted(f"{self._rate}"))
        if self.damaged:
            self.notes.append(
                Converted(f"{self.damaged} pictures are damaged in the source and were patched up")
            )

    def _note_deinterlacing(self) -> None:
        if self._prepared.deinterlaced:
            self._note_once("interlaced pictures are deinterlaced; --deinterlace off would keep their fields")

    def _note_once(self, note: str) -> None:
        start = note.split(" is ")[-1]
        if not any(old.endswith(start) for old in self.notes):
            self.notes.append(Converted(note))

    def _refuse_broken_end(self) -> None:
        """Raise, once, when reading failed before everything was there."""
        reason, self._decoding.broke_off = self._decoding.broke_off, None
        if reason is not None and not all_came(self._promised, self._decoding):
            raise DecodeError(f"{self.name}: {reason}; what follows is missing")

    def _release(self) -> None:
        self._decoding.close()
        self._close_files()

    def _close_files(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None
        if self._file is not None:
            self._file.close()
            self._file = None
