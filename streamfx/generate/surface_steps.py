"""The steps of `reduce.py`, `fuse.py` and `place.py` on surfaces, that is, on a GPU.

Shape legend: B pictures, H x W luma samples, h x w pixels of the small picture. Nothing here waits for the
GPU: work is put on torch's current stream, and the steps can be captured in a CUDA graph once they have run
on the same sizes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from streamfx.errors import BackendUnavailableError, FrameError
from streamfx.frame import ChromaLocation, CodeRange
from streamfx.generate.colour import chroma_shift, legal_codes
from streamfx.generate.fuse import GAIN, HEAD_CHANNELS
from streamfx.generate.surface import Surface

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from streamfx.generate.fuse_gpu import FuseTile
    from streamfx.generate.place_triton import PlaceTile
    from streamfx.generate.reduce_triton import ReduceTile

SmallPlanes: TypeAlias = "tuple[Tensor, Tensor, Tensor]"


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
        heads: (B, 6 or 7, h, w) float32 or float16, any strides; the channels are those of `fuse.fuse`.
        reduced: (B, 3, h, w) float32 or float16, contiguous, what the network saw; with 7 heads only.
        code_range: limited or full; bounds the translated picture.
        chroma_location: where chroma samples lie; unknown counts as left-sited.
        strength: 0..1, one or one per picture. A tensor (1,) or (B,) float32 is read when the kernel runs,
            so that it can be changed between two replays of a CUDA graph; it is not checked.
        max_displacement_pixels: bound of the displacement, in small-picture pixels.
        not_finite: (B,) int32. Set to 1 for a picture with a head that is not finite, and else left alone,
            so that one look now and then tells of every frame since the last, whenever waiting costs
            nothing. The picture then is one all the same: what is not a number counts as the lowest it may
            be.
        out: where to write to: as ``surface``, in other memory; None: new memory.
        tile: what one program of the kernel does; None for what suits GPUs.

    Raises:
        FrameError: sizes, types or ranges do not fit together.
        BackendUnavailableError: Triton is not installed.
    """
    target = _target(surface, out)
    _check_heads(surface, heads, reduced)
    if not 0 <= max_displacement_pixels <= 4096:
        raise FrameError(
            f"fuse: the displacement bound must be 0 to 4096 pixels, found {max_displacement_pixels}"
        )
    amount = _amount(strength, surface)
    _check_flags(not_finite, surface)
    legal = legal_codes(surface.depth, code_range)
    try:
        from streamfx.generate import fuse_gpu
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
        shift: where chroma samples lie, (y, x) in samples: `colour.chroma_shift` for a small picture on one
            grid, (0, 0) for one whose planes lie as those of the source.
        strength: see `fuse_surface`.
        not_finite: see `fuse_surface`. What is not a number counts as the lowest code, or adds nothing.
        added: whether the small picture is added; else it takes the place of the source's.
        out: see `fuse_surface`.
        tile: see `fuse_surface`.

    Raises:
        FrameError: sizes, types or ranges do not fit together.
        BackendUnavailableError: Triton is not installed.
    """
    target = _target(surface, out)
    _check_small("place", surface, small)
    amount = _amount(strength, surface)
    _check_flags(not_finite, surface)
    legal = legal_codes(surface.depth, code_range)
    try:
        from streamfx.generate import place_triton
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
    out: Tensor | None = None,
    tile: ReduceTile | None = None,
) -> Tensor:
    """Return the reduced planes (B, 3, h, w) in code values, on one grid: `reduce.reduce_planes`.

    Args:
        surface: source. Not changed.
        small_size: (h, w) of the result in pixels.
        chroma_location: where chroma samples lie; unknown counts as left-sited.
        out: contiguous float32 or float16 to write to, for a network that computes in it; None: new memory,
            float32. Half precision holds code values up to 2048 to within half a code.
        tile: what one program of the kernel does; None for what suits GPUs.

    Raises:
        FrameError: the small size is empty, or ``out`` does not fit.
        BackendUnavailableError: Triton is not installed.
    """
    import torch

    shape = (surface.pictures, 3, *small_size)
    if min(small_size) < 1:
        raise FrameError(f"reduce: the result must have a pixel at least; asked for {small_size}")
    target = torch.empty(shape, dtype=torch.float32, device=surface.device) if out is None else out
    fits = tuple(target.shape) == shape and target.dtype in (torch.float32, torch.float16)
    if not fits or not target.is_contiguous() or target.device != surface.device:
        raise FrameError(
            f"reduce: output must be contiguous float32 or float16 of shape {shape} on {surface.device}; "
            f"found {target.dtype} {tuple(target.shape)} on {target.device}"
        )
    y, u, v = (target[:, index] for index in range(3))
    reduce_each(surface, (y, u, v), shift=chroma_shift(surface.subsampling, chroma_location), tile=tile)
    return target


def reduce_each(
    surface: Surface, small: SmallPlanes, *, shift: tuple[float, float], tile: ReduceTile | None = None
) -> None:
    """Write the reduced planes in code values, each to one of its own size.

    Args:
        surface: source. Not changed.
        small: Y, U and V to write to, as for `place_surface`; they span the planes exactly.
        shift: where chroma samples lie, see `place_surface`.
        tile: see `reduce_surface`.

    Raises:
        FrameError: sizes or types do not fit together.
        BackendUnavailableError: Triton is not installed.
    """
    _check_small("reduce", surface, small)
    try:
        from streamfx.generate import reduce_triton
    except ImportError as error:
        raise _without_triton(error) from error
    with _device_of(small[0]):
        reduce_triton.reduce_planes(surface, small, shift=shift, tile=tile or reduce_triton.ReduceTile())


def _device_of(tensor: Tensor) -> torch.cuda.device_of:
    """Return a context in which kernels are launched on the GPU of the tensor, and on its current stream."""
    import torch

    return torch.cuda.device_of(tensor)  # type: ignore[no-untyped-call]


def _without_triton(error: ImportError) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"the steps on a GPU need Triton, which cannot be imported ({error}): pip install 'streamfx[gpu]'"
    )


def _target(surface: Surface, out: Surface | None) -> Surface:
    """Return where to write to: ``out``, checked, or new memory."""
    if out is None:
        return surface.empty()
    same = all(plane.shape == other.shape for plane, other in zip(surface.planes, out.planes, strict=False))
    kinds = [(one.paired, one.subsampling, one.depth, one.unused_bits, one.device) for one in (surface, out)]
    if not same or kinds[0] != kinds[1]:
        raise FrameError(f"the output must be as the source, {surface}; found {out}")
    for name, plane, target in zip(surface.names, surface.planes, out.planes, strict=True):
        if plane.data_ptr() == target.data_ptr():
            raise FrameError(f"output plane {name} overlaps the source plane; give other memory")
    return out


def _check_heads(surface: Surface, heads: Tensor, reduced: Tensor | None) -> None:
    import torch

    kinds = (torch.float32, torch.float16)
    if (
        heads.ndim != 4
        or heads.shape[0] != surface.pictures
        or heads.shape[1] not in HEAD_CHANNELS
        or heads.numel() == 0
        or heads.dtype not in kinds
        or heads.device != surface.device
    ):
        raise FrameError(
            f"fuse: heads must be float32 or float16 of shape ({surface.pictures}, 6 or 7, height, width) on "
            f"{surface.device}; found {heads.dtype} {tuple(heads.shape)} on {heads.device}"
        )
    if heads.shape[1] <= GAIN:
        return
    shape = (surface.pictures, 3, *heads.shape[2:])
    if reduced is None or tuple(reduced.shape) != shape or reduced.dtype not in kinds:
        found = "none" if reduced is None else f"{reduced.dtype} {tuple(reduced.shape)}"
        raise FrameError(f"fuse: heads with detail gain need the reduced planes, {shape}; found {found}")
    if not reduced.is_contiguous() or reduced.device != surface.device:
        raise FrameError(f"fuse: the reduced planes must be contiguous and on {surface.device}")


def _check_small(step: str, surface: Surface, small: SmallPlanes) -> None:
    import torch

    for name, plane in zip("YUV", small, strict=True):
        fits = plane.ndim == 3 and plane.shape[0] == surface.pictures and plane.numel() > 0
        kind = plane.dtype in (torch.float32, torch.float16) and plane.device == surface.device
        if not fits or not kind or plane.stride(2) != 1:
            raise FrameError(
                f"{step}: small plane {name} must be float32 or float16 of shape ({surface.pictures}, "
                f"height, width) on {surface.device}, rows contiguous; found {plane.dtype} "
                f"{tuple(plane.shape)} on {plane.device}"
            )
    if small[1].shape != small[2].shape or small[1].stride() != small[2].stride():
        raise FrameError(
            f"{step}: small U and V must be of one size and padding; found {tuple(small[1].shape)} and "
            f"{tuple(small[2].shape)}, strides {small[1].stride()} and {small[2].stride()}"
        )


def _amount(strength: Tensor | float, surface: Surface) -> Tensor:
    import torch

    if not isinstance(strength, torch.Tensor):
        if not 0 <= strength <= 1:
            raise FrameError(f"strength must be 0 to 1, found {strength}")
        strength = torch.full((1,), strength, dtype=torch.float32, device=surface.device)
    _check_per_picture("strength", strength, torch.float32, (1, surface.pictures), surface)
    return strength


def _check_flags(not_finite: Tensor, surface: Surface) -> None:
    import torch

    _check_per_picture("not_finite", not_finite, torch.int32, (surface.pictures,), surface)


def _check_per_picture(
    name: str, values: Tensor, dtype: torch.dtype, lengths: tuple[int, ...], surface: Surface
) -> None:
    if (
        values.ndim != 1
        or len(values) not in lengths
        or values.dtype != dtype
        or values.device != surface.device
    ):
        raise FrameError(
            f"{name} must be {dtype} of length {lengths[-1]} on {surface.device}; found {values.dtype} "
            f"{tuple(values.shape)} on {values.device}"
        )
