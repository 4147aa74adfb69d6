"""Eager: the network as torch runs it, float32 on the CPU. What other backends are compared with."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np

from streamfx.backends.backend import CompilableEngine, CompileOptions, Precision
from streamfx.backends.golden import Array, Tolerance, check_golden
from streamfx.errors import BackendUnavailableError

if TYPE_CHECKING:
    from torch import nn

# Float32 differs by the order of summation only.
TOLERANCE = Tolerance(rms=1e-3, largest=1e-2)


class EagerBackend:
    """Runs networks with torch, as they are."""

    name = "eager"

    def availability(self) -> str | None:
        if importlib.util.find_spec("torch") is None:
            return "torch is not installed; pip install torch"
        return None

    def compile(self, engine: CompilableEngine, options: CompileOptions) -> EagerEngine:
        """Return the engine, checked against its golden frame.

        The number of threads is one for the whole process in torch, so the latest engine compiled decides.

        Raises:
            BackendUnavailableError: torch is missing, or another precision than float32 is asked for.
            EngineMismatchError: torch does not give the engine's golden heads.
        """
        if reason := self.availability():
            raise BackendUnavailableError(f"backend eager cannot run here: {reason}")
        if options.precision is Precision.BF16:
            raise BackendUnavailableError(
                "backend eager is the reference and computes in f32 only; bf16 was asked for: use openvino"
            )
        import torch

        if options.threads is not None:
            torch.set_num_threads(options.threads)
        compiled = EagerEngine(engine.network())
        check_golden(engine, compiled, TOLERANCE)
        return compiled


class EagerEngine:
    """A network called with torch; the calling threads share its weights and nothing else."""

    backend = "eager"
    precision = Precision.F32

    def __init__(self, network: nn.Module) -> None:
        self._network: nn.Module | None = network

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        import torch

        if self._network is None:
            raise RuntimeError("this compiled engine is closed")
        with torch.inference_mode():
            heads = self._network(
                torch.from_numpy(reduced)[None],
                torch.from_numpy(to_rgb),
                torch.from_numpy(from_rgb),
                torch.tensor([factor], dtype=torch.float32),
            )
        result: Array = heads[0].contiguous().numpy()
        return result

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None:
        self(np.zeros(shape, np.float32), to_rgb, from_rgb, factor)

    def close(self) -> None:
        self._network = None
