"""Fuse: full-size planes from the source's planes and the small heads of a generator. Reference and dispatch.

For plane p of size (H_p, W_p), heads of size (h, w), strength s, and ``up`` bilinear with clamped edges:

    M       = s · clamp(up(mask), 0, 1)
    F       = s · clamp(up(displacement), -f_max, f_max)               in small-picture pixels
    T       = clamp(up(translated), lowest legal code, highest legal code)
    warped  = bilinear(S_p, x + F_x·W_p/w, y + F_y·H_p/h)              sampling position clamped to the plane
    detail  = S_p - up(R_p)                                            R_p: the reduced plane the network saw
    ink     = up(amplitude)·clamp(up(offset) + up(rise)·max(detail, 0) + up(fall)·min(detail, 0), -1, 1)
    T_Y     = clamp(up(translated_Y) + ink, lowest legal code, highest legal code)     luma of heads with ink
    out     = M·(T + clamp(up(gain), 0, 2)·detail) + (1 - M)·warped
    out     = floor(clamp(out, 0, 2^depth - 1) + 0.5)

Three decisions are in these lines. Strength scales the displacement as well as the mask, so that the effect
fades to the source without a jump and strength 0 is the identity. The translated picture is clamped to the
legal codes, but the result only to the codes there are, so that a source that leaves the legal range comes
back bit for bit where the mask is 0. And a plane spans the small picture exactly, whatever odd sizes round
to; chroma is shifted by where its samples lie.

Ink is how heads at the reduced size draw lines of the full size: where the source itself is darker or
brighter than its surroundings, the answer is as steep as the slopes say, and the amplitude says what is drawn
there.

Only the heads are enlarged, and the clamps come after: a steep head then gives an edge that is crisp at full
size, at the price of a few channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamfx.errors import FrameError
from streamfx.media.colour import chroma_shift, legal_codes
from streamfx.media.frame import ChromaLocation, CodeRange, Planes, Subsampling

Real = NDArray[np.float64]

# T_y, T_u, T_v, mask, displacement x, displacement y; then, optionally, detail gain; then, optionally, ink.
HEAD_CHANNELS = (6, 7, 11)
MASK, DISPLACEMENT_X, DISPLACEMENT_Y, GAIN = 3, 4, 5, 6
OFFSET, RISE, FALL, AMPLITUDE = 7, 8, 9, 10


def fuse_reference(
    planes: Planes,
    heads: NDArray[np.floating],
    reduced: NDArray[np.float32] | None,
    *,
    subsampling: Subsampling,
    depth: int,
    code_range: CodeRange,
    chroma_location: ChromaLocation,
    strength: float,
    max_displacement_pixels: float,
) -> Planes:
    """Return the fused full-size planes by definition: float64, one plane at a time, written for reading.

    Arguments and errors are those of `fuse`.
    """
    check(planes, heads, reduced, subsampling, depth, strength, max_displacement_pixels)
    if not np.isfinite(heads).all():
        raise not_finite(heads)
    luma_legal, chroma_legal = legal_codes(depth, code_range)
    chroma = chroma_shift(subsampling, chroma_location)
    fused: list[NDArray[Any]] = []
    for index, (source, (lowest, highest), shift) in enumerate(
        zip(planes, (luma_legal, chroma_legal, chroma_legal), ((0.0, 0.0), chroma, chroma), strict=True)
    ):
        (height, width), (small_height, small_width) = source.shape, heads.shape[1:]
        y, x = np.arange(height, dtype=np.float64)[:, None], np.arange(width, dtype=np.float64)[None, :]

        def up(
            small: NDArray[np.floating], y: Real = y, x: Real = x, shift: tuple[float, float] = shift
        ) -> Real:
            small_y = (y + 0.5 + shift[0]) * small.shape[0] / y.shape[0] - 0.5
            small_x = (x + 0.5 + shift[1]) * small.shape[1] / x.shape[1] - 0.5
            return bilinear(small, small_y, small_x)

        mask = strength * np.clip(up(heads[MASK]), 0, 1)
        limit = max_displacement_pixels
        move_x = strength * np.clip(up(heads[DISPLACEMENT_X]), -limit, limit) * width / small_width
        move_y = strength * np.clip(up(heads[DISPLACEMENT_Y]), -limit, limit) * height / small_height
        warped = bilinear(source, y + move_y, x + move_x)
        translated = up(heads[index])
        if index == 0 and len(heads) > AMPLITUDE and reduced is not None:
            detail = source - up(reduced[0])
            rise, fall = up(heads[RISE]) * np.maximum(detail, 0), up(heads[FALL]) * np.minimum(detail, 0)
            translated = translated + up(heads[AMPLITUDE]) * np.clip(up(heads[OFFSET]) + rise + fall, -1, 1)
        translated = np.clip(translated, lowest, highest)
        if len(heads) > GAIN and reduced is not None:
            translated = translated + np.clip(up(heads[GAIN]), 0, 2) * (source - up(reduced[index]))
        blend = mask * translated + (1 - mask) * warped
        fused.append(np.floor(np.clip(blend, 0, (1 << depth) - 1) + 0.5).astype(source.dtype))
    luma, u, v = fused
    return luma, u, v


def bilinear(image: NDArray[np.generic], y: Real, x: Real) -> Real:
    """Return ``image`` at the real positions (y, x), in samples from the first one, clamped to the image."""
    values = image.astype(np.float64)
    height, width = values.shape
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    down, along = y - top, x - left
    upper = values[top, left] * (1 - along) + values[top, right] * along
    lower = values[bottom, left] * (1 - along) + values[bottom, right] * along
    result: Real = upper * (1 - down) + lower * down
    return result


def check(
    planes: Planes,
    heads: NDArray[np.floating],
    reduced: NDArray[np.float32] | None,
    subsampling: Subsampling,
    depth: int,
    strength: float,
    max_displacement_pixels: float,
) -> None:
    """Check that what is to be fused fits together.

    Raises:
        FrameError: it does not; the message says what was expected and what was found.
    """
    size = planes[0].shape
    chroma_size = subsampling.chroma_size((size[0], size[1]))
    dtype = np.dtype(np.uint8 if depth == 8 else np.uint16)
    for name, plane, expected in zip("YUV", planes, (size, chroma_size, chroma_size), strict=True):
        if plane.shape != expected or plane.dtype != dtype:
            raise FrameError(
                f"fuse: plane {name} must be {expected} {dtype} for luma {size}, {subsampling}, "
                f"{depth} bits, but is {plane.shape} {plane.dtype}"
            )
    if (
        heads.ndim != 3
        or heads.shape[0] not in HEAD_CHANNELS
        or heads.size == 0
        or heads.dtype not in (np.float32, np.float16)
    ):
        raise FrameError(
            f"fuse: heads must be float32 or float16 of shape (6, 7 or 11, height, width); "
            f"found {heads.dtype} {heads.shape}"
        )
    if heads.shape[0] > GAIN and (reduced is None or reduced.shape != (3, *heads.shape[1:])):
        found = "none" if reduced is None else f"{reduced.shape}"
        raise FrameError(
            f"fuse: heads with detail gain need the reduced planes, (3, {heads.shape[1]}, {heads.shape[2]}); "
            f"found {found}"
        )
    if not 0 <= strength <= 1:
        raise FrameError(f"fuse: strength must be 0 to 1, found {strength}")
    if not 0 <= max_displacement_pixels <= 4096:
        raise FrameError(
            f"fuse: the displacement bound must be 0 to 4096 pixels, found {max_displacement_pixels}"
        )


def check_out(planes: Planes, out: Planes) -> None:
    """Check that fused planes can be written to ``out``.

    Raises:
        FrameError: sizes or types differ from those of ``planes``; or one is read-only, or shares their
            memory.
    """
    for name, plane, target in zip("YUV", planes, out, strict=True):
        if target.shape != plane.shape or target.dtype != plane.dtype or not target.flags.writeable:
            raise FrameError(
                f"fuse: output plane {name} must be writeable {plane.shape} {plane.dtype}; found "
                f"{'writeable' if target.flags.writeable else 'read-only'} {target.shape} {target.dtype}"
            )
        if np.may_share_memory(plane, target):
            raise FrameError(f"fuse: output plane {name} overlaps the source plane; give other memory")


def not_finite(heads: NDArray[np.floating]) -> FrameError:
    """Return the error for heads that are not all finite; the message counts them by channel."""
    names = (
        "translated Y",
        "translated U",
        "translated V",
        "mask",
        "displacement x",
        "displacement y",
        "detail gain",
        "ink offset",
        "ink rise",
        "ink fall",
        "ink amplitude",
    )
    counts = (~np.isfinite(heads)).sum(axis=(1, 2))
    bad = ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=False) if count)
    return FrameError(
        f"the generator gave values that are not finite ({bad}; of {heads[0].size} pixels each); its "
        " weights or its precision do not fit: verify the engine, or run it in float32"
    )
