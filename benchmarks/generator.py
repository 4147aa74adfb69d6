"""Translating one reduced picture: streamfx's backends, beside torch and ONNX Runtime, in one run.

    python -m benchmarks.generator [--engine NAME] [--rounds N] [--threads N]

Each candidate is checked against the golden frame, so that nothing is fast because it is wrong. The last rows
say what several pictures at once give: one request with all threads, or many requests with a thread each.
"""

from __future__ import annotations

import importlib.util
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from benchmarks.options import option_parser
from benchmarks.record import record
from benchmarks.turns import take_turns
from streamfx.backends.backend import CompiledEngine, CompileOptions, Precision
from streamfx.backends.openvino import OpenVinoBackend
from streamfx.engine.folder import Engine
from streamfx.engine.golden import Array, difference
from streamfx.engine.library import load_engine
from streamfx.errors import EngineNotFoundError
from streamfx.hardware.cpu import usable_cores

SIZES = ((180, 320), (360, 640), (720, 1280))
PRECISIONS = (Precision.F32, Precision.BF16)
Translate: TypeAlias = Callable[[Array, Array, Array, float], Array]


def candidates(engine: Engine, threads: int, folder: Path) -> dict[str, Translate]:
    """Return what can be measured here, by name; ``folder`` is for files that are needed in between."""
    torch.set_num_threads(threads)
    network = engine.network()
    found: dict[str, Translate] = {}
    for precision in PRECISIONS:
        found[f"OpenVINO {precision}"] = OpenVinoBackend().compile(engine, CompileOptions(precision, threads))
    for precision in PRECISIONS:
        found[f"torch eager {precision}"] = torch_candidate(network, precision)
    for precision in PRECISIONS:
        found[f"torch.compile {precision}"] = torch_candidate(
            torch.compile(network, dynamic=False), precision
        )
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
        found["ONNX Runtime f32"] = onnx_candidate(engine, threads, folder / "network.onnx")
    return found


def torch_inputs(reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> tuple[torch.Tensor, ...]:
    """Return the inputs as a network takes them."""
    tensors = (torch.from_numpy(array) for array in (reduced[None], to_rgb, from_rgb))
    return *tensors, torch.tensor([factor], dtype=torch.float32)


def torch_candidate(network: Callable[..., torch.Tensor], precision: Precision) -> Translate:
    """Return a network of torch, with bf16 by autocast."""

    def translate(reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        lower = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision is Precision.BF16)
        with torch.inference_mode(), lower:
            heads = network(*torch_inputs(reduced, to_rgb, from_rgb, factor))
        result: Array = heads[0].float().numpy()
        return result

    return translate


def onnx_candidate(engine: Engine, threads: int, path: Path) -> Translate:
    """Return the network in ONNX Runtime, with its default optimizations, which are all."""
    import onnxruntime

    golden, names = engine.golden, ["planes", "to_rgb", "from_rgb", "factor"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the old exporter, which needs no further package
        torch.onnx.export(
            engine.network(),
            torch_inputs(golden.planes, golden.to_rgb, golden.from_rgb, golden.factor),
            str(path),
            input_names=names,
            dynamic_axes={"planes": {2: "height", 3: "width"}},
            dynamo=False,
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def translate(reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        values = (reduced[None], to_rgb, from_rgb, np.array([factor], np.float32))
        result: Array = session.run(None, dict(zip(names, values, strict=True)))[0][0]
        return result

    return translate


def call(engine: Engine, translate: Translate, picture: Array) -> Array:
    """Return the heads of a picture, with the matrices of the golden frame."""
    golden = engine.golden
    return translate(picture, golden.to_rgb, golden.from_rgb, golden.factor)


def latencies(engine: Engine, rounds: int, threads: int, folder: Path) -> list[dict[str, Any]]:
    """Return a row for each candidate at each size."""
    ways = candidates(engine, threads, folder)
    golden = engine.golden
    errors = {name: difference(call(engine, way, golden.planes), golden).rms for name, way in ways.items()}
    rows = []
    for size in SIZES:
        picture = np.random.default_rng(0).uniform(16, 235, (3, *size)).astype(np.float32)
        timings = take_turns(
            {name: partial(call, engine, way, picture) for name, way in ways.items()}, rounds
        )
        rows += [
            {"candidate": name, "size": list(size), **asdict(timing), "error_rms": round(errors[name], 6)}
            for name, timing in timings.items()
        ]
    return rows


def throughputs(engine: Engine, rounds: int, threads: int) -> list[dict[str, Any]]:
    """Return rows for one request with all threads and for as many requests as threads, by precision."""
    picture = np.random.default_rng(0).uniform(16, 235, (3, *SIZES[0])).astype(np.float32)
    rows = []
    for precision in PRECISIONS:
        shapes = sorted({1, threads})
        opened = {
            requests: OpenVinoBackend().compile(
                engine, CompileOptions(precision, threads // requests, requests)
            )
            for requests in shapes
        }
        count = 8 * threads
        ways = {
            str(requests): partial(together, engine, compiled, requests, picture, count)
            for requests, compiled in opened.items()
        }
        for requests, timing in take_turns(ways, rounds, limit_seconds=20).items():
            rows.append(
                {
                    "candidate": f"OpenVINO {precision}, {requests} × {threads // int(requests)} threads",
                    "size": list(SIZES[0]),
                    "median_ms": round(timing.median_ms / count, 3),
                    "fastest_ms": round(timing.fastest_ms / count, 3),
                    "cpu_median_ms": round(timing.cpu_median_ms / count, 3),
                    "rounds": timing.rounds,
                }
            )
    return rows


def together(engine: Engine, compiled: CompiledEngine, requests: int, picture: Array, count: int) -> None:
    """Translate ``count`` pictures with one calling thread per request."""

    def work() -> None:
        for _ in range(count // requests):
            call(engine, compiled, picture)

    workers = [threading.Thread(target=work) for _ in range(requests)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def engine_to_measure(name: str, folder: Path) -> Engine:
    """Return the engine of that name; where there is none, one with random weights and the usual size."""
    try:
        return load_engine(name)
    except EngineNotFoundError as error:
        from tests.engines import make_engine

        print(f"{error}\nmeasuring an engine with random weights instead")
        return load_engine(make_engine(folder, "random", options={"stem": 16, "width": 48, "blocks": 5}))


def main() -> None:
    """Measure, print and record."""
    parser = option_parser(__doc__)
    parser.add_argument("--engine", default="wave")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--threads", type=int, default=usable_cores())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = engine_to_measure(options.engine, Path(folder))
        started = time.perf_counter()
        rows = latencies(engine, options.rounds, options.threads, Path(folder))
        rows += throughputs(engine, min(options.rounds, 10), options.threads)
    for row in rows:
        print(
            f"  {row['size'][1]}x{row['size'][0]:<5} {row['candidate']:30} {row['median_ms']:9.2f} ms median "
            f"{row['fastest_ms']:9.2f} fastest {row['cpu_median_ms']:9.2f} processor"
        )
    config = {"engine": engine.name, "threads": options.threads, "rounds": options.rounds}
    print(f"written to {record('generator', rows, config).name} after {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
