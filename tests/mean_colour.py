"""The smallest classifier: what the mean colour of a picture says."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class MeanColour(nn.Module):
    """Scores from the mean colour of each block of 16 by 16 pixels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(3, classes, 1, bias=False)
        self.added = nn.Parameter(torch.zeros(classes))

    def forward(
        self, planes_B3HW: Tensor, to_rgb_34: Tensor, from_rgb_34: Tensor, factor_1: Tensor
    ) -> Tensor:
        """Score maps BK(H/16)(W/16); the last two arguments change nothing."""
        mean_B3hw = functional.avg_pool2d(planes_B3HW, 16)
        rgb_B3hw = torch.einsum("rc,bchw->brhw", to_rgb_34[:, :3], mean_B3hw) + to_rgb_34[:, 3, None, None]
        unused = 0 * (from_rgb_34.sum() + factor_1.sum())  # an input that is left out of a graph is no input
        scores: Tensor = self.score(rgb_B3hw) + self.added[:, None, None] + unused
        return scores
