"""Every engine on a GPU: against its golden frame, then how long one picture takes.

    python -m benchmarks.gpu.engines [--backend inductor] [--out FOLDER] [--engines FOLDER]

``agrees`` says whether what is measured gave the heads of the golden frame, within the backend's tolerance;
``error`` is how far from them it was, root mean square, in parts of a channel's spread; ``p50_ms`` is one
call of the compiled network on a picture that is on the device already, recorded as a CUDA graph, at the
size that factor 2 gives for 1080p, or for engines without a choice of factors at 720p.

Needs torch, NumPy, PyYAML, pydantic and safetensors. What fails is listed last, and the rest is measured all
the same. Without a GPU one engine is checked in float32, to see that it runs.
"""

from __future__ import annotations

import argparse
import statistics
import time
import traceback
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import torch

from benchmarks.record import RESULTS, record
from streamfx.backends import eager, inductor, tensorrt
from streamfx.backends.backend import Backend, Build, CompileOptions, DeviceEngine, Precision
from streamfx.engine.folder import Engine, read_engine
from streamfx.engine.golden import Golden, difference
from streamfx.gpu.graph import recorded
from streamfx.hardware.cuda import Device

BACKENDS: dict[str, Callable[[], Backend]] = {
    "eager": eager.EagerBackend,
    "inductor": inductor.InductorBackend,
    "tensorrt": tensorrt.TensorRtBackend,
}
TOLERANCES = {
    ("eager", Precision.F32): eager.TOLERANCE,
    ("tensorrt", Precision.F16): tensorrt.TOLERANCE,
    **{("inductor", precision): allowed for precision, allowed in inductor.TOLERANCES.items()},
}
ENGINES = Path(__file__).parents[2] / "engines"
FULL, REDUCED, TINY = (720, 1280), (544, 960), (48, 64)
WARM, CALLS = 20, 200


def measure(engine: Engine, backend: Backend, device: torch.device) -> dict[str, Any]:
    """Return the row of one engine with one backend.

    Raises:
        EngineMismatchError, BackendUnavailableError: see `Backend.compile`.
    """
    gpu = device.type == "cuda"
    started = time.perf_counter()
    # What stands in for a TensorRT plan while that is built is not to be measured in its place.
    options = CompileOptions(device=Device.CUDA if gpu else Device.CPU, build=Build.WAIT)
    compiled = backend.compile(engine, options)
    try:
        golden = engine.golden
        heads = compiled(golden.planes, golden.to_rgb, golden.from_rgb, golden.factor)
        allowed = TOLERANCES[compiled.backend, compiled.precision]
        beyond, error = difference(heads, golden, allowed.roundoff), difference(heads, golden)
        row = {
            "engine": engine.name,
            "backend": compiled.backend,
            "precision": str(compiled.precision),
            "agrees": beyond.rms <= allowed.rms and beyond.largest <= allowed.largest,
            "error": float(f"{error.rms:.3g}"),
            "compile_seconds": round(time.perf_counter() - started, 2),
        }
        size = TINY if not gpu else REDUCED if len(engine.spec.factors) > 1 else FULL
        shape = engine.input_shape(size)
        compiled.warm_up(shape, golden.to_rgb, golden.from_rgb, golden.factor)
        on_device = cast(DeviceEngine, compiled)  # all of these backends offer it
        return row | {"size": list(size)} | times(golden, on_device, (1, *shape))
    finally:
        compiled.close()


def times(golden: Golden, compiled: DeviceEngine, shape: tuple[int, int, int, int]) -> dict[str, float]:
    """Return how long one picture takes, in milliseconds."""
    seen = torch.from_numpy(golden.golden_input(shape)).to(compiled.device, compiled.dtype)
    heads = torch.empty(compiled.heads_shape(shape), dtype=compiled.dtype, device=compiled.device)

    def run() -> None:
        compiled.run(seen, golden.to_rgb, golden.from_rgb, golden.factor, heads)

    taken = sorted(recorded_ms(run) if seen.is_cuda else host_ms(run))
    return {
        "p50_ms": round(statistics.median(taken), 4),
        "p99_ms": round(taken[int(0.99 * (len(taken) - 1))], 4),
    }


def recorded_ms(run: Callable[[], None]) -> list[float]:
    """Return how long each replay of a recording takes, by CUDA events."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream), torch.inference_mode():
        graph = recorded(run, stream)
        events = [torch.cuda.Event(enable_timing=True) for _ in range(WARM + CALLS + 1)]  # type: ignore[no-untyped-call]
        for event in events:
            event.record(stream)
            graph.replay()
        stream.synchronize()
    pairs = list(pairwise(events))[WARM:]
    return [first.elapsed_time(second) for first, second in pairs]


def host_ms(run: Callable[[], None]) -> list[float]:
    """Return how long each of a few calls takes, by the host's clock."""
    taken = []
    for _ in range(3):
        before = time.perf_counter()
        run()
        taken.append((time.perf_counter() - before) * 1e3)
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", action="append", choices=sorted(BACKENDS))
    parser.add_argument("--engines", type=Path, default=ENGINES, help="folder of engine folders")
    parser.add_argument("--out", type=Path, help="folder of gpu_engines.json; without a GPU none")
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    if not gpu:
        torch.set_num_threads(1)
    device = torch.device("cuda" if gpu else "cpu")
    folders = sorted(path.parent for path in options.engines.glob("*/engine.yaml"))
    out = options.out or (RESULTS if gpu else None)
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    for name in options.backend or (["eager", "inductor"] if gpu else ["eager"]):
        for folder in folders if gpu else folders[:1]:
            try:
                rows.append(measure(read_engine(folder), BACKENDS[name](), device))
                print(rows[-1], flush=True)
                if not rows[-1]["agrees"]:
                    failures.append(f"{folder.name} with {name}: it does not give its golden heads")
            except Exception as error:
                failures.append(f"{folder.name} with {name}: {error}\n{traceback.format_exc()}")
            if out is not None:  # after each, so that a crash loses nothing
                failed = [failure.splitlines()[0] for failure in failures]
                record("gpu_engines", rows, {"calls": CALLS, "failures": failed}, out)
    for failure in failures:
        print(f"FAILED {failure}", flush=True)
    return 1 if failures or not rows else 0


if __name__ == "__main__":
    raise SystemExit(main())
