"""Noise-conditioned conversion, then super-resolution: a reduced picture is repainted, then drawn twice as
large; after US10430683B2.

Legend of shapes: B pictures, H x W reduced picture (multiples of 4), N + M channels of noise of the stages,
S channels at H/2, T at H/4, E of the enlarging sub-networks, A anchor factors.

    planes, noise B(3+N+M)HW --colour matrix--> RGB B3HW
    conversion: RGB, N --conv, down, norm--> BS(H/2)(W/2) --conv, down, norm--> BT(H/4)(W/4)
        --residual modules (conv, norm)--> same --up, norm, conv--> BS(H/2)(W/2) --up, norm, conv--> RGB B3HW
    super-resolution: converted, M --conv, conv, enhancement layer (up)--> B1(2H)(2W), one each for Y, U and V
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamfx.engine.families.layers import (
    after_composite,
    folding,
    normalise_doubled,
    smooth,
    start_without_grid,
)
from streamfx.engine.families.warp_mask import FactorConv, affine, anchor_mix, normalise
from streamfx.engine.families.yuv_style import FROM_YUV, TO_YUV

HEADS = ("translated",)
STRIDE = 4
SCALE = 2

_SPREAD = 4.0  # what pictures around 0 are multiplied by: deviations near 1
_BRUSH = 0.1  # what painted planes are multiplied by: their last layer sums hundreds of values near 1


class Converter(nn.Module):
    """Conversion stage: RGB in, RGB out, at one size; noise varies how it is painted.

    Args:
        noise: N.
        stem: S, a multiple of 4.
        width: T, a multiple of 4.
        blocks: Residual modules.
        joint: Whether the norms of the up-scale modules come after the doubling, as in the source.
    """

    folding: Tensor

    def __init__(self, noise: int, stem: int, width: int, blocks: int, *, joint: bool = False) -> None:
        super().__init__()
        self.joint = joint
        self.halve = FactorConv(3 + noise, stem, 5)
        self.quarter = FactorConv(stem, width)
        self.residual = nn.ModuleList(FactorConv(width, width) for _ in range(blocks))
        self.wider = FactorConv(width, stem, 5)
        self.full = FactorConv(stem, 3, 5)
        self.register_buffer("folding", folding(5), persistent=False)
        for up in (self.wider, self.full):
            start_without_grid(up)

    def forward(self, rgb_B3HW: Tensor, noise_BNHW: Tensor, mix_A: Tensor) -> Tensor:
        """RGB B3HW, unclamped."""
        x = torch.cat([(rgb_B3HW - 0.5) * _SPREAD, noise_BNHW], dim=1)
        for down in (self.halve, self.quarter):
            x = normalise(functional.avg_pool2d(functional.relu(down(x, mix_A)), 2), "instance")
        for residual in self.residual:
            x = x + normalise(functional.relu(residual(x, mix_A)), "instance")
        norm = normalise_doubled if self.joint else partial(normalise, norm="instance")
        x = functional.relu(after_composite(norm(x), self.wider, mix_A, self.folding))
        x = norm(smooth(functional.pixel_shuffle(x, 2)))
        x = functional.pixel_shuffle(after_composite(x, self.full, mix_A, self.folding), 2)
        return 0.5 + _BRUSH * smooth(x)


class PlaneEnlarger(nn.Module):
    """Sub-network that enlarges one plane: two convolutions and an enhancement layer."""

    folding: Tensor

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first = FactorConv(inputs, width)
        self.second = FactorConv(width, width)
        self.enhance = FactorConv(width, 1, 5)
        self.register_buffer("folding", folding(5), persistent=False)
        start_without_grid(self.enhance)

    def forward(self, seen_BIHW: Tensor, mix_A: Tensor) -> Tensor:
        """Plane B4HW, the four values of each block as channels."""
        x = functional.relu(self.second(functional.relu(self.first(seen_BIHW, mix_A)), mix_A))
        return after_composite(x, self.enhance, mix_A, self.folding)


class Enlarger(nn.Module):
    """Super-resolution stage: RGB in, Y, U and V twice as large out, from three equal sub-networks.

    Args:
        noise: M.
        width: E, a multiple of 4.
    """

    to_yuv: Tensor

    def __init__(self, noise: int, width: int) -> None:
        super().__init__()
        self.planes = nn.ModuleList(PlaneEnlarger(3 + noise, width) for _ in range(3))
        self.register_buffer("to_yuv", TO_YUV.clone(), persistent=False)

    def forward(self, rgb_B3HW: Tensor, noise_BMHW: Tensor, mix_A: Tensor) -> Tensor:
        """Y, U, V B3(2H)(2W): the bilinear enlargement and what the sub-networks add to it."""
        yuv_B3HW = affine(rgb_B3HW, functional.pad(self.to_yuv, (0, 1)))
        seen = torch.cat([yuv_B3HW * _SPREAD, noise_BMHW], dim=1)
        added_B12HW = torch.cat([plane(seen, mix_A) for plane in self.planes], dim=1)
        wide_B3HW = functional.interpolate(yuv_B3HW, scale_factor=2.0, mode="bilinear", align_corners=False)
        return wide_B3HW + _BRUSH * smooth(functional.pixel_shuffle(added_B12HW, 2))


class ConvertSr(nn.Module):
    """Conversion and super-resolution in a row.

    Args:
        convert_noise: N.
        enlarge_noise: M.
        stem: S.
        width: T.
        blocks: Residual modules of the converter.
        enlarge_width: E.
        joint: Whether the converter's up-scale modules double, normalise and convolve in that order, as in
            the source; else each map is normalised by itself before it is doubled.

    Example:
        >>> import torch
        >>> rows = torch.eye(3, 4)
        >>> ConvertSr(2, 1)(torch.rand(1, 6, 32, 48), rows, rows, torch.tensor([4.0])).shape
        torch.Size([1, 3, 64, 96])
    """

    from_yuv: Tensor

    def __init__(
        self,
        convert_noise: int = 2,
        enlarge_noise: int = 1,
        stem: int = 16,
        width: int = 48,
        blocks: int = 4,
        enlarge_width: int = 8,
        *,
        joint: bool = False,
    ) -> None:
        super().__init__()
        self.convert_noise = convert_noise
        self.noise_channels = convert_noise + enlarge_noise
        self.converter = Converter(convert_noise, stem, width, blocks, joint=joint)
        self.enlarger = Enlarger(enlarge_noise, enlarge_width)
        self.register_buffer("from_yuv", FROM_YUV.clone(), persistent=False)

    def forward(
        self, planes_BCHW: Tensor, to_rgb_34: Tensor, from_rgb_34: Tensor, factor_1: Tensor
    ) -> Tensor:
        """Converted planes B3(2H)(2W) in code values, unclamped.

        Args:
            planes_BCHW: Y, U, V of the reduced picture in code values, then N and M channels of noise.
            to_rgb_34: Affine matrix from code values to RGB in [0, 1]; its last column is the offset.
            from_rgb_34: Affine matrix from RGB in [0, 1] to code values.
            factor_1: Full size divided by reduced size, at least 1.
        """
        mix_A = anchor_mix(factor_1)
        converted_B3HW = self.convert(affine(planes_BCHW[:, :3], to_rgb_34), planes_BCHW[:, 3:], mix_A)
        yuv_B3HW = self.enlarger(converted_B3HW, planes_BCHW[:, 3 + self.convert_noise :], mix_A)
        linear_33 = from_rgb_34[:, :3] @ self.from_yuv
        return affine(yuv_B3HW, torch.cat([linear_33, from_rgb_34[:, 3:]], dim=1))

    def convert(self, rgb_B3HW: Tensor, noise_BLHW: Tensor, mix_A: Tensor) -> Tensor:
        """Converted RGB B3HW, clamped to [0, 1]; of the noise the first N channels count."""
        converted_B3HW: Tensor = self.converter(rgb_B3HW, noise_BLHW[:, : self.convert_noise], mix_A)
        return converted_B3HW.clamp(0, 1)

    def translate(self, seen_BCHW: Tensor, factor_1: Tensor) -> Tensor:
        """Converted picture, twice as large, of one in RGB, in [0, 1], with noise; in RGB as well."""
        unchanged_34 = torch.eye(3, 4, device=seen_BCHW.device)
        result_B3HW: Tensor = self(seen_BCHW, unchanged_34, unchanged_34, factor_1)
        return result_B3HW
