"""The reduction of `reduce.py` as a Triton kernel: one launch for all planes and pictures.

Each thread sums the samples that make up a small one, with the weights that the CPU uses: a table per axis,
brought to the GPU once. Memory is what costs here, and each sample comes from there once: neighbours find it
in the cache.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-untyped-decorators
# Kernels have no annotations but for what is constant while compiling.

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from streamfx.generate.codes_triton import GENERAL, load_codes
from streamfx.generate.reduce import axis_weights
from streamfx.generate.surface import Surface

MOST_UNROLLED = 9  # samples along a row; enough for factor 8


@triton.jit(do_not_specialize=GENERAL)
def reduce_kernel(
    luma,
    chroma,  # U, or pairs of U and V where they are interleaved
    other_chroma,  # V; not read where it is interleaved
    out,
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
    luma_row,  # distances in memory from row to row and from picture to picture, in samples or pairs
    luma_picture,
    chroma_row,
    chroma_picture,
    luma_tiles_y,
    DEPTH: tl.constexpr,
    UNUSED_BITS: tl.constexpr,
    LUMA_TAPS_Y: tl.constexpr,
    LUMA_TAPS_X: tl.constexpr,
    CHROMA_TAPS_Y: tl.constexpr,
    CHROMA_TAPS_X: tl.constexpr,
    PAIRED: tl.constexpr,
    UNROLLED: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write reduced planes; see `surface_steps.reduce_surface`. Grid: tiles along x, along y, pictures."""
    picture = tl.program_id(2).to(tl.int64)
    size = small_height * small_width
    out += picture * 3 * size
    tile_y = tl.program_id(1)
    if tile_y < luma_tiles_y:
        _reduce_tile(
            luma + picture * luma_picture, luma, out, tile_y, luma_rows, luma_row_weights, luma_columns,
            luma_column_weights, small_height, small_width, luma_row,
            DEPTH, UNUSED_BITS, LUMA_TAPS_Y, LUMA_TAPS_X, 1, False, UNROLLED, ROWS, COLUMNS,
        )  # fmt: skip
    else:
        _reduce_tile(
            chroma + picture * chroma_picture, other_chroma + picture * chroma_picture, out + size,
            tile_y - luma_tiles_y, chroma_rows, chroma_row_weights, chroma_columns,
            chroma_column_weights, small_height, small_width, chroma_row,
            DEPTH, UNUSED_BITS, CHROMA_TAPS_Y, CHROMA_TAPS_X, 2, PAIRED, UNROLLED, ROWS, COLUMNS,
        )  # fmt: skip


@triton.jit
def _reduce_tile(
    source, other_source, out, tile_y, rows, row_weights, columns, column_weights,
    small_height, small_width, source_row,
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
    out += y * small_width + x
    tl.store(out, total, inside)
    if PLANES == 2:
        tl.store(out + small_height * small_width, other_total, inside)


@dataclass(frozen=True, slots=True)
class ReduceTile:
    """What one program does, and with how many threads.

    Attributes:
        rows: of small pixels; a power of two.
        columns: of small pixels; a power of two.
        warps: of 32 threads.
    """

    rows: int = 4
    columns: int = 32
    warps: int = 4


def reduce_planes(surface: Surface, out: Tensor, *, shift: tuple[float, float], tile: ReduceTile) -> None:
    """Write the reduced planes to ``out`` (B, 3, h, w), given the chroma shift; all checked."""
    small_height, small_width = out.shape[2:]
    tables = []
    for size, (shift_y, shift_x) in (
        (surface.size, (0.0, 0.0)),
        (surface.subsampling.chroma_size(surface.size), shift),
    ):
        tables.append(_table(size[0], small_height, shift_y, surface.device))
        tables.append(_table(size[1], small_width, shift_x, surface.device))
    taps = [weights.shape[1] for _, weights in tables]
    luma_tiles_y = triton.cdiv(small_height, tile.rows)
    grid = (triton.cdiv(small_width, tile.columns), 2 * luma_tiles_y, surface.pictures)
    sources = surface.numbers()
    reduce_kernel[grid](
        *sources, out, *(part for table in tables for part in table), small_height, small_width,
        *(plane.stride(axis) for plane in sources[:2] for axis in (1, 0)),
        luma_tiles_y,
        DEPTH=surface.depth, UNUSED_BITS=surface.unused_bits,
        LUMA_TAPS_Y=taps[0], LUMA_TAPS_X=taps[1], CHROMA_TAPS_Y=taps[2], CHROMA_TAPS_X=taps[3],
        PAIRED=surface.paired, UNROLLED=max(taps[1], taps[3]) <= MOST_UNROLLED,
        ROWS=tile.rows, COLUMNS=tile.columns, num_warps=tile.warps,
    )  # fmt: skip


@cache  # for good: CUDA graphs that were recorded go on reading them
def _table(full: int, small: int, shift: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return `axis_weights` on a device: the first sample of each small one, and the weights."""
    weights = axis_weights(full, small, shift)
    return torch.from_numpy(weights.first).to(device), torch.from_numpy(weights.weights).to(device)
