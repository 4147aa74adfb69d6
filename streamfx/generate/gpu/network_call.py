"""Call: a network by itself on a device, on what is there already; what `streamfx bench` measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from streamfx.gpu.graph import recorded
from streamfx.gpu.streams import Lane

if TYPE_CHECKING:
    from torch import Tensor

    from streamfx.backends.backend import DeviceEngine
    from streamfx.engine.golden import Array


class DeviceCall:
    """One call of a network, made again whenever this is called; on a GPU recorded as a CUDA graph.

    Args:
        engine: the network.
        lane: lane to work in.
        reduced: (N, h, w) of the host: what the network sees; this and the others as for `CompiledEngine`.
        to_rgb: (3, 4) float32.
        from_rgb: (3, 4) float32.
        factor: ratio of the full size to the reduced one, 1 or more.

    Attributes:
        heads: (1, C, H, W) on the device: what the latest call gave, once the lane is there.
    """

    def __init__(
        self, engine: DeviceEngine, lane: Lane, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float
    ) -> None:
        import torch

        seen = torch.from_numpy(np.ascontiguousarray(reduced))[None].to(engine.device, engine.dtype)
        shape = engine.heads_shape(tuple(seen.shape))
        self.heads: Tensor = torch.empty(shape, dtype=engine.dtype, device=engine.device)
        self._lane = lane

        def work() -> None:
            engine.run(seen, to_rgb, from_rgb, factor, self.heads)

        self._again: Callable[[], object] = (
            work if lane.stream is None else recorded(work, lane.stream).replay
        )

    def __call__(self) -> None:
        """Enqueue the call in the lane."""
        with self._lane.work():
            self._again()
