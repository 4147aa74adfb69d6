"""Steps: reduce, place, fuse on surfaces, wherever they are: kernels for GPUs, those for the CPU otherwise.

The CPU is not meant to be fast here: it runs the same flow where there is no GPU, to compare.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from streamfx.generate.ops.surfaces import fuse_surface, place_surface, reduce_each, reduce_surface
from streamfx.gpu.layout import arrays_of, fill
from streamfx.media.colour import chroma_shift
from streamfx.media.frame import Colour, VideoFormat
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor

    from streamfx.generate.ops.surface_checks import SmallPlanes


def reduce_on(surface: Surface, colour: Colour, seen: Tensor, *, fine: int = 0) -> None:
    """Write the reduced planes to ``seen``, (1, 3 + fine * fine, h, w), on the surface's device, and after
    them the luma that is so many times finer each way."""
    size = (seen.shape[2], seen.shape[3])
    if by_processor(surface):
        from streamfx.generate.ops.reduce.definition import reduce_planes

        planes, values = _planes(surface), seen[0].numpy()
        reduce_planes(planes, surface.subsampling, colour, size, out=values[:3])
        if fine:
            from streamfx.generate.ops.reduce.fine_luma import fine_luma

            fine_luma(planes[0], values[0], values[3:])
        return
    reduce_surface(surface, size, chroma_location=colour.chroma_location, fine=fine, out=seen)


def reduce_each_on(surface: Surface, small: SmallPlanes, colour: Colour, *, own_grids: bool) -> None:
    """Write the reduced planes to Y, U and V, each (1, h, w): all on one grid, or each on its own."""
    if by_processor(surface):
        from streamfx.generate.ops.reduce import definition as reduce

        planes, size = _planes(surface), (small[0].shape[1], small[0].shape[2])
        reduced: Iterable[Any] = (
            reduce.reduce_surface(planes, size)
            if own_grids
            else reduce.reduce_planes(planes, surface.subsampling, colour, size)
        )
        for target, values in zip(small, reduced, strict=True):
            target[0].numpy()[...] = values
        return
    shift = (0.0, 0.0) if own_grids else chroma_shift(surface.subsampling, colour.chroma_location)
    reduce_each(surface, small, shift=shift)


def place_on(
    surface: Surface,
    out: Surface,
    small: SmallPlanes,
    *,
    colour: Colour,
    shift: tuple[float, float],
    strength: Tensor,
    not_finite: Tensor,
    added: bool,
) -> None:
    """Write the picture with the small one in its place, or added, to ``out``; see
    `streamfx.generate.ops.surfaces.place_surface`.

    Raises:
        FrameError: on the CPU, where the small picture is not finite; a GPU sets ``not_finite``.
    """
    if by_processor(surface):
        from streamfx.generate.ops.place.definition import place

        form = VideoFormat(surface.size, surface.subsampling, surface.depth, colour, Fraction(1))
        y, u, v = (plane[0].numpy() for plane in small)
        placed = place(
            form.frame(_planes(surface), index=0, pts=0),
            (y, u, v),
            colour,
            strength=float(strength),
            added=added,
            shifts=((0.0, 0.0), shift, shift),
        )
        fill(out, placed)
        return
    place_surface(
        surface,
        small,
        code_range=colour.code_range,
        shift=shift,
        strength=strength,
        not_finite=not_finite,
        added=added,
        out=out,
    )


def fuse_on(
    surface: Surface,
    out: Surface,
    heads: Tensor,
    reduced: Tensor,
    *,
    colour: Colour,
    strength: Tensor,
    max_displacement_pixels: float,
    not_finite: Tensor,
) -> None:
    """Write the fused picture to ``out``; see `streamfx.generate.ops.surfaces.fuse_surface`.

    Raises:
        FrameError: on the CPU, where a head is not finite; a GPU sets ``not_finite``.
    """
    if by_processor(surface):
        from streamfx.generate.ops.fuse.definition import fuse

        fused = fuse(
            _planes(surface),
            heads[0].numpy(),
            reduced[0].numpy(),
            subsampling=surface.subsampling,
            depth=surface.depth,
            code_range=colour.code_range,
            chroma_location=colour.chroma_location,
            strength=float(strength),
            max_displacement_pixels=max_displacement_pixels,
        )
        fill(out, fused)
        return
    fuse_surface(
        surface,
        heads,
        reduced,
        code_range=colour.code_range,
        chroma_location=colour.chroma_location,
        strength=strength,
        max_displacement_pixels=max_displacement_pixels,
        not_finite=not_finite,
        out=out,
    )


def by_processor(surface: Surface) -> bool:
    """Return whether the kernels for the CPU do it."""
    return surface.device.type == "cpu"


def _planes(surface: Surface) -> Any:
    """Return Y, U, V in main memory with values in the low bits: views where they lie that way."""
    luma, *chroma = arrays_of(surface)
    if surface.paired:
        chroma = [np.ascontiguousarray(chroma[0][..., index]) for index in range(2)]
    planes = (luma, *chroma)
    return tuple(plane >> surface.unused_bits for plane in planes) if surface.unused_bits else planes
