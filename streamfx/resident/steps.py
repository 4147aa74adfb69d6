"""Steps: reduce and fuse on surfaces, wherever these are: kernels for GPUs, those for the CPU otherwise.

The CPU is not meant to be fast here: it runs the same flow where there is no GPU, to compare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from streamfx.frame import Colour
from streamfx.generate.surface import Surface
from streamfx.generate.surface_steps import fuse_surface, reduce_surface
from streamfx.resident.form import arrays_of, fill

if TYPE_CHECKING:
    from torch import Tensor


def reduce_on(surface: Surface, colour: Colour, seen: Tensor) -> None:
    """Write the reduced planes to ``seen``, (1, 3, h, w), on the surface's device."""
    size = (seen.shape[2], seen.shape[3])
    if surface.device.type == "cpu":
        from streamfx.generate.reduce import reduce_planes

        planes = _planes(surface)
        reduce_planes(planes, surface.subsampling, colour, size, out=seen[0].numpy())
        return
    reduce_surface(surface, size, chroma_location=colour.chroma_location, out=seen)


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
    """Write the fused picture to ``out``; see `streamfx.generate.surface_steps.fuse_surface`.

    Raises:
        FrameError: on the CPU, where a head is not finite; a GPU sets ``not_finite``.
    """
    if surface.device.type == "cpu":
        from streamfx.generate.fuse import fuse

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


def _planes(surface: Surface) -> Any:
    """Return Y, U, V in main memory with values in the low bits: views where they lie that way."""
    luma, *chroma = arrays_of(surface)
    if surface.paired:
        chroma = [np.ascontiguousarray(chroma[0][..., index]) for index in range(2)]
    planes = (luma, *chroma)
    return tuple(plane >> surface.unused_bits for plane in planes) if surface.unused_bits else planes
