"""Anchors: how weights that belong to several factors start, spread, and learn together at first."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from streamfx.engine.families.warp_mask import FINE, FactorConv, WarpMask


def wake(network: WarpMask) -> None:
    """Give features before the heads about the scale of the picture (He, Zhang, Ren, Sun, "Delving Deep into
    Rectifiers", 2015), and what blocks add half of it.

    Without normalisation they fade from layer to layer as a convolution starts by default, and lines, which
    need them all, are learned late.
    """
    with torch.no_grad():
        for name, layer in network.named_modules():
            if isinstance(layer, FactorConv) and layer is not network.heads:
                layer.weight.mul_(1.5**0.5 if name.endswith("second") else 6**0.5)
        if network.fine:
            # Differences of luma are small, and there are many of them: planes and differences weigh alike.
            network.stem.weight[:, :, :3] *= ((3 + FINE**2) / 6) ** 0.5
            network.stem.weight[:, :, 3:] *= 2.0


def spread(network: nn.Module) -> None:
    """Let every factor start from the weights for factor 1: its strokes, as many reduced pixels wide."""
    with torch.no_grad():
        for values_A in network.parameters():
            values_A.copy_(values_A[:1].clone().expand_as(values_A))


def forget_detail(network: WarpMask) -> None:
    """Start without detail gain: at factor 1 there is no detail beyond the reduced picture, so what weights
    that were trained there say of it means nothing."""
    with torch.no_grad():
        network.heads.weight[:, 24:28] = 0
        network.heads.bias[:, 24:28] = 0


@dataclass
class Freeze:
    """Whether the weights for factor 1 stay as they are."""

    on: bool = False


def hold(network: nn.Module) -> Freeze:
    """Let the weights for factor 1 learn nothing, as long as the hold is on: factors between 1 and 2 mix them
    with others."""
    held = Freeze()

    def without_first(gradient_A: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(gradient_A[:1]), gradient_A[1:]]) if held.on else gradient_A

    for values_A in network.parameters():
        values_A.register_hook(without_first)  # type: ignore[no-untyped-call]
    return held


@dataclass
class Tie:
    """Whether all factors learn the same."""

    on: bool = True


def tie(network: nn.Module) -> Tie:
    """Let every factor learn from the steps at all factors, as long as the tie is on.

    Weights belong to three factors, so that each learns from a third of the steps. What they have in common
    is nearly everything, as long as little was learned.
    """
    tied = Tie()

    def shared(gradient_A: Tensor) -> Tensor:
        return gradient_A.sum(0, keepdim=True).expand_as(gradient_A) if tied.on else gradient_A

    for values_A in network.parameters():
        values_A.register_hook(shared)  # type: ignore[no-untyped-call]
    return tied
