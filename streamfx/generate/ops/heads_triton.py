"""Heads on the way to full size, for the kernels of the GPU: what a thread fetches, and what it makes of it.

Which heads a sample lies between is worked out in whole numbers. Interpolation is written as two products,
which no head is too large for.

``small`` is where the heads are, and where a thread is among them: addresses of heads, reduced planes and
flag; row of the samples; first column of heads, steps from it to those needed, weight of the next (the last
three as `columns_between` gives them); height of the plane; height and width of the heads. ``strides`` are
the distances in memory from channel to channel, row to row and column to column.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="assignment, operator"
# Kernels have no annotations but for what is constant while compiling, and tuples grow in them.

from __future__ import annotations

import triton
import triton.language as tl

MASK, DISPLACEMENT_X, DISPLACEMENT_Y, GAIN = (tl.constexpr(head) for head in (3, 4, 5, 6))  # as in fuse.py
OFFSET, RISE, FALL, AMPLITUDE = (tl.constexpr(head) for head in (7, 8, 9, 10))


@triton.jit
def between(at, small, full, QUARTERS: tl.constexpr, WIDE: tl.constexpr):
    """Return the head before each sample of an axis, and the weight 0..1 of the next.

    The position is ((at + 1/2 + quarters/4) · small / full - 1/2), here in units of 1 / (4 · full). If wide,
    the weight is float64, and so is all that is interpolated with it.
    """
    real: tl.constexpr = tl.float64 if WIDE else tl.float32
    position = tl.maximum((4 * at + 2 + QUARTERS) * small - 2 * full, 0)
    unit = 4 * full
    share = 1 / unit.to(real)
    before = (position.to(real) * share).to(tl.int32)  # or one too few or too many
    rest = position - before * unit
    missed = (rest >= unit).to(tl.int32) - (rest < 0).to(tl.int32)
    return before + missed, (rest - missed * unit).to(real) * share


@triton.jit
def columns_between(
    group, small, full, RATIO: tl.constexpr, CELLS: tl.constexpr, QUARTERS: tl.constexpr, WIDE: tl.constexpr
):  # fmt: skip
    """Return the first pixel each thread owns, a column of heads, what weight the next one has (where the
    ratio is not whole), and the columns that are needed, as steps from the first."""
    if RATIO > 0:
        first = tl.minimum(group, small // CELLS - 1) * CELLS
        steps = (-tl.minimum(first, 1),)
        for cell in tl.static_range(CELLS):
            steps += (cell,)
        steps += (tl.minimum(first + CELLS, small - 1) - first,)
        return first * RATIO, first, 0.0, steps
    else:
        x = tl.minimum(group, full - 1)
        first, along = between(x, small, full, QUARTERS, WIDE)
        last = small - 1
        steps = (tl.minimum(first, last) - first, tl.minimum(first + 1, last) - first)
        return x, first, along, steps


@triton.jit
def rows_between(
    heads, small, head_row, head_column, QUARTERS: tl.constexpr, WIDE: tl.constexpr
):  # fmt: skip
    """Return the addresses of the first column of heads, in the rows above and below each sample, and the
    weight of the latter."""
    _, _, _, y, first, _, _, height, small_height, _ = small
    above, down = between(y, small_height, height, QUARTERS, WIDE)
    below = tl.minimum(above + 1, small_height - 1)
    above = tl.minimum(above, small_height - 1)
    at = first * head_column
    return heads + (above * head_row + at), heads + (below * head_row + at), down


@triton.jit
def head_columns(
    small, strides, QUARTERS_Y: tl.constexpr, FIRST: tl.constexpr, PLANES: tl.constexpr,
    DETAILED: tl.constexpr, INKED: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Return the columns of mask, displacements, gain, and of the translated and the reduced planes, all
    interpolated downwards; raise the flag if a head is not finite. If inked, those of mask and displacements
    alone are: see `streamfx.generate.ops.fuse.ink_triton`."""
    heads, reduced, not_finite, _, _, steps, _, _, small_height, small_width = small
    head_channel, head_row, head_column = strides
    upper, lower, down = rows_between(heads, small, head_row, head_column, QUARTERS_Y, WIDE)
    mask = column_down(upper, lower, MASK * head_channel, down, steps, head_column)
    move_x = column_down(upper, lower, DISPLACEMENT_X * head_channel, down, steps, head_column)
    move_y = column_down(upper, lower, DISPLACEMENT_Y * head_channel, down, steps, head_column)
    broken = non_finite_of(mask) + non_finite_of(move_x) + non_finite_of(move_y)
    translated, other, gain, seen, other_seen = mask, mask, mask, mask, mask
    if not INKED:
        translated = column_down(upper, lower, FIRST * head_channel, down, steps, head_column)
        broken += non_finite_of(translated)
    if PLANES == 2:
        other = column_down(upper, lower, (FIRST + 1) * head_channel, down, steps, head_column)
        broken += non_finite_of(other)
    if DETAILED and not INKED:
        gain = column_down(upper, lower, GAIN * head_channel, down, steps, head_column)
        broken += non_finite_of(gain)
        upper, lower, down = rows_between(reduced, small, small_width, 1, QUARTERS_Y, WIDE)
        size = small_height * small_width
        seen = column_down(upper, lower, FIRST * size, down, steps, 1)
        if PLANES == 2:
            other_seen = column_down(upper, lower, (FIRST + 1) * size, down, steps, 1)
    raise_flag(not_finite, broken)
    return mask, move_x, move_y, gain, translated, other, seen, other_seen


@triton.jit
def raise_flag(not_finite, broken):
    """Set the flag where the number is not 0."""
    # Whoever finds one writes the same: no need to take turns.
    tl.store(
        not_finite + tl.zeros(broken.shape, tl.int32),
        tl.full(broken.shape, 1, tl.int32),
        broken != 0,
    )


@triton.jit
def column_down(upper, lower, channel, down, steps, head_column):
    """Return one channel interpolated downwards, at each of the steps along the columns."""
    upper += channel
    lower += channel
    columns = ()
    for i in tl.static_range(len(steps)):
        step = steps[i] * head_column
        columns += (tl.load(upper + step) * (1 - down) + tl.load(lower + step) * down,)
    return columns


@triton.jit
def non_finite_of(columns):
    """Return something that is 0 if the columns that no other thread owns are finite, and else is not."""
    edge: tl.constexpr = 1 if len(columns) > 2 else 0
    broken = columns[edge].to(tl.float32) * 0
    for i in tl.static_range(edge + 1, len(columns) - edge):
        broken += columns[i].to(tl.float32) * 0
    return broken


@triton.jit
def head_at(columns, K: tl.constexpr, along, RATIO: tl.constexpr, QUARTERS: tl.constexpr):
    """Return a channel at the K-th pixel a thread owns.

    Its position among the columns is ((K + 1/2 + quarters/4) / ratio - 1/2), and one more as there is a
    column to the left of those the thread owns.
    """
    if RATIO == 0:
        value = columns[0] * (1 - along) + columns[1] * along
    else:
        position: tl.constexpr = 4 * K + 2 + QUARTERS + 2 * RATIO
        left: tl.constexpr = position // (4 * RATIO)
        weight: tl.constexpr = (position % (4 * RATIO)) / (4 * RATIO)
        value = columns[left]
        if weight > 0:
            value = value * (1 - weight) + columns[left + 1] * weight
    return value


@triton.jit
def clamp(value, lowest, highest):
    """Return the value within bounds; on a GPU, what is not a number becomes the lowest."""
    return tl.minimum(tl.maximum(value, lowest), highest)
