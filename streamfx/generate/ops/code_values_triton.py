"""Code values in the memory of a GPU, for the kernels: loaded as float32, rounded, stored several at once."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have no annotations but for what is constant while compiling.

from __future__ import annotations

import triton
import triton.language as tl

# Arguments of kernels that one binary does for all values of: sizes change while a stream runs.
GENERAL = (
    "height", "width", "chroma_height", "chroma_width",
    "small_height", "small_width", "small_chroma_height", "small_chroma_width",
    "luma_row", "luma_picture", "chroma_row", "chroma_picture",
    "luma_out_row", "luma_out_picture", "chroma_out_row", "chroma_out_picture",
    "small_luma_row", "small_luma_picture", "small_chroma_row", "small_chroma_picture",
    "fine_channel", "luma_taps_x",
    "head_picture", "head_channel", "head_row", "reduced_picture", "strength_picture", "luma_tiles_y",
)  # fmt: skip


@triton.jit
def load_codes(
    source, other_source,
    DEPTH: tl.constexpr, UNUSED_BITS: tl.constexpr, PLANES: tl.constexpr, PAIRED: tl.constexpr,
):  # fmt: skip
    """Return the codes at the addresses, float32: of one plane (twice the same), or of U and V.

    Args:
        source: addresses of samples or, if paired, of numbers that hold U in the lower half and V in the
            upper.
        other_source: addresses of V; used with two planes that are not paired.
        DEPTH: bits per sample, 8 to 16.
        UNUSED_BITS: number of unused bits below the value in each sample.
        PLANES: 1 or 2.
        PAIRED: whether U and V are interleaved.
    """
    code = tl.load(source).to(tl.uint32)
    other_code = code
    if PAIRED:
        bits: tl.constexpr = 8 if DEPTH == 8 else 16
        other_code = code >> bits
        code = code & ((1 << bits) - 1)
    elif PLANES == 2:
        other_code = tl.load(other_source).to(tl.uint32)
    return (code >> UNUSED_BITS).to(tl.float32), (other_code >> UNUSED_BITS).to(tl.float32)


@triton.jit
def nearest_code(value, UNUSED_BITS: tl.constexpr):
    """Return the code nearest to each value, of which none is beyond the codes there are, as it lies in a
    sample."""
    return (value + 0.5).to(tl.uint32) << UNUSED_BITS


@triton.jit
def store_number(target, number, inside, BITS: tl.constexpr):
    """Store the lowest 8, 16 or 32 bits of each number at its address, where it is inside."""
    if BITS == 32:
        tl.store(target.to(tl.pointer_type(tl.uint32)), number, inside)
    elif BITS == 16:
        tl.store(target.to(tl.pointer_type(tl.uint16)), number.to(tl.uint16), inside)
    else:
        tl.store(target, number.to(tl.uint8), inside)
