"""The averages of `definition.py` as Triton kernels, for one picture, a pixel for each thread.

Two launches, for whether a frame is of the same shot takes all of its pixels. The second one also puts the
frame in the place of the one before it, and that in the place of the one before that.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# mypy: disable-error-code="assignment, operator"
# Kernels have no annotations but for what is constant while compiling.

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from streamfx.generate.ops.steady.definition import SAME_SHOT
from streamfx.media.frame_memory import FRAMES_BEFORE

PIXELS = 256


@triton.jit
def agree_kernel(
    reduced, past, agreement, agreeing, tolerance, height, width, PIXELS: tl.constexpr
):  # fmt: skip
    """Write the agreement with one frame before, and count the pixels that agree. Grid: pixels, frames."""
    before = tl.program_id(1)
    at = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    size = height * width
    inside = at < size
    at = tl.minimum(at, size - 1)
    y, x = at // width, at % width
    past += before * 3 * size
    change = tl.zeros((PIXELS,), tl.float32)
    for step in tl.static_range(9):
        row = tl.minimum(tl.maximum(y + step // 3 - 1, 0), height - 1)
        column = tl.minimum(tl.maximum(x + step % 3 - 1, 0), width - 1)
        largest = tl.zeros((PIXELS,), tl.float32)
        for plane in tl.static_range(3):
            beside = plane * size + row * width + column
            now, then = tl.load(reduced + beside).to(tl.float32), tl.load(past + beside).to(tl.float32)
            largest = tl.maximum(largest, tl.abs(now - then))
        change += largest
    agrees = tl.maximum(1 - change / (9 * tolerance), 0.0)
    tl.store(agreement + before * size + at, agrees, inside)
    tl.atomic_add(agreeing + before, tl.sum(((agrees > 0) & inside).to(tl.int32)))


@triton.jit
def average_kernel(
    heads, past, reduced, past_reduced, agreement, agreeing, known, out, channels, size,
    SAME_SHOT: tl.constexpr, FRAMES: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """Write the averages of one channel, and move what is kept on by a frame. Grid: pixels, channels."""
    channel = tl.program_id(1)
    at = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = at < size
    at = tl.minimum(at, size - 1)
    here = channel * size + at
    value = tl.load(heads + here)
    total, weights = value.to(tl.float32), tl.full((PIXELS,), 1.0, tl.float32)
    newer = value
    for before in tl.static_range(FRAMES):
        counts = (before < tl.load(known)) & (SAME_SHOT * tl.load(agreeing + before) >= size)
        agrees = tl.where(counts, tl.load(agreement + before * size + at), 0.0)
        place = past + before * channels * size + here
        kept = tl.load(place)
        total += tl.where(agrees > 0, agrees * kept.to(tl.float32), 0.0)
        weights += agrees
        tl.store(place, newer, inside)
        newer = kept
    tl.store(out + here, (total / weights).to(value.dtype), inside)
    if channel < 3:
        newer = tl.load(reduced + here)
        for before in tl.static_range(FRAMES):
            place = past_reduced + before * 3 * size + here
            kept = tl.load(place)
            tl.store(place, newer, inside)
            newer = kept


def average(
    heads: Tensor,
    reduced: Tensor,
    past_heads: Tensor,
    past_reduced: Tensor,
    agreement: Tensor,
    agreeing: Tensor,
    known: Tensor,
    out: Tensor,
    tolerance: float,
) -> None:
    """Write the averaged heads to ``out``; see `streamfx.generate.ops.steady.operation.steady_on`."""
    channels, height, width = heads.shape[1:]
    tiles = triton.cdiv(height * width, PIXELS)
    agreeing.zero_()
    agree_kernel[(tiles, FRAMES_BEFORE)](
        reduced, past_reduced, agreement, agreeing, tolerance, height, width, PIXELS=PIXELS
    )
    average_kernel[(tiles, channels)](
        heads, past_heads, reduced, past_reduced, agreement, agreeing, known, out, channels, height * width,
        SAME_SHOT=SAME_SHOT, FRAMES=FRAMES_BEFORE, PIXELS=PIXELS,
    )  # fmt: skip
