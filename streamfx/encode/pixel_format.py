"""Which codec and pixel format an output is encoded in: the video's own, or what ordinary players play."""

from __future__ import annotations

from functools import lru_cache

from streamfx.encode.codecs import CODECS, Codec
from streamfx.encode.containers import Container
from streamfx.errors import ConfigError
from streamfx.media.av_planes import planar_name
from streamfx.media.frame import CodeRange, Subsampling, VideoFormat

_SUBSAMPLINGS = (Subsampling.YUV420, Subsampling.YUV422, Subsampling.YUV444)  # from coarse to fine
_DEPTHS = (8, 9, 10, 12, 14, 16)
_PLAYED_DEPTHS = (8, 10)
_SEMI_PLANAR = {8: "nv12", 10: "p010le"}
_RGB_FORMATS = {
    (False, False): ("rgb24", "bgra"),
    (False, True): ("rgba", "bgra"),
    (True, False): ("rgb48be", "bgra"),
    (True, True): ("rgba64be", "bgra"),
}
RGB_FORMATS = frozenset(name for names in _RGB_FORMATS.values() for name in names)
"""Formats of RGB that pictures are converted to, by the meaning of their colours."""

_HDR_TRANSFERS = (16, 18)  # PQ and HLG, as ITU-T H.273 numbers them


def usual_codec(container: Container, video: VideoFormat) -> Codec:
    """Return the codec for somebody who names none.

    In containers for players it is the one that most of them play: H.264 for 8 bits, HEVC (in WebM AV1) for
    more and for HDR. QuickTime files hold finer chroma at more than 8 bits, and alpha, in ProRes. Elsewhere
    it is the first that holds every sample.

    Args:
        container: container that will hold the video.
        video: format of the frames.
    """
    usual = [CODECS[name] for name in container.codecs if CODECS[name].device is None]
    if video.alpha and container.alpha:
        return CODECS[container.alpha[0]]
    deep = video.depth > 8 or video.colour.transfer in _HDR_TRANSFERS
    if not container.for_players:
        return next((codec for codec in usual if _lossless(codec, video)), usual[0])
    if not deep:
        return usual[0]
    if "prores" in container.codecs and video.subsampling is not Subsampling.YUV420:
        return CODECS["prores"]
    # Few players take more than 8 bits in H.264.
    deep_ones = (codec for codec in usual[1:] if "yuv420p10le" in encoder_formats(codec))
    return next(deep_ones, usual[0])


def choose_pixel_format(
    codec: Codec, video: VideoFormat, asked: str | None, *, alpha: bool = False, played: bool = False
) -> str:
    """Return FFmpeg's name of the format to encode in: the video's own, or the nearest.

    Args:
        codec: codec of the video.
        video: format of the frames.
        asked: a pixel format the user insists on, although it may lose something; None for none.
        alpha: the container holds the codec's alpha.
        played: ordinary players must take it: 4:2:0 at 8 or 10 bits.

    Raises:
        ConfigError: the codec does not take the format asked for; the message says what it takes.
    """
    if codec.name == "gif":
        return "pal8"
    formats = encoder_formats(codec)
    if asked is not None:
        if asked not in formats:
            takes = ", ".join(sorted(formats)) or "nothing in this installation"
            raise ConfigError(f"codec {codec.name} does not take pixel format '{asked}'; it takes: {takes}")
        return asked
    if formats and formats <= RGB_FORMATS:
        return next(name for name in _RGB_FORMATS[video.depth > 8, video.alpha] if name in formats)
    if video.alpha and alpha and (kept := _with_alpha(codec, video)):
        return kept
    if played:
        depth = next((depth for depth in _PLAYED_DEPTHS if depth >= video.depth), _PLAYED_DEPTHS[-1])
        for each in (depth, *_PLAYED_DEPTHS):
            if fitting := _taken(codec, Subsampling.YUV420, each):
                return fitting
    return (_lossless(codec, video) or [_nearest(codec, video)])[0]


def coded_size(codec: Codec, pix_fmt: str, size: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) to encode: rounded up to whole chroma samples where a codec wants those."""
    if not codec.even_chroma:
        return size
    subsampling = next((each for each in _SUBSAMPLINGS if each.value.replace(":", "") in pix_fmt), None)
    step_y, step_x = (2, 2) if subsampling is None else subsampling.steps  # NV12 and P010 are 4:2:0
    return -(-size[0] // step_y) * step_y, -(-size[1] // step_x) * step_x


def _with_alpha(codec: Codec, video: VideoFormat) -> str | None:
    """Return the pixel format in which a codec holds the video and its alpha best; None where it cannot."""
    formats = encoder_formats(codec)
    finer = _SUBSAMPLINGS[_SUBSAMPLINGS.index(video.subsampling) :]
    depths = [*(depth for depth in _DEPTHS if depth >= video.depth), *reversed(_DEPTHS)]
    names = (planar_name(each, depth, alpha=True) for depth in depths for each in (*finer, *_SUBSAMPLINGS))
    return next((name for name in names if name in formats), None)


@lru_cache(maxsize=32)
def _formats(encoder: str) -> frozenset[str]:
    import av

    try:
        return frozenset(form.name for form in av.Codec(encoder, "w").video_formats or ())
    except ValueError:
        return frozenset()


def encoder_formats(codec: Codec) -> frozenset[str]:
    """Return FFmpeg's names of the pixel formats a codec takes; empty when it is not in this FFmpeg."""
    formats = frozenset(codec.formats) or _formats(codec.encoder)
    return frozenset(name for name in formats if "yuvj" in name) if _is_jpeg(codec) else formats


def _is_jpeg(codec: Codec) -> bool:
    """Return whether the codec takes FFmpeg's "yuvj" formats, which are those of full range."""
    return codec.code_range is CodeRange.FULL


def _taken(codec: Codec, subsampling: Subsampling, depth: int) -> str | None:
    """Return the format of a subsampling and depth that a codec takes: with planes, else with U and V in one,
    as devices have them; None where it takes neither."""
    names = [_name(codec, subsampling, depth)]
    if subsampling is Subsampling.YUV420 and depth in _SEMI_PLANAR:
        names.append(_SEMI_PLANAR[depth])
    return next((name for name in names if name in encoder_formats(codec)), None)


def _name(codec: Codec, subsampling: Subsampling, depth: int) -> str:
    name = planar_name(subsampling, depth)
    return name.replace("yuv", "yuvj") if _is_jpeg(codec) else name


def _lossless(codec: Codec, video: VideoFormat) -> list[str]:
    """Return the pixel formats of the codec that hold every sample of the video, the smallest first."""
    finer = _SUBSAMPLINGS[_SUBSAMPLINGS.index(video.subsampling) :]
    found = (_taken(codec, subsampling, depth) for depth in range(video.depth, 17) for subsampling in finer)
    return [name for name in found if name is not None]


def _nearest(codec: Codec, video: VideoFormat) -> str:
    """Return the pixel format of the codec that is least unlike the video.

    Raises:
        ConfigError: this FFmpeg cannot encode with it.
    """
    ranked = sorted(
        (abs(depth - video.depth), abs(index - _SUBSAMPLINGS.index(video.subsampling)), name)
        for depth in _DEPTHS
        for index, each in enumerate(_SUBSAMPLINGS)
        if (name := _taken(codec, each, depth)) is not None
    )
    if not ranked:
        raise ConfigError(
            f"codec {codec.name} cannot encode here: FFmpeg has no encoder {codec.encoder}; "
            "'streamfx devices' lists those there are"
        )
    return ranked[0][2]
