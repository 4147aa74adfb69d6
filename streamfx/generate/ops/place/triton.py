"""The step of `definition.py` as a Triton kernel: one launch for all planes, a sample for each thread.

Luma and chroma are one launch: rows of tiles of chroma follow those of luma. Where U and V are interleaved,
each pair is loaded and stored as one number.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have no annotations but for what is constant while compiling.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import triton
import triton.language as tl
from torch import Tensor

from streamfx.generate.ops.code_values_triton import GENERAL, load_codes, nearest_code, store_number
from streamfx.generate.ops.heads_triton import between, column_down, columns_between, head_at, non_finite_of
from streamfx.media.surface import Surface


@triton.jit(do_not_specialize=GENERAL)
def place_kernel(
    luma,
    chroma,  # U, or pairs of U and V where they are interleaved
    other_chroma,  # V; not read where it is interleaved
    luma_out,
    chroma_out,
    other_chroma_out,
    small_luma,
    small_u,
    small_v,
    strength,
    not_finite,
    height,
    width,
    chroma_height,
    chroma_width,
    small_height,
    small_width,
    small_chroma_height,
    small_chroma_width,
    luma_row,  # distances in memory from row to row and from picture to picture, in samples or pairs
    luma_picture,
    chroma_row,
    chroma_picture,
    luma_out_row,
    luma_out_picture,
    chroma_out_row,
    chroma_out_picture,
    small_luma_row,
    small_luma_picture,
    small_chroma_row,
    small_chroma_picture,
    strength_picture,
    lowest,
    luma_highest,
    chroma_highest,
    luma_tiles_y,
    DEPTH: tl.constexpr,
    UNUSED_BITS: tl.constexpr,  # below the value
    QUARTERS_Y: tl.constexpr,  # how far chroma is shifted, in quarters of a sample
    QUARTERS_X: tl.constexpr,
    PAIRED: tl.constexpr,
    ADDED: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write planes; see `surface_steps.place_surface`. Grid: tiles along x, along y, pictures."""
    picture = tl.program_id(2).to(tl.int64)
    amount = tl.load(strength + picture * strength_picture)
    tile_y = tl.program_id(1)
    if tile_y < luma_tiles_y:
        small = small_luma + picture * small_luma_picture
        _place_tile(
            luma + picture * luma_picture, luma, luma_out + picture * luma_out_picture, luma_out,
            small, small, amount, not_finite + picture, tile_y, height, width, small_height, small_width,
            luma_row, luma_out_row, small_luma_row, lowest, luma_highest,
            DEPTH, UNUSED_BITS, 0, 0, 1, False, ADDED, ROWS, COLUMNS,
        )  # fmt: skip
    else:
        _place_tile(
            chroma + picture * chroma_picture, other_chroma + picture * chroma_picture,
            chroma_out + picture * chroma_out_picture, other_chroma_out + picture * chroma_out_picture,
            small_u + picture * small_chroma_picture, small_v + picture * small_chroma_picture,
            amount, not_finite + picture, tile_y - luma_tiles_y,
            chroma_height, chroma_width, small_chroma_height, small_chroma_width,
            chroma_row, chroma_out_row, small_chroma_row, lowest, chroma_highest,
            DEPTH, UNUSED_BITS, QUARTERS_Y, QUARTERS_X, 2, PAIRED, ADDED, ROWS, COLUMNS,
        )  # fmt: skip


@triton.jit
def _place_tile(
    source, other_source, target, other_target, small, other_small,
    amount, not_finite, tile_y, height, width, small_height, small_width,
    source_row, target_row, small_row, lowest, highest,
    DEPTH: tl.constexpr, UNUSED_BITS: tl.constexpr, QUARTERS_Y: tl.constexpr, QUARTERS_X: tl.constexpr,
    PLANES: tl.constexpr, PAIRED: tl.constexpr, ADDED: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Do one tile of one plane, or of the two chroma planes."""
    y = tile_y * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    inside = (y < height) & (column < width)
    y = tl.minimum(y, height - 1)
    x, first, along, steps = columns_between(column, small_width, width, 0, 1, QUARTERS_X, False)
    above, down = between(y, small_height, height, QUARTERS_Y, False)
    upper = tl.minimum(above, small_height - 1) * small_row + first
    lower = tl.minimum(above + 1, small_height - 1) * small_row + first
    columns = column_down(small + upper, small + lower, 0, down, steps, 1)
    other_columns = columns
    broken = non_finite_of(columns)
    if PLANES == 2:
        other_columns = column_down(other_small + upper, other_small + lower, 0, down, steps, 1)
        broken += non_finite_of(other_columns)
    # Whoever finds one writes the same: no need to take turns.
    tl.store(
        not_finite + tl.zeros(broken.shape, tl.int32),
        tl.full(broken.shape, 1, tl.int32),
        broken != 0,
    )
    at = y * source_row + x
    own, other_own = load_codes(source + at, other_source + at, DEPTH, UNUSED_BITS, PLANES, PAIRED)
    value = _placed(own, head_at(columns, 0, along, 0, 0), amount, lowest, highest, DEPTH, ADDED)
    code = nearest_code(value, UNUSED_BITS)
    to = y * target_row + x
    bits: tl.constexpr = 8 if DEPTH == 8 else 16
    if PLANES == 2:
        up = head_at(other_columns, 0, along, 0, 0)
        other_value = _placed(other_own, up, amount, lowest, highest, DEPTH, ADDED)
        other_code = nearest_code(other_value, UNUSED_BITS)
        if PAIRED:
            code = code | (other_code << bits)
        else:
            store_number(other_target + to, other_code, inside, bits)
    store_number(target + to, code, inside, 2 * bits if PAIRED else bits)


@triton.jit
def _placed(own, up, amount, lowest, highest, DEPTH: tl.constexpr, ADDED: tl.constexpr):
    """Return what takes the place of codes; what is not a number leaves them, or becomes the lowest."""
    top: tl.constexpr = (1 << DEPTH) - 1
    if ADDED:
        value = own + amount * tl.where(up == up, up, 0.0)
        value = tl.minimum(tl.maximum(value, 0.0), top * 1.0)
    else:
        value = tl.minimum(tl.where(up > lowest, up, lowest), highest)
        value = own + amount * (value - own)
    return value


@dataclass(frozen=True, slots=True)
class PlaceTile:
    """What one program does, and with how many threads: rows and columns of samples, powers of two."""

    rows: int = 4
    columns: int = 64
    warps: int = 4


def place_planes(
    surface: Surface,
    out: Surface,
    small: Sequence[Tensor],
    strength: Tensor,
    not_finite: Tensor,
    *,
    added: bool,
    legal: tuple[tuple[int, int], tuple[int, int]],
    shift: tuple[float, float],
    tile: PlaceTile,
) -> None:
    """Write the planes to ``out``, given legal codes (luma, chroma) and chroma shift; all checked."""
    (height, width), chroma_size = surface.size, surface.subsampling.chroma_size(surface.size)
    sources, targets = surface.numbers(), out.numbers()
    luma_tiles_y = triton.cdiv(height, tile.rows)
    tiles_y = luma_tiles_y + triton.cdiv(chroma_size[0], tile.rows)
    place_kernel[(triton.cdiv(width, tile.columns), tiles_y, surface.pictures)](
        *sources, *targets, *small, strength, not_finite,
        height, width, *chroma_size, *small[0].shape[1:], *small[1].shape[1:],
        *(plane.stride(axis) for plane in (*sources[:2], *targets[:2], *small[:2]) for axis in (1, 0)),
        strength.stride(0) if len(strength) > 1 else 0,
        float(legal[0][0]), float(legal[0][1]), float(legal[1][1]), luma_tiles_y,
        DEPTH=surface.depth, UNUSED_BITS=surface.unused_bits,
        QUARTERS_Y=round(4 * shift[0]), QUARTERS_X=round(4 * shift[1]),
        PAIRED=surface.paired, ADDED=added, ROWS=tile.rows, COLUMNS=tile.columns, num_warps=tile.warps,
    )  # fmt: skip
