"""Restoration: what has to be added to a damaged picture to make it good again.

Legend of shapes: B pictures, H x W picture (multiples of 4 S), S x S the squares that become one place of the
network, K = 3 S² their values, h x w = H/S x W/S places, N, M, L channels near, in the middle, low.

    planes B3HW --colour matrix, pixel unshuffle--> BKhw --stem, factor, blocks--> near BNhw
    near --stride 2, blocks--> middle BM(h/2)(w/2) --stride 2, blocks--> low BL(h/4)(w/4)
    low --narrow, bilinear x2, plus middle, blocks--> BM(h/2)(w/2)
        --narrow, bilinear x2, plus near, blocks--> BNhw
        --head, pixel shuffle, colour matrix--> residual B3HW

The whole network runs at reduced resolution, and yet nothing of the picture is lost: its pixels are channels
(Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
Neural Network", 2016). Squares of 4 make frames of 720p cost a quarter of what squares of 2 do.

A U of residual blocks in the manner of Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for
Biomedical Image Segmentation" (2015) and Lim et al., "Enhanced Deep Residual Networks for Single Image
Super-Resolution" (2017): no normalisation, so that a tile of a picture gives what the whole picture gives.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS = ("residual",)
SQUARE = 2
"""Side of the squares, in pixels, where nothing is said."""
_LEVELS = 4  # times: the low level is so much smaller than the near one
_SCALE = 4.0  # of what the network sees: deviations of pictures are then about 1
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
        near: Channels at the size of the squares.
        middle: Channels at half of it.
        low: Channels at a quarter of it.
        near_blocks: Residual blocks on each side of the U at the size of the squares.
        middle_blocks: Residual blocks on each side at half of it.
        low_blocks: Residual blocks at a quarter of it.
        square: Side of the squares, in pixels.
        lean: No blocks near on the way down, and a head that sees features alone: the large sizes are where
            time goes.

    Attributes:
        margin_pixels: How far a pixel reaches.
        stride: Divisor of height and width of the picture, in pixels.

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
        square: int = SQUARE,
        lean: bool = False,
    ) -> None:
        super().__init__()
        self._square, self._lean, self._near = square, lean, near
        values = 3 * square**2
        near_in_blocks = 0 if lean else near_blocks
        self.stem = nn.Conv2d(values, near, 3, padding=1)
        self.factor = nn.Parameter(torch.zeros(near))
        self.near_in = _blocks(near, near_in_blocks)
        self.to_middle = nn.Conv2d(near, middle, 3, stride=2, padding=1)
        self.middle_in = _blocks(middle, middle_blocks)
        self.to_low = nn.Conv2d(middle, low, 3, stride=2, padding=1)
        self.low = _blocks(low, low_blocks)
        self.from_low = nn.Conv2d(low, 2 * middle, 1)
        self.middle_out = _blocks(middle, middle_blocks)
        self.from_middle = nn.Conv2d(middle, 2 * near, 1)
        self.near_out = _blocks(near, near_blocks)
        self.head = nn.Conv2d(near if lean else near + values, values, 3, padding=1)
        self.margin_pixels = _margin(near_in_blocks + near_blocks, 2 * middle_blocks, low_blocks, square)
        self.stride = stride(square)
        self._start_as_identity()

    def forward(
        self, planes_B3HW: Tensor, to_rgb_34: Tensor, from_rgb_34: Tensor, factor_1: Tensor
    ) -> Tensor:
        """Residual for planes.

        Args:
            planes_B3HW: Y, U, V of the reduced picture in code values; sides are multiples of the stride.
            to_rgb_34: Affine matrix from code values to RGB in [0, 1]; its last column is the offset.
            from_rgb_34: Affine matrix from RGB in [0, 1] to code values.
            factor_1: Full size divided by reduced size, at least 1.

        Returns:
            B3HW: residual to add to Y, U, V, in code values.
        """
        grey_3 = from_rgb_34 @ from_rgb_34.new_tensor([0.5, 0.5, 0.5, 1.0])
        squares_BKhw = functional.pixel_unshuffle(planes_B3HW - grey_3[:, None, None], self._square)
        return self._residual(squares_BKhw, factor_1, _SCALE * to_rgb_34[:, :3], from_rgb_34[:, :3])

    def translate(self, rgb_B3HW: Tensor, factor_1: Tensor) -> Tensor:
        """Residual of a picture in RGB, in [0, 1], in RGB as well."""
        squares_BKhw = functional.pixel_unshuffle(_SCALE * (rgb_B3HW - 0.5), self._square)
        return self._residual(squares_BKhw, factor_1)

    def _residual(
        self,
        squares_BKhw: Tensor,
        factor_1: Tensor,
        into_33: Tensor | None = None,
        back_33: Tensor | None = None,
    ) -> Tensor:
        """Residual of squares in RGB, or in other colours that a matrix takes there and one takes back: these
        become part of the first and last convolutions, which spares two passes over the whole picture."""
        stem, head, bias = self.stem.weight, self.head.weight, self.head.bias
        assert bias is not None
        if into_33 is not None and back_33 is not None:
            stem = _reading(stem, into_33)
            head = torch.cat([head[:, : self._near], _reading(head[:, self._near :], into_33)], dim=1)
            head, bias = (_writing(values, back_33) for values in (head, bias))
        shift_N11 = (self.factor * torch.log2(factor_1))[:, None, None]
        near = self.near_in(functional.conv2d(squares_BKhw, stem, self.stem.bias, padding=1) + shift_N11)
        # Without blocks before it, two convolutions in a row would be no more than one.
        middle = self.middle_in(
            functional.relu(self.to_middle(functional.relu(near) if self._lean else near))
        )
        low = self.low(functional.relu(self.to_low(middle)))
        middle = self.middle_out(_modulated(middle, self.from_low(low)))
        near = self.near_out(_modulated(near, self.from_middle(middle)))
        seen = near if self._lean else torch.cat([near, squares_BKhw], dim=1)
        return functional.pixel_shuffle(
            functional.conv2d(seen, _STEP * head, _STEP * bias, padding=1), self._square
        )

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


def _reading(weight_NKkk: Tensor, matrix_33: Tensor) -> Tensor:
    """Weights for squares of other colours, for those of weights for colours that a matrix makes of them."""
    outputs, values, *kernel = weight_NKkk.shape
    by_colour = weight_NKkk.reshape(outputs, 3, -1)
    return torch.einsum("ncx,cd->ndx", by_colour, matrix_33).reshape(outputs, values, *kernel)


def _writing(values_K: Tensor, matrix_33: Tensor) -> Tensor:
    """Weights or biases of a convolution that gives squares of the colours that a matrix makes of its own."""
    return (matrix_33 @ values_K.reshape(3, -1)).reshape(values_K.shape)


def _modulated(features_BCHW: Tensor, below_B2Chw: Tensor) -> Tensor:
    """Features scaled and shifted by what the level below found: it says how much to smooth where."""
    scale_BCHW, shift_BCHW = functional.interpolate(
        below_B2Chw, scale_factor=2.0, mode="bilinear", align_corners=False
    ).chunk(2, dim=1)
    return features_BCHW * (1 + scale_BCHW) + shift_BCHW


def stride(square: int) -> int:
    """Divisor of height and width of the picture, in pixels, for squares of a side in pixels."""
    return _LEVELS * square


def _margin(near_blocks: int, middle_blocks: int, low_blocks: int, square: int) -> int:
    """How far a pixel reaches, in pixels, as a multiple of the stride; the blocks of both sides of the U.

    Each 3x3 convolution reaches one place of its size further, each enlargement one of the smaller size; what
    the low level sees as one place is the smallest square that all sizes share.
    """
    near = 2 + 1 + 2 * near_blocks  # stem, head, step to the middle, blocks
    middle = 2 * (1 + 1 + 2 * middle_blocks)
    low = 4 * (1 + 2 * low_blocks)
    return -(-(near + middle + low) // _LEVELS) * stride(square)
