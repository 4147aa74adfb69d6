"""HDR metadata as encoder options: the FFmpeg wrappers take it from private option strings only."""

from __future__ import annotations

from fractions import Fraction

from streamfx.media.frame import VideoFormat
from streamfx.media.hdr import HdrMetadata

# Units of the strings: chromaticity in 1/50000, luminance in 1/10000 cd/m² (SMPTE ST 2086 as coded in HEVC).
_CHROMATICITY, _LUMINANCE = 50_000, 10_000


def hdr_options(encoder: str, video: VideoFormat, options: dict[str, str]) -> dict[str, str]:
    """Return ``options`` with the video's HDR metadata added, where the encoder can carry it."""
    options = dict(options)
    if video.hdr is None or video.depth < 10:
        return options
    build = _BUILD.get(encoder)
    if build is not None:
        key, added = build(video.hdr)
        options[key] = ":".join(filter(None, (options.get(key), *added)))
    return options


def carries_hdr(encoder: str, pix_fmt: str) -> bool:
    """Return whether an encoder carries HDR metadata in pictures of a pixel format."""
    return encoder in _BUILD and any(bits in pix_fmt for bits in ("p10", "p12", "p010"))


def _scaled(values: tuple[Fraction, ...], unit: int) -> str:
    return ",".join(str(round(value * unit)) for value in values)


def _mastering(hdr: HdrMetadata) -> str | None:
    if hdr.primaries is None or hdr.white_point is None or hdr.luminance_nits is None:
        return None
    red, green, blue = hdr.primaries
    darkest, brightest = hdr.luminance_nits
    return (
        f"G({_scaled(green, _CHROMATICITY)})B({_scaled(blue, _CHROMATICITY)})R({_scaled(red, _CHROMATICITY)})"
        f"WP({_scaled(hdr.white_point, _CHROMATICITY)})L({_scaled((brightest, darkest), _LUMINANCE)})"
    )


def _x265(hdr: HdrMetadata) -> tuple[str, list[str]]:
    added = ["hdr10=1", "repeat-headers=1"]
    if mastering := _mastering(hdr):
        added.append(f"master-display={mastering}")
    if hdr.content_light_nits:
        added.append("max-cll={},{}".format(*hdr.content_light_nits))
    return "x265-params", added


def _x264(hdr: HdrMetadata) -> tuple[str, list[str]]:
    added = [f"mastering-display={mastering}"] if (mastering := _mastering(hdr)) else []
    if hdr.content_light_nits:
        added.append("cll={},{}".format(*hdr.content_light_nits))
    return "x264-params", added


def _svt_av1(hdr: HdrMetadata) -> tuple[str, list[str]]:
    added = []
    if hdr.primaries and hdr.white_point and hdr.luminance_nits:
        red, green, blue = (f"({float(x):.5f},{float(y):.5f})" for x, y in hdr.primaries)
        x, y = hdr.white_point
        darkest, brightest = hdr.luminance_nits
        added.append(
            f"mastering-display=G{green}B{blue}R{red}WP({float(x):.5f},{float(y):.5f})"
            f"L({float(brightest):.4f},{float(darkest):.4f})"
        )
    if hdr.content_light_nits:
        added.append("content-light={},{}".format(*hdr.content_light_nits))
    return "svtav1-params", added


_BUILD = {"libx265": _x265, "libx264": _x264, "libsvtav1": _svt_av1}
