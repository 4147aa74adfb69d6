"""Inductor: the network compiled by torch.compile, for each setting and shape. Made for NVIDIA GPUs.

On a GPU it runs in half precision with channels last, the order in which its convolutions are fastest. On a
CPU it runs in float32; there OpenVINO is faster, so ``auto`` passes this over.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from streamfx.backends.backend import CompilableEngine, CompileOptions, Precision
from streamfx.backends.golden_check import check_golden
from streamfx.engine.golden import Tolerance, roundoff_of
from streamfx.errors import BackendUnavailableError
from streamfx.hardware.cuda import Device, compiler_missing, cuda_missing, require_cuda, torch_missing

if TYPE_CHECKING:
    from torch import Tensor

    from streamfx.backends.fixed_inputs import Setting
    from streamfx.backends.torch_engine import Shape, TorchEngine, Translate

log = logging.getLogger(__name__)

TOLERANCES = {
    Precision.F32: Tolerance(rms=1e-3, largest=1e-2),
    Precision.F16: Tolerance(rms=0.02, largest=0.2, roundoff=roundoff_of(11)),
}


@dataclass(frozen=True, slots=True)
class InductorBackend:
    """Runs networks that torch.compile made kernels of.

    Attributes:
        mode: mode of torch.compile on a GPU; "max-autotune-no-cudagraphs" tries out more kernels, for
            minutes.
    """

    mode: str | None = None
    name: ClassVar[str] = "inductor"
    chosen_on: ClassVar[frozenset[Device]] = frozenset({Device.CUDA})
    library: ClassVar[str] = "torch"
    keeps_compiled: ClassVar[bool] = False
    compiles_each_size: ClassVar[bool] = True

    def availability(self) -> str | None:
        return torch_missing() or _compiler_missing(_device(Device.AUTO))

    def held_back(self) -> str | None:
        if reason := cuda_missing():
            return (
                f"{reason}, and on a CPU openvino is faster and ready at once, while inductor compiles for "
                "tens of seconds for each size"
            )
        return None

    def compile(self, engine: CompilableEngine, options: CompileOptions) -> TorchEngine:
        """Return the engine, checked against its golden frame; on a GPU where there is one.

        Raises:
            BackendUnavailableError: torch, a compiler, or the device or precision asked for is not there.
            EngineMismatchError: what was compiled does not give the engine's golden heads.
        """
        if options.device is Device.CUDA:
            require_cuda(self.name)
        device = _device(options.device)
        if reason := torch_missing() or _compiler_missing(device):
            raise BackendUnavailableError(f"backend inductor cannot run here: {reason}")
        precision = _precision(options.precision, device)
        import torch

        from streamfx.backends.torch_engine import TorchEngine

        if options.threads is not None and device == "cpu":
            torch.set_num_threads(options.threads)

        def prepare(setting: Setting, shape: Shape) -> Translate:
            return _compiled(engine, setting, shape, precision, device, self.mode)

        compiled = TorchEngine(engine.golden, self.name, precision, device, prepare)
        check_golden(engine, compiled, TOLERANCES[precision])
        return compiled


def _compiled(
    engine: CompilableEngine,
    setting: Setting,
    shape: Shape,
    precision: Precision,
    device: str,
    mode: str | None,
) -> Translate:
    """Return what runs the network for a setting and a shape, compiled."""
    import torch

    from streamfx.backends.constant_folding import channels_last, settled

    started = time.perf_counter()
    dtype = torch.float16 if precision is Precision.F16 else torch.float32
    graph = channels_last(settled(engine, setting, shape), device, dtype)
    # The settled graph has code of its own for each setting and shape, so torch's limit of recompilations of
    # one piece of code is never met. Recording is ours: a caller can record its whole frame instead.
    network = torch.compile(graph, fullgraph=True, dynamic=False, mode=mode if device == "cuda" else None)

    def translate(seen: Tensor, heads: Tensor) -> None:
        heads.copy_(network(seen.contiguous(memory_format=torch.channels_last)))

    with torch.inference_mode():
        heads = torch.empty(engine.golden.heads_shape(shape), dtype=dtype, device=device)
        translate(torch.zeros(shape, dtype=dtype, device=device), heads)
    log.info(
        "engine %r: inductor compiled it for %dx%d in %.1f s",
        engine.name,
        *reversed(shape[2:]),
        time.perf_counter() - started,
    )
    return translate


def _device(asked: Device) -> str:
    return "cpu" if asked is Device.CPU or cuda_missing() else "cuda"


def _compiler_missing(device: str) -> str | None:
    """Return None where kernels can be compiled for a device, else what is missing."""
    if device == "cpu":
        return compiler_missing("CXX", ("g++",))
    import importlib.util

    if importlib.util.find_spec("triton") is None:
        return "Triton, which comes with the CUDA build of torch, is not installed; pip install triton"
    return compiler_missing("CC", ("gcc", "clang"))  # Triton compiles what launches a kernel


def _precision(asked: Precision, device: str) -> Precision:
    """Return the precision to compute in.

    Raises:
        BackendUnavailableError: the one asked for is not one that the device is good at.
    """
    fits = {"cpu": (Precision.F32,), "cuda": (Precision.F16, Precision.F32)}[device]
    if asked is not Precision.AUTO and asked not in fits:
        raise BackendUnavailableError(
            f"backend inductor computes in {' or '.join(fits)} on {device}; {asked} was asked for"
        )
    return fits[0] if asked is Precision.AUTO else asked
