"""Back-projection: the rounds in which super-resolution corrects features, and the convolutions of both.

Legend of shapes: B pictures, H x W picture, F features, I and O inputs and outputs of a convolution.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from streamfx.engine.families.warp_mask import convolve


class Convolution(nn.Module):
    """Convolution of 3 x 3 or 1 x 1 whose border repeats."""

    def __init__(self, inputs: int, outputs: int, side: int = 3) -> None:
        super().__init__()
        self.margin = side // 2
        start = nn.Conv2d(inputs, outputs, side)
        assert start.bias is not None
        self.weight = nn.Parameter(start.weight.detach())
        self.bias = nn.Parameter(start.bias.detach())

    def forward(self, features_BIHW: Tensor) -> Tensor:
        return convolve(features_BIHW, self.weight, self.bias, 1, self.margin)


class BackProjection(nn.Module):
    """A round: what the folded features lack, when lowered, to be the initial ones is lifted and added.

    Args:
        features: F.
        noisy: Whether noise is added to the difference.
    """

    def __init__(self, features: int, *, noisy: bool = False) -> None:
        super().__init__()
        self.lower = Convolution(features, features)
        self.lift = Convolution(features, features)
        self.slopes = nn.Parameter(torch.full((2, features), 0.1))
        self.blend = nn.Parameter(torch.zeros(features, features // 2, 1, 1)) if noisy else None

    def forward(
        self, folded_BFHW: Tensor, lowered_BFHW: Tensor, minus_initial_BFHW: Tensor, grain_BGHW: Tensor
    ) -> Tensor:
        """Folded features corrected once.

        Args:
            folded_BFHW: Folded features.
            lowered_BFHW: The same features lowered, corrected or not.
            minus_initial_BFHW: Features to come back to when lowered, negated.
            grain_BGHW: Features of the noise, G = F/2.
        """
        difference_BFHW = lowered_BFHW + minus_initial_BFHW
        if self.blend is not None:
            difference_BFHW = difference_BFHW + functional.conv2d(grain_BGHW, self.blend)
        difference_BFHW = functional.prelu(difference_BFHW, self.slopes[0])
        return functional.prelu(folded_BFHW + self.lift(difference_BFHW), self.slopes[1])


class Level(NamedTuple):
    """What the features of a level, and of those above, are corrected to."""

    minus_initial_BFHW: Tensor
    grain_BGHW: Tensor
