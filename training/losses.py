"""Every term of the training losses: one function each.

Legend of shapes: B pictures, C channels, H x W picture, h x w features or reduced picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class _Gram(torch.autograd.Function):
    """Products of all pairs of rows of BCN, float32. The gradient takes one product, where that of a general
    product takes two."""

    @staticmethod
    def forward(ctx: Any, flat_BCN: Tensor) -> Tensor:
        ctx.save_for_backward(flat_BCN)
        return (flat_BCN @ flat_BCN.transpose(1, 2)).float()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (flat_BCN,) = ctx.saved_tensors
        (gradient_BCC,) = gradients
        both_BCC = gradient_BCC + gradient_BCC.transpose(1, 2)
        product_BCN: Tensor = both_BCC.to(flat_BCN.dtype) @ flat_BCN
        return product_BCN


def gram(features_BChw: Tensor) -> Tensor:
    """Gram matrices BCC, float32, divided by h*w: which features occur together (Gatys, Ecker, Bethge,
    "Image Style Transfer Using Convolutional Neural Networks", 2016). Features of bfloat16 are multiplied
    as such and summed in float32."""
    flat_BCN = features_BChw.flatten(2)
    products_BCC: Tensor = _Gram.apply(flat_BCN)  # type: ignore[no-untyped-call]
    return products_BCC / flat_BCN.shape[2]


def relative_gram(gram_BCC: Tensor, style_gram_1CC: Tensor) -> Tensor:
    """Relative Gram distance of each picture, B: mean squared difference over the style's mean square."""
    difference_BCC = gram_BCC - style_gram_1CC
    return difference_BCC.square().mean(dim=(1, 2)) / style_gram_1CC.square().mean()


def style(grams: Sequence[Tensor], style_grams: Sequence[Tensor], pooling: float = 0.0) -> Tensor:
    """Sum over layers of the relative Gram distance; scalar.

    A share `pooling`, 0 to 1, is the distance of the batch's mean matrix, the rest the mean distance of each
    picture's: crops of the style itself differ, so small crops need not all be like the whole.
    """
    layers = list(zip(grams, style_grams, strict=True))
    each = torch.stack([relative_gram(matrix, target).mean() for matrix, target in layers]).sum()
    if pooling == 0:
        return each
    pooled = torch.stack([relative_gram(matrix.mean(0, True), target).mean() for matrix, target in layers])
    return pooling * pooled.sum() + (1 - pooling) * each


def content(features_BChw: Tensor, source_BChw: Tensor) -> Tensor:
    """Mean squared difference of features; scalar.

    The feature reconstruction loss of Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style
    Transfer and Super-Resolution" (2016), here at relu4_1. The caller says what features are compared with:
    trainings take the source's with the style's moments, as Huang, Belongie, "Arbitrary Style Transfer in
    Real-Time with Adaptive Instance Normalization" (2017) do at that layer, evaluation the source's own.
    """
    return (features_BChw.float() - source_BChw.float()).square().mean()


def structure(features_BChw: Tensor, source_BChw: Tensor) -> Tensor:
    """Mean squared difference of features, each channel set to mean 0 and deviation 1; scalar.

    Keeps the layout (edges, faces) at a finer layer than content does, and says nothing about channel
    statistics, which belong to the style; as the normalised perceptual loss of Park, Lee, "Arbitrary Style
    Transfer with Style-Attentional Networks" (2019).
    """
    normal_BChw, source_normal_BChw = (
        functional.instance_norm(features.float(), eps=1e-2) for features in (features_BChw, source_BChw)
    )
    return (normal_BChw - source_normal_BChw).square().mean()


def tone(picture_B3HW: Tensor, source_B3HW: Tensor, cell_pixels: int = 16) -> Tensor:
    """Mean squared difference of coarse luma (means of cells), each picture's set to mean 0 and deviation 1;
    scalar.

    Keeps light parts light and dark parts dark, so that the scene stays readable; says nothing about palette,
    contrast or whatever is finer than a cell. Without it strokes drift away from the scene: neither Gram
    matrices nor content with the style's moments see absolute brightness.
    """
    normal_Bhw, source_normal_Bhw = (
        functional.instance_norm(functional.avg_pool2d(luma(rgb_B3HW), cell_pixels), eps=1e-3)
        for rgb_B3HW in (picture_B3HW, source_B3HW)
    )
    return (normal_Bhw - source_normal_Bhw).square().mean()


def luma(rgb_B3HW: Tensor) -> Tensor:
    """Luma B1HW (ITU-R BT.601 weights) of RGB in [0, 1]."""
    weights_3 = rgb_B3HW.new_tensor([0.299, 0.587, 0.114])
    return (rgb_B3HW * weights_3[:, None, None]).sum(1, keepdim=True)


def total_variation(picture_BCHW: Tensor) -> Tensor:
    """Mean absolute step between neighbouring pixels, rows plus columns; scalar."""
    rows = (picture_BCHW[:, :, 1:] - picture_BCHW[:, :, :-1]).abs().mean()
    columns = (picture_BCHW[:, :, :, 1:] - picture_BCHW[:, :, :, :-1]).abs().mean()
    return rows + columns


def mask_price(mask_B1hw: Tensor) -> Tensor:
    """Mean share of the source that the mask, clamped to [0, 1], lets through; scalar."""
    return 1 - mask_B1hw.clamp(0, 1).mean()


def displacement_price(displacement_B2hw: Tensor) -> Tensor:
    """Roughness plus a tenth of the mean size of the displacement, in reduced pixels; scalar."""
    return total_variation(displacement_B2hw) + 0.1 * displacement_B2hw.abs().mean()


def detail_price(gain_B1hw: Tensor) -> Tensor:
    """Mean size of the detail gain: what the source's own detail costs; scalar."""
    return gain_B1hw.abs().mean()


WHOLE_GRID: Mapping[str, int] = {"region_pixels": 32, "square_pixels": 4}
"""What `grid` looks at where a network paints the whole picture: its last layers shuffle 4 x 4 squares."""


def grid(translated_B3hw: Tensor, region_pixels: int = 8, square_pixels: int = 2) -> Tensor:
    """Mean variance among the positions within squares of 2 x 2 reduced pixels, or more, of their means over
    regions; scalar.

    The squares come out of one pixel of the layer before (pixel shuffle). A pattern that repeats in all of
    them raises style cheaply, and is a grid of dots at full size. Strokes do not repeat so, and cost little.
    """
    shuffled_BPhw = functional.pixel_unshuffle(translated_B3hw, square_pixels)
    squares = min(max(region_pixels // square_pixels, 1), *shuffled_BPhw.shape[2:])
    means_BPhw = functional.avg_pool2d(shuffled_BPhw, squares)
    batch, _, height, width = means_BPhw.shape
    means_B3Phw = means_BPhw.reshape(batch, 3, square_pixels**2, height, width)
    return means_B3Phw.var(dim=2, unbiased=False).mean()


def imitation(picture_B3HW: Tensor, teacher_B3HW: Tensor) -> Tensor:
    """Mean absolute difference to the teacher's pictures; scalar."""
    return (picture_B3HW - teacher_B3HW.float()).abs().mean()


def likeness(features: Sequence[Tensor], wanted: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Weighted sum over layers of the mean squared difference of features over the variance of those wanted;
    scalar (Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution",
    2016)."""
    terms = [
        weight * (layer.float() - target.float()).square().mean() / (target.float().var() + 1e-6)
        for layer, target, weight in zip(features, wanted, weights, strict=True)
    ]
    return torch.stack(terms).sum()


def slopes(picture_B3HW: Tensor, wanted_B3HW: Tensor) -> Tensor:
    """Mean absolute difference of the steps of luma from pixel to pixel, rows plus columns; scalar.

    Lines count by their edges and not by their area, as in Mathieu, Couprie, LeCun, "Deep Multi-Scale Video
    Prediction beyond Mean Square Error" (2016).
    """
    return total_variation(luma(picture_B3HW) - luma(wanted_B3HW.float()))


def crispness(picture_B3HW: Tensor, wanted_B3HW: Tensor, cell_pixels: int = 8) -> Tensor:
    """Mean absolute difference of how much the luma changes from pixel to pixel in overlapping cells; scalar.

    A network that is unsure where a line lies draws it grey and wide, which is what absolute differences
    reward. This asks for as much change as there should be in the neighbourhood, and not where.
    """
    change, wanted_change = (
        functional.avg_pool2d(_change(luma(rgb_B3HW.float())), cell_pixels, cell_pixels // 2)
        for rgb_B3HW in (picture_B3HW, wanted_B3HW)
    )
    return (change - wanted_change).abs().mean()


def _change(plane_B1HW: Tensor) -> Tensor:
    """Length of the gradient of a plane, by differences of neighbours, one row and column less."""
    across_B1hw = plane_B1HW[..., 1:, 1:] - plane_B1HW[..., 1:, :-1]
    down_B1hw = plane_B1HW[..., 1:, 1:] - plane_B1HW[..., :-1, 1:]
    return (across_B1hw.square() + down_B1hw.square() + 1e-6).sqrt()


def temporal(moved_B3HW: Tensor, reference_B3HW: Tensor) -> Tensor:
    """Mean squared difference between the output of a displaced, noisy input and the displaced output;
    scalar."""
    return (moved_B3HW - reference_B3HW).square().mean()


def weight_bias(weights: Sequence[Tensor], biases: Sequence[Tensor], epsilon: float = 1e-2) -> Tensor:
    """Mean absolute kernel value over the mean absolute bias plus `epsilon`, of all layers together; scalar.

    Low where biases are large against kernels: then they decide, like switches, where a rectified unit is on.
    """
    kernel, bias = (
        torch.cat([values.flatten() for values in tensors]).abs().mean() for tensors in (weights, biases)
    )
    return kernel / (bias + epsilon)


def same_heads(
    heads_B7hw: Tensor, wanted_B7hw: Tensor, lowest: Sequence[float], highest: Sequence[float]
) -> Tensor:
    """Mean absolute difference of heads between their bounds, plus half that of their steps from pixel to
    pixel, which keeps strokes sharp; scalar.

    Displacement and gain count less: what they change is smaller."""
    weights, low, high = (
        heads_B7hw.new_tensor(values).reshape(1, 7, 1, 1)
        for values in ((1, 1, 1, 1, 0.15, 0.15, 0.4), lowest, highest)
    )
    bounded_B7hw = heads_B7hw.clamp(low, high)
    # Beyond the bounds a faint pull remains, so that a head can come back.
    pulled_B7hw = bounded_B7hw + 0.02 * (heads_B7hw - bounded_B7hw)
    difference_B7hw = weights * (pulled_B7hw - wanted_B7hw.clamp(low, high))
    return difference_B7hw.abs().mean() + 0.5 * total_variation(difference_B7hw)
