"""Matte heads: the steps around the network that finds people, whose heads become a matte at full size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from streamfx.generate.gpu.steps import GraphKey, Network
from streamfx.generate.ops.reduce.definition import small_size
from streamfx.generate.ops.reduce.operation import reduce_on
from streamfx.generate.ops.steady.operation import PastOnDevice
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from streamfx.generate.network_input import Noise


class MatteHeads:
    """The way of heads that become a matte, which is a picture like the frame; see `HeadSteps`."""

    def __init__(self, network: Network, kind: GraphKey, device: torch.device) -> None:
        import torch

        self._colour, engine = kind.colour, network.engine
        seen = (1, 3, *small_size(kind.form.size, kind.factor, network.stride))
        self._seen = torch.zeros(seen, dtype=engine.dtype, device=device)
        self._heads = torch.zeros(engine.heads_shape(seen), dtype=engine.dtype, device=device)
        self._tolerance = network.memory_tolerance * (1 << kind.form.depth)
        self._past = PastOnDevice(self._heads) if self._tolerance else None

    def take(self, noise: Noise) -> None:
        """Do nothing: such engines take none."""

    def know(self, frames: int) -> None:
        if self._past is not None:
            self._past.know(frames)

    def reduce(self, source: Surface) -> None:
        reduce_on(source, self._colour, self._seen, fine=0)

    def translate(self, network: Callable[[Tensor, Tensor], None]) -> None:
        network(self._seen, self._heads)
        if self._past is not None:
            self._past.steady(self._heads, self._seen, self._tolerance)

    def full_size(
        self,
        source: Surface,
        target: Surface,
        strength: Tensor,  # noqa: ARG002 - a matte has none
        not_finite: Tensor,
    ) -> None:
        """Write the matte."""
        from streamfx.generate.ops.matte.device import matte_on

        heads = self._heads if self._past is None else self._past.steadied
        matte_on(source, target, heads, self._seen[:, :1], not_finite)
