"""The step of `definition.py` as Numba kernels: one pass over the rows, no temporary of full size."""

# mypy: allow-untyped-defs
# Kernels have no annotations: Numba takes the types of the first call.

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

from streamfx.generate.ops.cpu_planes import flat_view
from streamfx.hardware.bands import in_bands
from streamfx.media.frame import Planes

_kernel = numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"})


def place_planes(
    planes: Planes,
    small: Sequence[NDArray[np.float32]],
    out: Planes,
    *,
    shifts: Sequence[tuple[float, float]],
    legal: Sequence[tuple[int, int]],
    highest: int,
    keep: float,
    amount: float,
    clamped: bool,
    threads: int | None,
) -> None:
    """Write ``keep`` times the planes plus ``amount`` times the small picture, the latter clamped to legal
    codes or not."""
    all_rows = planes[0].shape[0]
    parts = []
    for source, picture, target, (shift_y, shift_x), (lowest, top) in zip(
        planes, small, out, shifts, legal, strict=True
    ):
        bounds = (np.float32(lowest), np.float32(top)) if clamped else (np.float32(-1e9), np.float32(1e9))
        parts.append(
            (
                *flat_view(source),
                np.ascontiguousarray(picture),
                *flat_view(target, writeable=True),
                target.shape,
                between_samples(source.shape[0], picture.shape[0], shift_y),
                between_samples(source.shape[1], picture.shape[1], shift_x),
                *bounds,
            )
        )

    def work(first_row: int, end_row: int) -> None:
        for source, stride, picture, target, to_stride, (height, width), rows, columns, lowest, top in parts:
            _place_rows(
                source, stride, picture, target, to_stride, width, *rows, *columns,
                lowest, top, np.float32(highest), np.float32(keep), np.float32(amount),
                height * first_row // all_rows, height * end_row // all_rows,
            )  # fmt: skip

    in_bands(work, all_rows, threads)


@lru_cache(maxsize=32)
def between_samples(full: int, small: int, shift: float) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Return, for each sample of an axis, the small one before it and the weight of the next one."""
    position = np.clip((np.arange(full) + 0.5 + shift) * small / full - 0.5, 0, small - 1)
    before = np.minimum(position.astype(np.int64), max(small - 2, 0))
    return before.astype(np.uint32), (position - before).astype(np.float32)


@_kernel
def _place_rows(
    source, stride, picture, target, to_stride, width, above, down, before, along,
    lowest, top, highest, keep, amount, first_row, end_row,
):  # fmt: skip
    """Place rows first_row..end_row of one plane."""
    small_rows, small_width = picture.shape
    line = np.zeros(small_width + 1, np.float32)
    row = np.empty(width, np.float32)
    same = small_width == width and along[0] == 0 and along[width // 2] == 0
    for y in range(first_row, end_row):
        upper = picture[above[y]]
        lower = picture[min(np.int64(above[y]) + 1, small_rows - 1)]
        weight = down[y]
        for x in range(small_width):
            line[x] = upper[x] + weight * (lower[x] - upper[x])
        line[small_width] = line[small_width - 1]
        if same:
            for x in range(width):
                row[x] = line[x]
        else:
            for x in range(width):
                at = before[x]
                row[x] = line[at] + along[x] * (line[at + np.uint32(1)] - line[at])
        _blend(
            source[y * stride : y * stride + width], row, target[y * to_stride : y * to_stride + width],
            lowest, top, highest, keep, amount,
        )  # fmt: skip


@_kernel
def _blend(source, row, target, lowest, top, highest, keep, amount):
    for x in range(row.shape[0]):
        value = amount * min(max(row[x], lowest), top) + keep * np.float32(source[x])
        target[x] = np.int32(min(max(value, np.float32(0)), highest) + np.float32(0.5))
