"""Place, wherever the pixels are: full-size planes from the picture that a network gives.

`definition.py` says what comes out, the others do it fast. Where a frame has its pixels decides which: the
kernels for processors in main memory, those for GPUs on a GPU. Surfaces in main memory take the same flow
where there is no GPU, to compare; it is not meant to be fast there.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from streamfx.generate.ops import dispatch
from streamfx.generate.ops.fuse.definition import check_out
from streamfx.generate.ops.place.definition import NO_SHIFTS, Shifts, Small, check
from streamfx.generate.ops.surfaces import place_surface
from streamfx.gpu.layout import fill
from streamfx.media.array_memory import arrays
from streamfx.media.colour import legal_codes
from streamfx.media.frame import Colour, Frame, Planes, VideoFormat
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor

    from streamfx.generate.ops.surface_checks import SmallPlanes


def place(
    frame: Frame,
    small: Small,
    colour: Colour,
    *,
    strength: float = 1.0,
    added: bool = False,
    shifts: Shifts = NO_SHIFTS,
    out: Planes | None = None,
    threads: int | None = None,
) -> Planes:
    """Return the planes, within one code of `place_reference`.

    Safe to call from several threads at once; the interpreter lock is released while it computes.

    Args:
        frame: frame whose planes are replaced or added to. Not changed.
        small: Y, U and V, each (h, w) float32 of any size, in code values; they span the planes exactly.
        colour: colour of the frame, nothing in it unknown.
        strength: 0..1, how much of the small picture is seen, or how much of it is added.
        added: whether the small picture is added; else it takes the place of the frame's.
        shifts: place where the samples of each plane lie, from `shifts_of`; `NO_SHIFTS` for a small picture
            whose planes lie as those of the frame.
        out: planes to write to; new ones when None.
        threads: number of threads that share the rows; None for all cores this process may use.

    Raises:
        FrameError: the small picture is empty or not finite, strength is out of range, ``out`` does not fit.
    """
    from streamfx.generate.ops.place.cpu import place_planes

    check(small, strength)
    if out is None:
        y, u, v = (arrays.like(plane) for plane in frame.planes)
        out = (y, u, v)
    check_out(frame.planes, out)
    legal = legal_codes(frame.depth, colour.code_range)
    place_planes(
        frame.planes,
        small,
        out,
        shifts=shifts,
        legal=(legal[0], legal[1], legal[1]),
        highest=(1 << frame.depth) - 1,
        keep=1.0 if added else 1.0 - strength,
        amount=strength,
        clamped=not added,
        threads=threads,
    )
    return out


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
    if dispatch.by_processor(surface):
        form = VideoFormat(surface.size, surface.subsampling, surface.depth, colour, Fraction(1))
        y, u, v = (plane[0].numpy() for plane in small)
        placed = place(
            form.frame(dispatch.planes_of(surface), index=0, pts=0),
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
