"""Eager: the network as torch runs it, in float32, on the CPU or a GPU. What others are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamfx.backends.backend import CompilableEngine, CompileOptions, Precision
from streamfx.backends.golden_check import check_golden
from streamfx.engine.golden import Tolerance
from streamfx.errors import BackendUnavailableError
from streamfx.hardware.cuda import Device, require_cuda, torch_missing

if TYPE_CHECKING:
    from torch import Tensor, nn

    from streamfx.backends.fixed_inputs import Setting
    from streamfx.backends.torch_engine import Shape, TorchEngine, Translate

# Float32 differs by the order of summation only.
TOLERANCE = Tolerance(rms=1e-3, largest=1e-2)


class EagerBackend:
    """Runs networks with torch, as they are."""

    name = "eager"
    chosen_on = frozenset({Device.CPU, Device.CUDA})
    library = "torch"
    keeps_compiled = False
    compiles_each_size = False

    def availability(self) -> str | None:
        return torch_missing()

    def held_back(self) -> str | None:
        return None

    def compile(self, engine: CompilableEngine, options: CompileOptions) -> TorchEngine:
        """Return the engine, checked against its golden frame; on the CPU unless another device is asked for.

        The number of threads is one for the whole process in torch, so the latest engine compiled decides.

        Raises:
            BackendUnavailableError: torch is missing, or another precision than float32 is asked for, or a
                GPU that cannot be used.
            EngineMismatchError: torch does not give the engine's golden heads.
        """
        if reason := self.availability():
            raise BackendUnavailableError(f"backend eager cannot run here: {reason}")
        if options.precision not in (Precision.AUTO, Precision.F32):
            raise BackendUnavailableError(
                f"backend eager is the reference and computes in f32 only; {options.precision} was asked "
                f"for: use {'openvino' if options.precision is Precision.BF16 else 'inductor'}"
            )
        if options.device is Device.CUDA:
            require_cuda(self.name)
        import torch

        from streamfx.backends.torch_engine import TorchEngine

        if options.threads is not None:
            torch.set_num_threads(options.threads)
        device = "cuda" if options.device is Device.CUDA else "cpu"
        network = engine.network().to(device)

        def prepare(setting: Setting, shape: Shape) -> Translate:  # noqa: ARG001 - any shape is fine
            return reference(network, setting, device)

        compiled = TorchEngine(engine.golden, self.name, Precision.F32, device, prepare)
        check_golden(engine, compiled, TOLERANCE)
        return compiled


def reference(network: nn.Module, setting: Setting, device: str) -> Translate:
    """Return what runs a network as it is, in float32."""
    import torch

    constants = [torch.from_numpy(value.copy()).to(device) for value in setting.values]

    def translate(seen: Tensor, heads: Tensor) -> None:
        heads.copy_(network(seen, *constants))

    return translate
