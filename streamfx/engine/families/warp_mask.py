"""Warp-and-mask translation: a reduced picture becomes the heads of the fused full-size step.

Legend of shapes: B pictures, H x W reduced picture (multiples of 4), N input channels (3, or 19 with fine
luma), S stem channels, C trunk channels, J joined channels, K heads (7, or 11 with ink), A anchor factors,
O x I outputs and inputs of a convolution.

    planes BNHW --stem, of the colour matrix--> BS(H/2)(W/2)
    stem --stride 2--> trunk BC(H/4)(W/4) --residual blocks--> same
    trunk --narrow, bilinear x2, plus the stem--> joined BJ(H/2)(W/2)
    joined --heads, of the colour matrix--> B(4K)(H/2)(W/2) --pixel shuffle--> BKHW
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Norm = Literal["none", "instance"]

HEADS = ("translated", "mask", "displacement", "detail")
HEAD_CHANNELS = 7
INK_CHANNELS = 4
STRIDE = 4
FINE = 4
"""How many times finer than the reduced picture the fine luma is, each way."""
ANCHORS = (1.0, 2.0, 4.0)
"""Factors, each twice the one before, that have weights of their own; in between weights are mixed."""

# What brings the ink heads to a scale at which they learn as fast as the others: see `WarpMask`.
_OFFSET_SCALE, _SLOPE_SCALE, _FINE_SCALE = 4.0, 16.0, 2.0
_START_AMPLITUDE = 0.2


class FactorConv(nn.Module):
    """Convolution whose weights depend on the factor: a mix of one set for each anchor.

    Weights as a mix of sets, in the manner of Yang, Bender, Le, Ngiam, "CondConv: Conditionally Parameterized
    Convolutions for Efficient Inference" (2019). The factor is known before the first frame, so that a
    backend mixes once and frames cost what they would with one set.
    """

    def __init__(self, inputs: int, outputs: int, side: int = 3, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.stride, self.dilation = stride, dilation
        self.margin = dilation * (side // 2)
        start = nn.Conv2d(inputs, outputs, side)
        assert start.bias is not None
        self.weight = nn.Parameter(start.weight.detach().repeat(len(ANCHORS), 1, 1, 1, 1))
        self.bias = nn.Parameter(start.bias.detach().repeat(len(ANCHORS), 1))

    def mixed(self, mix_A: Tensor) -> tuple[Tensor, Tensor]:
        """Weight OIss and bias O for a mix of the anchors."""
        weight_OIss = (mix_A[:, None, None, None, None] * self.weight).sum(0)
        return weight_OIss, (mix_A[:, None] * self.bias).sum(0)

    def forward(self, features_BIhw: Tensor, mix_A: Tensor) -> Tensor:
        return convolve(features_BIhw, *self.mixed(mix_A), self.stride, self.margin, self.dilation)


class Block(nn.Module):
    """Residual block whose inner features are scaled and shifted by what the factor asks for."""

    def __init__(self, width: int, norm: Norm, dilation: int = 1) -> None:
        super().__init__()
        self.norm = norm
        self.first = FactorConv(width, width, dilation=dilation)
        self.gain = nn.Parameter(torch.ones(len(ANCHORS), width))
        self.shift = nn.Parameter(torch.zeros(len(ANCHORS), width))
        self.second = FactorConv(width, width, dilation=dilation)

    def forward(self, features_BChw: Tensor, mix_A: Tensor) -> Tensor:
        gain_C11, shift_C11 = (
            (mix_A[:, None] * values_AC).sum(0)[:, None, None] for values_AC in (self.gain, self.shift)
        )
        inner_BChw = normalise(self.first(features_BChw, mix_A), self.norm) * gain_C11 + shift_C11
        out_BChw: Tensor = features_BChw + self.second(functional.relu(inner_BChw), mix_A)
        return out_BChw


class WarpMask(nn.Module):
    """Small convolutional generator that gives translated picture, mask, displacement and detail gain.

    The clamps of the heads belong to the fused step, after upsampling: clamped there, a steep head gives an
    edge that is crisp at full size. Colour matrices and factor only change weights, so that a backend which
    knows them in advance computes those once.

    Args:
        stem: Channels at half the reduced size.
        width: Channels of the trunk, at a quarter of the reduced size.
        blocks: Residual blocks of the trunk.
        joined: Channels in which trunk and stem meet, at half the reduced size.
        detail: Whether the network decides the detail gain; without it that head is 0.
        norm: Normalisation in the trunk; "instance" has statistics of the whole frame.
        fine: Whether the network also sees luma that is `FINE` times finer than the reduced picture each way:
            as its differences to the reduced luma, each square of them as the channels of one pixel.
        ink: Whether there are four more heads, with which the fused step answers to the source's own detail:
            offset, slope where the detail is brighter, slope where it is darker, and amplitude.
        dilated: Whether the kernels of each block reach twice as far as those of the block before (Yu,
            Koltun, "Multi-Scale Context Aggregation by Dilated Convolutions", 2016): three blocks then see
            about 63 reduced pixels around each one instead of 31, at the same price.

    Example:
        >>> import torch
        >>> rows = torch.eye(3, 4)
        >>> WarpMask()(torch.rand(1, 3, 32, 48), rows, rows, torch.tensor([4.0])).shape
        torch.Size([1, 7, 32, 48])
    """

    def __init__(
        self,
        stem: int = 16,
        width: int = 48,
        blocks: int = 4,
        joined: int = 32,
        detail: bool = True,
        norm: Norm = "none",
        fine: bool = False,
        ink: bool = False,
        dilated: bool = False,
    ) -> None:
        super().__init__()
        self.detail = detail
        self.norm = norm
        self.fine = fine
        self.ink = ink
        self.stem = FactorConv(3 + FINE**2 * fine, stem)
        self.down = FactorConv(stem, width, stride=2)
        self.blocks = nn.ModuleList(
            Block(width, norm, 2**number if dilated else 1) for number in range(blocks)
        )
        self.narrow = FactorConv(width, joined, side=1)
        self.skip = FactorConv(stem, joined, side=1)
        self.heads = FactorConv(joined, 4 * (HEAD_CHANNELS + INK_CHANNELS * ink))
        self._start_as_pure_translation()

    def forward(
        self, planes_BNHW: Tensor, to_rgb_34: Tensor, from_rgb_34: Tensor, factor_1: Tensor
    ) -> Tensor:
        """Heads for reduced planes.

        Args:
            planes_BNHW: Y, U, V of the reduced picture in code values, all at one size, multiples of 4; with
                `fine` followed by the fine luma minus Y, in code values, channel 4 i + j for row i, column j
                of each 4 x 4 square.
            to_rgb_34: Affine matrix from code values to RGB in [0, 1]; its last column is the offset.
            from_rgb_34: Affine matrix from RGB in [0, 1] to code values.
            factor_1: Full size divided by reduced size, at least 1.

        Returns:
            BKHW: translated Y, U, V (code values), mask, displacement x, y (reduced pixels), detail gain and,
            with `ink`, its offset, slopes (per code value) and amplitude (code values); unclamped.
        """
        mix_A = anchor_mix(factor_1)
        stem = functional.relu(convolve(planes_BNHW, *self._stem(mix_A, to_rgb_34), stride=2))
        trunk = functional.relu(normalise(self.down(stem, mix_A), self.norm))
        for block in self.blocks:
            trunk = block(trunk, mix_A)
        wide = functional.interpolate(
            self.narrow(trunk, mix_A), scale_factor=2.0, mode="bilinear", align_corners=False
        )
        joined = functional.relu(wide + self.skip(stem, mix_A))
        return functional.pixel_shuffle(convolve(joined, *self._heads(mix_A, to_rgb_34, from_rgb_34)), 2)

    def translate(self, rgb_B3HW: Tensor, factor_1: Tensor) -> Tensor:
        """Heads of a picture in RGB, in [0, 1], with the translated picture in RGB as well."""
        unchanged_34 = torch.eye(3, 4, device=rgb_B3HW.device)
        heads_B7HW: Tensor = self(rgb_B3HW, unchanged_34, unchanged_34, factor_1)
        return heads_B7HW

    def _stem(self, mix_A: Tensor, to_rgb_34: Tensor) -> tuple[Tensor, Tensor]:
        """Weight SN33 and bias S of the stem for planes."""
        weight_SN33, bias_S = self.stem.mixed(mix_A)
        weight_S333 = weight_SN33[:, :3]
        offsets_3 = to_rgb_34[:, 3] - 0.5
        planes_S333 = torch.einsum("scyx,cp->spyx", weight_S333, to_rgb_34[:, :3])
        bias_S = bias_S + (weight_S333.sum((2, 3)) * offsets_3).sum(1)
        if not self.fine:
            return planes_S333, bias_S
        fine_SK33 = (
            _FINE_SCALE * to_rgb_34[0, 0] * weight_SN33[:, 3:]
        )  # differences: only their scale matters
        return torch.cat([planes_S333, fine_SK33], dim=1), bias_S

    def _heads(self, mix_A: Tensor, to_rgb_34: Tensor, from_rgb_34: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias of the heads, those of the translated picture and of ink for planes."""
        weight, bias = self.heads.mixed(mix_A)
        weight_K4J33 = weight.reshape(-1, 4, *weight.shape[1:])
        bias_K4 = bias.reshape(-1, 4)
        planes_34J33 = torch.einsum("pc,cnjyx->pnjyx", from_rgb_34[:, :3], weight_K4J33[:3])
        offsets_34 = torch.einsum("pc,cn->pn", from_rgb_34[:, :3], bias_K4[:3]) + from_rgb_34[:, 3:]
        detail = float(self.detail)
        weights = [planes_34J33, weight_K4J33[3:6], detail * weight_K4J33[6:7]]
        biases = [offsets_34, bias_K4[3:6], detail * bias_K4[6:7]]
        if self.ink:
            slope_1 = _SLOPE_SCALE * to_rgb_34[:1, 0]
            scale_4 = torch.cat(
                [torch.full_like(slope_1, _OFFSET_SCALE), slope_1, slope_1, 1 / to_rgb_34[:1, 0]]
            )
            weights.append(scale_4[:, None, None, None, None] * weight_K4J33[7:])
            biases.append(scale_4[:, None] * bias_K4[7:])
        return torch.cat(weights).flatten(0, 1), torch.cat(biases).flatten()

    def _start_as_pure_translation(self) -> None:
        """Begin with mask 1, displacement, gain and answer of the ink 0, and the four pixels of each shuffled
        square alike (Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017)."""
        start = [0.5, 0.5, 0.5, 1.0, 0.0, 0.0, 0.0, *[0.0, 0.0, 0.0, _START_AMPLITUDE] * self.ink]
        with torch.no_grad():
            alike = self.heads.weight[:, :12:4].repeat_interleave(4, dim=1)
            self.heads.weight[:, :12] = alike
            self.heads.weight[:, 12:] = 0
            self.heads.bias.copy_(torch.tensor(start).repeat_interleave(4))


def anchor_mix(factor_1: Tensor) -> Tensor:
    """Share of each anchor, A, in the weights for a factor: linear in its logarithm, the last one from there
    on."""
    steps_1 = torch.log2(factor_1).clamp(0, len(ANCHORS) - 1)
    away_A = steps_1 - torch.arange(len(ANCHORS), dtype=torch.float32, device=steps_1.device)
    # Not abs(): OpenVINO 2026.4.1 leaves it out when it computes constants.
    return (1 - torch.maximum(away_A, -away_A)).clamp(min=0)


def convolve(
    features_BIhw: Tensor,
    weight_OIss: Tensor,
    bias_O: Tensor | None,
    stride: int = 1,
    margin: int = 1,
    dilation: int = 1,
) -> Tensor:
    """Convolution whose border repeats: zeros there would show as a frame around the picture."""
    bordered_BIhw = functional.pad(features_BIhw, (margin,) * 4, mode="replicate")
    return functional.conv2d(bordered_BIhw, weight_OIss, bias_O, stride, dilation=dilation)


def normalise(features_BChw: Tensor, norm: Norm) -> Tensor:
    """Features as they are, or each channel of each picture with mean 0 and deviation 1: instance norm
    (Ulyanov, Vedaldi, Lempitsky, "Instance Normalization: The Missing Ingredient for Fast Stylization",
    2016). Unlike that of torch it accepts a single pixel, which becomes 0."""
    if norm == "none":
        return features_BChw
    return torch.instance_norm(features_BChw, None, None, None, None, True, 0.1, 1e-5, False)


def affine(picture_B3HW: Tensor, matrix_34: Tensor) -> Tensor:
    """Picture with each pixel's three values multiplied by a 3x4 affine matrix (last column: offset)."""
    linear_B3N = matrix_34[:, :3] @ picture_B3HW.flatten(2)
    return (linear_B3N + matrix_34[:, 3:]).reshape(picture_B3HW.shape)
