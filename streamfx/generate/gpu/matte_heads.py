"""Matte heads: the steps around the network that finds people, whose heads become a matte at full size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from streamfx.generate.gpu.network_pass import NetworkPass
from streamfx.generate.gpu.steps import GraphKey, Network
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from streamfx.generate.network_input import Noise


class MatteHeads:
    """The way of heads that become a matte, which is a picture like the frame; see `HeadSteps`."""

    def __init__(self, network: Network, kind: GraphKey, device: torch.device) -> None:
        self._pass = NetworkPass(network, kind, device)

    def take(self, noise: Noise) -> None:
        """Do nothing: such engines take none."""

    def know(self, frames: int) -> None:
        self._pass.know(frames)

    def reduce(self, source: Surface) -> None:
        self._pass.reduce(source)

    def translate(self, network: Callable[[Tensor, Tensor], None]) -> None:
        self._pass.translate(network)

    def full_size(
        self,
        source: Surface,
        target: Surface,
        strength: Tensor,  # noqa: ARG002 - a matte has none
        not_finite: Tensor,
    ) -> None:
        """Write the matte."""
        from streamfx.generate.ops.matte.device import matte_on

        matte_on(source, target, self._pass.heads, self._pass.reduced[:, :1], not_finite)
