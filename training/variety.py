"""How much noise varies the look.

Legend of shapes: B pictures, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def style_difference(
    grams_one: Sequence[Tensor], grams_other: Sequence[Tensor], style_grams: Sequence[Tensor]
) -> Tensor:
    """How far the looks of two pictures are apart: mean over layers of the mean squared difference of their
    Gram matrices BCC, relative to the mean square of the style's 1CC; for each pair, B."""
    layers = zip(grams_one, grams_other, style_grams, strict=True)
    return torch.stack(
        [(one - other).square().mean((1, 2)) / style.square().mean() for one, other, style in layers]
    ).mean(0)


def variety(difference_B: Tensor, wanted: float) -> Tensor:
    """Mean distance of the pairs' style differences from the one that is wanted; scalar."""
    return (difference_B - wanted).abs().mean()
