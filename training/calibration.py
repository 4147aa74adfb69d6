"""Calibration: a classifier's probabilities brought to how often it is right.

After Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks" (2017): all scores are divided
by one number, the temperature, which changes no decision. It is folded into the last layer.

Legend of shapes: N pictures, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from streamfx.engine.families.classifier import Classifier
from training.pictures import Picture, to_tensor

_COLDEST, _HOTTEST, _TRIED = 0.25, 8.0, 200


def temperature(scores_NK: Tensor, labels_N: Tensor) -> float:
    """What scores are to be divided by for the least cross entropy, 0.25 to 8.

    Example:
        >>> import torch
        >>> sure_but_right_half_of_the_time = torch.tensor([[4.0, 0.0], [4.0, 0.0]])
        >>> temperature(sure_but_right_half_of_the_time, torch.tensor([0, 1]))
        8.0
    """
    tried = torch.logspace(math.log10(_COLDEST), math.log10(_HOTTEST), _TRIED).tolist()
    costs = [functional.cross_entropy(scores_NK / each, labels_N).item() for each in tried]
    return float(round(tried[costs.index(min(costs))], 3))


@torch.no_grad()
def calibrate(network: Classifier, pictures: Sequence[tuple[Picture, int]]) -> float:
    """Divide the scores of a network by the temperature that labelled pictures ask for; returns it."""
    network = network.cpu().eval()
    scores = [network.scores_of(to_tensor(picture)[None]).mean((2, 3))[0] for picture, _ in pictures]
    found = temperature(torch.stack(scores), torch.tensor([label for _, label in pictures]))
    network.scores.weight /= found
    assert network.scores.bias is not None
    network.scores.bias /= found
    return found
