"""The matte of `definition.py`, and the mixing by it, for pictures on a device, by torch's own operations.

There a matte is a picture itself, of the layout of the frame it is of: 0..255 in the samples of all planes,
whatever their depth, and in chroma the mean of what a sample stands for. So it is kept, fetched and waited
for like any picture.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from streamfx.generate.ops.matte.definition import OPAQUE
from streamfx.media.surface import Surface

_UNSIGNED = 0xFFFF


def matte_on(surface: Surface, target: Surface, heads: Tensor, reduced: Tensor, not_finite: Tensor) -> None:
    """Write the matte of pictures to ``target``; see `matte_reference`.

    Args:
        surface: source. Not changed.
        target: surface like it, in other memory.
        heads: (B, 3, h, w) float32 or float16: person, rise and fall.
        reduced: (B, 1, h, w) of the same type, the luma that the network saw, in code values.
        not_finite: (B,) int32. Set to 1 for a picture with a head that is not finite, and else left alone.
    """
    broken = (~torch.isfinite(heads)).flatten(1).any(1)
    torch.maximum(not_finite, broken.to(torch.int32), out=not_finite)
    four = torch.cat([heads, reduced], dim=1).float()
    larger = functional.interpolate(four, size=surface.size, mode="bilinear", align_corners=False)
    person, rise, fall, seen = larger.unbind(1)
    detail = _codes(surface.planes[0], surface).float() - seen
    share = person + rise * detail.clamp(min=0) + fall * detail.clamp(max=0)
    matte = (share.nan_to_num(0.0).clamp(0, 1) * OPAQUE + 0.5).to(torch.int32)
    _store(target.planes[0], matte, target)
    chroma = _means(matte, surface.subsampling.steps)
    for plane in target.planes[1:]:
        _store(plane, chroma[..., None] if target.paired else chroma, target)


def mix_on(over: Surface, under: Surface, matte: Surface, target: Surface, *, inverted: bool) -> None:
    """Write pictures over others by a matte to ``target``, all of one layout; equal to `mix_reference`.

    Args:
        over: pictures that are seen where the matte is 255.
        under: pictures that are seen where it is 0.
        matte: surface that `matte_on` wrote.
        target: surface to write to, in other memory.
        inverted: whether the two change places.
    """
    front, back = (under, over) if inverted else (over, under)
    for own, other, share, out in zip(front.planes, back.planes, matte.planes, target.planes, strict=True):
        part = _codes(share, matte)
        sums = part * _codes(own, front) + (OPAQUE - part) * _codes(other, back) + OPAQUE // 2
        _store(out, torch.div(sums, OPAQUE, rounding_mode="floor"), target)


def _codes(plane: Tensor, surface: Surface) -> Tensor:
    """Return the values of a plane as int32."""
    if plane.dtype == torch.uint8:
        return plane.to(torch.int32)
    # Few operations of torch take uint16; the bits are the same.
    return (plane.view(torch.int16).to(torch.int32) & _UNSIGNED) >> surface.unused_bits


def _store(plane: Tensor, values: Tensor, surface: Surface) -> None:
    if plane.dtype == torch.uint8:
        plane.copy_(values)
    else:
        plane.view(torch.int16).copy_((values << surface.unused_bits).to(torch.int16))


def _means(matte_BHW: Tensor, steps: tuple[int, int]) -> Tensor:
    """Return the matte at the size of chroma: means, rounded, edges repeated."""
    step_y, step_x = steps
    height, width = matte_BHW.shape[1:]
    borders = (0, -width % step_x, 0, -height % step_y)
    padded = functional.pad(matte_BHW[:, None].float(), borders, mode="replicate")[:, 0]
    rows, columns = padded.shape[1] // step_y, padded.shape[2] // step_x
    sums = padded.reshape(-1, rows, step_y, columns, step_x).sum((2, 4))
    count = step_y * step_x
    means = torch.div(sums + count // 2, count, rounding_mode="floor")
    return means.to(torch.int32)
