"""Fused heads: the steps before and after a network whose heads are warped and blended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from streamfx.generate.gpu.network_pass import NetworkPass
from streamfx.generate.gpu.steps import GraphKey, Network
from streamfx.generate.ops.fuse.operation import fuse_on
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from streamfx.generate.network_input import Noise


class FusedHeads:
    """The way of heads that are warped and blended; see `HeadSteps`."""

    def __init__(self, network: Network, kind: GraphKey, device: torch.device) -> None:
        self._colour, self._max_displacement_pixels = kind.colour, network.max_displacement_pixels
        self._pass = NetworkPass(network, kind, device)

    def take(self, noise: Noise) -> None:
        """Do nothing: such engines take none."""

    def know(self, frames: int) -> None:
        self._pass.know(frames)

    def reduce(self, source: Surface) -> None:
        self._pass.reduce(source)

    def translate(self, network: Callable[[Tensor, Tensor], None]) -> None:
        self._pass.translate(network)

    def full_size(self, source: Surface, target: Surface, strength: Tensor, not_finite: Tensor) -> None:
        fuse_on(
            source,
            target,
            self._pass.heads,
            self._pass.reduced,
            colour=self._colour,
            strength=strength,
            max_displacement_pixels=self._max_displacement_pixels,
            not_finite=not_finite,
        )
