"""The fused step of `fuse.py` on the CPU: prepares planes and heads for the kernels and shares rows among threads."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamfx.frame import Plane, Planes
from streamfx.generate import fuse as definition
from streamfx.generate.bands import in_bands
from streamfx.generate.fuse_kernels import RUN, TILE, Columns, Limits, Rows, all_finite, fuse_band

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
    """Write the fused planes to ``out``, given legal codes (luma, chroma) and chroma shift; else as `fuse.fuse`.

    Raises:
        FrameError: a head is not finite.
    """
    small_height, small_width = heads.shape[1:]
    has_gain = len(heads) > definition.GAIN and reduced is not None
    small = _two_columns(heads)
    seen = _two_columns(reduced) if has_gain and reduced is not None else NO_REDUCED
    calls = []
    for chosen, codes, moved in (((0,), legal[0], (0.0, 0.0)), ((1, 2), legal[1], shift)):
        height, width = planes[chosen[0]].shape
        scale_y, scale_x = strength * height / small_height, strength * width / small_width
        real = _precision(highest, max_displacement_pixels * max(scale_y, scale_x))
        limits = Limits(*codes, highest, strength, max_displacement_pixels, scale_y, scale_x)
        rows = _rows(height, small_height, moved[0], real)
        columns = _columns(width, small_width, moved[1], real)
        # Kernels take two planes, so that luma and chroma are one compiled type; of luma, the first counts.
        first, second = chosen[0], chosen[-1]
        sources, stride, size = _readable(planes[first], planes[second])
        arguments = (
            sources,
            stride,
            size,
            small,
            seen,
            chosen[0],
            len(chosen),
            has_gain,
            rows,
            columns,
            limits,
        )
        calls.append((height, arguments, (out[first], out[second])))
    all_rows = planes[0].shape[0]

    def work(first_row: int, end_row: int) -> None:
        bits = small.view(np.uint32)[
            :, small_height * first_row // all_rows : small_height * end_row // all_rows
        ]
        if not all_finite(bits):
            raise definition.not_finite(heads)
        for height, arguments, outs in calls:
            fuse_band(*arguments, outs, height * first_row // all_rows, height * end_row // all_rows)

    in_bands(work, all_rows, threads)


def _precision(highest: int, move_pixels: float) -> type[np.floating]:
    """Return the type to compute in.

    A position is wrong by some 2^-23 of the displacement, and a step from black to white makes that the same part of
    the highest code. Where this would exceed an eighth of a code, as at 16 bits, float32 is not enough.
    """
    return np.float32 if highest * move_pixels < 1 << 20 else np.float64


def _two_columns(small: NDArray[np.floating]) -> SmallPlanes:
    """Return heads as contiguous float32 with at least two columns, so that each column has one to its right."""
    return np.ascontiguousarray(small if small.shape[2] > 1 else np.repeat(small, 2, axis=2), np.float32)


def _readable(first: Plane, second: Plane) -> tuple[tuple[Any, Any], int, tuple[int, int]]:
    """Return two planes as flat read-only views, their common row stride in samples, and their size.

    The size is at least 2 x 2, so that each sample has one to its right and one below; the edge is repeated for it.
    """
    pair: list[NDArray[Any]] = [first, second]
    if min(first.shape) < 2:
        pair = [np.pad(plane, [(0, max(0, 2 - side)) for side in plane.shape], mode="edge") for plane in pair]
    if pair[0].strides != pair[1].strides or pair[0].strides[0] % pair[0].itemsize:
        pair = [np.ascontiguousarray(plane) for plane in pair]
    height, width = pair[0].shape
    row_bytes, sample_bytes = pair[0].strides
    stride = row_bytes // sample_bytes
    length = (height - 1) * stride + width
    flat = [
        np.lib.stride_tricks.as_strided(plane, (length,), (sample_bytes,), writeable=False) for plane in pair
    ]
    return (flat[0], flat[1]), stride, (height, width)


def _between(full: int, small: int, shift: float) -> NDArray[np.float64]:
    """Return where the samples of one axis of a plane lie between those of the heads, 0..small - 1."""
    positions: NDArray[np.float64] = np.clip(
        (np.arange(full) + 0.5 + shift) * small / full - 0.5, 0, small - 1
    )
    return positions


@lru_cache(maxsize=32)
def _rows(full: int, small: int, shift: float, real: type[np.floating]) -> Rows:
    position = _between(full, small, shift)
    above = position.astype(np.int64)
    return Rows(above, (position - above).astype(real))


@lru_cache(maxsize=32)
def _columns(full: int, small: int, shift: float, real: type[np.floating]) -> Columns:
    x = np.arange(full)
    position = _between(full, small, shift)
    left = np.minimum(position.astype(np.int64), max(small - 2, 0))
    begins = np.flatnonzero((np.diff(left, prepend=-1) != 0) | (x % TILE == 0))
    at = np.flatnonzero((x - begins[np.searchsorted(begins, x, side="right") - 1]) % RUN == 0)
    tiles = np.searchsorted(at, np.arange(0, full + TILE, TILE))
    along = np.concatenate([position - left, np.zeros(RUN)]).astype(real)
    return Columns(at.astype(np.uint32), left[at].astype(np.uint32), tiles.astype(np.int64), along)
