"""The reduction of `definition.py` as a Triton kernel: one launch for all planes and pictures.

Each thread sums the samples that make up a small one, with the weights that the CPU uses: a table per axis,
brought to the GPU once. Memory is what costs here, and each sample comes from there once: neighbours find it
in the cache.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have no annotations but for what is constant while compiling.

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from streamfx.generate.ops.code_values_triton import GENERAL, load_codes
from streamfx.generate.ops.reduce.definition import axis_weights
from streamfx.generate.ops.reduce.fine_luma_triton import MOST_HELD, fine_table, see_luma_tile
from streamfx.media.surface import Surface

MOST_UNROLLED = 9  # samples along a row; enough for factor 8


@triton.jit(do_not_specialize=GENERAL)
def reduce_kernel(
    luma,
    chroma,  # U, or pairs of U and V where they are interleaved
    other_chroma,  # V; not read where it is interleaved
    small_luma,
    small_u,
    small_v,
    fine,  # channels of fine luma, padded as small luma is; not written to where there are none
    luma_rows,  # first sample of each small one, then the weights; likewise below
    luma_row_weights,
    luma_columns,
    luma_column_weights,
    chroma_rows,
    chroma_row_weights,
    chroma_columns,
    chroma_column_weights,
    small_height,
    small_width,
    small_chroma_height,
    small_chroma_width,
    luma_row,  # distances in memory from row to row and from picture to picture, in samples or pairs
    luma_picture,
    chroma_row,
    chroma_picture,
    small_luma_row,
    small_luma_picture,
    small_chroma_row,
    small_chroma_picture,
    fine_channel,  # from a channel to the next
    luma_taps_x,
    luma_tiles_y,
    DEPTH: tl.constexpr,
    UNUSED_BITS: tl.constexpr,
    LUMA_TAPS_Y: tl.constexpr,
    LUMA_TAPS_X: tl.constexpr,
    CHROMA_TAPS_Y: tl.constexpr,
    CHROMA_TAPS_X: tl.constexpr,
    PAIRED: tl.constexpr,
    SIDE: tl.constexpr,  # of the squares of fine luma; 0: none
    LUMA_UNROLLED: tl.constexpr,
    CHROMA_UNROLLED: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write reduced planes; see `surface_steps.reduce_each`. Grid: tiles along x, along y, pictures."""
    picture = tl.program_id(2).to(tl.int64)
    tile_y = tl.program_id(1)
    if tile_y < luma_tiles_y:
        luma += picture * luma_picture
        small_luma += picture * small_luma_picture
        if SIDE > 0:
            see_luma_tile(
                luma, small_luma, fine + picture * small_luma_picture, tile_y,
                luma_rows, luma_row_weights, luma_columns, luma_column_weights,
                small_height, small_width, luma_row, small_luma_row, fine_channel, luma_taps_x,
                DEPTH, UNUSED_BITS, LUMA_TAPS_Y, LUMA_TAPS_X, SIDE, LUMA_UNROLLED, ROWS, COLUMNS,
            )  # fmt: skip
        else:
            _reduce_tile(
                luma, luma, small_luma, small_luma, tile_y,
                luma_rows, luma_row_weights, luma_columns, luma_column_weights,
                small_height, small_width, luma_row, small_luma_row,
                DEPTH, UNUSED_BITS, LUMA_TAPS_Y, LUMA_TAPS_X, 1, False, LUMA_UNROLLED, ROWS, COLUMNS,
            )  # fmt: skip
    else:
        _reduce_tile(
            chroma + picture * chroma_picture, other_chroma + picture * chroma_picture,
            small_u + picture * small_chroma_picture, small_v + picture * small_chroma_picture,
            tile_y - luma_tiles_y, chroma_rows, chroma_row_weights, chroma_columns, chroma_column_weights,
            small_chroma_height, small_chroma_width, chroma_row, small_chroma_row,
            DEPTH, UNUSED_BITS, CHROMA_TAPS_Y, CHROMA_TAPS_X, 2, PAIRED, CHROMA_UNROLLED, ROWS, COLUMNS,
        )  # fmt: skip


@triton.jit
def _reduce_tile(
    source, other_source, out, other_out, tile_y, rows, row_weights, columns, column_weights,
    small_height, small_width, source_row, out_row,
    DEPTH: tl.constexpr, UNUSED_BITS: tl.constexpr, TAPS_Y: tl.constexpr, TAPS_X: tl.constexpr,
    PLANES: tl.constexpr, PAIRED: tl.constexpr, UNROLLED: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Reduce one tile of one plane, or of the two chroma planes."""
    y = tile_y * ROWS + tl.arange(0, ROWS)[:, None]
    x = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    inside = (y < small_height) & (x < small_width)
    y, x = tl.minimum(y, small_height - 1), tl.minimum(x, small_width - 1)
    at = tl.load(rows + y) * source_row + tl.load(columns + x)
    row_weights += y * TAPS_Y
    column_weights += x * TAPS_X
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    other_total = total
    for row in range(TAPS_Y):
        line = tl.zeros((ROWS, COLUMNS), tl.float32)
        other_line = line
        if UNROLLED:
            for tap in tl.static_range(TAPS_X):
                code, other_code = load_codes(
                    source + at + tap, other_source + at + tap, DEPTH, UNUSED_BITS, PLANES, PAIRED
                )
                weight = tl.load(column_weights + tap)
                line += weight * code
                other_line += weight * other_code
        else:
            for tap in range(TAPS_X):
                code, other_code = load_codes(
                    source + at + tap, other_source + at + tap, DEPTH, UNUSED_BITS, PLANES, PAIRED
                )
                weight = tl.load(column_weights + tap)
                line += weight * code
                other_line += weight * other_code
        weight_y = tl.load(row_weights + row)
        total += weight_y * line
        other_total += weight_y * other_line
        at += source_row
    to = y * out_row + x
    tl.store(out + to, total, inside)
    if PLANES == 2:
        tl.store(other_out + to, other_total, inside)


@dataclass(frozen=True, slots=True)
class ReduceTile:
    """What one program does, and with how many threads.

    Attributes:
        rows: rows of small pixels; a power of two.
        columns: columns of small pixels; a power of two.
        warps: groups of 32 threads.
    """

    rows: int = 4
    columns: int = 32
    warps: int = 4


def reduce_planes(
    surface: Surface,
    small: Sequence[Tensor],
    fine: Tensor | None,
    *,
    shift: tuple[float, float],
    tile: ReduceTile,
) -> None:
    """Write the reduced planes to Y, U and V, each (B, h, w), given the chroma shift, and fine luma to
    (B, side * side, h, w), padded as Y is, where there is such; all checked."""
    side, channel = (0, 0) if fine is None else (math.isqrt(fine.shape[1]), fine.stride(1))
    sizes = [(int(plane.shape[1]), int(plane.shape[2])) for plane in small[:2]]
    chroma_size = surface.subsampling.chroma_size(surface.size)
    tables = [
        *(_luma_table(*sides, side, surface.device) for sides in zip(surface.size, sizes[0], strict=True)),
        *(_table(*sides, surface.device) for sides in zip(chroma_size, sizes[1], shift, strict=True)),
    ]
    taps = [weights.shape[0 if side and axis < 2 else 1] for axis, (_, weights) in enumerate(tables)]
    luma_tiles_y = triton.cdiv(sizes[0][0], tile.rows)
    tiles_x = triton.cdiv(max(width for _, width in sizes), tile.columns)
    grid = (tiles_x, luma_tiles_y + triton.cdiv(sizes[1][0], tile.rows), surface.pictures)
    sources = surface.numbers()
    reduce_kernel[grid](
        *sources, *small, small[0] if fine is None else fine,
        *(part for table in tables for part in table), *sizes[0], *sizes[1],
        *(plane.stride(axis) for plane in (*sources[:2], *small[:2]) for axis in (1, 0)),
        channel, taps[1], luma_tiles_y,
        DEPTH=surface.depth, UNUSED_BITS=surface.unused_bits,
        LUMA_TAPS_Y=taps[0], LUMA_TAPS_X=taps[1], CHROMA_TAPS_Y=taps[2], CHROMA_TAPS_X=taps[3],
        PAIRED=surface.paired, SIDE=side,
        LUMA_UNROLLED=taps[1] * (side + 1) <= MOST_HELD if side else taps[1] <= MOST_UNROLLED,
        CHROMA_UNROLLED=taps[3] <= MOST_UNROLLED,
        ROWS=tile.rows, COLUMNS=tile.columns, num_warps=tile.warps,
    )  # fmt: skip


def _luma_table(full: int, small: int, side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    return fine_table(full, small, side, device) if side else _table(full, small, 0.0, device)


@cache  # for good: CUDA graphs that were recorded go on reading them
def _table(full: int, small: int, shift: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return `axis_weights` on a device: the first sample of each small one, and the weights."""
    weights = axis_weights(full, small, shift)
    return torch.from_numpy(weights.first).to(device), torch.from_numpy(weights.weights).to(device)
