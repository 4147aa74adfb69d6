"""What the steps on surfaces are given must fit together: sizes, types, ranges, devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from streamfx.errors import FrameError
from streamfx.generate.ops.fuse.definition import GAIN, HEAD_CHANNELS
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SmallPlanes: TypeAlias = "tuple[Tensor, Tensor, Tensor]"


def target_of(surface: Surface, out: Surface | None) -> Surface:
    """Return where to write to: ``out``, checked, or new memory.

    Raises:
        FrameError: it is not as the source, or in the same memory.
    """
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


def check_heads(surface: Surface, heads: Tensor, reduced: Tensor | None) -> None:
    """Check that pictures, heads and reduced planes fit together.

    Raises:
        FrameError: they do not.
    """
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
            f"fuse: heads must be float32 or float16 of shape ({surface.pictures}, 6, 7 or 11, height, "
            f"width) on {surface.device}; found {heads.dtype} {tuple(heads.shape)} on {heads.device}"
        )
    if heads.shape[1] <= GAIN:
        return
    shape = (surface.pictures, 3, *heads.shape[2:])
    if reduced is None or tuple(reduced.shape) != shape or reduced.dtype not in kinds:
        found = "none" if reduced is None else f"{reduced.dtype} {tuple(reduced.shape)}"
        raise FrameError(f"fuse: heads with detail gain need the reduced planes, {shape}; found {found}")
    if not reduced[0].is_contiguous() or reduced.device != surface.device:
        raise FrameError(f"fuse: the reduced planes must be contiguous and on {surface.device}")


def check_small(step: str, surface: Surface, small: SmallPlanes) -> None:
    """Check that small planes fit to pictures, for a step that the message names.

    Raises:
        FrameError: they do not.
    """
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


def amount_of(strength: Tensor | float, surface: Surface) -> Tensor:
    """Return the strength as a tensor of one, or one per picture.

    Raises:
        FrameError: it is beyond 0..1, or a tensor of another kind.
    """
    import torch

    if not isinstance(strength, torch.Tensor):
        if not 0 <= strength <= 1:
            raise FrameError(f"strength must be 0 to 1, found {strength}")
        strength = torch.full((1,), strength, dtype=torch.float32, device=surface.device)
    _check_per_picture("strength", strength, torch.float32, (1, surface.pictures), surface)
    return strength


def check_flags(not_finite: Tensor, surface: Surface) -> None:
    """Check that there is a flag for each picture.

    Raises:
        FrameError: there is not.
    """
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
