"""Recording: reduce ▸ translate ▸ back for pictures that are on a device already, as one CUDA graph.

A graph is recorded for each kind of picture, factor and engine, with memory of its own for what goes in and
comes out; pictures are copied there and from there, which takes microseconds. Strength and noise are read
from the device when the graph runs, so changing them records nothing. On the CPU the same steps run one by
one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamfx.generate.gpu.fused_heads import FusedHeads
from streamfx.generate.gpu.steps import GraphKey, HeadSteps, Network
from streamfx.gpu.graph import recorded
from streamfx.gpu.pool import Slot, device_memory
from streamfx.gpu.streams import Stream
from streamfx.media.colour import both_ways
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from streamfx.generate.network_input import Noise


class Recording:
    """What is done to one kind of picture, ready to run.

    Args:
        network: the engine.
        kind: kind of picture.
        stream: stream to record in, while frames are done in another one.

    Attributes:
        pictures_done: number of pictures that were enqueued.
    """

    def __init__(self, network: Network, kind: GraphKey, stream: Stream) -> None:
        self._network, self._kind = network, kind
        self._to_rgb, self._from_rgb = both_ways(kind.colour, kind.form.depth)
        self._strength_set = 1.0
        self.pictures_done = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        with stream.work():
            self._allocate(stream.device)
            if stream.stream is not None:
                self._record(stream.device, stream.stream)
        stream.record_event().wait()

    def run(
        self, source: Slot, target: Slot, strength: float, noise: Noise | None = None, known: int = 0
    ) -> Tensor:
        """Enqueue one picture on torch's current stream; return the flag of its `NonFiniteFlag`.

        Args:
            source: picture that goes in.
            target: place for the one that comes out.
            strength: 0..1.
            noise: noise for engines that take some.
            known: number of the pictures done last that are the frames just before this one.
        """
        import torch

        if strength != self._strength_set:
            self._strength.fill_(strength)
            self._strength_set = strength
        if noise is not None:
            self._head_steps.take(noise)
        self._head_steps.know(known)
        self.pictures_done += 1
        if self._graph is None:
            self._steps(source.surface, target.surface)
        else:
            self._source.memory.copy_(source.memory, non_blocking=True)
            self._graph.replay()
            target.memory.copy_(self._target.memory, non_blocking=True)
        flag = torch.empty(1, dtype=torch.int32, pin_memory=self._graph is not None)
        flag.copy_(self._not_finite, non_blocking=True)
        return flag

    def _steps(self, source: Surface, target: Surface) -> None:
        self._not_finite.zero_()
        self._head_steps.reduce(source)
        self._head_steps.translate(self._network_on)
        self._head_steps.full_size(source, target, self._strength, self._not_finite)

    def _network_on(self, seen: Tensor, heads: Tensor) -> None:
        self._network.engine.run(seen, self._to_rgb, self._from_rgb, self._kind.factor, heads)

    def _allocate(self, device: torch.device) -> None:
        import torch

        self._head_steps = self._opened_steps(device)
        self._strength = torch.ones(1, dtype=torch.float32, device=device)
        self._not_finite = torch.zeros(1, dtype=torch.int32, device=device)

    def _opened_steps(self, device: torch.device) -> HeadSteps:
        if self._network.placed is None:
            return FusedHeads(self._network, self._kind, device)
        # Only here: it needs the libraries that read engine folders.
        from streamfx.engine.spec import OutputKind
        from streamfx.generate.gpu.matte_heads import MatteHeads
        from streamfx.generate.gpu.placed_heads import PlacedHeads

        if self._network.placed.spec.kind is OutputKind.MATTE:
            return MatteHeads(self._network, self._kind, device)

        return PlacedHeads(self._network.placed, self._network.engine, self._kind, device)

    def _record(self, device: torch.device, stream: torch.cuda.Stream) -> None:
        allocate = device_memory(device)
        self._source, self._target = (Slot.new(self._kind.form, allocate) for _ in range(2))
        self._graph = recorded(lambda: self._steps(self._source.surface, self._target.surface), stream)
