"""The fused step of `fuse.py` as Numba kernels: one pass over the rows, no temporary of full size."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from streamfx.frame import Planes
from streamfx.generate import fuse as definition
from streamfx.generate.bands import in_bands

Bounds = tuple[int, int]


def empty_like(planes: Planes) -> Planes:
    """Return new planes of the same sizes and type, rows not padded."""
    luma, u, v = (np.empty(plane.shape, plane.dtype) for plane in planes)
    return luma, u, v


def fuse_planes(
    planes: Planes,
    heads: NDArray[np.floating],
    reduced: NDArray[np.float32] | None,
    *,
    legal: tuple[Bounds, Bounds],
    highest: int,
    shift: tuple[float, float],
    strength: float,
    max_displacement_pixels: float,
    out: Planes,
    threads: int | None,
) -> None:
    """Write the fused planes to ``out``."""
    small = np.ascontiguousarray(heads, np.float32)
    if not np.isfinite(small).all():
        raise definition.not_finite(heads)
    has_gain = len(small) > definition.GAIN and reduced is not None
    seen = np.ascontiguousarray(reduced, np.float32) if has_gain else np.zeros((3, 1, 1), np.float32)
    views = [
        np.lib.stride_tricks.as_strided(plane, plane.shape, plane.strides, writeable=False)
        for plane in planes
    ]
    bounds = (legal[0], legal[1], legal[1])
    shifts = ((0.0, 0.0), shift, shift)

    def work(first_row: int, end_row: int) -> None:
        rows = planes[0].shape[0]
        for index in range(3):
            height = planes[index].shape[0]
            _fuse_rows(
                views[index], small, seen[index], index, has_gain, float(bounds[index][0]), float(bounds[index][1]),
                float(highest), shifts[index][0], shifts[index][1], strength, max_displacement_pixels,
                height * first_row // rows, height * end_row // rows, out[index],
            )  # fmt: skip

    in_bands(work, planes[0].shape[0], threads)


@numba.njit(cache=True, nogil=True)
def _fuse_rows(
    source, heads, reduced, index, has_gain, lowest, highest_legal, highest, shift_y, shift_x, strength, limit,
    first_row, end_row, out,
):  # type: ignore[no-untyped-def]  # fmt: skip
    height, width = source.shape
    small_height, small_width = heads.shape[1:]
    for y in range(first_row, end_row):
        small_y = min(max((y + 0.5 + shift_y) * small_height / height - 0.5, 0.0), small_height - 1.0)
        top = int(small_y)
        bottom = min(top + 1, small_height - 1)
        down = small_y - top
        for x in range(width):
            small_x = min(max((x + 0.5 + shift_x) * small_width / width - 0.5, 0.0), small_width - 1.0)
            left = int(small_x)
            right = min(left + 1, small_width - 1)
            along = small_x - left
            a, b = (1 - down) * (1 - along), (1 - down) * along
            c, d = down * (1 - along), down * along
            h = heads[index]
            translated = a * h[top, left] + b * h[top, right] + c * h[bottom, left] + d * h[bottom, right]
            translated = min(max(translated, lowest), highest_legal)
            h = heads[3]
            mask = a * h[top, left] + b * h[top, right] + c * h[bottom, left] + d * h[bottom, right]
            mask = strength * min(max(mask, 0.0), 1.0)
            h = heads[4]
            move_x = a * h[top, left] + b * h[top, right] + c * h[bottom, left] + d * h[bottom, right]
            move_x = strength * min(max(move_x, -limit), limit) * width / small_width
            h = heads[5]
            move_y = a * h[top, left] + b * h[top, right] + c * h[bottom, left] + d * h[bottom, right]
            move_y = strength * min(max(move_y, -limit), limit) * height / small_height
            if has_gain:
                h = heads[6]
                gain = a * h[top, left] + b * h[top, right] + c * h[bottom, left] + d * h[bottom, right]
                h = reduced
                low = a * h[top, left] + b * h[top, right] + c * h[bottom, left] + d * h[bottom, right]
                translated += min(max(gain, 0.0), 2.0) * (source[y, x] - low)
            at_x = min(max(x + move_x, 0.0), width - 1.0)
            at_y = min(max(y + move_y, 0.0), height - 1.0)
            x0, y0 = int(at_x), int(at_y)
            x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
            tx, ty = at_x - x0, at_y - y0
            upper = source[y0, x0] * (1 - tx) + source[y0, x1] * tx
            lower = source[y1, x0] * (1 - tx) + source[y1, x1] * tx
            warped = upper * (1 - ty) + lower * ty
            blend = mask * translated + (1 - mask) * warped
            out[y, x] = int(min(max(blend, 0.0), highest) + 0.5)
