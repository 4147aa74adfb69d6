"""From a frame to the encoder's picture."""

from __future__ import annotations

import numpy as np
from av import VideoFrame
from av.video.reformatter import Interpolation

from streamfx.encode.codecs import planar_name
from streamfx.errors import SinkError
from streamfx.frame import CodeRange, Frame, VideoFormat

AV_RANGES = {CodeRange.UNKNOWN: 0, CodeRange.LIMITED: 1, CodeRange.FULL: 2}


class Packer:
    """Makes AVFrames of frames, all of one format.

    The samples are copied once, into memory that belongs to the AVFrame: encoders hold on to their input for as long
    as they look ahead, and a copy (0.4 ms at 1080p) sets the frame's own memory free at once.

    Args:
        video: format of the frames.
        pix_fmt: FFmpeg's name of the format the encoder takes; converted to when it is another.
    """

    def __init__(self, video: VideoFormat, pix_fmt: str) -> None:
        self._video, self._pix_fmt = video, pix_fmt
        self._own = planar_name(video.subsampling, video.depth)
        self._range = AV_RANGES[video.colour.code_range]

    def pack(self, frame: Frame) -> VideoFrame:
        """Return ``frame`` as the encoder wants it, with its time and colour tags.

        Raises:
            SinkError: the frame is not of the format the output was opened with.
        """
        video = self._video
        if (frame.size, frame.subsampling, frame.depth) != (video.size, video.subsampling, video.depth):
            raise SinkError(
                f"frame {frame.index} is {frame.size[1]}x{frame.size[0]} {frame.subsampling} {frame.depth} bit; "
                f"the output was opened for {video.size[1]}x{video.size[0]} {video.subsampling} {video.depth} bit"
            )
        picture = VideoFrame(video.size[1], video.size[0], self._own)
        for plane, samples in zip(picture.planes, frame.planes, strict=True):
            rows = np.frombuffer(plane, samples.dtype).reshape(plane.height, -1)
            rows[:, : plane.width] = samples
        picture.colorspace, picture.color_range = int(video.colour.matrix), self._range
        picture.color_primaries, picture.color_trc = video.colour.primaries, video.colour.transfer
        if self._pix_fmt != self._own:
            picture = picture.reformat(format=self._pix_fmt, interpolation=Interpolation.BICUBIC)
        picture.pts, picture.time_base = frame.pts, frame.time_base
        picture.duration = frame.duration or 0
        return picture
