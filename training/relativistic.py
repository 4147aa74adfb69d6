"""Relativistic adversarial terms, and the critic that sees a picture at all its scales at once.

Legend of shapes: B pictures, K width of the critic, scores B1hw.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class ScaleCritic(nn.Module):
    """Scores, place by place, how real a picture looks whose enlargements at every level go in together.

    From the largest down: features of a level are halved and joined by those of the next smaller picture, so
    that what is judged is also whether the levels belong together (Navarrete Michelini, Zhu, Liu, 2018).

    Args:
        levels: Pictures that go in, each twice as large as the one before.
        width: Channels of each level.
    """

    def __init__(self, levels: int = 2, width: int = 24) -> None:
        super().__init__()
        self.enter = nn.ModuleList(nn.Conv2d(3, width, 3, padding=1) for _ in range(levels))
        sides = [width] + [2 * width] * (levels - 1)  # from the largest level down
        self.halve = nn.ModuleList(nn.Conv2d(inputs, width, 4, stride=2, padding=1) for inputs in sides)
        self.deepen = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)
        self.score = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, pictures: Sequence[Tensor]) -> Tensor:
        """Scores B1hw, of places of 8 pixels of the largest picture at two levels; unbounded.

        Args:
            pictures: RGB in [0, 1], the smallest first; sides of the largest are multiples of 2^(levels + 1).
        """
        features: Tensor | None = None
        for enter, halve, rgb_B3HW in zip(self.enter, self.halve, reversed(pictures), strict=True):
            entered = functional.leaky_relu(enter(rgb_B3HW - 0.5), 0.2)
            joined = entered if features is None else torch.cat([features, entered], dim=1)
            features = functional.leaky_relu(halve(joined), 0.2)
        scores_B1hw: Tensor = self.score(functional.leaky_relu(self.deepen(features), 0.2))
        return scores_B1hw


def relativistic(higher: Tensor, lower: Tensor) -> Tensor:
    """What it costs that scores `higher` are not all above the mean of `lower`, and those below the mean of
    `higher`; scalar, ln 2 when all are alike.

    Jolicoeur-Martineau, "The Relativistic Discriminator: a Key Element Missing from Standard GAN" (2018), in
    the form of averages, halved. The critic pays it with the scores of true pictures as `higher`, the
    generator with those of its own.
    """
    above = functional.softplus(lower.mean() - higher).mean()
    below = functional.softplus(lower - higher.mean()).mean()
    return (above + below) / 2
