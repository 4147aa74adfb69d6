"""The fused step of `definition.py` on the CPU: prepares planes and heads, shares the rows among threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamfx.generate.ops.cpu_planes import flat_view
from streamfx.generate.ops.fuse import definition
from streamfx.generate.ops.fuse.cpu_grid import (
    FuseScalars,
    PlaneGroup,
    Samples,
    columns_between,
    rows_between,
)
from streamfx.generate.ops.fuse.numba_kernels import fuse_band, largest_exponent
from streamfx.hardware.bands import in_bands
from streamfx.media.frame import Plane, Planes

Codes = tuple[int, int]
SmallPlanes = NDArray[np.float32]

NO_REDUCED: SmallPlanes = np.zeros((3, 1, 2), np.float32)


def fuse_planes(
    planes: Planes,
    heads: NDArray[np.floating],
    reduced: SmallPlanes | None,
    *,
    legal: tuple[Codes, Codes],
    highest: int,
    shift: tuple[float, float],
    strength: float,
    max_displacement_pixels: float,
    out: Planes,
    threads: int | None,
) -> None:
    """Write the fused planes to ``out``, given legal codes (luma, chroma) and chroma shift; else as
    `fuse.fuse`.

    Raises:
        FrameError: a head is not finite.
    """
    small = _sound(heads)
    has_gain = len(heads) > definition.GAIN and bool(small[definition.GAIN].max() > 0)
    has_ink = len(heads) > definition.AMPLITUDE and bool(small[definition.AMPLITUDE].any())
    seen = _two_columns(reduced) if (has_gain or has_ink) and reduced is not None else NO_REDUCED
    settings = FuseSettings(highest, strength, max_displacement_pixels)
    small_size = (heads.shape[1], heads.shape[2])
    luma = _group((planes[0],), (out[0],), small_size, legal[0], (0.0, 0.0), settings)
    chroma = _group(planes[1:], out[1:], small_size, legal[1], shift, settings)
    all_rows = planes[0].shape[0]

    def work(first_row: int, end_row: int) -> None:
        for group, rows, first, count, inked in (
            (luma, planes[0].shape[0], 0, 1, has_ink),
            (chroma, planes[1].shape[0], 1, 2, False),
        ):
            begin, end = rows * first_row // all_rows, rows * end_row // all_rows
            fuse_band(group, small, seen, first, count, has_gain, inked, begin, end)

    in_bands(work, all_rows, threads)


class FuseSettings(NamedTuple):
    """Highest code, strength 0..1, and bound of the displacement in small-picture pixels."""

    highest: int
    strength: float
    max_displacement_pixels: float


def _group(
    planes: Sequence[Plane],
    outs: Sequence[Plane],
    small_size: tuple[int, int],
    legal: Codes,
    shift: tuple[float, float],
    settings: FuseSettings,
) -> PlaneGroup:
    """Return one or two planes of the same size, ready for the kernels."""
    height, width = planes[0].shape
    highest, strength, bound = settings
    scale_y, scale_x = strength * height / small_size[0], strength * width / small_size[1]
    real = _precision(highest, bound * max(scale_y, scale_x))
    sources, stride, source_size = _sources(planes)
    targets = [flat_view(plane, writeable=True) for plane in outs]
    first, last = targets[0], targets[-1]
    return PlaneGroup(
        sources,
        stride,
        source_size,
        (first[0], last[0]),
        (first[1], last[1]),
        width,
        rows_between(height, small_size[0], shift[0], real),
        columns_between(width, small_size[1], shift[1], real),
        # As floats throughout: a whole number would be another type, and compile the kernels anew.
        FuseScalars(*map(float, (*legal, highest, strength, bound, scale_y, scale_x))),
    )


def _precision(highest: int, move_pixels: float) -> np.dtype[Any]:
    """Return the type to compute in.

    A position is wrong by some 2^-23 of the displacement, and a step from black to white makes that the
    same part of the highest code. Where this would exceed an eighth of a code, as at 16 bits, float32 is
    not enough.
    """
    return np.dtype(np.float32 if highest * move_pixels < 1 << 20 else np.float64)


def _sound(heads: NDArray[np.floating]) -> SmallPlanes:
    """Return heads as the kernels want them: finite, and not so large that a difference of two overflows."""
    small = _two_columns(heads)
    exponent = largest_exponent(small.reshape(-1).view(np.uint32))
    if exponent == 255:
        raise definition.not_finite(heads)
    return small if exponent < 230 else np.clip(small, -1e30, 1e30)


def _two_columns(small: NDArray[np.floating]) -> SmallPlanes:
    """Return heads as contiguous float32 with two columns or more, so that each has one to its right."""
    return np.ascontiguousarray(small if small.shape[2] > 1 else np.repeat(small, 2, axis=2), np.float32)


def _sources(planes: Sequence[Plane]) -> tuple[tuple[Samples, Samples], int, tuple[int, int]]:
    """Return planes of one size as two flat views, the row stride common to both, and their size.

    The size is at least 2 x 2, so that each sample has one to its right and one below: the edge is repeated
    for it.
    """
    pair: list[NDArray[Any]] = [planes[0], planes[-1]]
    if min(planes[0].shape) < 2:
        pair = [np.pad(plane, [(0, max(0, 2 - side)) for side in plane.shape], mode="edge") for plane in pair]
    (first, stride), (last, other_stride) = flat_view(pair[0]), flat_view(pair[1])
    if stride != other_stride:
        (first, stride), (last, _) = (flat_view(np.ascontiguousarray(plane)) for plane in pair)
    height, width = pair[0].shape
    return (first, last), stride, (height, width)
