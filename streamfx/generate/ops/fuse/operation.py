"""Fuse, wherever the pixels are: full-size planes from those of the source and the heads of a generator.

`definition.py` says what comes out, the others do it fast. Where a frame has its pixels decides which: the
kernels for processors in main memory, those for GPUs on a GPU. Surfaces in main memory take the same flow
where there is no GPU, to compare; it is not meant to be fast there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamfx.generate.ops import dispatch
from streamfx.generate.ops.fuse.definition import check, check_out
from streamfx.generate.ops.surfaces import fuse_surface
from streamfx.gpu.layout import fill
from streamfx.media.array_memory import arrays
from streamfx.media.colour import chroma_shift, legal_codes
from streamfx.media.frame import ChromaLocation, CodeRange, Colour, Planes, Subsampling
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def fuse(
    planes: Planes,
    heads: NDArray[np.floating],
    reduced: NDArray[np.float32] | None,
    *,
    subsampling: Subsampling,
    depth: int,
    code_range: CodeRange,
    chroma_location: ChromaLocation,
    strength: float,
    max_displacement_pixels: float,
    out: Planes | None = None,
    threads: int | None = None,
) -> Planes:
    """Return the fused full-size planes, within one code of `fuse_reference`.

    Safe to call from several threads at once; the interpreter lock is released while it computes.

    Args:
        planes: source planes (Y, U, V); rows may be padded. Not changed.
        heads: (6, 7 or 11, h, w) float32 or float16: translated Y, U, V in code values, mask, displacement x
            and y in small-picture pixels and, optionally, detail gain and, with it, optionally the ink:
            offset, slopes per code value where the detail is brighter and darker, amplitude in code values.
        reduced: (3, h, w) float32 in code values, what the network saw; needed with 7 heads or more.
        subsampling: subsampling of the planes.
        depth: bits per sample, 8 to 16.
        code_range: limited or full; bounds the translated picture.
        chroma_location: place where chroma samples lie; unknown counts as left-sited.
        strength: 0..1; 0 gives the source bit for bit.
        max_displacement_pixels: bound of the displacement, in small-picture pixels.
        out: planes to write to, of the sizes and type of ``planes``, not overlapping them; None: new ones.
        threads: number of threads that share the rows; None for all cores this process may use.

    Raises:
        FrameError: sizes, types or ranges do not fit together, or a head is not finite.
    """
    check(planes, heads, reduced, subsampling, depth, strength, max_displacement_pixels)
    from streamfx.generate.ops.fuse.cpu import fuse_planes

    luma, u, v = planes
    target = (arrays.like(luma), arrays.like(u), arrays.like(v)) if out is None else out
    check_out(planes, target)
    if strength == 0:
        for source_plane, target_plane in zip(planes, target, strict=True):
            np.copyto(target_plane, source_plane)
        return target
    fuse_planes(
        planes,
        heads,
        reduced,
        legal=legal_codes(depth, code_range),
        highest=(1 << depth) - 1,
        shift=chroma_shift(subsampling, chroma_location),
        strength=strength,
        max_displacement_pixels=max_displacement_pixels,
        out=target,
        threads=threads,
    )
    return target


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
    if dispatch.by_processor(surface):
        fused = fuse(
            dispatch.planes_of(surface),
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
