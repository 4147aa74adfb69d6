"""The reduction of `reduce.py` as Numba kernels: one pass, each source sample read once."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from streamfx.frame import Planes
from streamfx.generate.bands import in_bands
from streamfx.generate.reduce import AxisWeights


_kernel = numba.njit(cache=True, nogil=True, fastmath=True)
FASTEST_STEP = 4  # largest whole ratio with a loop of its own


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
            _reduce_rows(view, rows, columns, first_row, end_row, small)

    in_bands(work, out.shape[1], threads)


def _read_only(plane: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """Return a view of one kind whatever the plane's flags, so that one compiled kernel serves all."""
    return np.lib.stride_tricks.as_strided(plane, plane.shape, plane.strides, writeable=False)


@_kernel
def _reduce_rows(plane, rows, columns, first_row, end_row, out):  # type: ignore[no-untyped-def]
    """Reduce rows first_row..end_row of the small plane: sum source rows into one line, then sum along it."""
    width, small_width = plane.shape[1], out.shape[1]
    line = np.zeros(width + FASTEST_STEP, np.float32)
    begin, end = columns.alike
    if not 1 <= columns.step <= FASTEST_STEP or columns.weights.shape[1] > columns.step + 1:
        begin = end = 0
    for small_y in range(first_row, end_row):
        _sum_rows(plane, rows.first[small_y], rows.weights[small_y], line)
        small = out[small_y]
        _sum_columns(line, columns, small, 0, begin)
        _sum_columns(line, columns, small, end, small_width)
        if begin == end:
            continue
        first, middle = columns.first[begin], small[begin:end]
        # One call per step: the step is then a constant to the compiler, and the loop vectorises.
        if columns.step == 1:
            _sum_alike(line[first:], columns.weights[begin], 1, middle)
        elif columns.step == 2:
            _sum_alike(line[first:], columns.weights[begin], 2, middle)
        elif columns.step == 3:
            _sum_alike(line[first:], columns.weights[begin], 3, middle)
        else:
            _sum_alike(line[first:], columns.weights[begin], 4, middle)


@_kernel
def _sum_rows(plane, first, weights, line):  # type: ignore[no-untyped-def]
    """Write the weighted sum of rows from ``first`` on."""
    width = plane.shape[1]
    for tap in range(weights.shape[0]):
        weight, source = weights[tap], plane[first + tap]
        if tap == 0:
            for x in range(width):
                line[x] = weight * np.float32(source[x])
        elif weight != 0:
            for x in range(width):
                line[x] += weight * np.float32(source[x])


@_kernel
def _sum_columns(line, columns, small, begin, end):  # type: ignore[no-untyped-def]
    """Write small samples begin..end, each with weights of its own."""
    taps = columns.weights.shape[1]
    if taps == 2:
        _sum_taps(line, columns, 2, small, begin, end)
    elif taps == 3:
        _sum_taps(line, columns, 3, small, begin, end)
    elif taps == 4:
        _sum_taps(line, columns, 4, small, begin, end)
    else:
        _sum_taps(line, columns, taps, small, begin, end)


@_kernel
def _sum_taps(line, columns, taps, small, begin, end):  # type: ignore[no-untyped-def]
    for small_x in range(begin, end):
        total, first = np.float32(0), np.uint64(columns.first[small_x])
        for tap in range(taps):
            total += columns.weights[small_x, tap] * line[first + np.uint64(tap)]
        small[small_x] = total


@_kernel
def _sum_alike(line, weights, step, small):  # type: ignore[no-untyped-def]
    """Write small samples that lie ``step`` apart and have the same weights, at most step + 1."""
    padded = np.zeros(FASTEST_STEP + 1, np.float32)
    padded[: weights.shape[0]] = weights
    for x in range(small.shape[0]):
        total = np.float32(0)
        for tap in range(step + 1):
            total += padded[tap] * line[step * x + tap]
        small[x] = total
