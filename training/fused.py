"""The fused full-size step as a differentiable function, and reduction as the runtime does it.

The definition is `streamfx/generate/ops/fuse/definition.py`; a test compares the two. Legend of shapes:
B pictures, H x W full size, h x w reduced.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from streamfx.engine.families.warp_mask import FINE, HEAD_CHANNELS, INK_CHANNELS, WarpMask
from streamfx.engine.families.yuv_style import YuvStyle

# BT.709, full range, Y in [0, 1], U and V in [-0.5, 0.5]: the planes in which training fuses.
_KR, _KB = 0.2126, 0.0722
_TO_YUV = torch.tensor(
    [
        [_KR, 1 - _KR - _KB, _KB],
        [-_KR / (2 - 2 * _KB), -(1 - _KR - _KB) / (2 - 2 * _KB), 0.5],
        [0.5, -(1 - _KR - _KB) / (2 - 2 * _KR), -_KB / (2 - 2 * _KR)],
    ],
    dtype=torch.float64,
)
TO_YUV = _TO_YUV.float()
FROM_YUV = torch.linalg.inv(_TO_YUV).float()
PLANES_TO_RGB = functional.pad(FROM_YUV, (0, 1))  # affine: offsets are 0
RGB_TO_PLANES = functional.pad(TO_YUV, (0, 1))
LOWEST = (0.0, -0.5, -0.5)
HIGHEST = (1.0, 0.5, 0.5)


class _ReturningClamp(torch.autograd.Function):
    """Clamp whose gradient still passes where it leads back towards the range: a clamped value can
    recover."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        ctx.save_for_backward(x, low, high)
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        x, low, high = ctx.saved_tensors
        (gradient,) = gradients
        leads_away = ((x > high) & (gradient < 0)) | ((x < low) & (gradient > 0))
        return gradient.masked_fill(leads_away, 0.0), None, None


def returning_clamp(x: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """`x` clamped to [low, high]; outside, only gradients that would move `x` back inside are kept."""
    bounds = (torch.as_tensor(bound, device=x.device) for bound in (low, high))
    result: Tensor = _ReturningClamp.apply(x, *bounds)  # type: ignore[no-untyped-call]
    return result


def recolour(picture_B3HW: Tensor, matrix_33: Tensor) -> Tensor:
    """Picture with each pixel's three values multiplied by a 3x3 matrix."""
    return functional.conv2d(picture_B3HW, matrix_33[:, :, None, None].to(picture_B3HW))


def reduce(picture_BCHW: Tensor, factor: float) -> Tensor:
    """Picture made smaller by `factor`: every small pixel is the mean of the area it covers."""
    if factor == 1:
        return picture_BCHW
    height, width = picture_BCHW.shape[-2:]
    rows_hH, columns_wW = (
        area_weights(full, max(1, round(full / factor))).to(picture_BCHW.device) for full in (height, width)
    )
    return rows_hH @ picture_BCHW @ columns_wW.T


@lru_cache(maxsize=64)
def area_weights(full: int, small: int) -> Tensor:
    """Share of each of `full` samples in each of `small` ones that span the same length; rows sum to one."""
    length = full / small
    start = torch.arange(small, dtype=torch.float64)[:, None] * length
    sample = torch.arange(full, dtype=torch.float64)[None]
    covered = torch.minimum(start + length, sample + 1) - torch.maximum(start, sample)
    return (covered.clamp(min=0) / length).float()


def enlarge(heads_BChw: Tensor, height: int, width: int) -> Tensor:
    """Bilinear enlargement, half-pixel centres, edges clamped."""
    if heads_BChw.shape[-2:] == (height, width):
        return heads_BChw
    return functional.interpolate(heads_BChw, size=(height, width), mode="bilinear", align_corners=False)


def warp(picture_BCHW: Tensor, displacement_B2HW: Tensor) -> Tensor:
    """Picture sampled bilinearly at every pixel's position plus displacement (x, y in pixels), border
    clamped."""
    height, width = picture_BCHW.shape[-2:]
    columns_W = torch.arange(width, dtype=picture_BCHW.dtype, device=picture_BCHW.device)
    rows_H = torch.arange(height, dtype=picture_BCHW.dtype, device=picture_BCHW.device)
    x_BHW = (displacement_B2HW[:, 0] + columns_W) * (2 / max(width - 1, 1)) - 1
    y_BHW = (displacement_B2HW[:, 1] + rows_H[:, None]) * (2 / max(height - 1, 1)) - 1
    grid_BHW2 = torch.stack([x_BHW, y_BHW], dim=-1)
    return functional.grid_sample(
        picture_BCHW, grid_BHW2, mode="bilinear", padding_mode="border", align_corners=True
    )


def with_fine_luma(planes_B3HW: Tensor, reduced_B3hw: Tensor) -> Tensor:
    """Reduced planes followed by the fine luma, B(3 + 16)hw, as `streamfx.generate.ops.reduce` gives it."""
    height, width = reduced_B3hw.shape[-2:]
    luma_B1HW = planes_B3HW[:, :1]
    fine_B1HW = (
        reduce(luma_B1HW, luma_B1HW.shape[-1] / (FINE * width))
        if luma_B1HW.shape[-1] > FINE * width
        else enlarge(luma_B1HW, FINE * height, FINE * width)
    )
    squares_BKhw = functional.pixel_unshuffle(fine_B1HW, FINE)
    return torch.cat([reduced_B3hw, squares_BKhw - reduced_B3hw[:, :1]], dim=1)


def fuse(
    source_B3HW: Tensor,
    reduced_B3hw: Tensor,
    heads_BKhw: Tensor,
    lowest: tuple[float, float, float] = LOWEST,
    highest: tuple[float, float, float] = HIGHEST,
    max_displacement_pixels: float = 4.0,
    strength: float = 1.0,
) -> Tensor:
    """Full-size output planes B3HW, unrounded, for planes of equal size (4:4:4).

    Args:
        source_B3HW: Full-size planes.
        reduced_B3hw: The reduced planes that the network saw.
        heads_BKhw: Translated planes, mask, displacement x, y (reduced pixels), detail gain and, of 11 heads,
            offset, two slopes and amplitude of the ink; unclamped.
        lowest: Lowest code of each plane.
        highest: Highest code of each plane.
        max_displacement_pixels: Limit of the displacement, in reduced pixels.
        strength: Weight of the whole effect, 0..1.
    """
    height, width = source_B3HW.shape[-2:]
    low, high = (source_B3HW.new_tensor(codes).reshape(1, 3, 1, 1) for codes in (lowest, highest))
    heads_BKHW = enlarge(heads_BKhw, height, width)
    detail_B3HW = source_B3HW - enlarge(reduced_B3hw, height, width)
    translated_B3HW = heads_BKHW[:, :3]
    if heads_BKHW.shape[1] > HEAD_CHANNELS:
        inked_B1HW = translated_B3HW[:, :1] + ink(heads_BKHW[:, HEAD_CHANNELS:], detail_B3HW[:, :1])
        translated_B3HW = torch.cat([inked_B1HW, translated_B3HW[:, 1:]], dim=1)
    translated_B3HW = returning_clamp(translated_B3HW, low, high)
    mask_B1HW = strength * returning_clamp(heads_BKHW[:, 3:4], 0.0, 1.0)
    scale_12 = source_B3HW.new_tensor([width / heads_BKhw.shape[3], height / heads_BKhw.shape[2]])
    limited_B2HW = strength * returning_clamp(
        heads_BKHW[:, 4:6], -max_displacement_pixels, max_displacement_pixels
    )
    warped_B3HW = warp(source_B3HW, limited_B2HW * scale_12.reshape(1, 2, 1, 1))
    gain_B1HW = returning_clamp(heads_BKHW[:, 6:7], 0.0, 2.0)
    out_B3HW = mask_B1HW * (translated_B3HW + gain_B1HW * detail_B3HW) + (1 - mask_B1HW) * warped_B3HW
    return returning_clamp(out_B3HW, low, high)


def ink(ink_B4HW: Tensor, detail_B1HW: Tensor) -> Tensor:
    """What ink adds to the luma, B1HW, given its enlarged heads and the source's detail."""
    offset, rise, fall, amplitude = (ink_B4HW[:, head : head + 1] for head in range(INK_CHANNELS))
    answer_B1HW = offset + rise * detail_B1HW.clamp(min=0) + fall * detail_B1HW.clamp(max=0)
    return amplitude * returning_clamp(answer_B1HW, -1.0, 1.0)


def fuse_rgb(
    rgb_B3HW: Tensor, heads_B7hw: Tensor, factor: float, max_displacement_pixels: float, strength: float = 1.0
) -> Tensor:
    """Fused output of an RGB picture, RGB in [0, 1]: the step itself happens in YUV planes, as at run
    time."""
    planes_B3HW = recolour(rgb_B3HW, TO_YUV)
    heads_B7hw = torch.cat([recolour(heads_B7hw[:, :3], TO_YUV), heads_B7hw[:, 3:]], dim=1)
    fused_B3HW = fuse(
        planes_B3HW,
        reduce(planes_B3HW, factor),
        heads_B7hw,
        max_displacement_pixels=max_displacement_pixels,
        strength=strength,
    )
    return returning_clamp(recolour(fused_B3HW, FROM_YUV), 0.0, 1.0)


def complete(translated_B3hw: Tensor) -> Tensor:
    """Heads B7hw of a bare translation, which replaces the picture: mask 1, displacement and gain 0."""
    mask_B1hw = torch.ones_like(translated_B3hw[:, :1])
    return torch.cat([translated_B3hw, mask_B1hw, torch.zeros_like(translated_B3hw)], dim=1)


def heads_of(network: WarpMask, planes_B3HW: Tensor, reduced_B3hw: Tensor, factor: float) -> Tensor:
    """Heads BKhw, float32, that a network gives for YUV planes, the translated picture in such planes."""
    device = planes_B3HW.device
    seen_BNhw = with_fine_luma(planes_B3HW, reduced_B3hw) if network.fine else reduced_B3hw
    heads_BKhw: Tensor = network(
        seen_BNhw,
        PLANES_TO_RGB.to(device),
        RGB_TO_PLANES.to(device),
        torch.tensor([factor], device=device),
    )
    return heads_BKhw.float()


def paint(
    network: WarpMask,
    rgb_B3HW: Tensor,
    factor: float,
    max_displacement_pixels: float,
    precision: AbstractContextManager[object],
) -> tuple[Tensor, Tensor]:
    """Fused full-size output B3HW of a network for RGB pictures in [0, 1], and its heads BKhw, the translated
    picture in YUV planes.

    Height and width are multiples of 4 times the factor; gradients pass through the reduction as well.
    `precision` is the context in which the network runs.
    """
    planes_B3HW = recolour(rgb_B3HW, TO_YUV)
    reduced_B3hw = reduce(planes_B3HW, factor)
    with precision:
        heads_BKhw = heads_of(network, planes_B3HW, reduced_B3hw, factor)
    fused_B3HW = fuse(planes_B3HW, reduced_B3hw, heads_BKhw, max_displacement_pixels=max_displacement_pixels)
    return returning_clamp(recolour(fused_B3HW, FROM_YUV), 0.0, 1.0), heads_BKhw


def paint_whole(
    network: YuvStyle, rgb_B3HW: Tensor, factor: float, precision: AbstractContextManager[object]
) -> tuple[Tensor, Tensor]:
    """Full-size output B3HW of a network that paints the whole picture, for RGB pictures in [0, 1], and its
    heads BKhw as if they were to be fused, the translated picture in YUV planes."""
    reduced_B3hw = reduce(rgb_B3HW, factor)
    with precision:
        small_B3hw = network.translate(reduced_B3hw, torch.tensor([factor], device=rgb_B3HW.device)).float()
    output_B3HW = enlarge(small_B3hw, rgb_B3HW.shape[2], rgb_B3HW.shape[3])
    return returning_clamp(output_B3HW, 0.0, 1.0), complete(recolour(small_B3hw, TO_YUV))


def bare(rgb_13HW: Tensor, factor: float) -> Tensor:
    """The picture reduced and enlarged again, as the fused step does with a bare translation, in [0, 1].

    Sides are cut to multiples of four reduced pixels.
    """
    height, width = (int(side // (4 * factor) * 4 * factor) for side in rgb_13HW.shape[2:])
    full_13HW = rgb_13HW[:, :, :height, :width]
    return fuse_rgb(full_13HW, complete(reduce(full_13HW, factor)), factor, 1.0).clamp(0, 1)
