"""Contextual loss: pictures are alike when each place of one looks like some place of the other.

Legend of shapes: B pictures, C channels, h x w features, N places.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training.metrics import unit

BANDWIDTH = 0.1


def contextual(features_BCN: Tensor, true_BCN: Tensor, bandwidth: float = BANDWIDTH) -> Tensor:
    """Minus the logarithm of the contextual similarity, mean over the pictures; scalar, at least 0.

    Mechrez, Talmi, Zelnik-Manor, "The Contextual Loss for Image Transformation with Non-Aligned Data" (2018)
    and, for super-resolution, Mechrez, Talmi, Shama, Zelnik-Manor, "Maintaining Natural Image Statistics with
    the Contextual Loss" (2018).

    Args:
        features_BCN: Features of the pictures at N places.
        true_BCN: Features of the true pictures, at as many places or others.
        bandwidth: The smaller, the more only the nearest counts.
    """
    centre_1C1 = true_BCN.mean((0, 2), keepdim=True)
    near, true = unit(features_BCN - centre_1C1), unit(true_BCN - centre_1C1)
    distance_BNM = (1 - near.transpose(1, 2) @ true).clamp(min=0)
    relative_BNM = distance_BNM / (distance_BNM.amin(2, keepdim=True) + 1e-5)
    share_BNM = ((1 - relative_BNM) / bandwidth).softmax(2)
    similarity_B = share_BNM.amax(1).mean(1)
    return -similarity_B.log().mean()


def contextual_of_layers(
    layers: Sequence[Tensor],
    true_layers: Sequence[Tensor],
    most_places: int,
    random: torch.Generator,
    bandwidth: float = BANDWIDTH,
) -> Tensor:
    """Mean over layers of the contextual loss at up to `most_places` places of each; scalar.

    All pairs of places are compared, which is what limits their number. They are drawn anew each time, the
    same for both pictures, so that each place's true partner is among them.

    Args:
        layers: Features BChw of the pictures, each layer of its own size.
        true_layers: Layers of the true pictures, of the same sizes.
        most_places: Places per layer.
        random: Draws the places; on the CPU.
        bandwidth: The smaller, the more only the nearest counts.
    """
    terms = []
    for features, true in zip(layers, true_layers, strict=True):
        places = features.shape[2] * features.shape[3]
        chosen = torch.randperm(places, generator=random)[:most_places].to(features.device)
        near, far = (layer.flatten(2)[:, :, chosen].float() for layer in (features, true))
        terms.append(contextual(near, far, bandwidth))
    return torch.stack(terms).mean()
