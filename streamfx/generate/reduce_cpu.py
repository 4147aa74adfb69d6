"""The reduction of `reduce.py` as Numba kernels: one pass, each source sample read once."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from streamfx.frame import Planes
from streamfx.generate.bands import in_bands
from streamfx.generate.reduce import AxisWeights


def reduce_all(
    planes: Planes,
    weights: Sequence[tuple[AxisWeights, ...]],
    out: NDArray[np.float32],
    threads: int | None,
) -> None:
    """Write the reduced planes to ``out`` (3, h, w), given the weights (rows, columns) of each plane."""
    views = [_read_only(plane) for plane in planes]

    def work(first_row: int, end_row: int) -> None:
        for view, (rows, columns), small in zip(views, weights, out, strict=True):
            _reduce_rows(view, *rows, *columns, first_row, end_row, small)

    in_bands(work, out.shape[1], threads)


def _read_only(plane: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """Return a view of one kind whatever the plane's flags, so that one compiled kernel serves all."""
    return np.lib.stride_tricks.as_strided(plane, plane.shape, plane.strides, writeable=False)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _reduce_rows(plane, first_y, weights_y, first_x, weights_x, first_row, end_row, out):  # type: ignore[no-untyped-def]
    """Reduce rows first_row..end_row of the small plane: sum source rows into one line, then sum along it."""
    width = plane.shape[1]
    line = np.empty(width, np.float32)
    taps_y, taps_x = weights_y.shape[1], weights_x.shape[1]
    for small_y in range(first_row, end_row):
        line[:] = np.float32(0)
        for tap in range(taps_y):
            weight = weights_y[small_y, tap]
            source = plane[first_y[small_y] + tap]
            for x in range(width):
                line[x] += weight * np.float32(source[x])
        for small_x in range(out.shape[1]):
            total = np.float32(0)
            start = first_x[small_x]
            for tap in range(taps_x):
                total += weights_x[small_x, tap] * line[start + tap]
            out[small_y, small_x] = total
