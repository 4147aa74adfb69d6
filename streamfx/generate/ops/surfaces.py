"""The operations `reduce`, `fuse` and `place` (see `definition.py` of each) on surfaces, that is, on a GPU.

Shape legend: B pictures, H x W luma samples, h x w pixels of the small picture. Nothing here waits for the
GPU: work is put on torch's current stream, and the steps can be captured in a CUDA graph once they have run
on the same sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamfx.errors import BackendUnavailableError, FrameError
from streamfx.generate.ops.surface_checks import (
    SmallPlanes,
    amount_of,
    check_flags,
    check_heads,
    check_small,
    target_of,
)
from streamfx.media.colour import chroma_shift, legal_codes
from streamfx.media.frame import ChromaLocation, CodeRange
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from streamfx.generate.ops.fuse.triton import FuseTile
    from streamfx.generate.ops.place.triton import PlaceTile
    from streamfx.generate.ops.reduce.triton import ReduceTile


def fuse_surface(
    surface: Surface,
    heads: Tensor,
    reduced: Tensor | None,
    *,
    code_range: CodeRange,
    chroma_location: ChromaLocation,
    strength: Tensor | float,
    max_displacement_pixels: float,
    not_finite: Tensor,
    out: Surface | None = None,
    tile: FuseTile | None = None,
) -> Surface:
    """Return the fused pictures, within one code of `fuse.fuse_reference`.

    Args:
        surface: source. Not changed.
        heads: (B, 6, 7 or 11, h, w) float32 or float16, any strides; the channels are those of `fuse.fuse`.
        reduced: (B, 3, h, w) float32 or float16, what the network saw, the planes of each picture contiguous;
            with 7 heads or more only.
        code_range: limited or full; bounds the translated picture.
        chroma_location: place where chroma samples lie; unknown counts as left-sited.
        strength: 0..1, one or one per picture. A tensor (1,) or (B,) float32 is read when the kernel runs,
            so that it can be changed between two replays of a CUDA graph; it is not checked.
        max_displacement_pixels: bound of the displacement, in small-picture pixels.
        not_finite: (B,) int32. Set to 1 for a picture with a head that is not finite, and else left alone,
            so that one look now and then tells of every frame since the last, whenever waiting costs
            nothing. The picture then is one all the same: what is not a number counts as the lowest it may
            be.
        out: surface to write to, like ``surface``, in other memory; None: new memory.
        tile: block of samples that one program of the kernel computes; None for one that suits GPUs.

    Raises:
        FrameError: sizes, types or ranges do not fit together.
        BackendUnavailableError: Triton is not installed.
    """
    target = target_of(surface, out)
    check_heads(surface, heads, reduced)
    if not 0 <= max_displacement_pixels <= 4096:
        raise FrameError(
            f"fuse: the displacement bound must be 0 to 4096 pixels, found {max_displacement_pixels}"
        )
    amount = amount_of(strength, surface)
    check_flags(not_finite, surface)
    legal = legal_codes(surface.depth, code_range)
    try:
        from streamfx.generate.ops.fuse import triton as fuse_gpu
    except ImportError as error:
        raise _without_triton(error) from error
    with _device_of(heads):
        fuse_gpu.fuse_planes(
            surface,
            target,
            heads,
            reduced,
            amount,
            not_finite,
            legal=legal,
            shift=chroma_shift(surface.subsampling, chroma_location),
            max_displacement_pixels=max_displacement_pixels,
            tile=tile or fuse_gpu.FuseTile(),
        )
    return target


def place_surface(
    surface: Surface,
    small: SmallPlanes,
    *,
    code_range: CodeRange,
    shift: tuple[float, float],
    strength: Tensor | float,
    not_finite: Tensor,
    added: bool = False,
    out: Surface | None = None,
    tile: PlaceTile | None = None,
) -> Surface:
    """Return the pictures with the small one in their place, or added; within one code of
    `place.place_reference`.

    Args:
        surface: source. Not changed.
        small: Y, U and V, each (B, h, w) float32 or float16 in code values, rows contiguous; U and V of one
            size and one padding. They span the planes exactly.
        code_range: limited or full; bounds the small picture where it takes the place of the source's.
        shift: place where chroma samples lie, (y, x) in samples: `colour.chroma_shift` for a small
            picture on one grid, (0, 0) for one whose planes lie as those of the source.
        strength: 0..1, one or one per picture; a tensor is read when the kernel runs, as in `fuse_surface`.
        not_finite: (B,) int32. Set to 1 for a picture whose small one is not finite, and else left alone.
            What is not a number counts as the lowest code, or adds nothing.
        added: whether the small picture is added; else it takes the place of the source's.
        out: surface to write to, like ``surface``, in other memory; None: new memory.
        tile: block of samples that one program of the kernel computes; None for one that suits GPUs.

    Raises:
        FrameError: sizes, types or ranges do not fit together.
        BackendUnavailableError: Triton is not installed.
    """
    target = target_of(surface, out)
    check_small("place", surface, small)
    amount = amount_of(strength, surface)
    check_flags(not_finite, surface)
    legal = legal_codes(surface.depth, code_range)
    try:
        from streamfx.generate.ops.place import triton as place_triton
    except ImportError as error:
        raise _without_triton(error) from error
    with _device_of(small[0]):
        place_triton.place_planes(
            surface,
            target,
            small,
            amount,
            not_finite,
            added=added,
            legal=legal,
            shift=shift,
            tile=tile or place_triton.PlaceTile(),
        )
    return target


def reduce_surface(
    surface: Surface,
    small_size: tuple[int, int],
    *,
    chroma_location: ChromaLocation,
    fine: int = 0,
    out: Tensor | None = None,
    tile: ReduceTile | None = None,
) -> Tensor:
    """Return the reduced planes (B, 3, h, w) in code values, on one grid: `reduce.reduce_planes`; and after
    them, where asked for, the fine luma: `fine_luma.fine_luma`.

    Args:
        surface: source. Not changed.
        small_size: (h, w) of the result in pixels.
        chroma_location: place where chroma samples lie; unknown counts as left-sited.
        fine: ratio, each way, of the luma that ``fine * fine`` more channels hold to the reduced picture; 0:
            none.
        out: contiguous float32 or float16 to write to, for a network that computes in it; None: new memory,
            float32. Half precision holds code values up to 2048 to within half a code.
        tile: block of samples that one program of the kernel computes; None for one that suits GPUs.

    Raises:
        FrameError: the small size is empty, or ``out`` does not fit.
        BackendUnavailableError: Triton is not installed.
    """
    import torch

    shape = (surface.pictures, 3 + fine * fine, *small_size)
    if min(small_size) < 1:
        raise FrameError(f"reduce: the result must have a pixel at least; asked for {small_size}")
    target = torch.empty(shape, dtype=torch.float32, device=surface.device) if out is None else out
    fits = tuple(target.shape) == shape and target.dtype in (torch.float32, torch.float16)
    if not fits or not target.is_contiguous() or target.device != surface.device:
        raise FrameError(
            f"reduce: output must be contiguous float32 or float16 of shape {shape} on {surface.device}; "
            f"found {target.dtype} {tuple(target.shape)} on {target.device}"
        )
    shift = chroma_shift(surface.subsampling, chroma_location)
    _reduce(surface, tuple(target[:, :3].unbind(1)), shift, tile, fine=target[:, 3:] if fine else None)
    return target


def reduce_each(
    surface: Surface, small: SmallPlanes, *, shift: tuple[float, float], tile: ReduceTile | None = None
) -> None:
    """Write the reduced planes in code values, each to one of its own size.

    Args:
        surface: source. Not changed.
        small: Y, U and V to write to, as for `place_surface`; they span the planes exactly.
        shift: place where chroma samples lie, see `place_surface`.
        tile: block of samples that one program of the kernel computes; None for one that suits GPUs.

    Raises:
        FrameError: sizes or types do not fit together.
        BackendUnavailableError: Triton is not installed.
    """
    check_small("reduce", surface, small)
    _reduce(surface, small, shift, tile)


def _reduce(
    surface: Surface,
    small: Sequence[Tensor],
    shift: tuple[float, float],
    tile: ReduceTile | None,
    fine: Tensor | None = None,
) -> None:
    """Write reduced planes to Y, U and V, and fine luma to channels padded as Y is; all checked."""
    try:
        from streamfx.generate.ops.reduce import triton as reduce_triton
    except ImportError as error:
        raise _without_triton(error) from error
    with _device_of(small[0]):
        reduce_triton.reduce_planes(
            surface, small, fine, shift=shift, tile=tile or reduce_triton.ReduceTile()
        )


def _device_of(tensor: Tensor) -> torch.cuda.device_of:
    """Return a context in which kernels are launched on the GPU of the tensor, and on its current stream."""
    import torch

    return torch.cuda.device_of(tensor)  # type: ignore[no-untyped-call]


def _without_triton(error: ImportError) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"the steps on a GPU need Triton, which cannot be imported ({error}): pip install 'streamfx[gpu]'"
    )
