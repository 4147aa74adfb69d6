"""Backdrop: a picture made to fill the frames of a run, to stand behind what they show."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from av import VideoFrame

from streamfx.capture.frame_conversion import picture_of
from streamfx.capture.opening import open_source
from streamfx.capture.picture_conversion import PictureScaler
from streamfx.capture.planar import Planarizer
from streamfx.errors import ConfigError
from streamfx.media.av_planes import planar_name
from streamfx.media.frame import Frame, Planes, VideoFormat


def read_backdrop(name: str) -> Callable[[VideoFormat], Planes]:
    """Return what gives the planes of a picture, or of the first one of a video, for frames of any format.

    Raises:
        ConfigError: it comes live, or holds no picture.
        SourceOpenError: it cannot be read.
        DecodeError: its picture is broken.
    """
    with closing(open_source(name)) as source:
        if source.live:
            raise ConfigError(f"{name}: comes live; give a picture")
        frame = source.read()
    if frame is None:
        raise ConfigError(f"{name}: holds no picture")
    return filling(frame)


def filling(frame: Frame) -> Callable[[VideoFormat], Planes]:
    """Return what gives the planes of a frame in any format: as large as fills it, what stands out cut off on
    both sides alike."""
    shown = replace(frame.fetched(), alpha=None)

    def planes(video: VideoFormat) -> Planes:
        height, width = video.size
        name = planar_name(video.subsampling, video.depth)
        scaler = PictureScaler(video, Planarizer(VideoFrame(width, height, name)))
        scaled = scaler.scaled(picture_of(cut_to(shown, video.size)), height, width)
        return Planarizer(scaled).planes(scaled)

    return planes


def cut_to(frame: Frame, size: tuple[int, int]) -> Frame:
    """Return the middle of a frame, as much of it as has the shape of ``size``, (height, width)."""
    height, width = frame.size
    step_y, step_x = frame.subsampling.steps
    rows = _whole(width * size[0] / size[1], step_y, height)
    columns = _whole(height * size[1] / size[0], step_x, width)
    top, left = (height - rows) // 2 // step_y, (width - columns) // 2 // step_x
    luma, u, v = frame.planes
    return frame.with_planes(
        (
            luma[top * step_y :, left * step_x :][:rows, :columns],
            u[top:, left:][: -(-rows // step_y), : -(-columns // step_x)],
            v[top:, left:][: -(-rows // step_y), : -(-columns // step_x)],
        )
    )


def _whole(side: float, step: int, most: int) -> int:
    """Return a side in pixels, at most so many, a whole number of chroma samples where there is room."""
    return min(max(round(side / step) * step, step), most)
