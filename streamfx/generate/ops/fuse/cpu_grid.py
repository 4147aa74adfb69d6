"""What the kernels of the fused step get: planes, scalars, and how samples lie between those of the heads.

What Numba has cached of the kernels names these classes, and is read before its age is looked at: whoever
renames one of them gives `numba_kernels.py` another name, too.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamfx.generate.ops.fuse.cpu_llvm import RUN
from streamfx.generate.ops.fuse.numba_kernels import MOST_ALIKE, TILE

Samples: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]


class ColumnInterpolation(NamedTuple):
    """How columns of a plane lie between columns of the heads: runs of up to `RUN` that lie between the
    same two.

    Attributes:
        at: (n,) first column of each run, ascending; no run crosses the edge of a tile.
        left: (n,) column of the heads to the left of the run.
        tiles: (tiles + 1,) first run of each tile.
        along: (width + RUN,) weight of the right column, 0..1; its type is the one to compute in.
        ratio: ratio of the widths if it is whole and small, else 0; runs are then alike but for the edges.
        alike: (tiles, 2) first and end of the runs of each tile that are ``ratio`` long, side by side.
    """

    at: NDArray[np.uint32]
    left: NDArray[np.uint32]
    tiles: NDArray[np.int64]
    along: NDArray[np.floating]
    ratio: int
    alike: NDArray[np.int64]


class RowInterpolation(NamedTuple):
    """How rows of a plane lie between rows of the heads: the row above, and the weight of the one below."""

    above: NDArray[np.int64]
    down: NDArray[np.floating]


class FuseScalars(NamedTuple):
    """The scalars of the fused step. Scales turn small-picture pixels into samples, with strength in them."""

    lowest_legal: float
    highest_legal: float
    highest: float
    strength: float
    displacement: float
    scale_y: float
    scale_x: float


class PlaneGroup(NamedTuple):
    """One plane (luma) or two on the same grid (chroma), and how the heads lie on it.

    There are always two views, so that luma and chroma are one compiled type; of luma, both are the same.

    Attributes:
        sources: flat views of the source planes, whose rows lie ``stride`` samples apart.
        stride: samples from row to row of the source planes.
        source_size: (height, width) in samples, at least 2 each.
        targets: flat views of the planes to write, whose rows lie ``target_strides`` samples apart.
        target_strides: samples from row to row of each plane to write.
        width: columns to write.
        rows: rows of the heads that each row lies between.
        columns: columns of the heads that each run of columns lies between.
        scalars: numbers that are the same for every sample.
    """

    sources: tuple[Samples, Samples]
    stride: int
    source_size: tuple[int, int]
    targets: tuple[Samples, Samples]
    target_strides: tuple[int, int]
    width: int
    rows: RowInterpolation
    columns: ColumnInterpolation
    scalars: FuseScalars


def _between(full: int, small: int, shift: float) -> NDArray[np.float64]:
    """Return where the samples of one axis of a plane lie between those of the heads, 0..small - 1."""
    positions: NDArray[np.float64] = np.clip(
        (np.arange(full) + 0.5 + shift) * small / full - 0.5, 0, small - 1
    )
    return positions


@lru_cache(maxsize=32)
def rows_between(full: int, small: int, shift: float, real: np.dtype[Any]) -> RowInterpolation:
    """Return the table for a plane ``full`` high, heads ``small`` high, shifted by so many samples."""
    position = _between(full, small, shift)
    above = position.astype(np.int64)
    return RowInterpolation(above, (position - above).astype(real))


@lru_cache(maxsize=32)
def columns_between(full: int, small: int, shift: float, real: np.dtype[Any]) -> ColumnInterpolation:
    """Return the table for a plane ``full`` wide, heads ``small`` wide, shifted by so many samples."""
    x = np.arange(full)
    position = _between(full, small, shift)
    left = np.minimum(position.astype(np.int64), max(small - 2, 0))
    begins = np.flatnonzero((np.diff(left, prepend=-1) != 0) | (x % TILE == 0))
    at = np.flatnonzero((x - begins[np.searchsorted(begins, x, side="right") - 1]) % RUN == 0)
    tiles = np.searchsorted(at, np.arange(0, full + TILE, TILE))
    along = np.concatenate([position - left, np.zeros(RUN)]).astype(real)
    ratio = full // small if full % small == 0 and full // small <= MOST_ALIKE else 0
    alike = np.stack([tiles[:-1], tiles[:-1]], axis=1)
    if ratio:
        whole = (np.diff(at, append=full) == ratio) & (np.abs(along[at] - along[at[len(at) // 2]]) < 1e-6)
        for tile, (first, end) in enumerate(pairwise(tiles)):
            found = first + np.flatnonzero(whole[first:end])
            if len(found) and found[-1] - found[0] + 1 == len(found):
                alike[tile] = found[0], found[-1] + 1
    return ColumnInterpolation(at.astype(np.uint32), left[at].astype(np.uint32), tiles, along, ratio, alike)
