"""Which video codecs can really be opened here: an encoder may be built in and lack its device."""

from __future__ import annotations

import os
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext

from streamfx.encode.codecs import CODECS, Codec
from streamfx.encode.pixel_format import encoder_formats
from streamfx.encode.scheduling import ordinary_scheduling

_FORMATS = {"gif": "pal8", "mjpeg": "yuvj420p", "prores": "yuv422p10le", "webp": "bgra", "apng": "rgb24"}


def encoders() -> dict[str, str | None]:
    """Return every codec by its name, with None where it can be opened here, else the reason why not."""
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 logs by itself, past FFmpeg; 1: errors only
    before = av.logging.get_level()
    av.logging.set_level(None)  # encoders that find no device say so at length
    try:
        return {name: _problem(codec) for name, codec in CODECS.items()}
    finally:
        av.logging.set_level(before)


def _problem(codec: Codec) -> str | None:
    try:
        context = av.CodecContext.create(codec.encoder, "w")
        assert isinstance(context, VideoCodecContext)  # all codecs here are of video
        context.width, context.height, context.pix_fmt = 320, 192, _pixel_format(codec)
        context.time_base, context.thread_count = Fraction(1, 25), 1
        context.options = codec.options(None, None)
        with ordinary_scheduling():
            context.open()
    except (av.FFmpegError, ValueError) as error:  # an encoder that is not built in is a ValueError
        why = getattr(error, "strerror", None) or "this FFmpeg does not have it"
        return why if codec.device is None else f"no {codec.device} ({why})"
    return None


def _pixel_format(codec: Codec) -> str:
    formats = encoder_formats(codec)
    usual = "yuv420p" if "yuv420p" in formats or "nv12" not in formats else "nv12"
    return _FORMATS.get(codec.name, usual)
