"""Luma with its ink on the way to full size, for the fused kernel of the GPU; see `definition.py`.

It is done before the rest, and the heads of the ink one after the other: all of them at a time would take
more registers than a thread has.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="assignment, operator"
# Kernels have no annotations but for what is constant while compiling, and tuples grow in them.

from __future__ import annotations

import triton
import triton.language as tl

from streamfx.generate.ops.code_values_triton import load_codes
from streamfx.generate.ops.heads_triton import (
    AMPLITUDE,
    FALL,
    GAIN,
    OFFSET,
    RISE,
    clamp,
    column_down,
    head_at,
    non_finite_of,
    raise_flag,
    rows_between,
)


@triton.jit
def inked_luma(
    own, small, strides, lowest, highest, PIXELS: tl.constexpr,
    DEPTH: tl.constexpr, UNUSED_BITS: tl.constexpr, RATIO: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Return the translated luma, with ink and detail, at the pixels a thread owns; raise the flag if one of
    its heads is not finite."""
    heads, reduced, not_finite, _, _, steps, along, _, _, small_width = small
    channel, head_row, head_column = strides
    upper, lower, down = rows_between(reduced, small, small_width, 1, 0, WIDE)
    seen = column_down(upper, lower, 0, down, steps, 1)
    details = ()
    for k in tl.static_range(PIXELS):
        code, _ = load_codes(own + k, own, DEPTH, UNUSED_BITS, 1, False)
        details += (code - head_at(seen, k, along, RATIO, 0),)
    upper, lower, down = rows_between(heads, small, head_row, head_column, 0, WIDE)
    rise = column_down(upper, lower, RISE * channel, down, steps, head_column)
    brighter = ()
    for k in tl.static_range(PIXELS):
        brighter += (head_at(rise, k, along, RATIO, 0) * tl.maximum(details[k], 0.0),)
    fall = column_down(upper, lower, FALL * channel, down, steps, head_column)
    slopes = ()
    for k in tl.static_range(PIXELS):
        slopes += (brighter[k] + head_at(fall, k, along, RATIO, 0) * tl.minimum(details[k], 0.0),)
    offset = column_down(upper, lower, OFFSET * channel, down, steps, head_column)
    answers = ()
    for k in tl.static_range(PIXELS):
        answers += (clamp(slopes[k] + head_at(offset, k, along, RATIO, 0), -1.0, 1.0),)
    broken = non_finite_of(rise) + non_finite_of(fall) + non_finite_of(offset)
    amplitude = column_down(upper, lower, AMPLITUDE * channel, down, steps, head_column)
    inks = ()
    for k in tl.static_range(PIXELS):
        inks += (head_at(amplitude, k, along, RATIO, 0) * answers[k],)
    translated = column_down(upper, lower, 0, down, steps, head_column)
    values = ()
    for k in tl.static_range(PIXELS):
        values += (clamp(head_at(translated, k, along, RATIO, 0) + inks[k], lowest, highest),)
    gain = column_down(upper, lower, GAIN * channel, down, steps, head_column)
    drawn = ()
    for k in tl.static_range(PIXELS):
        drawn += (values[k] + clamp(head_at(gain, k, along, RATIO, 0), 0.0, 2.0) * details[k],)
    broken += non_finite_of(amplitude) + non_finite_of(translated) + non_finite_of(gain)
    raise_flag(not_finite, broken)
    return drawn
