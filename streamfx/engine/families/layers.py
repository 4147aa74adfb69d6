"""Layers that more than one family is made of.

The composite layer of CN109426858B doubles height and width by interleaving and keeps the number of channels.
Each group of four maps a, b, c, d gives four maps; every 2 x 2 block of each holds the values that a, b, c
and d have at one place, in an order of its own, so that each input takes each corner once:

    map 0: a b    map 1: b a    map 2: c d    map 3: d c
           c d           d c           a b           b a

No network computes it: a convolution always follows, and both together are one at the small size.

Legend of shapes: B pictures, C channels, h x w features, O x I outputs and inputs of a convolution of side s.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from streamfx.engine.families.warp_mask import FactorConv, convolve, normalise

_GROUP = 4


def source(number: int, corner: int) -> int:
    """Which map of a group of four lies in a corner (0..3, row by row) of the blocks of map `number`."""
    return corner ^ number


def after_composite(
    features_BIhw: Tensor, convolution: FactorConv, mix_A: Tensor, folding_KL: Tensor
) -> Tensor:
    """Convolution after a composite layer: B(4 O)hw, the four values of each block as channels, for
    `pixel_shuffle`."""
    weight_OIss, bias_O = convolution.mixed(mix_A)
    return convolve(features_BIhw, fold_composite(weight_OIss, folding_KL), bias_O.repeat_interleave(4))


def normalise_doubled(features_BChw: Tensor) -> Tensor:
    """Features that become, once doubled by a composite layer, the instance norm of what it would have made.

    Every map of a doubled group holds the values of all four, so the four have mean 0 and deviation 1
    together.
    """
    batch, channels, height, width = features_BChw.shape
    groups = features_BChw.reshape(batch, channels // _GROUP, _GROUP * height, width)
    return normalise(groups, "instance").reshape(batch, channels, height, width)


def smooth(picture_BCHW: Tensor) -> Tensor:
    """Picture without what alternates from pixel to pixel: every pixel with its neighbours, weights 1 2 1
    each way, edges repeated.

    The four pixels of a block come from weights of their own, so that a flat place shows a checkerboard. This
    takes away just that, as in Sugawara, Shiota, Kiya, "Super-Resolution Using Convolutional Neural Networks
    without Any Checkerboard Artifacts" (2018).
    """
    bordered = functional.pad(picture_BCHW, (1, 1, 1, 1), mode="replicate")
    return functional.avg_pool2d(functional.avg_pool2d(bordered, 2, 1), 2, 1)


def start_without_grid(convolution: FactorConv) -> None:
    """Let the four maps of each group of a composite layer begin with nearly the same weights: their sum has
    one value in a block, so that the first pictures show no checkerboard."""
    with torch.no_grad():
        groups = convolution.weight.view(
            *convolution.weight.shape[:2], -1, _GROUP, *convolution.weight.shape[3:]
        )
        groups.copy_(2 * groups.mean(3, keepdim=True) + 0.3 * groups)


def fold_composite(weight_OIss: Tensor, folding_KL: Tensor) -> Tensor:
    """Weight (4 O)I33 that at the small size does what `weight` does after a composite layer.

    A convolution of odd side 3 or 5 at the doubled size sees, for each of its four outputs in a block, values
    of 3 x 3 small pixels. So nothing needs to be doubled: one convolution with four times the outputs, then
    `pixel_shuffle`. Borders repeat small pixels, that is whole blocks.

    Args:
        weight_OIss: Weight at the doubled size; I a multiple of 4.
        folding_KL: Result of `folding` for the side.
    """
    outputs, inputs = weight_OIss.shape[:2]
    groups = inputs // _GROUP
    folded = weight_OIss.reshape(outputs, groups, -1) @ folding_KL
    parts_O4G433 = folded.reshape(outputs, groups, 4, _GROUP, 3, 3).transpose(1, 2)
    return parts_O4G433.reshape(4 * outputs, inputs, 3, 3)


def folding(side: int) -> Tensor:
    """Matrix KL of zeros and ones for `fold_composite`: K = 4 maps x side x side at the doubled size, L = 4
    outputs of a block x 4 maps x 3 x 3 at the small one.

    Raises:
        ValueError: `side` is neither 3 nor 5.
    """
    if side not in (3, 5):
        raise ValueError(f"side must be 3 or 5, found {side}")
    matrix = torch.zeros(_GROUP, side, side, 2, 2, _GROUP, 3, 3)
    for row in range(side):
        for column in range(side):
            for below in range(2):
                for right in range(2):
                    # Where this weight reads, from the block's first pixel on: block and corner in it.
                    down, y = divmod(below + row - side // 2, 2)
                    across, x = divmod(right + column - side // 2, 2)
                    for number in range(_GROUP):
                        read = source(number, 2 * y + x)
                        matrix[number, row, column, below, right, read, down + 1, across + 1] = 1
    return matrix.reshape(_GROUP * side * side, -1)
