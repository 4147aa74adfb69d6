"""Network pass: what a network that spans the frame sees of it on a device, and the heads it gives, averaged
with those before where it has a memory."""

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


class NetworkPass:
    """Memory and steps of one kind of picture, up to the heads; all on torch's current stream.

    Args:
        network: the engine.
        kind: kind of picture.
        device: device on which it runs.
    """

    def __init__(self, network: Network, kind: GraphKey, device: torch.device) -> None:
        import torch

        self._colour, engine, self._fine = kind.colour, network.engine, network.fine_luma
        seen = (1, 3 + self._fine**2, *small_size(kind.form.size, kind.factor, network.stride))
        self._seen = torch.zeros(seen, dtype=engine.dtype, device=device)
        self._heads = torch.zeros(engine.heads_shape(seen), dtype=engine.dtype, device=device)
        self._tolerance = network.memory_tolerance * (1 << kind.form.depth)
        self._past = PastOnDevice(self._heads) if self._tolerance else None

    @property
    def reduced(self) -> Tensor:
        """The reduced planes, (1, 3, h, w), in code values."""
        return self._seen[:, :3]

    @property
    def heads(self) -> Tensor:
        """The heads, (1, C, h, w), averaged where the engine has a memory."""
        return self._heads if self._past is None else self._past.steadied

    def know(self, frames: int) -> None:
        """Say how many of the frames done last are the ones before the next. Not recorded."""
        if self._past is not None:
            self._past.know(frames)

    def reduce(self, source: Surface) -> None:
        """Write what the network sees."""
        reduce_on(source, self._colour, self._seen, fine=self._fine)

    def translate(self, network: Callable[[Tensor, Tensor], None]) -> None:
        """Call the network, which writes the heads of its first argument to the second."""
        network(self._seen, self._heads)
        if self._past is not None:
            self._past.steady(self._heads, self.reduced, self._tolerance)
