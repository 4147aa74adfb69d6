"""Plans: which TensorRT is here, and plans deserialized and executed by its own interface.

TensorRT and its RTX build have the same interface under two names of modules. Executing a plan needs neither
torch-tensorrt nor torch's own runtime for it: names, shapes and addresses are set, and the rest is enqueued
on the stream that is given, so that it can be recorded in a CUDA graph.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamfx.backends.torch_engine import Shape, Translate

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Flavour:
    """One of the two builds of TensorRT.

    Attributes:
        package: package of torch-tensorrt for it.
        module: module of TensorRT itself.
    """

    package: str
    module: str


FLAVOURS = (Flavour("torch-tensorrt", "tensorrt"), Flavour("torch-tensorrt-rtx", "tensorrt_rtx"))


def flavour() -> Flavour | None:
    """Return the build of TensorRT that torch-tensorrt is installed for; None where none is."""
    return next((each for each in FLAVOURS if installed(each.package)), None)


def flavour_missing() -> str | None:
    """Return None where torch-tensorrt and its TensorRT are installed, else what to install."""
    found = flavour()
    if found is None:
        return "torch-tensorrt is not installed; pip install 'streamfx[tensorrt]'"
    if importlib.util.find_spec(found.module) is None:
        return f"{found.package} is installed, but the library it is for is not; pip install {found.module}"
    return None


def installed(package: str) -> str | None:
    """Return the installed version of a package without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


class Plan:
    """A deserialized plan: one picture in, heads out.

    Args:
        trt: the module of TensorRT.
        data: the plan.
        kernels: result of `kernels` when it last ran; only the RTX build keeps any.

    Raises:
        ValueError: it is no plan that runs here, or has other inputs and outputs than one of each.
    """

    def __init__(self, trt: Any, data: bytes, kernels: bytes | None = None) -> None:
        self._logger = trt.Logger(trt.Logger.WARNING)
        self._runtime = trt.Runtime(self._logger)
        engine = self._runtime.deserialize_cuda_engine(data)
        if engine is None:
            raise ValueError(f"{trt.__name__} {trt.__version__} cannot read the plan")
        self._engine = engine
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        outputs = [name for name in names if name not in inputs]
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(f"a plan must have one input and one output, found {inputs} and {outputs}")
        if any(engine.get_tensor_dtype(name) != trt.DataType.HALF for name in names):
            raise ValueError("a plan must take and give half precision")
        (self._input,), (self._output,) = inputs, outputs
        self._config, self._cache = _runtime_config(trt, engine, kernels)

    @property
    def kernels(self) -> bytes | None:
        """Kernels compiled so far, to be kept for the next start; None where there are none to keep."""
        return None if self._cache is None else bytes(self._cache.serialize())

    def translate(self, shape: Shape) -> Translate:
        """Return what runs the plan for one shape of what is seen, (B, N, h, w), with a context of its own.

        Recordings hold the memory of the context: another shape must not come and move it.

        Raises:
            ValueError: the plan does not take such a shape.
        """
        engine, names = self._engine, (self._input, self._output)
        context = engine.create_execution_context(*(() if self._config is None else (self._config,)))
        if context is None or not context.set_input_shape(self._input, shape):
            raise ValueError(f"the plan does not take {shape}")

        lock = threading.Lock()  # addresses belong to the context, not to the call

        def translate(seen: Tensor, heads: Tensor) -> None:
            for name, tensor in zip(names, (seen, heads), strict=True):
                if not tensor.is_contiguous():
                    raise ValueError(f"{name} must be contiguous, found strides {tensor.stride()}")
            with lock:
                for name, tensor in zip(names, (seen, heads), strict=True):
                    context.set_tensor_address(name, tensor.data_ptr())
                done = context.execute_async_v3(_stream(seen))
            if not done:
                raise RuntimeError(f"TensorRT could not run a plan for {shape}; its log says why")

        return translate


def keeps_kernels(trt: Any) -> bool:
    """Return whether this is the RTX build, which compiles kernels on the user's machine."""
    return hasattr(trt, "DynamicShapesKernelSpecializationStrategy")


def _stream(seen: Tensor) -> int:
    """Return the handle of torch's current stream on the tensor's device.

    Raises:
        RuntimeError: it is the default stream, on which TensorRT waits for the whole device.
    """
    import torch

    handle = int(torch.cuda.current_stream(seen.device).cuda_stream)
    if handle == 0:
        raise RuntimeError(
            "TensorRT must not run on the default stream; use one of your own: with torch.cuda.stream(…)"
        )
    return handle


def _runtime_config(trt: Any, engine: Any, kernels: bytes | None) -> tuple[Any, Any]:
    """Return how contexts are to be made, and where compiled kernels are kept; None and None for the usual.

    Kernels that are compiled here must be there before a context is recorded, so not lazily.
    """
    if not keeps_kernels(trt):
        return None, None
    config = engine.create_runtime_config()
    config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
    cache = config.create_runtime_cache()
    if kernels is not None and not cache.deserialize(kernels):
        log.info("the kernels kept for a plan do not fit and are compiled again")
    config.set_runtime_cache(cache)
    return config, cache
