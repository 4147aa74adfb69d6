"""The fused step of `definition.py` as a Triton kernel: one launch for all planes and pictures, no temporary.

What costs on a GPU is not memory but instructions: interpolating four heads at each pixel alone would be 16
loads. So where the width of a plane is a whole number of times that of the heads, a thread owns the pixels of
a few columns of heads, fetches those columns and their neighbours once, interpolates them downwards once,
and then along with weights that are constants to the compiler. Its codes are stored as one word. Of other
widths each thread owns a pixel, and takes two columns of its own.

The two chroma planes are done by one thread, which moves both alike; where they are interleaved (NV12, P010),
each pair is loaded and stored as one number. Luma and chroma are one launch: rows of tiles of chroma follow
those of luma.

Positions are whole samples and a fraction, as float32 is too coarse for coordinates. A head that is not a
number counts as the lower bound of its clamp, so nothing outside the planes is ever touched, and whoever
reads the flag learns of it.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have no annotations but for what is constant while compiling. In shapes, R and C are the rows and
# columns of a tile's threads.

from __future__ import annotations

import triton
import triton.language as tl

from streamfx.generate.ops.code_values_triton import GENERAL, load_codes, nearest_code, store_number
from streamfx.generate.ops.fuse.ink_triton import inked_luma
from streamfx.generate.ops.heads_triton import clamp, columns_between, head_at, head_columns


@triton.jit(do_not_specialize=GENERAL)
def fuse_kernel(
    luma,
    chroma,  # U, or pairs of U and V where they are interleaved
    other_chroma,  # V; not read where it is interleaved
    luma_out,
    chroma_out,
    other_chroma_out,
    heads,
    reduced,
    strength,
    not_finite,
    height,
    width,
    chroma_height,
    chroma_width,
    small_height,
    small_width,
    luma_row,  # distances in memory from row to row and from picture to picture, in samples or pairs
    luma_picture,
    chroma_row,
    chroma_picture,
    luma_out_row,
    luma_out_picture,
    chroma_out_row,
    chroma_out_picture,
    head_picture,
    head_channel,
    head_row,
    head_column,
    reduced_picture,
    strength_picture,
    luma_scale_y,  # samples for each pixel of the small picture
    luma_scale_x,
    chroma_scale_y,
    chroma_scale_x,
    limit,
    lowest,
    luma_highest,
    chroma_highest,
    luma_tiles_y,
    DEPTH: tl.constexpr,
    UNUSED_BITS: tl.constexpr,  # below the value
    QUARTERS_Y: tl.constexpr,  # how far chroma is shifted, in quarters of a sample
    QUARTERS_X: tl.constexpr,
    LUMA_RATIO: tl.constexpr,  # of the widths if whole, else 0
    CHROMA_RATIO: tl.constexpr,
    CELLS: tl.constexpr,  # columns of heads a thread owns where the ratio is whole
    LUMA_PACKED: tl.constexpr,  # how many codes are stored as one number
    CHROMA_PACKED: tl.constexpr,
    PAIRED: tl.constexpr,
    DETAILED: tl.constexpr,
    INKED: tl.constexpr,
    WIDE: tl.constexpr,
    THIN: tl.constexpr,  # a plane has a side of one sample
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write fused planes; see `surface_steps.fuse_surface`. Grid: tiles along x, along y, pictures."""
    picture = tl.program_id(2).to(tl.int64)
    heads += picture * head_picture
    reduced += picture * reduced_picture
    amount = tl.load(strength + picture * strength_picture)
    tile_y = tl.program_id(1)
    if tile_y < luma_tiles_y:
        _fuse_tile(
            luma + picture * luma_picture, luma, luma_out + picture * luma_out_picture, luma_out,
            heads, reduced, amount, not_finite + picture, tile_y, height, width, small_height, small_width,
            luma_row, luma_out_row, head_channel, head_row, head_column,
            amount * luma_scale_y, amount * luma_scale_x, limit, lowest, luma_highest,
            DEPTH, UNUSED_BITS, 0, 0, LUMA_RATIO, CELLS, LUMA_PACKED,
            0, 1, False, DETAILED, INKED, WIDE, THIN, ROWS, COLUMNS,
        )  # fmt: skip
    else:
        _fuse_tile(
            chroma + picture * chroma_picture, other_chroma + picture * chroma_picture,
            chroma_out + picture * chroma_out_picture, other_chroma_out + picture * chroma_out_picture,
            heads, reduced, amount, not_finite + picture, tile_y - luma_tiles_y,
            chroma_height, chroma_width, small_height, small_width,
            chroma_row, chroma_out_row, head_channel, head_row, head_column,
            amount * chroma_scale_y, amount * chroma_scale_x, limit, lowest, chroma_highest,
            DEPTH, UNUSED_BITS, QUARTERS_Y, QUARTERS_X, CHROMA_RATIO, CELLS, CHROMA_PACKED,
            1, 2, PAIRED, DETAILED, False, WIDE, THIN, ROWS, COLUMNS,
        )  # fmt: skip


@triton.jit
def _fuse_tile(
    source, other_source, target, other_target,
    heads, reduced, amount, not_finite, tile_y, height, width, small_height, small_width,
    source_row, target_row, head_channel, head_row, head_column, scale_y, scale_x, limit, lowest, highest,
    DEPTH: tl.constexpr, UNUSED_BITS: tl.constexpr, QUARTERS_Y: tl.constexpr, QUARTERS_X: tl.constexpr,
    RATIO: tl.constexpr, CELLS: tl.constexpr, PACKED: tl.constexpr,
    FIRST: tl.constexpr, PLANES: tl.constexpr, PAIRED: tl.constexpr,
    DETAILED: tl.constexpr, INKED: tl.constexpr, WIDE: tl.constexpr, THIN: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Fuse one tile of one plane, or of the two chroma planes; their heads begin at channel ``FIRST``."""
    y = tile_y * ROWS + tl.arange(0, ROWS)[:, None]
    group = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    owned: tl.constexpr = RATIO * CELLS if RATIO > 0 else 1
    inside = (y < height) & (group * owned < width)
    y = tl.minimum(y, height - 1)
    x, first, along, steps = columns_between(group, small_width, width, RATIO, CELLS, QUARTERS_X, WIDE)
    here = y * source_row + x
    small = (heads, reduced, not_finite, y, first, steps, along, height, small_height, small_width)
    strides = (head_channel, head_row, head_column)
    drawn = ()
    if INKED:
        drawn = inked_luma(
            source + here, small, strides, lowest, highest, owned, DEPTH, UNUSED_BITS, RATIO, WIDE
        )
    columns = head_columns(small, strides, QUARTERS_Y, FIRST, PLANES, DETAILED, INKED, WIDE)
    if WIDE:
        scale_y = amount.to(tl.float64) * height / small_height
        scale_x = amount.to(tl.float64) * width / small_width
    to_y = (scale_y, tl.maximum(-limit * scale_y, -y), tl.minimum(limit * scale_y, height - 1 - y))
    step_x, step_y = 1, source_row
    if THIN:
        step_x, step_y = tl.minimum(width - 1, 1), tl.minimum(height - 1, 1) * source_row
    place = (x, (tl.maximum(height - 2, 0) - y), width, source_row, step_x, step_y)
    limits = (amount, to_y, scale_x, limit * scale_x, lowest, highest)
    bits: tl.constexpr = 8 if DEPTH == 8 else 16
    number: tl.constexpr = 2 * bits if PAIRED else bits
    for word in tl.static_range(owned // PACKED):
        packed = tl.zeros((ROWS, COLUMNS), tl.uint32)
        other_packed = packed
        for part in tl.static_range(PACKED):
            code, other_code = _pixel(
                source + here, other_source + here, columns, drawn, along, place, limits,
                word * PACKED + part, DEPTH, UNUSED_BITS, QUARTERS_X, RATIO, PLANES, PAIRED, DETAILED, INKED,
            )  # fmt: skip
            if PAIRED:
                code = code | (other_code << bits)
            packed = packed | (code << (number * part))
            other_packed = other_packed | (other_code << (bits * part))
        to = y * target_row + (x + word * PACKED)
        store_number(target + to, packed, inside, PACKED * number)
        if PLANES == 2 and not PAIRED:
            store_number(other_target + to, other_packed, inside, PACKED * bits)


@triton.jit
def _pixel(
    own, other_own, columns, drawn, along, place, limits, K: tl.constexpr,
    DEPTH: tl.constexpr, UNUSED_BITS: tl.constexpr, QUARTERS_X: tl.constexpr, RATIO: tl.constexpr,
    PLANES: tl.constexpr, PAIRED: tl.constexpr, DETAILED: tl.constexpr, INKED: tl.constexpr,
):  # fmt: skip
    """Return the fused codes of the K-th pixel a thread owns, of each plane."""
    mask, move_x, move_y, gain, translated, other_translated, seen, other_seen = columns
    amount, to_y, scale_x, limit_x, lowest, highest = limits
    x, least_rows, width, source_row, step_x, step_y = place
    own += K
    other_own += K
    rows, fraction_y = _moved(
        head_at(move_y, K, along, RATIO, QUARTERS_X), to_y[0], to_y[1], to_y[2], least_rows
    )  # fmt: skip
    left, right = x.to(tl.float32) + K, (width - 1 - x).to(tl.float32) - K
    columns_x, fraction_x = _moved(
        head_at(move_x, K, along, RATIO, QUARTERS_X), scale_x,
        tl.maximum(-limit_x, -left), tl.minimum(limit_x, right), (tl.maximum(width - 2, 0) - x) - K,
    )  # fmt: skip
    away = rows * source_row + columns_x
    warped, other_warped = _sample(
        own + away, other_own + away, step_x, step_y, fraction_x, fraction_y,
        DEPTH, UNUSED_BITS, PLANES, PAIRED,
    )  # fmt: skip
    if INKED:
        value = drawn[K]
    else:
        value = clamp(head_at(translated, K, along, RATIO, QUARTERS_X), lowest, highest)
    other_value = value
    if PLANES == 2:
        other_value = clamp(head_at(other_translated, K, along, RATIO, QUARTERS_X), lowest, highest)
    if DETAILED and not INKED:
        there, other_there = load_codes(own, other_own, DEPTH, UNUSED_BITS, PLANES, PAIRED)
        more = clamp(head_at(gain, K, along, RATIO, QUARTERS_X), 0.0, 2.0)
        value += more * (there - head_at(seen, K, along, RATIO, QUARTERS_X))
        if PLANES == 2:
            other_value += more * (other_there - head_at(other_seen, K, along, RATIO, QUARTERS_X))
    weight = clamp(head_at(mask, K, along, RATIO, QUARTERS_X), 0.0, 1.0) * amount
    value = warped + weight * (value - warped)
    other_value = other_warped + weight * (other_value - other_warped)
    if DETAILED:  # else both are codes, and so is what lies between them
        top: tl.constexpr = (1 << DEPTH) - 1
        value, other_value = clamp(value, 0.0, top * 1.0), clamp(other_value, 0.0, top * 1.0)
    return nearest_code(value, UNUSED_BITS), nearest_code(other_value, UNUSED_BITS)


@triton.jit
def _moved(displacement, scale, least, most, most_whole):
    """Return a displacement, scaled and clamped to least..most, as whole samples, at most ``most_whole``,
    and a fraction of 0..1. What is not a number becomes the least, wherever the kernel runs."""
    move = displacement * scale
    move = tl.minimum(tl.where(move > least, move, least), most)
    whole = tl.minimum(tl.floor(move).to(tl.int32), most_whole)
    return whole, (move - whole).to(tl.float32)


@triton.jit
def _sample(
    source, other_source, step_x, step_y, fraction_x, fraction_y,
    DEPTH: tl.constexpr, UNUSED_BITS: tl.constexpr, PLANES: tl.constexpr, PAIRED: tl.constexpr,
):  # fmt: skip
    """Return what lies between the samples at the addresses and those to the right and below, of each
    plane."""
    a, other_a = load_codes(source, other_source, DEPTH, UNUSED_BITS, PLANES, PAIRED)
    b, other_b = load_codes(source + step_x, other_source + step_x, DEPTH, UNUSED_BITS, PLANES, PAIRED)
    source += step_y
    other_source += step_y
    c, other_c = load_codes(source, other_source, DEPTH, UNUSED_BITS, PLANES, PAIRED)
    d, other_d = load_codes(source + step_x, other_source + step_x, DEPTH, UNUSED_BITS, PLANES, PAIRED)
    value = _bilinear(a, b, c, d, fraction_x, fraction_y)
    other_value = value
    if PLANES == 2:
        other_value = _bilinear(other_a, other_b, other_c, other_d, fraction_x, fraction_y)
    return value, other_value


@triton.jit
def _bilinear(a, b, c, d, fraction_x, fraction_y):
    upper = a + fraction_x * (b - a)
    lower = c + fraction_x * (d - c)
    return upper + fraction_y * (lower - upper)
