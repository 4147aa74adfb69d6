"""How much noise varies the look.

Legend of shapes: B pictures, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_LEAST = 1e-8  # so that the root has a gradient at 0


def style_difference(
    grams_one: Sequence[Tensor], grams_other: Sequence[Tensor], style_grams: Sequence[Tensor]
) -> Tensor:
    """How far the looks of two pictures are apart: root mean square difference of their Gram matrices BCC
    over that of the style's 1CC, mean over layers; for each pair, B.

    The root, because without it two looks that are alike have no gradient apart.
    """
    layers = zip(grams_one, grams_other, style_grams, strict=True)
    return torch.stack(
        [
            ((one - other).square().mean((1, 2)) / style.square().mean() + _LEAST).sqrt()
            for one, other, style in layers
        ]
    ).mean(0)


def variety(difference_B: Tensor, wanted: float) -> Tensor:
    """Mean distance of the pairs' style differences from the one that is wanted; scalar."""
    return (difference_B - wanted).abs().mean()
