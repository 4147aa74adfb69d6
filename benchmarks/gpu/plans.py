"""TensorRT through streamfx itself: plans built by its own process, for any size and for one, then run.

    python -m benchmarks.gpu.plans [--engine wave] [--out FOLDER]

``build_seconds`` is all of the process that builds: loading torch, exporting, converting. What the plans give
is held against the network in float32 and, at its own size, the golden frame. `engines.py` has the same
networks by the other backends. Where TensorRT is not installed, that is what is told.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.cases import Cases, NotHereError
from benchmarks.gpu.engines import ENGINES
from benchmarks.gpu.planned import Planned
from streamfx.backends.eager import reference
from streamfx.backends.fixed_inputs import Setting
from streamfx.backends.store import CompiledStore, StoreKey
from streamfx.backends.tensorrt import TensorRtBackend, store_key
from streamfx.backends.tensorrt_build import PLAN, BuildRequest
from streamfx.backends.tensorrt_builder import COMMAND, BuildingProcess
from streamfx.backends.tensorrt_plan import flavour
from streamfx.engine.folder import Engine, read_engine
from streamfx.hardware.nvidia import gpus

SIZES = ((180, 320), (544, 960))  # what a network sees of 720p at factor 4, of 1080p at factor 2


def found() -> tuple[Any, str]:
    """Return the module of TensorRT, and the package of torch-tensorrt for it.

    Raises:
        NotHereError: one of them is missing, or a GPU.
    """
    if reason := TensorRtBackend().availability():
        raise NotHereError(reason)
    flavour_here = flavour()
    assert flavour_here is not None
    return importlib.import_module(flavour_here.module), flavour_here.package


class Builds:
    """Builds and measures the plans of one engine.

    Args:
        engine: engine to build.
        trt: the module of TensorRT.
        key: key of a plan, but for its sizes.
        device: device on which plans run.
        command: command of the building process.
    """

    def __init__(
        self, engine: Engine, trt: Any, key: StoreKey, device: torch.device, command: Sequence[str] = COMMAND
    ) -> None:
        self._engine, self._trt, self._key, self._device, self._command = engine, trt, key, device, command
        golden = engine.golden
        self._setting = Setting.of(golden.to_rgb, golden.from_rgb, golden.factor)
        self._network = reference(engine.network().to(device), self._setting, str(device))

    def measure(self, cases: Cases, sizes: Sequence[tuple[int, int]]) -> None:
        """Build and run a plan for any size, and one for each size."""
        golden = (1, *self._engine.golden.planes.shape)
        shapes = [(1, *self._engine.seen_shape(size)) for size in sizes]
        self._plan(cases, "any size", None, [golden, *shapes])
        for shape in shapes:
            self._plan(cases, "x".join(map(str, shape)), shape, [shape])

    def _plan(
        self, cases: Cases, name: str, shape: tuple[int, ...] | None, shapes: Sequence[tuple[int, ...]]
    ) -> None:
        name, plans = f"{self._engine.name}, plan for {name}", list[bytes]()

        def built() -> dict[str, Any]:
            begun = time.perf_counter()
            plans.append(self._built(shape))
            return {"build_seconds": round(time.perf_counter() - begun, 1), "plan_bytes": len(plans[0])}

        if cases.attempt(name, built):
            planned = Planned(
                self._trt,
                plans[0],
                self._engine.golden,
                self._expected,
                self._device,
                gpu=self._device.type == "cuda",
            )
            for at in shapes:
                planned.measure(cases, f"{name}, at {'x'.join(map(str, at))}", at)

    def _built(self, shape: tuple[int, ...] | None) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            store = CompiledStore(Path(folder))
            BuildingProcess(self._command).build(
                BuildRequest(self._engine.folder, self._setting, shape, self._key, store.folder)
            )
            stored = store.load(self._key)
            assert stored is not None  # `build` would have raised
            return bytes(stored.payload[PLAN])

    def _expected(self, seen: Tensor) -> Tensor:
        shape = self._engine.golden.heads_shape(tuple(seen.shape))
        heads = torch.empty(shape, dtype=torch.float32, device=self._device)
        with torch.inference_mode():
            self._network(seen, heads)
        return heads


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", default="wave", help="name of a shipped engine")
    parser.add_argument("--out", type=Path, help="folder for gpu_plans.json; without a GPU none")
    options = parser.parse_args()
    torch.backends.cudnn.allow_tf32 = False  # what plans are held against is to be float32
    cases = Cases("gpu_plans", options.out, {"engine": options.engine}, gpu=torch.cuda.is_available())
    here: list[tuple[Any, str]] = []

    def versions() -> dict[str, Any]:
        here.append(found())
        trt, package = here[0]
        return {"module": trt.__name__, "version": trt.__version__, "package": package}

    if cases.attempt("tensorrt", versions):
        (trt, package), engine = here[0], read_engine(ENGINES / options.engine)
        device = torch.device("cuda", 0)
        key = store_key(engine, gpus()[0], trt, package)
        Builds(engine, trt, key, device).measure(cases, SIZES)
    return cases.end()


if __name__ == "__main__":
    raise SystemExit(main())
