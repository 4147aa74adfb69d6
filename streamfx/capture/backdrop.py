"""Backdrop: a picture made to fill the frames of a run, to stand behind what they show."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from av import VideoFrame

from streamfx.capture.frame_conversion import picture_of
from streamfx.capture.opening import open_source
from streamfx.capture.picture_conversion import PictureScaler
from streamfx.capture.planar import Planarizer
from streamfx.errors import ConfigError
from streamfx.media.av_planes import planar_name
from streamfx.media.frame import Planes, VideoFormat


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
    return filling(picture_of(frame))


def filling(picture: VideoFrame) -> Callable[[VideoFormat], Planes]:
    """Return what gives the planes of a picture in any format: as large as fills it, what stands out cut off
    on both sides alike."""

    def planes(video: VideoFormat) -> Planes:
        (height, width), (step_y, step_x) = video.size, video.subsampling.steps
        scale = max(height / picture.height, width / picture.width)
        rows, columns = (
            max(-(-round(side * scale) // step) * step, whole)
            for side, step, whole in zip(
                (picture.height, picture.width), (step_y, step_x), video.size, strict=True
            )
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

    return planes
