"""TensorRT-RTX on a GPU that NVIDIA does not list for it: does it run, is it right, how fast is it?

    python -m benchmarks.gpu.tensorrt_rtx [--kit FOLDER] [--out FOLDER]

The kit is what ``python -m benchmarks.gpu.pack`` packed on another machine: the library, its bindings, and
plans. Nothing else of TensorRT needs to be installed. Every step says what TensorRT said; that it refuses is
an answer, too. ``first run`` compiles the kernels, ``opened again`` has those that were kept.

Without a kit there is nothing to do. With one but without a GPU it goes as far as TensorRT does.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import importlib.util
import json
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu.__main__ import KIT
from benchmarks.gpu.bare import bare_engine
from benchmarks.gpu.cases import Cases, Measure, NotHereError
from benchmarks.gpu.engines import CALLS, WARM
from benchmarks.gpu.planned import Planned
from streamfx.engine.golden import Golden

PIECE = "kit.tar.xz.{number}-of-{count}"
LIBRARIES = ("libtensorrt_rtx.so.1.5.0", "libtensorrt_onnxparser_rtx.so.1.5.0")  # in the order they load
BINDINGS = "tensorrt_rtx_bindings"
PLANS = "plans.json"


Network: TypeAlias = Callable[[Golden, torch.device], Callable[[Tensor], Tensor]]
"""Gives what computes the heads for what is seen, at the setting of a golden frame, on a device."""


@dataclass
class Probe:
    """What is known so far.

    Attributes:
        folder: folder into which the kit is unpacked.
        gpu: whether there is one.
        trt: the module, once it is loaded.
        said: messages of TensorRT since somebody last asked.
    """

    folder: Path
    gpu: bool
    trt: Any = None
    said: list[str] = field(default_factory=list)

    def unpack(self, kit: Path) -> dict[str, Any]:
        """Put the kit's pieces together, and take it apart.

        Raises:
            NotHereError: there are none, or not all of them.
        """
        found = sorted(kit.glob(PIECE.format(number="*", count="*")))
        if not found:
            raise NotHereError(f"no kit in {kit}: python -m benchmarks.gpu.pack makes one")
        count = int(found[0].name.rpartition("-")[2])
        pieces = [kit / PIECE.format(number=number, count=count) for number in range(1, count + 1)]
        if missing := [piece.name for piece in pieces if piece not in found]:
            raise NotHereError(f"the kit in {kit} is not whole: {', '.join(missing)} is missing")
        with tempfile.TemporaryFile() as whole:
            for piece in pieces:
                with piece.open("rb") as part:
                    shutil.copyfileobj(part, whole)
            size_bytes = whole.tell()
            whole.seek(0)
            with tarfile.open(fileobj=whole, mode="r:xz") as archive:
                archive.extractall(self.folder, filter="data")
        return {"pieces": count, "packed_bytes": size_bytes}

    def load(self) -> dict[str, Any]:
        """Load the library and its bindings."""
        for name in LIBRARIES:
            ctypes.CDLL(str(self.folder / name), mode=ctypes.RTLD_GLOBAL)
        sys.path.insert(0, str(self.folder))
        self.trt = importlib.import_module(BINDINGS)
        self.listen()
        return {"version": self.trt.__version__, "python": sys.version.split()[0]}

    def listen(self) -> None:
        """Let all that TensorRT says come to `said`, and to stderr at once."""
        trt, said = self.trt, self.said

        def log(_: object, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.WARNING:
                said.append(f"{getattr(severity, 'name', severity)}: {message}")
                print(said[-1], file=sys.stderr, flush=True)

        def begin(self: Any, level: object = None) -> None:  # noqa: ARG001 - as the real one is called
            trt.ILogger.__init__(self)

        members = {"log": log, "__init__": begin, "WARNING": trt.ILogger.WARNING}
        trt.Logger = type("Logger", (trt.ILogger,), members)

    def telling(self, measure: Measure) -> Mapping[str, Any]:
        """Return what is measured with what TensorRT said about it; where it fails, that is in the error."""
        self.said.clear()
        try:
            row = measure()
        except NotHereError:
            raise
        except Exception as error:
            raise RuntimeError("; ".join([f"{type(error).__name__}: {error}", *self.said])) from error
        return {**row, **({"said": list(self.said)} if self.said else {})}

    def validity(self, data: bytes) -> dict[str, Any]:
        """Return what TensorRT thinks of a plan before it reads it."""
        runtime = self.trt.Runtime(self.trt.Logger(self.trt.Logger.WARNING))
        validity, found = runtime.get_engine_validity(data)
        reasons = self.trt.EngineInvalidityDiagnostics.__members__.items()
        why = [name for name, value in reasons if int(found) & int(value)]
        return {"validity": validity.name, "because": why, "diagnostics": int(found)}

    def native_graph(
        self, data: bytes, shape: tuple[int, ...], golden: Golden, device: torch.device
    ) -> dict[str, Any]:
        """Return how long a run takes with CUDA graphs as TensorRT-RTX records them itself."""
        trt = self.trt
        engine = trt.Runtime(trt.Logger(trt.Logger.WARNING)).deserialize_cuda_engine(data)
        if engine is None:
            raise ValueError("TensorRT cannot read the plan")
        config = engine.create_runtime_config()
        config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        config.dynamic_shapes_kernel_specialization_strategy = (
            trt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        context = engine.create_execution_context(config)
        seen = torch.from_numpy(golden.golden_input(shape)).half().to(device)
        heads = torch.empty(golden.heads_shape(shape), dtype=torch.float16, device=device)
        if context is None or not context.set_input_shape("seen", shape):
            raise ValueError(f"the plan does not take {shape}")
        context.set_tensor_address("seen", seen.data_ptr())
        context.set_tensor_address("output0", heads.data_ptr())
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        taken = []
        for _ in range(WARM + CALLS):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            begin.record(stream)
            if not context.execute_async_v3(stream.cuda_stream):
                raise RuntimeError("TensorRT could not run the plan")
            end.record(stream)
            end.synchronize()
            taken.append(begin.elapsed_time(end))
        return {"p50_ms": round(float(np.median(taken[WARM:])), 4)}


def measure(probe: Probe, cases: Cases, network: Network, device: torch.device) -> None:
    """Measure all plans of the kit at all shapes they are for."""
    plans = json.loads((probe.folder / PLANS).read_text())
    for name, about in plans.items():
        data = (probe.folder / name).read_bytes()
        golden = Golden.from_bytes((probe.folder / about["golden"]).read_bytes())
        cases.attempt(f"{name}, validity", lambda data=data: probe.validity(data))  # type: ignore[misc]
        planned = Planned(probe.trt, data, golden, network(golden, device), device, probe.gpu)
        for shape in map(tuple, about["shapes"]):
            at = f"{name} at {'x'.join(map(str, shape))}"
            if planned.measure(cases, at, shape) and probe.gpu:
                graph = partial(probe.native_graph, data, shape, golden, device)
                cases.attempt(f"{at}, recorded by itself", graph)


def wave(golden: Golden, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return what gives the heads of the engine ``wave`` in float32, at the golden frame's setting."""

    @cache
    def model() -> torch.nn.Module:
        if importlib.util.find_spec("safetensors") is None:
            raise NotHereError("safetensors, which reads the weights to compare with, is not installed")
        return bare_engine(tiny=False).model.to(device)

    factor = np.array([golden.factor], np.float32)
    setting = [torch.from_numpy(each).to(device) for each in (golden.to_rgb, golden.from_rgb, factor)]

    def heads(seen: Tensor) -> Tensor:
        with torch.inference_mode():
            result: Tensor = model()(seen, *setting)
        return result

    return heads


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kit", type=Path, default=KIT, help="folder with all pieces of the kit")
    parser.add_argument("--out", type=Path, help="folder for gpu_tensorrt_rtx.json; without a GPU none")
    options = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False  # what it is held against is to be float32
    gpu = torch.cuda.is_available()
    with tempfile.TemporaryDirectory(prefix="streamfx-kit-") as folder:
        probe = Probe(Path(folder), gpu)
        cases = Cases(
            "gpu_tensorrt_rtx", options.out, {"kit": str(options.kit)}, gpu=gpu, around=probe.telling
        )
        if cases.attempt("kit", lambda: probe.unpack(options.kit)) and cases.attempt("library", probe.load):
            measure(probe, cases, wave, torch.device("cuda", 0) if gpu else torch.device("cpu"))
        return cases.end()


if __name__ == "__main__":
    faulthandler.enable()
    raise SystemExit(main())
