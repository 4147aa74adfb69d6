"""The fused step of `fuse.py` as a Triton kernel: one launch for all planes and pictures, no temporary.

What costs on a GPU is not memory but instructions: interpolating four heads at each pixel alone would be 16
loads. So where the width of a plane is a whole number of times that of the heads, a thread owns the pixels of
a few columns of heads, fetches those columns and their neighbours once, interpolates them downwards once,
and then along with weights that are constants to the compiler. Its codes are stored as one word. Of other
widths each thread owns a pixel, and takes two columns of its own.

The two chroma planes are done by one thread, which moves both alike; where they are interleaved (NV12, P010),
each pair is loaded and stored as one number. Luma and chroma are one launch: rows of tiles of chroma follow
those of luma.

Positions are whole samples and a fraction, as float32 is too coarse for coordinates; which heads a sample
lies between is worked out in whole numbers. Interpolation is written as two products, which no head is too
large for. A head that is not a number counts as the lower bound of its clamp, so nothing outside the planes
is ever touched, and whoever reads the flag learns of it.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
# ruff: noqa: PLR0915
# Kernels have no annotations but for what is constant while compiling. In shapes, R and C are the rows and
# columns of a tile's threads.

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from streamfx.generate import fuse as definition
from streamfx.generate.codes_triton import load_codes, nearest_code, numbers_of, store_number
from streamfx.generate.surface import Surface

MASK, DISPLACEMENT_X, DISPLACEMENT_Y, GAIN = (tl.constexpr(head) for head in (3, 4, 5, 6))  # as in fuse.py
MOST_UNROLLED = 8  # largest whole ratio that is compiled as such


@triton.jit
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
    WIDE: tl.constexpr,
    THIN: tl.constexpr,  # a plane has a side of one sample
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write fused planes; see `surface.fuse_surface`. Grid: tiles along x, along y, pictures."""
    picture = tl.program_id(2).to(tl.int64)
    heads += picture * head_picture
    reduced += picture * 3 * small_height * small_width
    amount = tl.load(strength + picture * strength_picture)
    tile_y = tl.program_id(1)
    if tile_y < luma_tiles_y:
        _fuse_tile(
            luma + picture * luma_picture, luma, luma_out + picture * luma_out_picture, luma_out,
            heads, reduced, amount, not_finite + picture, tile_y, height, width, small_height, small_width,
            luma_row, luma_out_row, head_channel, head_row, head_column,
            amount * luma_scale_y, amount * luma_scale_x, limit, lowest, luma_highest,
            DEPTH, UNUSED_BITS, 0, 0, LUMA_RATIO, CELLS, LUMA_PACKED,
            0, 1, False, DETAILED, WIDE, THIN, ROWS, COLUMNS,
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
            1, 2, PAIRED, DETAILED, WIDE, THIN, ROWS, COLUMNS,
        )  # fmt: skip


@triton.jit
def _fuse_tile(
    source, other_source, target, other_target,
    heads, reduced, amount, not_finite, tile_y, height, width, small_height, small_width,
    source_row, target_row, head_channel, head_row, head_column, scale_y, scale_x, limit, lowest, highest,
    DEPTH: tl.constexpr, UNUSED_BITS: tl.constexpr, QUARTERS_Y: tl.constexpr, QUARTERS_X: tl.constexpr,
    RATIO: tl.constexpr, CELLS: tl.constexpr, PACKED: tl.constexpr,
    FIRST: tl.constexpr, PLANES: tl.constexpr, PAIRED: tl.constexpr,
    DETAILED: tl.constexpr, WIDE: tl.constexpr, THIN: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Fuse one tile of one plane, or of the two chroma planes; their heads begin at channel ``FIRST``."""
    y = tile_y * ROWS + tl.arange(0, ROWS)[:, None]
    group = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    owned: tl.constexpr = RATIO * CELLS if RATIO > 0 else 1
    inside = (y < height) & (group * owned < width)
    y = tl.minimum(y, height - 1)
    x, first, along, steps = _columns_between(group, small_width, width, RATIO, CELLS, QUARTERS_X)
    columns = _head_columns(
        heads, reduced, not_finite, y, first, steps, height, small_height, small_width,
        head_channel, head_row, head_column, QUARTERS_Y, FIRST, PLANES, DETAILED, WIDE,
    )  # fmt: skip
    to_y = (scale_y, tl.maximum(-limit * scale_y, -y), tl.minimum(limit * scale_y, height - 1 - y))
    step_x, step_y = 1, source_row
    if THIN:
        step_x, step_y = tl.minimum(width - 1, 1), tl.minimum(height - 1, 1) * source_row
    here = y * source_row + x
    place = (x, (tl.maximum(height - 2, 0) - y), width, source_row, step_x, step_y)
    limits = (amount, to_y, scale_x, limit * scale_x, lowest, highest)
    bits: tl.constexpr = 8 if DEPTH == 8 else 16
    number: tl.constexpr = 2 * bits if PAIRED else bits
    for word in tl.static_range(owned // PACKED):
        packed = tl.zeros((ROWS, COLUMNS), tl.uint32)
        other_packed = packed
        for part in tl.static_range(PACKED):
            code, other_code = _pixel(
                source + here, other_source + here, columns, along, place, limits, word * PACKED + part,
                DEPTH, UNUSED_BITS, QUARTERS_X, RATIO, PLANES, PAIRED, DETAILED,
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
def _between(at, small, full, QUARTERS: tl.constexpr):
    """Return the head before each sample of an axis, and the weight 0..1 of the next.

    The position is ((at + 1/2 + quarters/4) · small / full - 1/2), here in units of 1 / (4 · full).
    """
    position = tl.maximum((4 * at + 2 + QUARTERS) * small - 2 * full, 0)
    unit = 4 * full
    share = 1 / unit.to(tl.float32)
    before = (position.to(tl.float32) * share).to(tl.int32)  # or one too few or too many
    rest = position - before * unit
    missed = (rest >= unit).to(tl.int32) - (rest < 0).to(tl.int32)
    return before + missed, (rest - missed * unit).to(tl.float32) * share


@triton.jit
def _columns_between(
    group, small, full, RATIO: tl.constexpr, CELLS: tl.constexpr, QUARTERS: tl.constexpr
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
        first, along = _between(x, small, full, QUARTERS)
        last = small - 1
        steps = (tl.minimum(first, last) - first, tl.minimum(first + 1, last) - first)
        return x, first, along, steps


@triton.jit
def _head_columns(
    heads, reduced, not_finite, y, first, steps, height, small_height, small_width,
    head_channel, head_row, head_column, QUARTERS_Y: tl.constexpr, FIRST: tl.constexpr,
    PLANES: tl.constexpr, DETAILED: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """Return the columns of mask, displacements, gain, and of the translated and the reduced planes, all
    interpolated downwards; raise the flag if a head is not finite."""
    above, down = _between(y, small_height, height, QUARTERS_Y)
    below = tl.minimum(above + 1, small_height - 1)
    above = tl.minimum(above, small_height - 1)
    upper = heads + (above * head_row + first * head_column)
    lower = heads + (below * head_row + first * head_column)
    real: tl.constexpr = tl.float64 if WIDE else tl.float32
    mask = _column(upper, lower, MASK * head_channel, down, steps, head_column)
    move_x = _column(upper, lower, DISPLACEMENT_X * head_channel, down.to(real), steps, head_column)
    move_y = _column(upper, lower, DISPLACEMENT_Y * head_channel, down.to(real), steps, head_column)
    translated = _column(upper, lower, FIRST * head_channel, down, steps, head_column)
    other, gain, seen, other_seen = translated, mask, mask, mask
    doubt = _doubt(mask) + _doubt(move_x) + _doubt(move_y) + _doubt(translated)
    if PLANES == 2:
        other = _column(upper, lower, (FIRST + 1) * head_channel, down, steps, head_column)
        doubt += _doubt(other)
    if DETAILED:
        gain = _column(upper, lower, GAIN * head_channel, down, steps, head_column)
        doubt += _doubt(gain)
        upper, lower = reduced + (above * small_width + first), reduced + (below * small_width + first)
        size = small_height * small_width
        seen = _column(upper, lower, FIRST * size, down, steps, 1)
        if PLANES == 2:
            other_seen = _column(upper, lower, (FIRST + 1) * size, down, steps, 1)
    # Whoever finds one writes the same: no need to take turns.
    tl.store(not_finite + tl.zeros(doubt.shape, tl.int32), tl.full(doubt.shape, 1, tl.int32), doubt != 0)
    return mask, move_x, move_y, gain, translated, other, seen, other_seen


@triton.jit
def _column(upper, lower, channel, down, steps, head_column):
    """Return one channel interpolated downwards, at each of the steps along the columns."""
    upper += channel
    lower += channel
    columns = ()
    for i in tl.static_range(len(steps)):
        step = steps[i] * head_column
        columns += (tl.load(upper + step) * (1 - down) + tl.load(lower + step) * down,)
    return columns


@triton.jit
def _doubt(columns):
    """Return something that is 0 if the columns that no other thread owns are finite, and else is not."""
    doubt = columns[1].to(tl.float32) * 0
    for i in tl.static_range(2, len(columns) - 1):
        doubt += columns[i].to(tl.float32) * 0
    return doubt


@triton.jit
def _at(columns, K: tl.constexpr, along, RATIO: tl.constexpr, QUARTERS: tl.constexpr):
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
def _pixel(
    own, other_own, columns, along, place, limits, K: tl.constexpr,
    DEPTH: tl.constexpr, UNUSED_BITS: tl.constexpr, QUARTERS_X: tl.constexpr, RATIO: tl.constexpr,
    PLANES: tl.constexpr, PAIRED: tl.constexpr, DETAILED: tl.constexpr,
):  # fmt: skip
    """Return the fused codes of the K-th pixel a thread owns, of each plane."""
    mask, move_x, move_y, gain, translated, other_translated, seen, other_seen = columns
    amount, to_y, scale_x, limit_x, lowest, highest = limits
    x, least_rows, width, source_row, step_x, step_y = place
    own += K
    other_own += K
    rows, fraction_y = _moved(
        _at(move_y, K, along, RATIO, QUARTERS_X), to_y[0], to_y[1], to_y[2], least_rows
    )  # fmt: skip
    left, right = x.to(tl.float32) + K, (width - 1 - x).to(tl.float32) - K
    columns_x, fraction_x = _moved(
        _at(move_x, K, along, RATIO, QUARTERS_X), scale_x, tl.maximum(-limit_x, -left), tl.minimum(limit_x, right),
        (tl.maximum(width - 2, 0) - x) - K,
    )  # fmt: skip
    away = rows * source_row + columns_x
    warped, other_warped = _sample(
        own + away, other_own + away, step_x, step_y, fraction_x, fraction_y, DEPTH, UNUSED_BITS, PLANES, PAIRED
    )  # fmt: skip
    value = _clamp(_at(translated, K, along, RATIO, QUARTERS_X), lowest, highest)
    other_value = value
    if PLANES == 2:
        other_value = _clamp(_at(other_translated, K, along, RATIO, QUARTERS_X), lowest, highest)
    if DETAILED:
        there, other_there = load_codes(own, other_own, DEPTH, UNUSED_BITS, PLANES, PAIRED)
        more = _clamp(_at(gain, K, along, RATIO, QUARTERS_X), 0.0, 2.0)
        value += more * (there - _at(seen, K, along, RATIO, QUARTERS_X))
        if PLANES == 2:
            other_value += more * (other_there - _at(other_seen, K, along, RATIO, QUARTERS_X))
    weight = _clamp(_at(mask, K, along, RATIO, QUARTERS_X), 0.0, 1.0) * amount
    value = warped + weight * (value - warped)
    other_value = other_warped + weight * (other_value - other_warped)
    if DETAILED:  # else both are codes, and so is what lies between them
        top: tl.constexpr = (1 << DEPTH) - 1
        value, other_value = _clamp(value, 0.0, top * 1.0), _clamp(other_value, 0.0, top * 1.0)
    return nearest_code(value, UNUSED_BITS), nearest_code(other_value, UNUSED_BITS)


@triton.jit
def _clamp(value, lowest, highest):
    """Return the value within bounds; what is not a number becomes the lowest."""
    return tl.minimum(tl.maximum(value, lowest), highest)


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


@dataclass(frozen=True, slots=True)
class FuseTile:
    """What one program does, and with how many threads.

    Attributes:
        rows: of pixels; a power of two.
        columns: of threads' worth of pixels; a power of two.
        warps: of 32 threads; one thread's worth each when ``rows * columns == 32 * warps``.
        cells: columns of heads that a thread owns where the ratio is whole; None: as many as make four
            pixels of luma.
    """

    rows: int = 4
    columns: int = 32
    warps: int = 4
    cells: int | None = None


def fuse_planes(
    surface: Surface,
    out: Surface,
    heads: Tensor,
    reduced: Tensor | None,
    strength: Tensor,
    not_finite: Tensor,
    *,
    legal: tuple[tuple[int, int], tuple[int, int]],
    shift: tuple[float, float],
    max_displacement_pixels: float,
    tile: FuseTile,
) -> None:
    """Write the fused planes to ``out``, given legal codes (luma, chroma) and chroma shift; all checked."""
    (height, width), (small_height, small_width) = surface.size, heads.shape[2:]
    chroma_height, chroma_width = surface.subsampling.chroma_size(surface.size)
    sources, targets = numbers_of(surface), numbers_of(out)
    luma_ratio, chroma_ratio = _ratio(width, small_width), _ratio(chroma_width, small_width)
    cells = tile.cells or max(1, 4 // max(luma_ratio, 1))
    if small_width % cells:
        cells = 1
    luma_owned, chroma_owned = max(luma_ratio * cells, 1), max(chroma_ratio * cells, 1)
    luma_tiles_y = triton.cdiv(height, tile.rows)
    grid = (
        triton.cdiv(max(triton.cdiv(width, luma_owned), triton.cdiv(chroma_width, chroma_owned)), tile.columns),
        luma_tiles_y + triton.cdiv(chroma_height, tile.rows),
        surface.pictures,
    )
    highest = (1 << surface.depth) - 1
    move_pixels = max_displacement_pixels * max(height / small_height, width / small_width)
    with torch.cuda.device_of(surface.planes[0]):
        fuse_kernel[grid](
            *sources, *targets,
            heads, heads if reduced is None else reduced, strength, not_finite,
            height, width, chroma_height, chroma_width, small_height, small_width,
            *(plane.stride(axis) for plane in sources[:2] for axis in (1, 0)),
            *(plane.stride(axis) for plane in targets[:2] for axis in (1, 0)),
            *(heads.stride(axis) for axis in range(4)),
            strength.stride(0) if len(strength) > 1 else 0,
            height / small_height, width / small_width, chroma_height / small_height, chroma_width / small_width,
            float(max_displacement_pixels), float(legal[0][0]), float(legal[0][1]), float(legal[1][1]),
            luma_tiles_y,
            DEPTH=surface.depth, UNUSED_BITS=surface.unused_bits,
            QUARTERS_Y=round(4 * shift[0]), QUARTERS_X=round(4 * shift[1]),
            LUMA_RATIO=luma_ratio, CHROMA_RATIO=chroma_ratio, CELLS=cells,
            LUMA_PACKED=_packed(luma_owned, targets[:1]), CHROMA_PACKED=_packed(chroma_owned, targets[1:]),
            PAIRED=surface.paired, DETAILED=heads.shape[1] > definition.GAIN and reduced is not None,
            WIDE=highest * move_pixels >= 1 << 20, THIN=min(chroma_height, chroma_width, height, width) == 1,
            ROWS=tile.rows, COLUMNS=tile.columns, num_warps=tile.warps,
        )  # fmt: skip


def _ratio(full: int, small: int) -> int:
    """Return how many times wider a plane is than the heads, if whole and not too large to unroll; else 0."""
    return full // small if full % small == 0 and full // small <= MOST_UNROLLED else 0


def _packed(owned: int, planes: Sequence[Tensor]) -> int:
    """Return how many of the numbers a thread owns can be stored as one of 32 bits at most."""
    packed = math.gcd(owned, 4 // planes[0].itemsize)
    while packed > 1:
        places = [plane.data_ptr() for plane in planes]
        places += [plane.stride(axis) * plane.itemsize for plane in planes for axis in (0, 1)]
        if all(place % (packed * planes[0].itemsize) == 0 for place in places):
            break
        packed //= 2
    return packed
