"""The composite layer by itself, as `streamfx.engine.families.layers` defines it: to compare with what is
folded."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from streamfx.engine.families.layers import source

GROUP = 4


def composite(features_BChw: Tensor) -> Tensor:
    """Features BC(2h)(2w)."""
    channels = features_BChw.shape[1]
    corners = [source(number, corner) for number in range(GROUP) for corner in range(GROUP)]
    order_CG = torch.arange(0, channels, GROUP)[:, None] + torch.tensor(corners)
    return functional.pixel_shuffle(features_BChw.index_select(1, order_CG.flatten()), 2)
