"""Reduced luma and its fine luma (`fine_luma_reference`) in one pass, for the kernel that reduces on a GPU.

A thread does one pixel of the small picture. It loads each sample that any of its values is made of once, row
by row, and adds it to all of them. The weights are a table per axis, as long for each value as for all, so
that most of them are 0: to multiply by them costs less than to load a sample again.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="assignment, operator"
# Kernels have no annotations but for what is constant while compiling, and tuples grow in them.

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from streamfx.generate.ops.code_values_triton import load_codes
from streamfx.generate.ops.reduce.definition import axis_weights

MOST_HELD = 30  # weights that stay in registers


@triton.jit
def see_luma_tile(
    source, out, fine, tile_y, rows, row_weights, columns, column_weights,
    small_height, small_width, source_row, out_row, fine_channel, taps_x,
    DEPTH: tl.constexpr, UNUSED_BITS: tl.constexpr, TAPS_Y: tl.constexpr, TAPS_X: tl.constexpr,
    SIDE: tl.constexpr, UNROLLED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Write one tile of the reduced luma, and of the channels of its fine luma."""
    y = tile_y * ROWS + tl.arange(0, ROWS)[:, None]
    x = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    inside = (y < small_height) & (x < small_width)
    y, x = tl.minimum(y, small_height - 1), tl.minimum(x, small_width - 1)
    source += tl.load(rows + y) * source_row + tl.load(columns + x)
    values: tl.constexpr = SIDE + 1  # along each axis: the fine ones, and the reduced one
    row_weights += y
    column_weights += x
    held = ()
    if UNROLLED:
        for at in tl.static_range(TAPS_X * values):
            held += (tl.load(column_weights + at * small_width),)
    totals = _zeros(SIDE * SIDE + 1, ROWS, COLUMNS)
    for _ in range(TAPS_Y):
        line = _line(
            source, column_weights, held, taps_x, small_width,
            DEPTH, UNUSED_BITS, TAPS_X, SIDE, UNROLLED, ROWS, COLUMNS,
        )  # fmt: skip
        sums = ()
        for i in tl.static_range(SIDE):
            weight = tl.load(row_weights + i * small_height)
            for j in tl.static_range(SIDE):
                sums += (totals[i * SIDE + j] + weight * line[j],)
        sums += (totals[SIDE * SIDE] + tl.load(row_weights + SIDE * small_height) * line[SIDE],)
        totals = sums
        row_weights += values * small_height
        source += source_row
    to = y * out_row + x
    reduced = totals[SIDE * SIDE]
    tl.store(out + to, reduced, inside)
    for value in tl.static_range(SIDE * SIDE):
        tl.store(fine + (value * fine_channel + to), totals[value] - reduced, inside)


@triton.jit
def _line(
    source, weights, held, taps, small_width,
    DEPTH: tl.constexpr, UNUSED_BITS: tl.constexpr, TAPS: tl.constexpr, SIDE: tl.constexpr,
    UNROLLED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Return the sums of one row of samples, one for each value along the axis."""
    line = _zeros(SIDE + 1, ROWS, COLUMNS)
    if UNROLLED:
        for tap in tl.static_range(TAPS):
            code = load_codes(source + tap, source, DEPTH, UNUSED_BITS, 1, False)[0]
            sums = ()
            for value in tl.static_range(SIDE + 1):
                sums += (line[value] + held[tap * (SIDE + 1) + value] * code,)
            line = sums
    else:
        for tap in range(taps):  # not a constant, or it would be unrolled all the same
            code = load_codes(source + tap, source, DEPTH, UNUSED_BITS, 1, False)[0]
            sums = ()
            for value in tl.static_range(SIDE + 1):
                sums += (line[value] + tl.load(weights + value * small_width) * code,)
            line = sums
            weights += (SIDE + 1) * small_width
    return line


@triton.jit
def _zeros(COUNT: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Return so many sums to begin with."""
    sums = ()
    for _ in tl.static_range(COUNT):
        sums += (tl.zeros((ROWS, COLUMNS), tl.float32),)
    return sums


@cache  # for good: CUDA graphs that were recorded go on reading them
def fine_table(full: int, small: int, side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return, on a device, the first sample that goes into any value of each small pixel along an axis, (n,)
    int32, and the weights (taps, side + 1, n) float32: those of the fine ones, then those of the reduced one.
    """
    fine, reduced = axis_weights(full, side * small, 0.0), axis_weights(full, small, 0.0)
    parts = [(fine.first[at::side], fine.weights[at::side]) for at in range(side)]
    parts.append((reduced.first, reduced.weights))
    first = np.min([begin for begin, _ in parts], axis=0)
    taps = max(int((begin - first).max()) + weights.shape[1] for begin, weights in parts)
    first = np.minimum(first, full - taps)  # so that all taps lie within the axis
    table = np.zeros((taps, side + 1, small), np.float32)
    pixels = np.arange(small)
    for value, (begin, weights) in enumerate(parts):
        for tap in range(weights.shape[1]):
            table[begin - first + tap, value, pixels] = weights[:, tap]
    return torch.from_numpy(first.astype(np.int32)).to(device), torch.from_numpy(table).to(device)
