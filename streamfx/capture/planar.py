"""From a decoded picture to planar YUV: a view where the samples lie that way already, else one
conversion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import av
import numpy as np
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from streamfx.errors import DecodeError
from streamfx.media.av_planes import planar_name, plane_array
from streamfx.media.frame import ChromaLocation, CodeRange, Colour, Matrix, Plane, Planes, Subsampling

_DEPTHS = (8, 9, 10, 12, 14, 16)  # those FFmpeg has planar formats for
_PRIMARIES = {1, *range(4, 13), 22}  # numbers that H.273 gives a meaning; the rest are reserved
_TRANSFERS = {1, *range(4, 19)}
_UNKNOWN = 2
_RANGES = {0: CodeRange.UNKNOWN, 1: CodeRange.LIMITED, 2: CodeRange.FULL}


@dataclass(frozen=True, slots=True)
class PlanarConversion:
    """How a pixel format becomes planar YUV.

    Attributes:
        subsampling: subsampling of the result.
        depth: depth of the result, in bits.
        convert_to: FFmpeg name of the format to convert to first; None when the planes can be used as they
            are.
        grey: True when there is luma only, and neutral chroma is added.
        note: description of the conversion, for the report; None when nothing is converted.
        alpha: FFmpeg name of the planar format that keeps alpha; None when there is none.
    """

    subsampling: Subsampling
    depth: int
    convert_to: str | None
    grey: bool
    note: str | None
    alpha: str | None = None


@lru_cache(maxsize=64)
def layout_of(pix_fmt: str) -> PlanarConversion:
    """Return how pictures in FFmpeg's ``pix_fmt`` become planar YUV."""
    form = av.VideoFormat(pix_fmt, 64, 64)
    colours = [part for part in form.components if not part.is_alpha]
    alpha = len(colours) < len(form.components) or pix_fmt == "pal8"
    bits = max(part.bits for part in form.components)
    depth = next((depth for depth in _DEPTHS if bits <= depth), 16)
    rgb = form.is_rgb or form.has_palette or pix_fmt.startswith("xyz")
    if len(colours) == 1 and not rgb:
        grey = "gray" if depth == 8 else f"gray{depth}le"
        kept = planar_name(Subsampling.YUV420, depth, alpha=True) if alpha else None
        return PlanarConversion(
            Subsampling.YUV420, depth, None if pix_fmt == grey else grey, True, None, kept
        )
    if rgb:
        note = f"{pix_fmt} is converted to YUV 4:4:4, BT.709, limited range"
        name = planar_name(Subsampling.YUV444, depth)
        kept = planar_name(Subsampling.YUV444, depth, alpha=True) if alpha else None
        return PlanarConversion(Subsampling.YUV444, depth, name, False, note, kept)
    subsampling, exact = _subsampling(form)
    name, kept = planar_name(subsampling, depth), planar_name(subsampling, depth, alpha=True)
    fits = exact and pix_fmt in (name, name.replace("yuv", "yuvj"), kept)
    changed = None if exact else f"{pix_fmt} is converted to YUV {subsampling.value}"
    return PlanarConversion(
        subsampling, depth, None if fits else name, False, changed, kept if alpha else None
    )


def _subsampling(form: av.VideoFormat) -> tuple[Subsampling, bool]:
    """Return the subsampling that holds the format without loss, and whether it is the format's own."""
    luma, chroma = form.components[0], form.components[1]
    step = (luma.height // chroma.height, luma.width // chroma.width)
    for subsampling in (Subsampling.YUV420, Subsampling.YUV422, Subsampling.YUV444):
        if step == subsampling.steps:
            return subsampling, True
    if step[0] == 1:  # 4:1:1
        return Subsampling.YUV422, False
    return (Subsampling.YUV420 if step[1] > 1 else Subsampling.YUV444), False  # 4:1:0, 4:4:0


def samples_of(picture: VideoFrame) -> av.VideoFormat:
    """Return the format of a picture's samples, wherever they are."""
    return picture.sw_format or picture.format


def colour_of(picture: VideoFrame, codec: str) -> Colour:
    """Return the colour description of a decoded picture as tagged; unknown and reserved numbers are unknown.

    Args:
        picture: picture as decoded.
        codec: FFmpeg's name of its decoder.
    """
    name = samples_of(picture).name
    matrix = Matrix(picture.colorspace) if picture.colorspace in set(Matrix) else Matrix.UNKNOWN
    code_range = _RANGES.get(picture.color_range, CodeRange.UNKNOWN)
    if name.startswith("yuvj"):
        code_range = CodeRange.FULL
    layout = layout_of(name)
    if layout.convert_to is not None and not layout.grey and matrix in (Matrix.RGB, Matrix.UNKNOWN):
        if samples_of(picture).is_rgb or samples_of(picture).has_palette:
            matrix, code_range = Matrix.BT709, CodeRange.LIMITED
    elif matrix is Matrix.RGB:
        matrix = Matrix.UNKNOWN  # the tag contradicts the samples, which are not RGB
    if layout.grey and code_range is CodeRange.UNKNOWN:
        code_range = CodeRange.FULL  # what FFmpeg takes untagged grey for
    # PyAV does not pass on where chroma samples lie; these codings fix it.
    location = ChromaLocation.CENTER if codec in ("mjpeg", "mpeg1video") else ChromaLocation.UNKNOWN
    primaries = picture.color_primaries if picture.color_primaries in _PRIMARIES else _UNKNOWN
    transfer = picture.color_trc if picture.color_trc in _TRANSFERS else _UNKNOWN
    return Colour(matrix, code_range, primaries, transfer, location)


def assumptions(colour: Colour, height: int) -> str | None:
    """Return a sentence on what the stream does not say about its colours and what is assumed instead."""
    assumed = colour.assumed(height)
    parts = []
    if colour.matrix is Matrix.UNKNOWN:
        parts.append("BT.709 matrix" if assumed.matrix is Matrix.BT709 else "BT.601 matrix")
    if colour.code_range is CodeRange.UNKNOWN:
        parts.append("limited range")
    return f"colours not fully tagged; assumed {' and '.join(parts)}" if parts else None


class Planarizer:
    """Turns decoded pictures into planes of one fixed size, subsampling and depth: those of the first
    picture."""

    def __init__(self, first: VideoFrame) -> None:
        self.layout = layout_of(samples_of(first).name)
        self.size = (first.height, first.width)
        self._name = planar_name(self.layout.subsampling, self.layout.depth)
        self._neutral: Plane | None = None

    def fits(self, picture: VideoFrame) -> bool:
        """Return whether ``picture`` has the size and layout of the first one."""
        layout = layout_of(samples_of(picture).name)
        same = (layout.subsampling, layout.depth) == (self.layout.subsampling, self.layout.depth)
        return same and (picture.height, picture.width) == self.size

    def planes(self, picture: VideoFrame) -> Planes:
        """Return the planes of ``picture``: views that keep its memory alive, or a converted copy."""
        if not self.fits(picture):
            picture = self._scaled(picture)
        layout = layout_of(picture.format.name)
        if layout.convert_to is not None:
            picture = _converted(picture, layout.convert_to, rgb=_is_rgb(picture))
        if layout.grey:
            chroma = self._neutral_chroma()
            return _view(picture, 0, layout.depth), chroma, chroma
        luma, u, v = (_view(picture, index, layout.depth) for index in range(3))
        return luma, u, v

    def shows_through(self, picture: VideoFrame, *, seen: bool) -> bool:
        """Return whether pictures have alpha.

        Args:
            picture: the first one.
            seen: whether it must show through itself; else it is enough that it could.
        """
        if self.layout.alpha is None:
            return False
        return not seen or bool(self.with_alpha(picture)[1].min() < (1 << self.layout.depth) - 1)

    def with_alpha(self, picture: VideoFrame) -> tuple[Planes, Plane]:
        """Return the planes of ``picture`` and its alpha; where the first had alpha, others may lack it."""
        name = self.layout.alpha
        assert name is not None
        original = picture
        if not self.fits(picture) or picture.format.name != name:
            height, width = self.size
            picture = _converted(picture, name, rgb=_is_rgb(picture), size=(height, width))
        luma, u, v, alpha = (_view(picture, index, self.layout.depth) for index in range(4))
        if self.fits(original) and _is_rgb(original):
            alpha = _packed_alpha(original, self.layout.depth)[:, : original.width]
        return (luma, u, v), alpha

    def _scaled(self, picture: VideoFrame) -> VideoFrame:
        height, width = self.size
        interpolation = Interpolation.BICUBIC | Interpolation.ACCURATE_RND
        return _converted(picture, self._name, rgb=_is_rgb(picture), size=(height, width), how=interpolation)

    def _neutral_chroma(self) -> Plane:
        if self._neutral is None:
            size, depth = self.layout.subsampling.chroma_size(self.size), self.layout.depth
            value = 1 << (depth - 1)
            self._neutral = np.full(size, value, np.uint8) if depth == 8 else np.full(size, value, np.uint16)
        return self._neutral


def _is_rgb(picture: VideoFrame) -> bool:
    return picture.format.is_rgb or picture.format.has_palette


def _converted(
    picture: VideoFrame,
    name: str,
    *,
    rgb: bool,
    size: tuple[int, int] | None = None,
    how: Interpolation = Interpolation.BICUBIC,
) -> VideoFrame:
    """Return ``picture`` in the format ``name``. RGB becomes BT.709 limited range; YUV keeps matrix and
    range."""
    height, width = size or (picture.height, picture.width)
    code_range = ColorRange.MPEG if rgb else None
    colorspace = Colorspace.ITU709 if rgb else None
    if picture.format.name.startswith(("yuvj", "gray")):
        code_range = ColorRange.JPEG
    return picture.reformat(
        width,
        height,
        name,
        dst_colorspace=colorspace,
        src_color_range=code_range if not rgb else None,
        dst_color_range=code_range,
        interpolation=how,
    )


def _packed_alpha(picture: VideoFrame, depth: int) -> Plane:
    """Return the alpha of an RGB picture as it is: FFmpeg's conversion to YUV changes some values by one."""
    packed = picture.reformat(format="rgba" if depth == 8 else "rgba64le").planes[0]
    if depth == 8:
        return np.frombuffer(memoryview(packed), np.uint8).reshape(packed.height, -1)[:, 3::4].copy()
    deep = np.frombuffer(memoryview(packed), np.uint16).reshape(packed.height, -1)[:, 3::4]
    return np.right_shift(deep, np.uint16(16 - depth))


def _view(picture: VideoFrame, index: int, depth: int) -> Plane:
    """Return plane ``index`` as an array over the decoder's own memory, rows padded as the decoder left
    them."""
    plane = picture.planes[index]
    if plane.line_size <= 0:
        raise DecodeError(f"picture stored bottom-up in {picture.format.name}, which is not supported")
    return plane_array(plane, depth)
