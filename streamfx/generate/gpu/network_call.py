"""Network call: a network by itself on a device, on what is there already; what `streamfx bench` measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from streamfx.gpu.graph import recorded
from streamfx.gpu.streams import Stream

if TYPE_CHECKING:
    from torch import Tensor

    from streamfx.backends.backend import DeviceEngine
    from streamfx.engine.golden import Array


class DeviceCall:
    """One call of a network, made again whenever this is called; on a GPU recorded as a CUDA graph.

    Args:
        engine: the network.
        stream: stream to work in.
        reduced: (N, h, w) of the host: what the network sees; this and the others as for `CompiledEngine`.
        to_rgb: (3, 4) float32.
        from_rgb: (3, 4) float32.
        factor: ratio of the full size to the reduced one, 1 or more.

    Attributes:
        heads: (1, C, H, W) on the device: what the latest call gave, once the stream is there.
    """

    def __init__(
        self,
        engine: DeviceEngine,
        stream: Stream,
        reduced: Array,
        to_rgb: Array,
        from_rgb: Array,
        factor: float,
    ) -> None:
        import torch

        seen = torch.from_numpy(np.ascontiguousarray(reduced))[None].to(engine.device, engine.dtype)
        shape = engine.heads_shape(tuple(seen.shape))
        self.heads: Tensor = torch.empty(shape, dtype=engine.dtype, device=engine.device)
        self._stream = stream

        def work() -> None:
            engine.run(seen, to_rgb, from_rgb, factor, self.heads)

        self._again: Callable[[], object] = (
            work if stream.stream is None else recorded(work, stream.stream).replay
        )

    def __call__(self) -> None:
        """Enqueue the call in the stream."""
        with self._stream.work():
            self._again()
