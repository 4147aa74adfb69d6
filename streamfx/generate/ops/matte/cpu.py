"""The matte of `definition.py`, and the mixing by it, as Numba kernels.

Nearly all of a matte is 0 or 1: between two reduced pixels where it can be nothing else, whatever the detail,
it is filled and not computed.
"""

# mypy: allow-untyped-defs
# Kernels have no annotations: Numba takes the types of the first call.

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

from streamfx.generate.ops.cpu_planes import flat_view
from streamfx.generate.ops.matte.definition import Mask
from streamfx.generate.ops.place.cpu import between_samples
from streamfx.hardware.bands import in_bands
from streamfx.media.array_memory import arrays
from streamfx.media.frame import Frame, Plane, Planes

_kernel = numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"})


def fill_matte(
    luma: Plane, heads: NDArray[np.float32], reduced: NDArray[np.float32], threads: int | None
) -> Mask:
    """Return the matte; arguments checked."""
    height, width = luma.shape
    matte = arrays.empty((height, width), np.uint8)
    source, stride = flat_view(luma)
    four = np.ascontiguousarray(np.concatenate([heads, reduced[None]]))
    rows, columns = _runs(height, reduced.shape[0]), _runs(width, reduced.shape[1])

    def work(first: int, end: int) -> None:
        _matte_cells(source, stride, four, *rows, *columns, matte, first, end)

    in_bands(work, reduced.shape[0], threads)
    return matte


def mix_planes(over: Frame, under: Frame, matte: Mask, threads: int | None) -> Planes:
    """Return the planes of two frames mixed; arguments checked."""
    return _plane_by_plane(_mix_rows, (over.planes, under.planes), over, matte, threads)


def replace_planes(frame: Frame, behind: Planes, new: Planes, kept: Mask, threads: int | None) -> Planes:
    """Return the planes with another picture behind what is kept; arguments checked."""
    return _plane_by_plane(_replace_rows, (frame.planes, behind, new), frame, kept, threads)


def _plane_by_plane(
    kernel: Callable[..., None], inputs: tuple[Planes, ...], form: Frame, matte: Mask, threads: int | None
) -> Planes:
    """Return the planes that a kernel makes of those of several pictures, and of the matte at their size."""
    made: list[Plane] = [arrays.like(plane) for plane in form.planes]
    chroma = mean_of_steps(matte, form.subsampling.steps)
    highest = np.int64((1 << form.depth) - 1)
    planes = [
        ([part for plane in each for part in flat_view(plane)], share, out)
        for *each, share, out in zip(*inputs, (matte, chroma, chroma), made, strict=True)
    ]
    chroma_rows = made[1].shape[0]

    def work(first_row: int, end_row: int) -> None:
        for views, share, out in planes:
            rows = out.shape[0]
            first, end = rows * first_row // chroma_rows, rows * end_row // chroma_rows
            kernel(*views, share, highest, out, first, end)

    in_bands(work, chroma_rows, threads)
    y, u, v = made
    return y, u, v


def mean_of_steps(matte: Mask, steps: tuple[int, int]) -> Mask:
    """Return the matte at the size of chroma, as `mean_over` defines it."""
    step_y, step_x = steps
    if step_y == step_x == 1:
        return matte
    height, width = matte.shape
    out = np.empty((-(-height // step_y), -(-width // step_x)), np.uint8)
    _mean_rows(matte, step_y, step_x, out)
    return out


@lru_cache(maxsize=32)
def _runs(full: int, small: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return where the samples between each two small ones begin, small + 1 long, and the weights of the
    latter."""
    before, along = between_samples(full, small, 0.0)
    return np.searchsorted(before, np.arange(small + 1)), along


@_kernel
def _matte_cells(source, stride, four, rows, down, columns, along, matte, first_cell, end_cell):
    """Write the rows of the matte between each two rows of reduced pixels first_cell..end_cell."""
    _, small_rows, small_width = four.shape
    width = matte.shape[1]
    lowest, highest = np.empty(width, source.dtype), np.empty(width, source.dtype)
    values = np.empty(small_width, np.int16)
    lines = np.empty((4, small_width + 1), np.float32)
    for cell in range(first_cell, end_cell):
        first_row, end_row = rows[cell], rows[cell + 1]
        if first_row == end_row:
            continue
        _extremes(source, stride, first_row, end_row, lowest, highest)
        upper, lower = four[:, cell], four[:, min(cell + 1, small_rows - 1)]
        for small in range(small_width):
            values[small] = _only_value(upper, lower, small, columns, lowest, highest)
        start = 0
        while start < small_width:
            end, value = start + 1, values[start]
            while end < small_width and values[end] == value:
                end += 1
            first_x, end_x = columns[start], columns[end]
            for y in range(first_row, end_row):
                if value >= 0:
                    matte[y, first_x:end_x] = value
                else:
                    _lines_between(upper, lower, down[y], start, end, lines)
                    _matte_row(source[y * stride :], lines, columns, along, start, end, matte[y])
            start = end


@_kernel
def _lines_between(upper, lower, weight, start, end, lines):
    """Write the four heads at a row, in columns start..end of the reduced picture and the next one."""
    last = upper.shape[1] - 1
    for channel in range(4):
        for x in range(start, end + 1):
            at = min(x, last)
            value = upper[channel, at]
            lines[channel, x] = value + weight * (lower[channel, at] - value)


@_kernel
def _matte_row(row, lines, columns, along, start, end, out):
    """Write the samples of a row of the matte that lie in columns start..end of the reduced picture."""
    for small in range(start, end):
        person, rise, fall, seen = lines[0, small], lines[1, small], lines[2, small], lines[3, small]
        more_person, more_rise = lines[0, small + 1] - person, lines[1, small + 1] - rise
        more_fall, more_seen = lines[2, small + 1] - fall, lines[3, small + 1] - seen
        for x in range(columns[small], columns[small + 1]):
            to = along[x]
            detail = np.float32(row[x]) - (seen + to * more_seen)
            slope = rise + to * more_rise if detail > 0 else fall + to * more_fall
            share = person + to * more_person + slope * detail
            share = min(max(share, np.float32(0)), np.float32(1))
            out[x] = np.uint8(share * np.float32(255) + np.float32(0.5))


@_kernel
def _extremes(source, stride, first_row, end_row, lowest, highest):
    """Write the lowest and the highest sample of each column of rows first_row..end_row."""
    width = lowest.shape[0]
    lowest[:] = source[first_row * stride : first_row * stride + width]
    highest[:] = lowest
    for y in range(first_row + 1, end_row):
        row = source[y * stride : y * stride + width]
        for x in range(width):
            lowest[x] = min(lowest[x], row[x])
            highest[x] = max(highest[x], row[x])


@_kernel
def _only_value(upper, lower, small, columns, lowest, highest):
    """Return what the matte is all over a cell, 0 or 255, if it can be nothing else; -1: it can."""
    other = min(small + 1, upper.shape[1] - 1)
    least = min(upper[0, small], lower[0, small], upper[0, other], lower[0, other])
    most = max(upper[0, small], lower[0, small], upper[0, other], lower[0, other])
    steepest = np.float32(0)
    for slope in (1, 2):
        steepest = max(steepest, abs(upper[slope, small]), abs(lower[slope, small]))
        steepest = max(steepest, abs(upper[slope, other]), abs(lower[slope, other]))
    darkest = min(upper[3, small], lower[3, small], upper[3, other], lower[3, other])
    brightest = max(upper[3, small], lower[3, small], upper[3, other], lower[3, other])
    detail = np.float32(0)
    for x in range(columns[small], columns[small + 1]):
        detail = max(detail, np.float32(highest[x]) - darkest, brightest - np.float32(lowest[x]))
    if least - steepest * detail >= 1:
        return 255
    return 0 if most + steepest * detail <= 0 else -1


@_kernel
def _mixed(front, back, share):
    """(share · front + (255 - share) · back + 127) / 255 without a division: exact up to 2^24."""
    total = np.uint32(share) * np.uint32(front) + np.uint32(255 - share) * np.uint32(back) + np.uint32(127)
    return np.uint32((np.uint64(total) * np.uint64(0x80808081)) >> np.uint64(39))


@_kernel
def _mean_rows(matte, step_y, step_x, out):
    """Write the means over the samples that one of chroma stands for; edges are repeated."""
    height, width = matte.shape
    count = step_y * step_x
    whole = width // step_x  # columns whose samples are all there
    for y in range(out.shape[0]):
        upper, lower = matte[y * step_y], matte[min(y * step_y + step_y - 1, height - 1)]
        for x in range(whole):
            total = np.uint32(upper[x * step_x]) + np.uint32(upper[x * step_x + step_x - 1])
            if step_y == 2:
                total += np.uint32(lower[x * step_x]) + np.uint32(lower[x * step_x + step_x - 1])
            out[y, x] = (total + count // 2) // count
        for x in range(whole, out.shape[1]):
            total = 2 * np.uint32(upper[width - 1])
            if step_y == 2:
                total += 2 * np.uint32(lower[width - 1])
            out[y, x] = (total + count // 2) // count


@_kernel
def _mix_rows(
    front, front_stride, back, back_stride, matte, _highest, out, first_row, end_row
):  # fmt: skip
    """Mix rows first_row..end_row of a plane."""
    width = out.shape[1]
    for y in range(first_row, end_row):
        over = front[y * front_stride : y * front_stride + width]
        under = back[y * back_stride : y * back_stride + width]
        for x in range(width):
            out[y, x] = _mixed(over[x], under[x], np.int32(matte[y, x]))


@_kernel
def _replace_rows(
    own, own_stride, old, old_stride, other, other_stride, kept, highest, out, first_row, end_row
):  # fmt: skip
    """Put another picture behind what is kept in rows first_row..end_row of a plane."""
    width = out.shape[1]
    for y in range(first_row, end_row):
        here = own[y * own_stride : y * own_stride + width]
        before = old[y * old_stride : y * old_stride + width]
        after = other[y * other_stride : y * other_stride + width]
        for x in range(width):
            share = np.int64(kept[y, x])
            left = np.int64(255) - share
            stays = np.int64(255) * np.int64(here[x]) - left * np.int64(before[x])
            total = min(max(stays, np.int64(0)), share * highest) + left * np.int64(after[x]) + np.int64(127)
            out[y, x] = (total * np.int64(0x80808081)) >> np.int64(39)
