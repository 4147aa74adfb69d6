"""Frames that stay on a GPU: how many a second, how long each takes, their memory, and work gone astray.

    python -m benchmarks.gpu.resident [--frames 2000] [--backend inductor] [--out FOLDER]

``device``: frames lie on the device already and stay there, as between NVIDIA's decoder and encoder; some
are in flight at a time, which is why one takes longer than ``alone``. ``memory``: frames come from main
memory and go back there, copied by as many threads as generate in a real run; up, at work and down at the
same time. ``astray`` is what the profiler saw in CUDA's
default stream: there must be nothing. ``grown_bytes`` is what torch holds of the device more after all frames
than after the first hundred.

Needs torch, Triton and NumPy, and neither PyAV nor Numba. What fails is listed last, and the rest is measured
all the same. Without a GPU it runs on tiny pictures, to see that it runs (this needs Numba).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu.bare import Bare, bare_engine, inked_engine
from benchmarks.record import RESULTS, record
from streamfx.backends.backend import Backend, Build, CompileOptions, DeviceEngine
from streamfx.backends.eager import EagerBackend
from streamfx.backends.inductor import InductorBackend
from streamfx.backends.tensorrt import TensorRtBackend
from streamfx.generate.gpu.effect import Step
from streamfx.generate.gpu.steps import Network
from streamfx.generate.ops.fuse.definition import fuse_reference
from streamfx.generate.ops.reduce.definition import fine_luma_reference, reduce_reference, small_size
from streamfx.gpu.layout import Layout
from streamfx.gpu.transfer import DeviceContext, MemoryBudget, device_picture_of
from streamfx.hardware.cuda import Device
from streamfx.media.colour import code_to_rgb, rgb_to_code
from streamfx.media.frame import CodeRange, Colour, Frame, Matrix, Subsampling, VideoFormat

IN_FLIGHT = 4
WARM_FRAMES = 100
LIMIT_PIXELS = 4.0
BACKENDS: dict[str, Callable[[], Backend]] = {
    "inductor": InductorBackend,
    "eager": EagerBackend,
    "tensorrt": TensorRtBackend,
}


def pictures(size: tuple[int, int], count: int) -> list[Frame]:
    """Return frames that differ, 8-bit 4:2:0."""
    form = VideoFormat(size, Subsampling.YUV420, 8, Colour(Matrix.BT709, CodeRange.LIMITED), Fraction(1, 60))
    random, sizes = np.random.default_rng(1), (size, *[Subsampling.YUV420.chroma_size(size)] * 2)
    made = []
    for index in range(count):
        y, u, v = (random.integers(16, 235, each, dtype=np.uint8) for each in sizes)
        made.append(form.frame((y, u, v), index=index, pts=index))
    return made


@dataclass(frozen=True)
class Flow:
    """One engine on one device, at a size and a factor."""

    step: Step
    device_context: DeviceContext
    frames: list[Frame]
    factor: float

    def on_device(self, count: int, in_flight: int = IN_FLIGHT) -> Iterator[float]:
        """Yield how long each frame took, in seconds, from when it was given in until it was there."""
        there = [self.device_context.up(frame) for frame in self.frames]
        form = Layout.of_frame(self.frames[0]).semi_planar
        there = [
            frame.with_device_pixels(
                self.device_context.as_form(device_picture_of(frame), form, "to begin with")
            )
            for frame in there
        ]
        for frame in there:
            device_picture_of(frame).wait()
        waiting: deque[tuple[float, Frame]] = deque()
        for number in range(count + in_flight):
            if len(waiting) == in_flight or number >= count:
                since, done = waiting.popleft()
                device_picture_of(done).wait()
                yield time.perf_counter() - since
            if number < count:
                begun = time.perf_counter()
                waiting.append((begun, self.step(there[number % len(there)], self.factor, 1.0)))

    def alone(self, count: int) -> Iterator[float]:
        """Yield how long each frame took with nothing else to do."""
        return self.on_device(count, 1)

    def through_memory(self, count: int) -> list[float]:
        """Return the same for frames from main memory and back, as workers of a run do it."""
        taken: list[float] = []
        failures: list[BaseException] = []
        numbers, turn = iter(range(count)), threading.Lock()

        def work() -> None:
            try:
                while True:
                    with turn:
                        number = next(numbers, None)
                    if number is None:
                        return
                    begun = time.perf_counter()
                    frame = self.step(self.frames[number % len(self.frames)], self.factor, 1.0)
                    self.device_context.down(frame)
                    taken.append(time.perf_counter() - begun)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(IN_FLIGHT)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return taken


def timed(run: Callable[[int], Any], frames: int) -> dict[str, Any]:
    """Return rate, percentiles and growth of memory over so many frames, after some that do not count."""
    deque(run(WARM_FRAMES if frames > WARM_FRAMES else frames), maxlen=0)
    before = held_bytes()
    started = time.perf_counter()
    taken = np.array(list(run(frames)))
    seconds = time.perf_counter() - started
    half, ninety, most = np.percentile(taken, [50, 90, 99]).tolist()
    return {
        "fps": round(frames / seconds, 1),
        "p50_ms": round(half * 1e3, 4),
        "p90_ms": round(ninety * 1e3, 4),
        "p99_ms": round(most * 1e3, 4),
        "p99_of_median": round(most / half, 3),
        "frames": frames,
        "grown_bytes": held_bytes() - before,
    }


def held_bytes() -> int:
    """Return what torch holds of the device; 0 without one."""
    return torch.cuda.memory_reserved() if torch.cuda.is_available() else 0


def astray(run: Callable[[], object]) -> list[str] | None:
    """Return what was done in CUDA's default stream; None where it cannot be told (without a GPU)."""
    if not torch.cuda.is_available():
        return None
    default = {stream for _, stream in _profiled(lambda: torch.ones(999, device="cuda").add_(1))}
    return sorted({name for name, stream in _profiled(run) if stream in default})


def _profiled(run: Callable[[], object]) -> list[tuple[str, int]]:
    """Return what ran on the GPU, and in which stream."""
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        run()
        torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        seen.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    kinds = ("kernel", "gpu_memcpy", "gpu_memset")
    return [(each["name"], each["args"]["stream"]) for each in events if each.get("cat") in kinds]


def error_codes(flow: Flow, engine: Bare) -> dict[str, float]:
    """Return how far a frame is from its definition, computed in float32 and float64 by NumPy and torch."""
    frame, spec = flow.frames[0], engine
    done = flow.device_context.down(flow.step(frame, flow.factor, 1.0))
    colour = frame.colour.assumed(frame.size[0])
    small = small_size(frame.size, flow.factor, spec.stride)
    reduced = reduce_reference(frame.planes, frame.subsampling, colour, small).astype(np.float32)
    matrices = [torch.from_numpy(each(colour, 8).astype(np.float32)) for each in (code_to_rgb, rgb_to_code)]
    seen = reduced
    if spec.fine_luma:
        fine = fine_luma_reference(frame.planes[0], reduced[0], spec.fine_luma)
        seen = np.concatenate([reduced, fine]).astype(np.float32)
    heads: Tensor = engine.model(torch.from_numpy(seen)[None], *matrices, torch.tensor([flow.factor]))
    expected = fuse_reference(
        frame.planes,
        heads[0].numpy(),
        reduced,
        subsampling=frame.subsampling,
        depth=8,
        code_range=colour.code_range,
        chroma_location=colour.chroma_location,
        strength=1.0,
        max_displacement_pixels=LIMIT_PIXELS,
    )
    apart = [np.abs(a.astype(int) - b.astype(int)) for a, b in zip(done.planes, expected, strict=True)]
    return {
        "mean_error_codes": round(float(np.mean([each.mean() for each in apart])), 4),
        "largest_error_codes": int(max(each.max() for each in apart)),
    }


class Bench:
    """Measures case after case, and goes on when one fails."""

    def __init__(self, device: torch.device, frames: int, out: Path | None) -> None:
        self.device, self.frames, self._out = device, frames, out
        self.rows: list[dict[str, Any]] = []
        self.failures: list[str] = []

    def attempt(self, name: str, case: Callable[[], dict[str, Any]]) -> None:
        """Measure one case; keep what came of it, and all of it on disk."""
        try:
            self.rows.append({"case": name, **case()})
            print(f"{name}: {self.rows[-1]}", flush=True)
        except Exception as error:
            self.failures.append(f"{name}: {type(error).__name__}: {error}\n{traceback.format_exc()}")
            print(f"{name}: failed: {error}", flush=True)
        config = {"frames": self.frames, "in_flight": IN_FLIGHT, "device": str(self.device)}
        if self._out is not None:
            record("gpu_resident", self.rows, {**config, "failures": self.failures}, self._out)

    def engine(
        self,
        backend: str,
        engine: Bare,
        sizes: list[tuple[str, tuple[int, int]]],
        factors: tuple[float, ...] = (2.0, 4.0),
    ) -> None:
        """Measure one backend at every size and factor."""
        device = Device.CUDA if self.device.type == "cuda" else Device.CPU
        # What stands in for a TensorRT plan while that is built is not to be measured in its place.
        compiled = BACKENDS[backend]().compile(engine, CompileOptions(device=device, build=Build.WAIT))
        assert isinstance(compiled, DeviceEngine)
        device_context = DeviceContext(self.device, MemoryBudget(least=12, workers=IN_FLIGHT))
        name = f"{engine.name!r} ({compiled.backend}, {compiled.precision})"
        step = Step(Network(name, compiled, engine.stride, LIMIT_PIXELS, engine.fine_luma), device_context)
        for label, size in sizes:
            frames = pictures(size, 8)
            for factor in factors:
                flow = Flow(step, device_context, frames, factor)
                case = f"{backend}{' with ink' * (engine.fine_luma > 0)} {label} factor {factor:g}"
                self.attempt(f"{case}, error", lambda flow=flow: error_codes(flow, engine))  # type: ignore[misc]
                self.attempt(f"{case}, device", lambda flow=flow: timed(flow.on_device, self.frames))  # type: ignore[misc]
                self.attempt(f"{case}, alone", lambda flow=flow: timed(flow.alone, self.frames))  # type: ignore[misc]
                self.attempt(f"{case}, memory", lambda flow=flow: timed(flow.through_memory, self.frames))  # type: ignore[misc]
                self.attempt(f"{case}, astray", lambda flow=flow: not_astray(flow))  # type: ignore[misc]
        step.close()
        compiled.close()


def not_astray(flow: Flow) -> dict[str, Any]:
    """Return what went astray, which is nothing.

    Raises:
        RuntimeError: something did.
    """
    found = astray(lambda: (list(flow.on_device(10)), flow.through_memory(10)))
    if found:
        raise RuntimeError(f"in CUDA's default stream: {', '.join(found)}")
    return {"astray": found}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=2000, help="number of frames of each case")
    parser.add_argument(
        "--backend", action="append", choices=sorted(BACKENDS), help="all that are quick to build"
    )
    parser.add_argument(
        "--out", type=Path, help="folder for gpu_resident.json; without a GPU, none by default"
    )
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    if not gpu:
        torch.set_num_threads(1)
    device = torch.device("cuda", 0) if gpu else torch.device("cpu")
    bench = Bench(device, options.frames if gpu else 8, options.out or (RESULTS if gpu else None))
    engine = bare_engine(tiny=not gpu)
    sizes = [("1080p", (1080, 1920)), ("4K", (2160, 3840))] if gpu else [("tiny", (96, 160))]
    backends = options.backend or (["inductor", "eager"] if gpu else ["eager"])
    measures = [partial(bench.engine, backend, engine, sizes) for backend in backends]
    measures.append(partial(bench.engine, backends[0], inked_engine(tiny=not gpu), sizes[:1], (4.0,)))
    for measure in measures:
        try:
            measure()
        except Exception as error:
            bench.failures.append(f"{measure.args[0]}: {error}\n{traceback.format_exc()}")
    for failure in bench.failures:
        print(f"FAILED {failure}", flush=True)
    return 1 if bench.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
