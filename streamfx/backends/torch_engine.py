"""Torch engine: an engine that runs on torch's tensors, made ready for each setting and shape.

Legend of shapes: B pictures, N channels that the network sees, h x w what it sees; C x H x W the heads.

Backends say what runs a setting and a shape, a `Translate`. On a GPU it is recorded as a CUDA graph on a
stream of its own, with buffers of its own, once the first frame of the host needs it, and replayed for each;
frames that are on the device already go through `TorchEngine.run`, which copies nothing to the host and
records nothing itself, so that the caller can record it along with the rest of its frame.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from streamfx.backends.backend import Precision
from streamfx.backends.fixed_inputs import Setting
from streamfx.engine.golden import Array, Golden
from streamfx.gpu.graph import recorded

Shape: TypeAlias = tuple[int, ...]
Translate: TypeAlias = Callable[[Tensor, Tensor], None]
"""Enqueues the heads of what is seen, (B, N, h, w), into the second tensor, on torch's current stream."""
Prepare: TypeAlias = Callable[[Setting, Shape], Translate]

_CLOSED = "this compiled engine is closed"
_DTYPES = {Precision.F32: torch.float32, Precision.F16: torch.float16}


@dataclass(slots=True, eq=False)
class _Ready:
    """What runs one setting and shape.

    Attributes:
        translate: translation for tensors on the device.
        recorded: recording for arrays of the host, on a GPU; None until there are some.
    """

    translate: Translate
    recorded: _Recorded | None = None


class TorchEngine:
    """An engine of which each setting and shape is prepared when that is first needed.

    May be called from several threads. On a GPU calls with arrays of the host wait for one another.

    Args:
        golden: golden frame, which says how large the heads are.
        backend: name of the backend.
        precision: precision of all tensors.
        device: "cpu" or "cuda".
        prepare: function that gives what runs a setting and a shape.
        close: callback, called when this is closed.
    """

    def __init__(
        self,
        golden: Golden,
        backend: str,
        precision: Precision,
        device: str,
        prepare: Prepare,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.backend = backend
        self.precision = precision
        self.device = torch.device(device)
        self.dtype = _DTYPES[precision]
        self.version = 0
        self._golden = golden
        self._prepare, self._close = prepare, close
        self._ready: dict[tuple[Setting, Shape], _Ready] = {}
        self._exchanged: list[_Ready] = []  # recordings that callers made of `run` still read their weights
        self._closed = False
        self._lock = threading.Lock()  # for preparing, never for a call
        if self.device.type == "cuda":
            # For the whole process: torch has these nowhere else. By default cuDNN rounds float32 to 10 bits.
            torch.backends.cudnn.allow_tf32 = False
            torch.backends.cudnn.benchmark = True

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        ready = self._readied_for_host(Setting.of(to_rgb, from_rgb, factor), (1, *reduced.shape))
        if ready.recorded is not None:
            return ready.recorded(reduced)
        heads = torch.empty(self._golden.heads_shape((1, *reduced.shape)), dtype=self.dtype)
        with torch.inference_mode():
            ready.translate(torch.from_numpy(np.ascontiguousarray(reduced))[None].to(self.dtype), heads)
        result: Array = heads[0].float().numpy()
        return result

    def run(self, seen: Tensor, to_rgb: Array, from_rgb: Array, factor: float, heads: Tensor) -> None:
        """Enqueue the heads of what is seen on torch's current stream; see `DeviceEngine`."""
        ready = self._readied(Setting.of(to_rgb, from_rgb, factor), tuple(seen.shape))
        with torch.inference_mode():
            ready.translate(seen, heads)

    def heads_shape(self, seen: Shape) -> Shape:
        """Return the shape (B, C, H, W) of the heads of what is seen, (B, N, h, w)."""
        return self._golden.heads_shape(seen)

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None:
        self._readied_for_host(Setting.of(to_rgb, from_rgb, factor), (1, *shape))

    def exchange(self, setting: Setting, shape: Shape, translate: Translate) -> bool:
        """Let the next call of a setting and shape be done by something else; calls that run are finished.

        Returns:
            False where this is closed, and nothing was done.
        """
        ready, former = _Ready(translate), self._ready.get((setting, shape))
        if former is not None and former.recorded is not None:
            ready.recorded = self._recorded(translate, shape)  # takes a while; frames go on meanwhile
        with self._lock:
            if not self._closed:
                if (former := self._ready.get((setting, shape))) is not None:
                    self._exchanged.append(former)
                self._ready[setting, shape] = ready
                self.version += 1
            return not self._closed

    def close(self) -> None:
        self._closed = True
        self._close()  # ends what somebody may wait for with the lock
        with self._lock:
            self._ready.clear()
            self._exchanged.clear()

    def _readied(self, setting: Setting, shape: Shape) -> _Ready:
        ready = self._ready.get((setting, shape))
        if ready is None:
            with self._lock:
                if self._closed:
                    raise RuntimeError(_CLOSED)
                ready = self._ready.get((setting, shape))
                if ready is None:
                    ready = self._ready[setting, shape] = _Ready(self._prepare(setting, shape))
        return ready

    def _readied_for_host(self, setting: Setting, shape: Shape) -> _Ready:
        """Return it ready for arrays of the host: on a GPU recorded."""
        ready = self._readied(setting, shape)
        if ready.recorded is None and self.device.type == "cuda":
            with self._lock:
                if self._closed:
                    raise RuntimeError(_CLOSED)
                if ready.recorded is None:
                    ready.recorded = self._recorded(ready.translate, shape)
        return ready

    def _recorded(self, translate: Translate, shape: Shape) -> _Recorded:
        with torch.inference_mode():
            return _Recorded(translate, shape, self._golden.heads_shape(shape), self.dtype, self.device)


class _Recorded:
    """A `Translate` as a CUDA graph, with a stream and buffers of its own. Calls wait for one another."""

    def __init__(
        self, translate: Translate, seen: Shape, heads: Shape, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._seen, self._heads = (torch.zeros(shape, dtype=dtype, device=device) for shape in (seen, heads))
        self._host_seen, self._host_heads = (
            torch.zeros(shape, dtype=dtype, pin_memory=True) for shape in (seen, heads)
        )
        self._lock = threading.Lock()
        self._graph = recorded(lambda: translate(self._seen, self._heads), self._stream)

    def __call__(self, reduced: Array) -> Array:
        with self._lock, torch.inference_mode():
            self._host_seen[0].copy_(torch.from_numpy(np.ascontiguousarray(reduced)))
            with torch.cuda.stream(self._stream):
                self._seen.copy_(self._host_seen, non_blocking=True)
                self._graph.replay()
                self._host_heads.copy_(self._heads, non_blocking=True)
            self._stream.synchronize()
            heads = torch.empty(self._host_heads.shape[1:])
            result: Array = heads.copy_(self._host_heads[0]).numpy()
            return result
