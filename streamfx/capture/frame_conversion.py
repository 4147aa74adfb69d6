"""Fit: frames of any size, subsampling and depth, brought into the format that outputs were opened for."""

from __future__ import annotations

from dataclasses import replace

from av import VideoFrame

from streamfx.capture.picture_conversion import PictureScaler
from streamfx.capture.planar import Planarizer
from streamfx.media.av_planes import planar_name, plane_array
from streamfx.media.frame import CodeRange, Frame, Matrix, VideoFormat

_AV_RANGES = {CodeRange.UNKNOWN: 0, CodeRange.LIMITED: 1, CodeRange.FULL: 2}


class FrameScaler:
    """Scales frames into one format, as a whole, black beside a picture of another shape; by one thread.

    An output keeps the size that it was opened with. What is changed while a run goes on (an effect that
    enlarges is bypassed, or takes the place of one that does not) may change the size of the frames.

    Args:
        video: format that every frame must have.

    Attributes:
        video: format of every frame.
    """

    def __init__(self, video: VideoFormat) -> None:
        self.video = video
        self._name = planar_name(video.subsampling, video.depth)
        self._refit: PictureScaler | None = None

    def __call__(self, frame: Frame) -> Frame:
        """Return the frame in the format; the very same where it is of that format already."""
        video = self.video
        if (frame.size, frame.subsampling, frame.depth) == (video.size, video.subsampling, video.depth):
            return frame
        if self._refit is None:
            height, width = video.size
            self._refit = PictureScaler(video, Planarizer(VideoFrame(width, height, self._name)))
        planes = self._refit.planes(picture_of(frame.fetched()))
        return replace(
            frame,
            planes=planes,
            device_pixels=None,
            subsampling=video.subsampling,
            depth=video.depth,
            colour=video.colour,
        )


def picture_of(frame: Frame) -> VideoFrame:
    """Return the pixels of a frame with their colour tags."""
    height, width = frame.size
    picture = VideoFrame(width, height, planar_name(frame.subsampling, frame.depth))
    for plane, samples in zip(picture.planes, frame.planes, strict=True):
        plane_array(plane, frame.depth)[:] = samples
    if frame.colour.matrix is not Matrix.UNKNOWN:
        picture.colorspace = int(frame.colour.matrix)
    picture.color_range = _AV_RANGES[frame.colour.code_range]
    return picture
