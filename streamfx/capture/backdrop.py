"""Backdrop: a picture or a video made to fill the frames of a run, to stand behind what they show."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from av import VideoFrame

from streamfx.capture.frame_conversion import picture_of
from streamfx.capture.opening import open_source
from streamfx.capture.picture_conversion import PictureScaler
from streamfx.capture.planar import Planarizer
from streamfx.capture.source import Source
from streamfx.errors import ConfigError, FrameError, SourceLostError
from streamfx.media.av_planes import planar_name
from streamfx.media.frame import Frame, Planes, VideoFormat

FRAMES_KEPT = 24
"""Pictures of a video that are kept: frames of a run come nearly in order, as many at a time as there are
workers."""

MOST_PIXELS = 1 << 26
"""Most pixels of a picture that was made so large that it fills frames."""


@dataclass(frozen=True, slots=True, eq=False)
class StillBackdrop:
    """A picture, the same at any time.

    Attributes:
        planes: function that gives its planes for a format.
    """

    planes: Callable[[VideoFormat], Planes]

    def __call__(self, video: VideoFormat, _time_seconds: Fraction, /) -> Planes:
        """Return the planes of the picture for frames of a format."""
        return self.planes(video)

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""


@dataclass(slots=True, eq=False)
class VideoBackdrop:
    """A video that begins with the run and again when it ends. May be called from several threads.

    Attributes:
        name: name of the file.
    """

    name: str
    _source: Source
    _kept: deque[_Shown] = field(default_factory=lambda: deque(maxlen=FRAMES_KEPT))
    _began: Fraction | None = None
    _duration: Fraction | None = None
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, video: VideoFormat, time_seconds: Fraction, /) -> Planes:
        """Return the planes of what it shows at a time of the run, for frames of a format.

        Raises:
            SourceLostError: it cannot be read any more.
        """
        with self._turn:
            shown = self._at(time_seconds)
        return shown.planes(video)

    def close(self) -> None:
        """Give the file back. May be called twice."""
        with self._turn:
            self._source.close()

    def _at(self, time_seconds: Fraction) -> _Shown:
        while True:
            wanted = time_seconds if self._duration is None else time_seconds % self._duration
            for shown in self._kept:
                if shown.begin <= wanted and shown.end is not None and wanted < shown.end:
                    return shown
            if self._kept and wanted < self._kept[0].begin:
                self._again()
            self._read()

    def _read(self) -> None:
        """Read the next picture; at the end of the video, say how long it is."""
        frame = self._source.read()
        last = self._kept[-1] if self._kept else None
        if frame is None:
            if last is None:
                raise SourceLostError(f"backdrop {self.name}: holds no picture any more")
            last.end = self._duration = last.begin + last.usual
            return
        if self._began is None:
            self._began = frame.time_seconds
        begin = max(frame.time_seconds - self._began, last.begin if last else Fraction(0))
        if last is not None:
            last.end = begin
        self._kept.append(_Shown(begin, frame, _usual(frame, begin - last.begin if last else None)))

    def _again(self) -> None:
        self._source.close()
        self._source = open_source(self.name)
        self._kept.clear()


@dataclass(slots=True, eq=False)
class _Shown:
    """A picture of a video, from when to when; the end is known once the next one is."""

    begin: Fraction
    frame: Frame
    usual: Fraction
    end: Fraction | None = None
    planes: Callable[[VideoFormat], Planes] = field(init=False)

    def __post_init__(self) -> None:
        self.planes = filling(picture_of(self.frame))


def _usual(frame: Frame, before: Fraction | None) -> Fraction:
    """Return how long a picture is shown at the end of a video, where nothing follows."""
    if frame.duration:
        return frame.duration * frame.time_base
    return before or Fraction(1, 25)


def read_backdrop(name: str) -> StillBackdrop | VideoBackdrop:
    """Return the backdrop that a picture is, or a video.

    Raises:
        ConfigError: it comes live, or holds no picture.
        SourceOpenError: it cannot be read.
        DecodeError: its first picture is broken.
    """
    source = open_source(name)
    if source.live:
        source.close()
        raise ConfigError(f"{name}: comes live; give a picture, or a video file")
    first = source.read()
    second = None if first is None else source.read()
    source.close()
    if first is None:
        raise ConfigError(f"{name}: holds no picture")
    if second is None:
        return StillBackdrop(filling(picture_of(first)))
    return VideoBackdrop(name, open_source(name))


def filling(picture: VideoFrame) -> Callable[[VideoFormat], Planes]:
    """Return what gives the planes of a picture in any format: as large as fills it, what stands out cut off
    on both sides alike. It raises FrameError for a picture that is much too narrow."""

    @lru_cache(maxsize=2)
    def fitted(video: VideoFormat) -> Planes:
        (height, width), (step_y, step_x) = video.size, video.subsampling.steps
        scale = max(height / picture.height, width / picture.width)
        rows, columns = (
            max(-(-round(side * scale) // step) * step, whole)
            for side, step, whole in zip(
                (picture.height, picture.width), (step_y, step_x), video.size, strict=True
            )
        )
        if rows * columns > MOST_PIXELS:
            raise FrameError(
                f"backdrop: a picture of {picture.width}x{picture.height} is too narrow to fill frames of "
                f"{width}x{height}; cut a part out of it"
            )
        name = planar_name(video.subsampling, video.depth)
        scaler = PictureScaler(video, Planarizer(VideoFrame(width, height, name)))
        scaled = scaler.scaled(picture, rows, columns)
        luma, u, v = Planarizer(scaled).planes(scaled)
        top, left = (rows - height) // 2 // step_y, (columns - width) // 2 // step_x
        chroma_rows, chroma_columns = video.subsampling.chroma_size(video.size)
        return (
            luma[top * step_y :, left * step_x :][:height, :width],
            u[top:, left:][:chroma_rows, :chroma_columns],
            v[top:, left:][:chroma_rows, :chroma_columns],
        )

    turn = threading.Lock()  # FFmpeg's scaler does not take one picture in two threads

    def planes(video: VideoFormat) -> Planes:
        with turn:
            return fitted(video)

    return planes
