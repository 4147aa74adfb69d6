"""Matting: how much of each pixel belongs to a person.

Legend of shapes: B pictures, H x W reduced picture (multiples of 16), C, I, O channels.

    planes B3HW --colour matrix--> RGB --stem, stride 2--> B16(H/2)(W/2)
    stem --quarter, stride 2--> B16(H/4)(W/4) --eighth, stride 2, and again--> B24(H/8)(W/8)
    eighth --sixteenth, stride 2, and four times more--> B32(H/16)(W/16) --weighed by the whole--> B128
    weighed --bilinear x2, joined with eighth--> B24(H/8)(W/8) --with quarter--> B16(H/4)(W/4)
            --with stem--> B16(H/2)(W/2)
    joined --person--> B4(H/2)(W/2), --detail--> B8(H/2)(W/2) --pixel shuffle--> person, rise, fall B3HW

The layers are those of MediaPipe's network for people in front of a camera ("MediaPipe Selfie Segmentation",
Google, 2020), so that its weights can be a start: bottlenecks of Howard et al., "Searching for MobileNetV3"
(2019), whose channels are weighed by what the whole picture shows (Hu, Shen, Sun, "Squeeze-and-Excitation
Networks", 2018). The heads for the source's own detail are not among them. Fully convolutional: a picture of
any size is seen as it is, not squeezed to a square.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS = ("person", "rise", "fall")
STRIDE = 16

_HALF, _QUARTER, _EIGHTH, _SIXTEENTH, _WEIGHED = 16, 16, 24, 32, 128
_EDGE = 0.25
"""Of the mask per unit of the logit: how steep the sigmoid is where it is one half."""
_SLOPE = 4.0
"""Of the mask per unit of full scale, for each unit of the layer: brings the slopes to a scale at which they
learn as fast as the rest."""


class Weighing(nn.Module):
    """Weights of channels, in 0..1, from their means over the whole picture."""

    def __init__(self, inputs: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(inputs, inner)
        self.excite = nn.Linear(inner, outputs)

    def forward(self, means_BI: Tensor) -> Tensor:
        inner_Bn = functional.relu(self.squeeze(means_BI))
        return torch.sigmoid(self.excite(inner_Bn))[:, :, None, None]


class Bottleneck(nn.Module):
    """Wide inner features, each filtered by itself, then narrowed; added to what comes in where that has the
    same shape.

    Args:
        inputs: Channels that come in.
        inner: Inner channels.
        outputs: Channels that go out.
        side: Side of the filters.
        stride: Step of the filters.
        weighed: Channels from which the inner ones are weighed; 0: they are not.
        smooth: Whether the activation is the hard swish, else it is the rectifier.
    """

    def __init__(
        self, inputs: int, inner: int, outputs: int, side: int, stride: int, weighed: int, smooth: bool
    ) -> None:
        super().__init__()
        self.side, self.stride, self.smooth = side, stride, smooth
        self.added = stride == 1 and inputs == outputs
        self.expand = nn.Conv2d(inputs, inner, 1)
        self.filter = nn.Conv2d(inner, inner, side, stride, groups=inner)
        self.weighing = Weighing(inner, weighed, inner) if weighed else None
        self.narrow = nn.Conv2d(inner, outputs, 1)

    def forward(self, features_BIhw: Tensor) -> Tensor:
        inner = self._activated(self.expand(features_BIhw))
        inner = self._activated(self.filter(bordered(inner, self.side, self.stride)))
        if self.weighing is not None:
            inner = inner * self.weighing(means(inner))
        out_BOhw: Tensor = self.narrow(inner)
        return features_BIhw + out_BOhw if self.added else out_BOhw

    def _activated(self, features: Tensor) -> Tensor:
        return functional.hardswish(features) if self.smooth else functional.relu(features)


class Join(nn.Module):
    """What the level below found, enlarged, meets the finer features of this one, weighed by both."""

    def __init__(self, below: int, channels: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(below, channels, 1)
        self.weighing = Weighing(channels, channels, channels)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.filter = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, finer_BChw: Tensor, below_BIhw: Tensor) -> Tensor:
        # Narrowed first: that commutes with the enlargement and is done for a quarter of the pixels.
        narrowed_BChw = self.narrow(below_BIhw)
        enlarged_BChw = functional.interpolate(
            narrowed_BChw, scale_factor=2.0, mode="bilinear", align_corners=False
        )
        weight_BC11 = self.weighing(means(finer_BChw) + means(narrowed_BChw))
        mixed_BChw = functional.relu(self.mix(finer_BChw * weight_BC11 + enlarged_BChw))
        return mixed_BChw + functional.relu(self.filter(mixed_BChw))


class Matting(nn.Module):
    """Network that gives the matte of people and its answers to the source's own detail.

    Args:
        detail: Whether the network answers to the detail of the source; without it both slopes are 0.

    Example:
        >>> import torch
        >>> rows = torch.eye(3, 4)
        >>> Matting()(torch.rand(1, 3, 32, 48), rows, rows, torch.tensor([4.0])).shape
        torch.Size([1, 3, 32, 48])
    """

    def __init__(self, detail: bool = True) -> None:
        super().__init__()
        self.detail = detail
        self.stem = nn.Conv2d(3, _HALF, 3, stride=2)
        self.quarter = Bottleneck(_HALF, 16, _QUARTER, 3, 2, 8, smooth=False)
        self.eighth = nn.Sequential(
            Bottleneck(_QUARTER, 72, _EIGHTH, 3, 2, 0, smooth=False),
            Bottleneck(_EIGHTH, 88, _EIGHTH, 3, 1, 0, smooth=False),
        )
        self.sixteenth = nn.Sequential(
            Bottleneck(_EIGHTH, 96, _SIXTEENTH, 5, 2, 24, smooth=True),
            *(
                Bottleneck(_SIXTEENTH, inner, _SIXTEENTH, 5, 1, inner // 4, smooth=True)
                for inner in (128, 128, 96, 96)
            ),
        )
        self.widen = nn.Conv2d(_SIXTEENTH, _WEIGHED, 1)
        self.whole = nn.Linear(_SIXTEENTH, _WEIGHED)
        self.join_eighth = Join(_WEIGHED, _EIGHTH)
        self.join_quarter = Join(_EIGHTH, _QUARTER)
        self.join_half = Join(_QUARTER, _HALF)
        self.person = nn.Conv2d(_HALF, 4, 1)
        self.around = nn.Conv2d(_HALF, _HALF, 3, padding=1, groups=_HALF)
        self.answer = nn.Conv2d(_HALF, _HALF, 1)
        self.slopes = nn.Conv2d(_HALF, 8, 1)
        nn.init.zeros_(self.slopes.weight)
        assert self.slopes.bias is not None
        nn.init.zeros_(self.slopes.bias)

    def forward(
        self,
        planes_B3HW: Tensor,
        to_rgb_34: Tensor,
        from_rgb_34: Tensor,
        factor_1: Tensor,  # noqa: ARG002 - every family is called alike
    ) -> Tensor:
        """Heads for reduced planes.

        Args:
            planes_B3HW: Y, U, V of the reduced picture in code values, all at one size, multiples of 16.
            to_rgb_34: Affine matrix from code values to RGB in [0, 1]; its last column is the offset.
            from_rgb_34: Affine matrix from RGB in [0, 1] to code values.
            factor_1: Unused parameter: a person may be of any size at any factor.

        Returns:
            B3HW: the person, from below 0 (nobody) to above 1 (all of the pixel), and its slopes per code
            value of luma where the source is brighter and where it is darker than the reduced one; unclamped.
        """
        stem = self._stem(planes_B3HW, to_rgb_34, from_rgb_34)
        quarter = self.quarter(stem)
        eighth = self.eighth(quarter)
        low = self.sixteenth(eighth)
        weighed = functional.relu(self.widen(low)) * torch.sigmoid(self.whole(means(low)))[:, :, None, None]
        joined = self.join_half(stem, self.join_quarter(quarter, self.join_eighth(eighth, weighed)))
        return functional.pixel_shuffle(self._heads(joined, to_rgb_34), 2)

    def _stem(self, planes_B3HW: Tensor, to_rgb_34: Tensor, from_rgb_34: Tensor) -> Tensor:
        """Features B16(H/2)(W/2) of planes, the colour matrix in the weights; around the picture is black."""
        black_311 = from_rgb_34[:, 3, None, None]
        weight_O333 = torch.einsum("ocyx,cp->opyx", self.stem.weight, to_rgb_34[:, :3])
        seen = bordered(planes_B3HW - black_311, 3, 2)
        return functional.hardswish(functional.conv2d(seen, weight_O333, self.stem.bias, stride=2))

    def _heads(self, joined_B16hw: Tensor, to_rgb_34: Tensor) -> Tensor:
        """The heads, four pixels each, their scales in the weights."""
        assert self.person.bias is not None
        assert self.slopes.bias is not None
        person_B4hw = functional.conv2d(
            joined_B16hw, _EDGE * self.person.weight, 0.5 + _EDGE * self.person.bias
        )
        scale = float(self.detail) * _SLOPE * to_rgb_34[0, 0]
        answer = functional.relu(self.answer(self.around(joined_B16hw)))
        slopes_B8hw = functional.conv2d(answer, scale * self.slopes.weight, scale * self.slopes.bias)
        return torch.cat([person_B4hw, slopes_B8hw], dim=1)


def means(features_BChw: Tensor) -> Tensor:
    """Mean of each channel over the picture, BC."""
    return features_BChw.mean((2, 3))


def bordered(features_BChw: Tensor, side: int, stride: int) -> Tensor:
    """Features with zeros around them for a filter, one row and column fewer above and to the left where it
    steps by two: so the weights that are the start were learned."""
    before, after = (side - stride) // 2, (side - 1) // 2
    return functional.pad(features_BChw, (before, after, before, after))
