"""Pixels: frames as small RGB pictures, and RGB pictures as files in memory."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av import VideoFrame
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from streamfx.encode.pixels import Packer
from streamfx.media.frame import Frame, VideoFormat
from streamfx.sheets.drawing import Picture

_JPEG_QUANTIZER = 2  # FFmpeg's best
_EXACT = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


def shown_size(video: VideoFormat, room: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) to show frames at: square pixels, never enlarged, within the room.

    Example:
        >>> from streamfx.media.frame import Colour, Subsampling
        >>> video = VideoFormat((1920, 1080), Subsampling.YUV420, 8, Colour(), Fraction(1, 25))
        >>> shown_size(video, (480, 480))
        (480, 270)
    """
    height = float(video.size[0])
    wide = video.size[1] * float(video.sample_aspect_ratio or 1)
    scale = min(1.0, room[1] / wide, room[0] / height)
    return max(round(height * scale), 1), max(round(wide * scale), 1)


def small_picture(frame: Frame, size: tuple[int, int]) -> Picture:
    """Return a frame as an RGB picture of a (height, width)."""
    frame = frame.fetched()
    packer = Packer(frame.format, "", frame.format.colour.code_range)
    picture = packer.to_rgb(packer.own_picture(frame), "rgb24")
    if size != frame.size:
        picture = picture.reformat(
            width=size[1], height=size[0], format="rgb24", interpolation=Interpolation.AREA | _EXACT
        )
    return np.ascontiguousarray(picture.to_ndarray(), np.uint8)


def picture_file(picture: Picture, ending: str) -> bytes:
    """Return an RGB picture as a file: a PNG where the ending says so, else a JPEG."""
    made = VideoFrame.from_ndarray(picture, format="rgb24")
    encoder = av.CodecContext.create("png" if ending == ".png" else "mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.height, encoder.width = picture.shape[:2]
    encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
    encoder.pix_fmt = "rgb24" if ending == ".png" else "yuvj444p"
    if ending != ".png":
        encoder.qmin = encoder.qmax = _JPEG_QUANTIZER
        encoder.color_range = int(ColorRange.JPEG)
        made = made.reformat(
            format="yuvj444p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.BICUBIC | _EXACT,
        )
    else:
        encoder.options = {"pred": "mixed"}
    made.pts, made.time_base = 0, encoder.time_base
    return b"".join(bytes(packet) for packet in (*encoder.encode(made), *encoder.encode(None)))
