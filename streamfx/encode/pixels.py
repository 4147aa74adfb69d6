"""From a frame to the encoder's picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Protocol, TypeAlias

import av
import av.filter
import numpy as np
from av import VideoFrame
from av.codec.hwaccel import HWAccel
from av.video.format import VideoFormat as VideoPixels
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from streamfx.encode.pixel_format import RGB_FORMATS
from streamfx.errors import SinkError
from streamfx.media.av_planes import planar_name, plane_array
from streamfx.media.frame import CodeRange, Frame, Plane, VideoFormat

AV_RANGES = {CodeRange.UNKNOWN: 0, CodeRange.LIMITED: 1, CodeRange.FULL: 2}


class FramePacker(Protocol):
    """Makes AVFrames of frames for one encoder, and is told what comes back."""

    @property
    def hwaccel(self) -> HWAccel | None:
        """What to open the encoder with, where pictures are on a device."""

    def pack(self, frame: Frame) -> VideoFrame:
        """Return ``frame`` as the encoder wants it, with its time and colour tags.

        Raises:
            SinkError: the frame is not of the format the output was opened with.
        """

    def returned(self, packets: Sequence[av.Packet[VideoStream]]) -> None:
        """See what the encoder made, in units of the frames' time: it has no more need of their pixels."""


Packing: TypeAlias = Callable[[VideoFormat, str, CodeRange], FramePacker]
"""Makes what packs frames of a format as an encoder takes them: FFmpeg's name of it, and a range."""


class Packer:
    """Makes AVFrames of frames, all of one format.

    The samples are copied once, into memory that belongs to the AVFrame: encoders hold on to their input for
    as long as they look ahead, and a copy (0.4 ms at 1080p) sets the frame's own memory free at once.

    Args:
        video: format of the frames.
        pix_fmt: FFmpeg's name of the format the encoder takes; converted to when it is another.
        code_range: the range the encoder takes; converted to when it is another.
        size: (height, width) the encoder takes; larger than the frames by a row or column, which repeat the
            last. None: that of the frames.
    """

    hwaccel = None

    def __init__(
        self,
        video: VideoFormat,
        pix_fmt: str,
        code_range: CodeRange,
        *,
        size: tuple[int, int] | None = None,
    ) -> None:
        self._video, self._pix_fmt, self._code_range = video, pix_fmt, code_range
        self._size = size or video.size
        self._own = planar_name(video.subsampling, video.depth, alpha=video.alpha)
        step_seconds = 1 / video.rate_fps if video.rate_fps else Fraction(1, 25)
        self._usual_duration = max(round(step_seconds / video.time_base), 1)
        self._reformatter = VideoReformatter()
        self._palette = Palette(video.size, alpha=video.alpha) if pix_fmt == "pal8" else None
        self._fields = FieldFlags(self._size, video, pix_fmt) if video.top_field_first is not None else None

    def pack(self, frame: Frame) -> VideoFrame:
        """Return ``frame`` as the encoder wants it, with its time and colour tags.

        Raises:
            SinkError: the frame is not of the format the output was opened with.
        """
        picture = self.own_picture(frame)
        if self._palette is not None:
            picture = self._palette.quantized(self.to_rgb(picture, "bgra"))
        elif self._pix_fmt in RGB_FORMATS:
            picture = self.to_rgb(picture, self._pix_fmt)
        elif self._pix_fmt != self._own or self._code_range is not self._video.colour.code_range:
            picture.color_range = picture.color_range or ColorRange.MPEG  # what unknown means to every player
            picture = self._reformatter.reformat(
                picture,
                format=self._pix_fmt,
                dst_color_range=AV_RANGES[self._code_range] or ColorRange.MPEG,
                interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
            )
        if self._fields is not None:
            picture = self._fields.flagged(picture)
        return self.timed(picture, frame)

    def timed(self, picture: VideoFrame, frame: Frame) -> VideoFrame:
        """Return the picture with the frame's time."""
        picture.pts, picture.time_base = frame.pts, frame.time_base
        picture.duration = frame.duration or self._usual_duration
        return picture

    def returned(self, packets: Sequence[av.Packet[VideoStream]]) -> None:
        """Do nothing: pictures have memory of their own."""

    def own_picture(self, frame: Frame) -> VideoFrame:
        """Return ``frame`` as an AVFrame in its own pixel format, without a time.

        Raises:
            SinkError: the frame is not of the format the output was opened with.
        """
        self.check(frame)
        picture = VideoFrame(self._size[1], self._size[0], self._own)
        samples = frame.planes if frame.alpha is None else (*frame.planes, frame.alpha)
        for plane, own in zip(picture.planes, samples, strict=True):
            fill(plane_array(plane, self._video.depth), own)
        self.tag(picture)
        return picture

    def check(self, frame: Frame) -> None:
        """Check that a frame is what the output was opened for.

        Raises:
            SinkError: it is not.
        """
        video = self._video
        found = (frame.size, frame.subsampling, frame.depth, frame.alpha is not None)
        if found != (video.size, video.subsampling, video.depth, video.alpha):
            raise SinkError(
                f"frame {frame.index} is {frame.size[1]}x{frame.size[0]} {frame.subsampling} "
                f"{frame.depth} bit; the output was opened for {video.size[1]}x{video.size[0]} "
                f"{video.subsampling} {video.depth} bit"
            )

    def tag(self, picture: VideoFrame) -> None:
        """Give a picture the colour tags of the video."""
        colour = self._video.colour
        picture.colorspace, picture.color_range = int(colour.matrix), AV_RANGES[colour.code_range]
        picture.color_primaries, picture.color_trc = colour.primaries, colour.transfer

    def to_rgb(self, picture: VideoFrame, pix_fmt: str) -> VideoFrame:
        """Return a picture made by ``own_picture`` in an RGB format; unknown tags are read as usual."""
        colour = self._video.colour.assumed(self._video.size[0])
        picture.colorspace, picture.color_range = int(colour.matrix), AV_RANGES[colour.code_range]
        return self._reformatter.reformat(
            picture,
            format=pix_fmt,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
        )


def fill(plane: Plane, samples: Plane) -> None:
    """Copy samples into a plane; where it is larger, the last row and column are repeated."""
    height, width = samples.shape
    np.copyto(plane[:height, :width], samples)
    plane[:height, width:] = samples[:, -1:]
    plane[height:] = plane[height - 1]


class FieldFlags:
    """Flags pictures as interlaced, which PyAV 18.1 cannot do but for FFmpeg's filters.

    Args:
        size: (height, width) of the pictures.
        video: format of the frames, with the order of their fields.
        pix_fmt: FFmpeg's name of the format they are in.
    """

    def __init__(self, size: tuple[int, int], video: VideoFormat, pix_fmt: str) -> None:
        height, width = size
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=width, height=height, format=VideoPixels(pix_fmt), time_base=Fraction(1, 100)
        )
        flag = graph.add("setfield", "tff" if video.top_field_first else "bff")
        source.link_to(flag)
        flag.link_to(graph.add("buffersink"))
        graph.configure()
        self._graph = graph

    def flagged(self, picture: VideoFrame) -> VideoFrame:
        """Return the picture, flagged."""
        self._graph.vpush(picture)
        return self._graph.vpull()


class Palette:
    """Reduces RGB pictures to 256 colours, chosen anew for each picture.

    Args:
        size: (height, width) of the pictures in pixels.
        alpha: whether one of the colours is for pixels that are more transparent than opaque.
    """

    def __init__(self, size: tuple[int, int], *, alpha: bool = False) -> None:
        height, width = size
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=width, height=height, format=VideoPixels("bgra"), time_base=Fraction(1, 100)
        )
        split, generate = (
            graph.add("split"),
            graph.add("palettegen", f"stats_mode=single:reserve_transparent={int(alpha)}"),
        )
        use, sink = graph.add("paletteuse", "new=1:dither=sierra2_4a"), graph.add("buffersink")
        source.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(generate, 1, 0)
        generate.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        self._graph = graph
        self._count = 0

    def quantized(self, picture: VideoFrame) -> VideoFrame:
        """Return ``picture`` (bgra) as pal8."""
        picture.pts, picture.time_base = self._count, Fraction(1, 100)
        self._count += 1
        self._graph.vpush(picture)
        return self._graph.vpull()
