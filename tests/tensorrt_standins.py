"""What TensorRT-RTX and torch-tensorrt need to build a plan where there is no GPU: the real converters, the
real builder, and stand-ins for the questions they ask of a GPU.

    python -m tests.tensorrt_standins WHEELS   the building process (`backends.tensorrt_build_process`)

WHEELS is the folder into which ``make tensorrt-check`` installed the pinned wheels. Nothing of this may ever
be part of the library: it relies on private details of exactly these versions.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.machinery
import logging
import sys
import types
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIBRARIES = ("libtensorrt_rtx.so.1.5.0", "libtensorrt_onnxparser_rtx.so.1.5.0")
CAPABILITY = (8, 6)


@dataclass(frozen=True)
class Built:
    """What the builder was given.

    Attributes:
        layers: number of layers.
        types: types of the floating tensors that layers give.
        ports: name, type and shape of each input and output.
    """

    layers: int
    types: frozenset[str]
    ports: tuple[str, ...]


builds: list[Built] = []


def install(wheels: Path) -> None:
    """Make ``import torch_tensorrt`` work here, for building alone."""
    _answer_for_a_gpu()
    sys.path.insert(0, str(wheels))
    sys.modules["tensorrt_rtx"] = _tensorrt_rtx(wheels)
    for library in (wheels / "torch_tensorrt" / "lib").glob("libtorchtrt*.so"):
        library.unlink(
            missing_ok=True
        )  # they want CUDA's part of torch; without them its Python part is used
    logging.getLogger("torch_tensorrt").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch_tensorrt  # noqa: F401
    tensorrt = importlib.import_module("tensorrt")  # torch-tensorrt puts the RTX build in its place
    tensorrt.Runtime = _Runtime  # type: ignore[attr-defined]
    _note_what_is_built(tensorrt)


def _answer_for_a_gpu() -> None:
    import torch

    facts = types.SimpleNamespace(
        major=CAPABILITY[0], minor=CAPABILITY[1], name="none", total_memory=8 << 30, multi_processor_count=28
    )
    answers: dict[str, Any] = {
        "get_device_capability": CAPABILITY,
        "current_device": 0,
        "get_device_properties": facts,
        "get_device_name": facts.name,
        "set_device": None,
        "mem_get_info": (8 << 30, 8 << 30),
        "synchronize": None,
        "device_count": 1,
    }
    for name, answer in answers.items():
        setattr(torch.cuda, name, lambda *_, answer=answer: answer)
    if not hasattr(torch._C, "_CudaDeviceProperties"):
        setattr(torch._C, "_CudaDeviceProperties", type("_CudaDeviceProperties", (), {}))  # noqa: B010


def _tensorrt_rtx(wheels: Path) -> types.ModuleType:
    """Return the module of TensorRT-RTX: its bindings, on the libraries that another wheel carries."""
    for name in LIBRARIES:
        ctypes.CDLL(str(wheels / "onnxruntime_ep_nv_tensorrt_rtx" / name), mode=ctypes.RTLD_GLOBAL)
    bindings = importlib.import_module("tensorrt_rtx_bindings")
    module = types.ModuleType("tensorrt_rtx")
    shown = {name: value for name, value in vars(bindings).items() if not name.startswith("__")}
    vars(module).update(shown)
    module.__version__ = bindings.__version__  # type: ignore[attr-defined]
    module.__file__, module.__path__ = bindings.__file__, []
    module.__spec__ = importlib.machinery.ModuleSpec("tensorrt_rtx", None)
    module.tensorrt_rtx = bindings.tensorrt_rtx  # type: ignore[attr-defined]
    return module


class _Runtime:
    """torch-tensorrt reads what it has built, and writes it again: the one step that takes a GPU."""

    def __init__(self, logger: object) -> None: ...

    def deserialize_cuda_engine(self, plan: bytes) -> object:
        return types.SimpleNamespace(serialize=lambda *_: plan)


def _note_what_is_built(tensorrt: Any) -> None:
    build = tensorrt.Builder.build_serialized_network

    def noted(self: Any, network: Any, config: Any) -> Any:
        layers = [network.get_layer(number) for number in range(network.num_layers)]
        tensors = [layer.get_output(number) for layer in layers for number in range(layer.num_outputs)]
        ports = [network.get_input(number) for number in range(network.num_inputs)]
        ports += [network.get_output(number) for number in range(network.num_outputs)]
        floating = {tensorrt.DataType.FLOAT, tensorrt.DataType.HALF, tensorrt.DataType.BF16}
        builds.append(
            Built(
                len(layers),
                frozenset(str(tensor.dtype) for tensor in tensors if tensor.dtype in floating),
                tuple(f"{port.name} {port.dtype} {tuple(port.shape)}" for port in ports),
            )
        )
        return build(self, network, config)

    tensorrt.Builder.build_serialized_network = noted


if __name__ == "__main__":
    install(Path(sys.argv[1]))
    from streamfx.backends import tensorrt_build_process as build_engine

    sys.exit(build_engine.main())
