"""Fused heads: the steps before and after a network whose heads are warped and blended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from streamfx.generate.gpu.steps import GraphKey, Network
from streamfx.generate.ops.fuse.operation import fuse_on
from streamfx.generate.ops.reduce.definition import small_size
from streamfx.generate.ops.reduce.operation import reduce_on
from streamfx.generate.ops.steady.operation import PastOnDevice
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from streamfx.generate.network_input import Noise


class FusedHeads:
    """The way of heads that are warped and blended; see `HeadSteps`."""

    def __init__(self, network: Network, kind: GraphKey, device: torch.device) -> None:
        import torch

        self._colour, self._max_displacement_pixels = kind.colour, network.max_displacement_pixels
        engine, self._fine = network.engine, network.fine_luma
        seen = (1, 3 + self._fine**2, *small_size(kind.form.size, kind.factor, network.stride))
        self._seen = torch.zeros(seen, dtype=engine.dtype, device=device)
        self._heads = torch.zeros(engine.heads_shape(seen), dtype=engine.dtype, device=device)
        self._tolerance = network.memory_tolerance * (1 << kind.form.depth)
        self._past = PastOnDevice(self._heads) if self._tolerance else None

    def take(self, noise: Noise) -> None:
        """Nothing: such engines take none."""

    def know(self, frames: int) -> None:
        if self._past is not None:
            self._past.know(frames)

    def reduce(self, source: Surface) -> None:
        reduce_on(source, self._colour, self._seen, fine=self._fine)

    def translate(self, network: Callable[[Tensor, Tensor], None]) -> None:
        network(self._seen, self._heads)
        if self._past is not None:
            self._past.steady(self._heads, self._seen[:, :3], self._tolerance)

    def full_size(self, source: Surface, target: Surface, strength: Tensor, not_finite: Tensor) -> None:
        fuse_on(
            source,
            target,
            self._heads if self._past is None else self._past.steadied,
            self._seen[:, :3],
            colour=self._colour,
            strength=strength,
            max_displacement_pixels=self._max_displacement_pixels,
            not_finite=not_finite,
        )
