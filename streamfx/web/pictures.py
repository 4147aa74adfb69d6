"""Pictures for a page: small JPEGs as they come, and full-size PNGs when asked for; of frames of any format.

JPEGs are made with OpenCV: with the conversion from 4:2:0 planes, a picture of 1280x720 took it 3.0 ms of
processor time where FFmpeg's encoder took 6.4 (Zen 4, quality 80 against a quantizer of 4).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
from av import FFmpegError, VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from streamfx.capture.backdrop import StillBackdrop, filling
from streamfx.encode.pixels import AV_RANGES, Packer
from streamfx.errors import SinkError
from streamfx.media.frame import Frame, VideoFormat
from streamfx.web.thumbnails import jpeg_size

MOST_BACKDROP_SIDE_PIXELS = 4096
"""Largest side of a picture that a page may send."""

_MOST_FORMATS = 4  # of frames: after the effects, before them, and what was before a change


def opencv_quality(quantizer: int) -> int:
    """Return OpenCV's quality of a JPEG, 100 is best, for FFmpeg's quantizer, 2 is best.

    FFmpeg multiplies the quantization tables by an eighth of the quantizer; the library behind OpenCV by
    ``2 - quality / 50`` above a quality of 50, and by ``50 / quality`` below.

    Example:
        >>> [opencv_quality(quantizer) for quantizer in (2, 3, 8, 31)]
        [88, 81, 50, 13]
    """
    scale = quantizer / 8
    return round(100 - 50 * scale if scale <= 1 else 50 / scale)


class PictureMaker:
    """Makes the pictures of one stream. Not for several threads at once.

    Args:
        video: format of the frames; those that differ from it are shown at the size that these are.
        width_pixels: the JPEGs are made no wider than this.
        quality: quality of the JPEGs, 2 (best) to 31: FFmpeg's quantizer.

    Attributes:
        size: (height, width) of the JPEGs, with square pixels.
    """

    def __init__(self, video: VideoFormat, width_pixels: int, quality: int) -> None:
        self.size = shown_size(video, width_pixels)
        self._quality = opencv_quality(quality)
        self._packers: dict[VideoFormat, Packer] = {}
        self._reformatter = VideoReformatter()

    def jpeg(self, frame: Frame) -> bytes:
        """Return the frame as a small JPEG.

        Raises:
            SinkError: it cannot be made one.
        """
        picture = self._packer(frame).own_picture(frame)
        colour = frame.colour.assumed(frame.size[0])
        picture.colorspace, picture.color_range = int(colour.matrix), AV_RANGES[colour.code_range]
        with _as_sink_error(frame):
            picture = self._reformatter.reformat(
                picture,
                width=self.size[1],
                height=self.size[0],
                format="bgr24",
                dst_color_range=ColorRange.JPEG,
                interpolation=Interpolation.BILINEAR if self.size == frame.size else Interpolation.AREA,
            )
            return _encoded(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self._quality])

    def png(self, frame: Frame) -> bytes:
        """Return the frame as a PNG of its full size and depth (above 8 bits: 16).

        Raises:
            SinkError: it cannot be made one.
        """
        packer = self._packer(frame)
        with _as_sink_error(frame):
            picture = packer.to_rgb(packer.own_picture(frame), "bgr24" if frame.depth == 8 else "bgr48le")
            return _encoded(".png", picture, [])

    def _packer(self, frame: Frame) -> Packer:
        form = frame.format
        if form not in self._packers:
            if len(self._packers) >= _MOST_FORMATS:
                self._packers.clear()
            self._packers[form] = Packer(form, "", form.colour.code_range)
        return self._packers[form]


def shown_size(video: VideoFormat, width_pixels: int) -> tuple[int, int]:
    """Return the (height, width) that a page shows a stream at: square pixels, no wider than asked for."""
    height, width = video.size
    wide = width * float(video.sample_aspect_ratio or 1)
    scale = min(1.0, width_pixels / wide)
    return max(2, round(height * scale / 2) * 2), max(2, round(wide * scale / 2) * 2)


def jpeg_backdrop(data: bytes) -> StillBackdrop:
    """Return a picture that a page sent, for frames of any format.

    Raises:
        ValueError: it is no JPEG, broken, or too large.
    """
    size = jpeg_size(data)
    if size is None or not all(0 < side <= MOST_BACKDROP_SIDE_PIXELS for side in size):
        raise ValueError(f"it must be a JPEG of at most {MOST_BACKDROP_SIDE_PIXELS} pixels each way")
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("it is broken")
    return StillBackdrop(filling(VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "bgr24")))


def _encoded(ending: str, picture: VideoFrame, options: list[int]) -> bytes:
    pixels: Any = picture.to_ndarray()
    done, data = cv2.imencode(ending, pixels, options)
    if not done:
        raise SinkError(
            f"a picture of {picture.width}x{picture.height} cannot be made a {ending[1:].upper()}"
        )
    return bytes(data)


@contextmanager
def _as_sink_error(frame: Frame) -> Iterator[None]:
    """Have what the libraries raise for a frame that they cannot take told as what it is."""
    try:
        yield
    except (cv2.error, FFmpegError, ValueError) as error:
        raise SinkError(f"frame {frame.index} cannot be made a picture for the page: {error}") from error
