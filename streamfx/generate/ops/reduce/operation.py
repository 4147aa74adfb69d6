"""Reduce, wherever the pixels are: full-size planes to the small picture that a generator sees.

`definition.py` says what comes out, the others do it fast. Where a frame has its pixels decides which: the
kernels for processors in main memory, those for GPUs on a GPU. Surfaces in main memory take the same flow
where there is no GPU, to compare; it is not meant to be fast there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamfx.errors import FrameError
from streamfx.generate.ops import dispatch
from streamfx.generate.ops.reduce.definition import axis_weights
from streamfx.generate.ops.surfaces import reduce_each, reduce_surface
from streamfx.media.array_memory import arrays
from streamfx.media.colour import chroma_shift
from streamfx.media.frame import Colour, Plane, Planes, Subsampling
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor

    from streamfx.generate.ops.surface_checks import SmallPlanes


def reduce_planes(
    planes: Planes,
    subsampling: Subsampling,
    colour: Colour,
    small_size: tuple[int, int],
    out: NDArray[np.float32] | None = None,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Return the reduced planes (3, h, w) in code values, float32: Y, U and V on one grid.

    Safe to call from several threads at once; the interpreter lock is released while it computes.

    Args:
        planes: (Y, U, V), uint8 or uint16; rows may be padded.
        subsampling: subsampling of the planes.
        colour: colour of the stream; only its chroma location matters here.
        small_size: (h, w) of the result in pixels.
        out: C-contiguous array to write to; a new one when None.
        threads: number of threads that share the rows; None for all cores this process may use.

    Raises:
        FrameError: the small size is empty, or ``out`` does not fit.
    """
    from streamfx.generate.ops.reduce.cpu import reduce_all

    target = arrays.empty((3, *small_size)) if out is None else out
    if min(small_size) < 1 or target.shape != (3, *small_size) or target.dtype != np.float32:
        raise FrameError(
            f"reduce: output must be float32 of shape (3, {small_size[0]}, {small_size[1]}), "
            f"at least a pixel; found {target.dtype} {target.shape}"
        )
    if not (target.flags.c_contiguous and target.flags.writeable):
        raise FrameError("reduce: output must be C-contiguous and writeable")
    chroma = chroma_shift(subsampling, colour.chroma_location)
    weights = [
        tuple(
            axis_weights(full, small, axis_shift)
            for full, small, axis_shift in zip(plane.shape, small_size, shift, strict=True)
        )
        for plane, shift in zip(planes, ((0.0, 0.0), chroma, chroma), strict=True)
    ]
    reduce_all(planes, weights, tuple(target), threads)
    return target


def fine_luma(
    luma: Plane, reduced: NDArray[np.float32], out: NDArray[np.float32], threads: int | None = None
) -> None:
    """Write the fine luma of a plane to `out`; see `definition.fine_luma_reference`.

    Safe to call from several threads at once; the interpreter lock is released while it computes.

    Args:
        luma: (H, W), uint8 or uint16; rows may be padded.
        reduced: (h, w) float32, the reduced luma in code values.
        out: (side * side, h, w) float32, C-contiguous: channel side * i + j gets row i and column j of each
            square, minus the reduced luma, in code values.
        threads: number of threads that share the rows; None for all cores this process may use.

    Raises:
        FrameError: `out` does not fit.
    """
    from streamfx.generate.ops.reduce.cpu import unshuffle

    side = math.isqrt(len(out))
    if side * side != len(out) or out.shape[1:] != reduced.shape or out.dtype != np.float32:
        raise FrameError(
            f"fine luma: output must be float32 of shape (side * side, {reduced.shape[0]}, "
            f"{reduced.shape[1]}); found {out.dtype} {out.shape}"
        )
    rows, columns = (
        axis_weights(full, side * small, 0.0) for full, small in zip(luma.shape, reduced.shape, strict=True)
    )
    unshuffle(luma, (rows, columns), reduced, out, threads)


def reduce_to(
    planes: Sequence[Plane], sizes: Sequence[tuple[int, int]], threads: int | None = None
) -> tuple[NDArray[np.float32], ...]:
    """Return planes reduced, each to a size of its own, (h, w), in code values, float32.

    Args:
        planes: uint8 or uint16; rows may be padded.
        sizes: (h, w) of each result in samples, at least one each way.
        threads: number of threads that share the rows; None for all cores this process may use.
    """
    from streamfx.generate.ops.reduce.cpu import reduce_all

    targets = tuple(arrays.empty(size) for size in sizes)
    weights = [
        tuple(axis_weights(full, small, 0.0) for full, small in zip(plane.shape, size, strict=True))
        for plane, size in zip(planes, sizes, strict=True)
    ]
    reduce_all(planes, weights, targets, threads)
    return targets


def reduce_own_grids(
    planes: Planes, small_size: tuple[int, int], threads: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the reduced planes in code values, float32, each on its own grid: (h, w), and half for U and V.

    Chroma keeps where it lies between luma; at factor 1 the planes of a 4:2:0 frame come back as they are.

    Args:
        planes: (Y, U, V), uint8 or uint16; rows may be padded.
        small_size: (h, w) of the reduced Y in pixels.
        threads: number of threads that share the rows; None for all cores this process may use.
    """
    from streamfx.generate.ops.reduce.cpu import reduce_all

    chroma_size = Subsampling.YUV420.chroma_size(small_size)
    y, u, v = (arrays.empty(size) for size in (small_size, chroma_size, chroma_size))
    weights = [
        tuple(axis_weights(full, small, 0.0) for full, small in zip(plane.shape, out.shape, strict=True))
        for plane, out in zip(planes, (y, u, v), strict=True)
    ]
    reduce_all(planes, weights, (y, u, v), threads)
    return y, u, v


def reduce_on(surface: Surface, colour: Colour, seen: Tensor, *, fine: int = 0) -> None:
    """Write the reduced planes to ``seen``, (1, 3 + fine * fine, h, w), on the surface's device, and after
    them the luma that is so many times finer each way."""
    size = (seen.shape[2], seen.shape[3])
    if dispatch.by_processor(surface):
        planes, values = dispatch.planes_of(surface), seen[0].numpy()
        reduce_planes(planes, surface.subsampling, colour, size, out=values[:3])
        if fine:
            fine_luma(planes[0], values[0], values[3:])
        return
    reduce_surface(surface, size, chroma_location=colour.chroma_location, fine=fine, out=seen)


def reduce_each_on(surface: Surface, small: SmallPlanes, colour: Colour, *, own_grids: bool) -> None:
    """Write the reduced planes to Y, U and V, each (1, h, w): all on one grid, or each on its own."""
    if dispatch.by_processor(surface):
        planes, size = dispatch.planes_of(surface), (small[0].shape[1], small[0].shape[2])
        reduced: Iterable[Any] = (
            reduce_own_grids(planes, size)
            if own_grids
            else reduce_planes(planes, surface.subsampling, colour, size)
        )
        for target, values in zip(small, reduced, strict=True):
            target[0].numpy()[...] = values
        return
    shift = (0.0, 0.0) if own_grids else chroma_shift(surface.subsampling, colour.chroma_location)
    reduce_each(surface, small, shift=shift)
