"""Warp-and-mask translation: a reduced picture becomes the heads of the fused full-size step.

Legend of shapes: B pictures, H x W reduced picture (multiples of 4), S stem channels, C trunk channels.

    planes B3HW --to_rgb--> rgb B3HW --+ factor plane--> stem   BS(H/2)(W/2)
    stem --stride 2--> trunk BC(H/4)(W/4) --residual blocks, modulated by the factor--> same
    trunk --nearest x2, joined with the stem--> B(2S)(H/2)(W/2) --pixel shuffle--> heads B7HW (T in RGB)
    heads B7HW --from_rgb--> heads B7HW
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Norm = Literal["none", "batch", "instance"]

HEADS = ("translated", "mask", "displacement", "detail")
HEAD_CHANNELS = 7
STRIDE = 4


class FrameNorm(nn.Module):
    """Instance norm (Ulyanov, Vedaldi, Lempitsky, "Instance Normalization", 2016) without weights; unlike the
    one of torch it accepts a single pixel, which becomes 0."""

    def forward(self, features_BCHW: Tensor) -> Tensor:
        return torch.instance_norm(features_BCHW, None, None, None, None, True, 0.1, 1e-5, False)


class Block(nn.Module):
    """Residual block whose inner features are scaled and shifted by what the factor asks for."""

    def __init__(self, width: int, norm: Norm) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.norm = _norm(norm, width)
        self.second = _conv(width, width)

    def forward(self, features_BCHW: Tensor, scale_1C11: Tensor, shift_1C11: Tensor) -> Tensor:
        inner_BCHW = self.norm(self.first(features_BCHW)) * scale_1C11 + shift_1C11
        out_BCHW: Tensor = features_BCHW + self.second(functional.relu(inner_BCHW))
        return out_BCHW


class WarpMask(nn.Module):
    """Small convolutional generator that gives translated picture, mask, displacement and detail gain.

    The clamps of the heads belong to the fused step, after upsampling: clamped there, a steep head gives an
    edge that is crisp at full size. One set of weights serves all factors: the factor modulates every block,
    a conditional affine in the manner of Dumoulin, Shlens, Kudlur, "A Learned Representation for Artistic
    Style" (2017), but without the normalisation.

    Args:
        stem: Channels at half the reduced size.
        width: Channels of the trunk, at a quarter of the reduced size.
        blocks: Residual blocks of the trunk.
        detail: Whether the network decides the detail gain; without it that head is 0.
        norm: Normalisation inside the blocks. "batch" is for training and is folded away on export
            (`fold_batch_norm`); "instance" stays, costs time and has statistics of the whole frame.

    Example:
        >>> import torch
        >>> rows = torch.eye(3, 4)
        >>> WarpMask()(torch.rand(1, 3, 32, 48), rows, rows, torch.tensor([4.0])).shape
        torch.Size([1, 7, 32, 48])
    """

    def __init__(
        self, stem: int = 16, width: int = 48, blocks: int = 5, detail: bool = True, norm: Norm = "none"
    ) -> None:
        super().__init__()
        self.detail = detail
        self.stem = _conv(4, stem, stride=2)
        self.down = _conv(stem, width, stride=2)
        self.norm = _norm(norm, width)
        self.blocks = nn.ModuleList(Block(width, norm) for _ in range(blocks))
        self.modulate = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, blocks * 2 * width))
        self.narrow = nn.Conv2d(width, stem, 1)
        self.join = _conv(2 * stem, 2 * stem)
        self.heads = _conv(2 * stem, 4 * HEAD_CHANNELS)
        self._start_as_pure_translation()

    def forward(
        self, planes_B3HW: Tensor, to_rgb_34: Tensor, from_rgb_34: Tensor, factor_1: Tensor
    ) -> Tensor:
        """Heads for reduced planes.

        Args:
            planes_B3HW: Y, U, V of the reduced picture in code values, all at one size, multiples of 4.
            to_rgb_34: Affine matrix from code values to RGB in [0, 1]; its last column is the offset.
            from_rgb_34: Affine matrix from RGB in [0, 1] to code values.
            factor_1: Full size divided by reduced size, at least 1.

        Returns:
            B7HW: translated Y, U, V (code values), mask, displacement x, y (reduced pixels), detail gain;
            unclamped.
        """
        heads_B7HW = self.translate(affine(planes_B3HW, to_rgb_34), factor_1)
        translated_B3HW = affine(heads_B7HW[:, :3], from_rgb_34)
        return torch.cat([translated_B3HW, heads_B7HW[:, 3:]], dim=1)

    def translate(self, rgb_B3HW: Tensor, factor_1: Tensor) -> Tensor:
        """Heads with the translated picture still in RGB: `forward` without the colour matrices."""
        plane_B1HW = torch.ones_like(rgb_B3HW[:, :1]) / factor_1.reshape(1, 1, 1, 1)
        stem = functional.relu(self.stem(torch.cat([rgb_B3HW - 0.5, plane_B1HW], dim=1)))
        trunk = functional.relu(self.norm(self.down(stem)))
        hints_12 = torch.stack([torch.log2(factor_1) / 3, 1 / factor_1], dim=1)
        scales = self.modulate(hints_12).reshape(len(self.blocks), 2, 1, -1, 1, 1)
        for index, block in enumerate(self.blocks):
            trunk = block(trunk, scales[index, 0], scales[index, 1])
        narrow = functional.interpolate(functional.relu(self.narrow(trunk)), scale_factor=2.0, mode="nearest")
        joined = functional.relu(self.join(torch.cat([narrow, stem], dim=1)))
        heads_B7HW: Tensor = functional.pixel_shuffle(self.heads(joined), 2)
        if not self.detail:
            heads_B7HW = torch.cat([heads_B7HW[:, :6], torch.zeros_like(heads_B7HW[:, 6:])], dim=1)
        return heads_B7HW

    def _start_as_pure_translation(self) -> None:
        """Begin with mask 1, displacement 0 and gain 0, and with a factor that changes nothing."""
        last = self.modulate[2]
        assert isinstance(last, nn.Linear)
        unchanged = torch.tensor([1.0, 0.0]).repeat_interleave(self.down.out_channels)
        with torch.no_grad():
            last.weight.zero_()
            last.bias.copy_(unchanged.repeat(len(self.blocks)))
            self.heads.weight[12:].zero_()
            start = torch.tensor([0.5, 0.5, 0.5, 1.0, 0.0, 0.0, 0.0])
            self.heads.load_state_dict({"bias": start.repeat_interleave(4)}, strict=False)


def affine(picture_B3HW: Tensor, matrix_34: Tensor) -> Tensor:
    """Picture with each pixel's three values multiplied by a 3x4 affine matrix (last column: offset)."""
    linear_B3N = matrix_34[:, :3] @ picture_B3HW.flatten(2)
    return (linear_B3N + matrix_34[:, 3:]).reshape(picture_B3HW.shape)


def fold_batch_norm(network: WarpMask) -> WarpMask:
    """Same network with batch norms (frozen statistics) absorbed by the convolutions before them.

    Raises:
        TypeError: The normalisation depends on the frame and cannot be folded.
    """
    if isinstance(network.norm, nn.Identity):
        return network
    if not isinstance(network.norm, nn.BatchNorm2d):
        raise TypeError(f"only batch norm can be folded, not {type(network.norm).__name__}")
    network.down = nn.utils.fuse_conv_bn_eval(network.down.eval(), network.norm.eval())
    network.norm = nn.Identity()
    for block in network.blocks:
        assert isinstance(block, Block)
        assert isinstance(block.norm, nn.BatchNorm2d)
        block.first = nn.utils.fuse_conv_bn_eval(block.first.eval(), block.norm.eval())
        block.norm = nn.Identity()
    return network


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """3x3 convolution whose border repeats: zeros there would show as a frame around the picture."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, padding_mode="replicate")


def _norm(kind: Norm, channels: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "instance":
        return FrameNorm()
    return nn.Identity()
