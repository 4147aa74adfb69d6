"""Which pixel format an output is encoded in: the video's own wherever the codec holds it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from streamfx.av_planes import planar_name
from streamfx.encode.codecs import CODECS, Codec
from streamfx.errors import ConfigError
from streamfx.frame import CodeRange, Subsampling, VideoFormat

_SUBSAMPLINGS = (Subsampling.YUV420, Subsampling.YUV422, Subsampling.YUV444)  # from coarse to fine
_DEPTHS = (8, 9, 10, 12, 14, 16)


def choose_pixel_format(codec: Codec, video: VideoFormat, asked: str | None, others: Iterable[str]) -> str:
    """Return FFmpeg's name of the format to encode in: the video's own, or the nearest that loses nothing.

    An odd size is no reason to go from 4:2:0 to 4:4:4 unasked: few players take that.

    Args:
        codec: what to code with.
        video: what the frames are.
        asked: a pixel format the user insists on, although it may lose something; None for none.
        others: names of codecs that the container holds too, for the message.

    Raises:
        ConfigError: the codec takes neither; the message says what it takes and which codecs would do.
    """
    if codec.name == "gif":
        return "pal8"
    if asked is not None:
        formats = encoder_formats(codec)
        if asked not in formats:
            takes = ", ".join(sorted(formats)) or "nothing in this installation"
            raise ConfigError(f"codec {codec.name} does not take pixel format '{asked}'; it takes: {takes}")
        return asked
    if fitting := _lossless(codec, video):
        return fitting[0]
    better = [name for name in others if "nvenc" not in name and _lossless(CODECS[name], video)]
    choices = [f"codec {' or '.join(better)}"] if better else []
    if nearest := _nearest(codec, video):
        choices.append(f"pixel_format={nearest}, which converts")
    elif not better:
        choices.append("another kind of file (.mkv with ffv1 holds anything)")
    raise ConfigError(
        f"codec {codec.name} cannot hold {video.size[1]}x{video.size[0]} {video.subsampling} at "
        f"{video.depth} bits; choose {', or '.join(choices)}"
    )


@lru_cache(maxsize=32)
def _formats(encoder: str) -> frozenset[str]:
    import av

    try:
        return frozenset(form.name for form in av.Codec(encoder, "w").video_formats or ())
    except ValueError:
        return frozenset()


def encoder_formats(codec: Codec) -> frozenset[str]:
    """Return FFmpeg's names of the pixel formats a codec takes; empty when it is not in this FFmpeg."""
    formats = _formats(codec.encoder)
    return frozenset(name for name in formats if "yuvj" in name) if _is_jpeg(codec) else formats


def _is_jpeg(codec: Codec) -> bool:
    """Return whether the codec takes FFmpeg's "yuvj" formats, which are those of full range."""
    return codec.code_range is CodeRange.FULL


def _name(codec: Codec, subsampling: Subsampling, depth: int) -> str:
    name = planar_name(subsampling, depth)
    return name.replace("yuv", "yuvj") if _is_jpeg(codec) else name


def _fits(codec: Codec, subsampling: Subsampling, video: VideoFormat) -> bool:
    whole = (pixels % step == 0 for pixels, step in zip(video.size, subsampling.steps, strict=True))
    return not codec.even_chroma or all(whole)


def _lossless(codec: Codec, video: VideoFormat) -> list[str]:
    """Return the pixel formats of the codec that hold every sample of the video, the smallest first."""
    formats = encoder_formats(codec)
    if not _fits(codec, video.subsampling, video):
        return []
    finer = _SUBSAMPLINGS[_SUBSAMPLINGS.index(video.subsampling) :]
    names = (_name(codec, subsampling, depth) for depth in range(video.depth, 17) for subsampling in finer)
    return [name for name in names if name in formats]


def _nearest(codec: Codec, video: VideoFormat) -> str | None:
    """Return the pixel format of the codec that is least unlike the video, or None when none fits its
    size."""
    formats = encoder_formats(codec)
    ranked = sorted(
        (
            abs(depth - video.depth),
            abs(index - _SUBSAMPLINGS.index(video.subsampling)),
            _name(codec, each, depth),
        )
        for depth in _DEPTHS
        for index, each in enumerate(_SUBSAMPLINGS)
        if _name(codec, each, depth) in formats and _fits(codec, each, video)
    )
    return ranked[0][2] if ranked else None
