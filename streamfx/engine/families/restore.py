"""Restoration: what has to be added to a damaged picture to make it good again.

Legend of shapes: B pictures, H x W picture (multiples of 8), N, M, L channels near, in the middle, low.

    planes B3HW --colour matrix, pixel unshuffle--> B12(H/2)(W/2) --stem, factor, blocks--> near BN(H/2)(W/2)
    near --stride 2, blocks--> middle BM(H/4)(W/4) --stride 2, blocks--> low BL(H/8)(W/8)
    low --narrow, bilinear x2, plus middle, blocks--> BM(H/4)(W/4)
        --narrow, bilinear x2, plus near, blocks--> BN(H/2)(W/2)
        --head, pixel shuffle, colour matrix--> residual B3HW

So the network runs at half the size and below, and yet sees every pixel: those of a square are channels (Shi
et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
Network", 2016). Squares of 4 pixels, at a quarter of the size, learn much more slowly for the same price.

A U of residual blocks in the manner of Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for
Biomedical Image Segmentation" (2015) and Lim et al., "Enhanced Deep Residual Networks for Single Image
Super-Resolution" (2017): no normalisation, so that a tile of a picture gives what the whole picture gives.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS = ("residual",)
STRIDE = 8
_SCALE = 4.0  # of what the network sees: its deviation is then about 1
_STEP = 0.1
"""Of the residual. A residual is small: with 1, each step of an optimiser shifts whole pictures visibly."""


class Block(nn.Module):
    """Residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features_BChw: Tensor) -> Tensor:
        inner_BChw = functional.relu(self.first(features_BChw))
        out_BChw: Tensor = features_BChw + self.second(inner_BChw)
        return out_BChw


class Restore(nn.Module):
    """U-shaped network without normalisation that gives a residual of the picture's own size.

    Args:
        near: Channels at half size.
        middle: Channels at a quarter.
        low: Channels at an eighth.
        near_blocks: Residual blocks on each side of the U at half size.
        middle_blocks: Blocks at a quarter.
        low_blocks: Residual blocks at an eighth.

    Example:
        >>> import torch
        >>> rows = torch.eye(3, 4)
        >>> Restore()(torch.rand(1, 3, 32, 48), rows, rows, torch.tensor([1.0])).shape
        torch.Size([1, 3, 32, 48])
    """

    def __init__(
        self,
        near: int = 24,
        middle: int = 48,
        low: int = 80,
        near_blocks: int = 1,
        middle_blocks: int = 1,
        low_blocks: int = 3,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(12, near, 3, padding=1)
        self.factor = nn.Parameter(torch.zeros(near))
        self.near_in = _blocks(near, near_blocks)
        self.to_middle = nn.Conv2d(near, middle, 3, stride=2, padding=1)
        self.middle_in = _blocks(middle, middle_blocks)
        self.to_low = nn.Conv2d(middle, low, 3, stride=2, padding=1)
        self.low = _blocks(low, low_blocks)
        self.from_low = nn.Conv2d(low, 2 * middle, 1)
        self.middle_out = _blocks(middle, middle_blocks)
        self.from_middle = nn.Conv2d(middle, 2 * near, 1)
        self.near_out = _blocks(near, near_blocks)
        self.head = nn.Conv2d(near + 12, 12, 3, padding=1)
        self.margin_pixels = _margin(near_blocks, middle_blocks, low_blocks)
        self._start_as_identity()

    def forward(
        self, planes_B3HW: Tensor, to_rgb_34: Tensor, from_rgb_34: Tensor, factor_1: Tensor
    ) -> Tensor:
        """Residual for planes.

        Args:
            planes_B3HW: Y, U, V of the reduced picture in code values, all at one size, multiples of 8.
            to_rgb_34: Affine matrix from code values to RGB in [0, 1]; its last column is the offset.
            from_rgb_34: Affine matrix from RGB in [0, 1] to code values.
            factor_1: Full size divided by reduced size, at least 1.

        Returns:
            B3HW: residual to add to Y, U, V, in code values.
        """
        grey_3 = from_rgb_34 @ from_rgb_34.new_tensor([0.5, 0.5, 0.5, 1.0])
        squares_B12hw = functional.pixel_unshuffle(planes_B3HW - grey_3[:, None, None], 2)
        return self._residual(squares_B12hw, factor_1, (_SCALE * to_rgb_34[:, :3], from_rgb_34[:, :3]))

    def translate(self, rgb_B3HW: Tensor, factor_1: Tensor) -> Tensor:
        """Residual of a picture in RGB, in [0, 1], in RGB as well."""
        return self._residual(functional.pixel_unshuffle(_SCALE * (rgb_B3HW - 0.5), 2), factor_1)

    def _residual(
        self, squares_B12hw: Tensor, factor_1: Tensor, there_and_back: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Residual of squares in RGB; or in other colours, with the matrices that take them there and back.
        These become part of the first and the last convolution: two passes over the whole picture less."""
        stem, head, bias = self.stem.weight, _STEP * self.head.weight, self.head.bias
        assert bias is not None
        bias = _STEP * bias
        if there_and_back is not None:
            there_33, back_33 = there_and_back
            near = self.stem.out_channels
            stem = _reading(stem, there_33)
            head = torch.cat([head[:, :near], _reading(head[:, near:], there_33)], dim=1)
            head, bias = _writing(head, back_33), _writing(bias, back_33)
        shift_N11 = (self.factor * torch.log2(factor_1))[:, None, None]
        near_BNhw = functional.conv2d(squares_B12hw, stem, self.stem.bias, padding=1)
        near_BNhw = self.near_in(near_BNhw + shift_N11)
        middle = self.middle_in(functional.relu(self.to_middle(near_BNhw)))
        low = self.low(functional.relu(self.to_low(middle)))
        middle = self.middle_out(_modulated(middle, self.from_low(low)))
        near_BNhw = self.near_out(_modulated(near_BNhw, self.from_middle(middle)))
        seen = torch.cat([near_BNhw, squares_B12hw], dim=1)
        return functional.pixel_shuffle(functional.conv2d(seen, head, bias, padding=1), 2)

    def _start_as_identity(self) -> None:
        """Begin with features of one size at every level, blocks that add little and no residual at all."""
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                    assert module.bias is not None
                    module.bias.zero_()
            for module in self.modules():
                if isinstance(module, Block):
                    module.second.weight.mul_(0.3)
            for gate in (self.from_low, self.from_middle):
                gate.weight.mul_(0.3)
            self.head.weight.zero_()


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width) for _ in range(count)))


def _reading(weight_N12kk: Tensor, matrix_33: Tensor) -> Tensor:
    """Weights for squares of other colours, from which the matrix makes those that the given ones are for."""
    by_colour_N3K = weight_N12kk.reshape(-1, 3, 4 * 3 * 3)
    return (matrix_33.T @ by_colour_N3K).reshape_as(weight_N12kk)


def _writing(values_12: Tensor, matrix_33: Tensor) -> Tensor:
    """Weights or biases of a convolution that gives squares of the colours that the matrix makes of those
    that the given ones give."""
    return (matrix_33 @ values_12.reshape(3, -1)).reshape_as(values_12)


def _modulated(features_BCHW: Tensor, below_B2Chw: Tensor) -> Tensor:
    """Features scaled and shifted by what the level below found: it says how much to smooth where."""
    scale_BCHW, shift_BCHW = functional.interpolate(
        below_B2Chw, scale_factor=2.0, mode="bilinear", align_corners=False
    ).chunk(2, dim=1)
    return features_BCHW * (1 + scale_BCHW) + shift_BCHW


def _margin(near_blocks: int, middle_blocks: int, low_blocks: int) -> int:
    """How far a pixel reaches, in pixels, as a multiple of the stride.

    Each 3x3 convolution reaches one pixel of its size further, each enlargement one of the smaller size; a
    square of 8 pixels is the smallest that all sizes share.
    """
    half = 2 * (2 + 1 + 4 * near_blocks)  # stem, head, step to the middle, blocks of both sides
    quarter = 4 * (1 + 1 + 4 * middle_blocks)
    eighth = 8 * (1 + 2 * low_blocks)
    return -(-(half + quarter + eighth) // STRIDE) * STRIDE
