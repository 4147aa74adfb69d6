"""The fused step of `definition.py` on a GPU: works out how the kernel is to go about it, and launches it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamfx.generate.ops.fuse import definition
from streamfx.generate.ops.fuse.triton_kernel import fuse_kernel

if TYPE_CHECKING:
    from torch import Tensor

    from streamfx.media.surface import Surface

MOST_UNROLLED = 8  # largest whole ratio that is compiled as such
MOST_INKED = 4  # the same for luma with ink: more pixels would take too many registers


@dataclass(frozen=True, slots=True)
class FuseTile:
    """What one program does, and with how many threads.

    Attributes:
        rows: rows of pixels; a power of two.
        columns: columns of threads' worth of pixels; a power of two.
        warps: groups of 32 threads; one thread's worth each when ``rows * columns == 32 * warps``.
        pixels: pixels of luma that a thread owns where the ratio is whole, if they make whole columns of
            heads and as many of these in a row of heads, else fewer; half of them with detail gain.
    """

    rows: int = 4
    columns: int = 32
    warps: int = 4
    pixels: int = 8


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
    sources, targets = surface.numbers(), out.numbers()
    detailed = heads.shape[1] > definition.GAIN and reduced is not None
    inked = detailed and heads.shape[1] > definition.AMPLITUDE
    most = MOST_INKED if inked else MOST_UNROLLED
    luma_ratio, chroma_ratio = _ratio(width, small_width, most), _ratio(chroma_width, small_width, most)
    if inked and luma_ratio == 0:
        chroma_ratio = 0  # or most of the threads, as many as luma takes, would repeat what others do
    pixels = tile.pixels // 2 if detailed else tile.pixels  # gain and reduced planes take registers too
    cells = math.gcd(max(1, pixels // max(luma_ratio, chroma_ratio, 1)), small_width)
    luma_owned, chroma_owned = max(luma_ratio * cells, 1), max(chroma_ratio * cells, 1)
    luma_tiles_y = _times(height, tile.rows)
    threads_x = max(_times(width, luma_owned), _times(chroma_width, chroma_owned))
    tiles_y = luma_tiles_y + _times(chroma_height, tile.rows)
    highest = (1 << surface.depth) - 1
    move_pixels = max_displacement_pixels * max(height / small_height, width / small_width)
    fuse_kernel[(_times(threads_x, tile.columns), tiles_y, surface.pictures)](
        *sources, *targets,
        heads, heads if reduced is None else reduced, strength, not_finite,
        height, width, chroma_height, chroma_width, small_height, small_width,
        *(plane.stride(axis) for plane in sources[:2] for axis in (1, 0)),
        *(plane.stride(axis) for plane in targets[:2] for axis in (1, 0)),
        *(heads.stride(axis) for axis in range(4)),
        0 if reduced is None else reduced.stride(0),
        strength.stride(0) if len(strength) > 1 else 0,
        height / small_height, width / small_width,
        chroma_height / small_height, chroma_width / small_width,
        float(max_displacement_pixels), float(legal[0][0]), float(legal[0][1]), float(legal[1][1]),
        luma_tiles_y,
        DEPTH=surface.depth, UNUSED_BITS=surface.unused_bits,
        QUARTERS_Y=round(4 * shift[0]), QUARTERS_X=round(4 * shift[1]),
        LUMA_RATIO=luma_ratio, CHROMA_RATIO=chroma_ratio, CELLS=cells,
        LUMA_PACKED=_packed(luma_owned, targets[:1]), CHROMA_PACKED=_packed(chroma_owned, targets[1:]),
        PAIRED=surface.paired, DETAILED=detailed, INKED=inked,
        WIDE=highest * move_pixels >= 1 << 20, THIN=min(chroma_height, chroma_width, height, width) == 1,
        ROWS=tile.rows, COLUMNS=tile.columns, num_warps=tile.warps,
    )  # fmt: skip


def _times(length: int, part: int) -> int:
    """Return how many parts cover a length."""
    return -(-length // part)


def _ratio(full: int, small: int, most: int) -> int:
    """Return how many times wider a plane is than the heads, if whole and not too large to unroll; else 0."""
    return full // small if full % small == 0 and full // small <= most else 0


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
