"""The reduction of `definition.py` as Numba kernels: one pass, each source sample read once."""

# mypy: allow-untyped-defs
# Kernels have no annotations: Numba takes the types of the first call.

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from streamfx.generate.ops.cpu_planes import flat_view
from streamfx.generate.ops.reduce.definition import AxisWeights, threads_of_use
from streamfx.hardware.bands import available_threads, in_bands
from streamfx.media.frame import Plane

_kernel = numba.njit(cache=True, nogil=True, fastmath=True)
FASTEST_STEP = 4  # largest whole ratio with a loop of its own


def reduce_all(
    planes: Sequence[Plane],
    weights: Sequence[tuple[AxisWeights, ...]],
    out: Sequence[NDArray[np.float32]],
    threads: int | None,
) -> None:
    """Write each reduced plane to its ``out`` (h, w), given the weights (rows, columns) of each."""
    views = [flat_view(plane) for plane in planes]
    all_rows = len(out[0])

    def work(first_row: int, end_row: int) -> None:
        for (samples, stride), plane, (rows, columns), small in zip(views, planes, weights, out, strict=True):
            begin, end = len(small) * first_row // all_rows, len(small) * end_row // all_rows
            _reduce_rows(samples, stride, plane.shape[1], rows, columns, begin, end, small)

    useful = threads_of_use(sum(plane.size for plane in planes))
    in_bands(work, all_rows, min(useful, available_threads() if threads is None else threads))


def unshuffle(
    plane: Plane,
    weights: tuple[AxisWeights, AxisWeights],
    reduced: NDArray[np.float32],
    out: NDArray[np.float32],
    threads: int | None,
) -> None:
    """Write a plane on a grid `side` times finer than ``reduced`` (h, w), minus that, one channel of ``out``
    (side * side, h, w) for each place in a square; the weights (rows, columns) are those of the finer
    grid."""
    samples, stride = flat_view(plane)
    rows, columns = weights
    width = plane.shape[1]
    whole, doubled = columns.weights.shape == (width, 1), len(columns.first) == 2 * width

    def work(first_row: int, end_row: int) -> None:
        _unshuffle_rows(
            samples, stride, width, rows, columns, whole, doubled, reduced, first_row, end_row, out
        )

    useful = threads_of_use(out.size)
    in_bands(work, len(reduced), min(useful, available_threads() if threads is None else threads))


@_kernel
def _unshuffle_rows(samples, stride, width, rows, columns, whole, doubled, reduced, first_row, end_row, out):
    """Write rows first_row..end_row of every channel; with ``whole`` each sample is one of the finer grid,
    with ``doubled`` that has twice as many along the row."""
    small_width = out.shape[2]
    side = rows.first.shape[0] // out.shape[1]
    line, fine = np.zeros(width + FASTEST_STEP, np.float32), np.empty(side * small_width, np.float32)
    for small_y in range(first_row, end_row):
        base = reduced[small_y]
        for i in range(side):
            y = side * small_y + i
            if whole and side == 4 and rows.weights.shape[1] == 1:
                at = rows.first[y] * stride
                _take_four(samples[at : at + width], base, out, i, small_y)
                continue
            own = line[1 : width + 1]
            _sum_rows(samples, stride, width, rows.first[y], rows.weights[y], own)
            if whole and side == 4:
                _take_four(own, base, out, i, small_y)
            elif doubled and side == 4:
                line[0], line[width + 1] = own[0], own[width - 1]
                _double_four(line, base, out, i, small_y)
            else:
                _sum_columns(own, columns, fine, 0, side * small_width)
                for j in range(side):
                    for x in range(small_width):
                        out[side * i + j, small_y, x] = fine[side * x + j] - base[x]


@_kernel
def _double_four(line, base, out, i, y):
    """Write what `_take_four` does of samples that lie twice as far apart, one beyond each end of the row."""
    first, second, third, fourth = out[4 * i, y], out[4 * i + 1, y], out[4 * i + 2, y], out[4 * i + 3, y]
    near, far = np.float32(0.75), np.float32(0.25)
    for x in range(base.shape[0]):
        middle, here, after = base[x], line[2 * x + 1], line[2 * x + 2]
        first[x] = far * line[2 * x] + near * here - middle
        second[x] = near * here + far * after - middle
        third[x] = far * here + near * after - middle
        fourth[x] = near * after + far * line[2 * x + 3] - middle


@_kernel
def _take_four(fine, base, out, i, y):
    """Write row ``i`` of each square of a row of them, minus the reduced row: all four columns at once, so
    that the loads of one are those of the others."""
    first, second, third, fourth = out[4 * i, y], out[4 * i + 1, y], out[4 * i + 2, y], out[4 * i + 3, y]
    for x in range(base.shape[0]):
        middle = base[x]
        first[x] = np.float32(fine[4 * x]) - middle
        second[x] = np.float32(fine[4 * x + 1]) - middle
        third[x] = np.float32(fine[4 * x + 2]) - middle
        fourth[x] = np.float32(fine[4 * x + 3]) - middle


@_kernel
def _reduce_rows(samples, stride, width, rows, columns, first_row, end_row, out):
    """Reduce rows first_row..end_row of the small plane: sum source rows into one line, then sum along it."""
    small_width = out.shape[1]
    line = np.zeros(width + FASTEST_STEP, np.float32)
    begin, end = columns.alike
    if not 1 <= columns.step <= FASTEST_STEP or columns.weights.shape[1] > columns.step + 1:
        begin = end = 0
    for small_y in range(first_row, end_row):
        _sum_rows(samples, stride, width, rows.first[small_y], rows.weights[small_y], line)
        small = out[small_y]
        for first, last in ((0, begin), (end, small_width)):
            _sum_columns(line, columns, small, first, last)
        if begin == end:
            continue
        start, middle = columns.first[begin], small[begin:end]
        # One call per step: the step is then a constant to the compiler, and the loop vectorises.
        if columns.step == 1:
            _sum_alike(line[start:], columns.weights[begin], 1, middle)
        elif columns.step == 2:
            _sum_alike(line[start:], columns.weights[begin], 2, middle)
        elif columns.step == 3:
            _sum_alike(line[start:], columns.weights[begin], 3, middle)
        else:
            _sum_alike(line[start:], columns.weights[begin], 4, middle)


@_kernel
def _sum_rows(samples, stride, width, first, weights, line):
    """Write the weighted sum of rows from ``first`` on."""
    for tap in range(weights.shape[0]):
        at = (first + tap) * stride
        weight, source = weights[tap], samples[at : at + width]
        if tap == 0:
            for x in range(width):
                line[x] = weight * np.float32(source[x])
        elif weight != 0:
            for x in range(width):
                line[x] += weight * np.float32(source[x])


@_kernel
def _sum_columns(line, columns, small, begin, end):
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
def _sum_taps(line, columns, taps, small, begin, end):
    for small_x in range(begin, end):
        total, first = np.float32(0), np.uint64(columns.first[small_x])
        for tap in range(taps):
            total += columns.weights[small_x, tap] * line[first + np.uint64(tap)]
        small[small_x] = total


@_kernel
def _sum_alike(line, weights, step, small):
    """Write small samples that lie ``step`` apart and have the same weights, at most step + 1."""
    padded = np.zeros(FASTEST_STEP + 1, np.float32)
    padded[: weights.shape[0]] = weights
    for x in range(small.shape[0]):
        total = np.float32(0)
        for tap in range(step + 1):
            total += padded[tap] * line[step * x + tap]
        small[x] = total
