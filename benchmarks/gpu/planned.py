"""A plan of TensorRT on a GPU: what it gives, how long its first run takes, and how long a run takes then."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.cases import Cases
from benchmarks.gpu.engines import CALLS, WARM, host_ms, recorded_ms
from streamfx.backends.tensorrt import TOLERANCE
from streamfx.backends.tensorrt_plan import Plan
from streamfx.backends.torch_engine import Shape, Translate
from streamfx.engine.golden import Golden, difference


@dataclass(frozen=True)
class Planned:
    """A plan and what it must give.

    Attributes:
        trt: the module of TensorRT.
        data: the plan.
        golden: golden frame, repeated up to the shape; at its own size the plan must give its heads.
        expected: gives the heads in float32 for what is seen at other sizes.
        device: device of all of it.
        gpu: whether that is one; else the host's clock is read.
    """

    trt: Any
    data: bytes
    golden: Golden
    expected: Callable[[Tensor], Tensor]
    device: torch.device
    gpu: bool

    def measure(self, cases: Cases, name: str, shape: Shape) -> bool:
        """Measure everything at one shape of what is seen; return whether the plan runs at all."""
        opened: list[tuple[Plan, Translate]] = []
        seen = torch.from_numpy(self.golden.golden_input(shape)).to(self.device)
        half = seen.half()
        heads = torch.full(self.golden.heads_shape(shape), torch.nan, dtype=torch.float16, device=self.device)

        def run() -> None:
            opened[0][1](half, heads)

        def first() -> dict[str, Any]:
            opened.append(self._open(shape, None))
            begun = time.perf_counter()
            self._aside(run)
            return {"plan_bytes": len(self.data), "first_run_seconds": _since(begun)}

        def checked() -> dict[str, Any]:
            found = heads[0].float().cpu().numpy()
            golden = self.golden
            if seen[0].shape != golden.planes.shape:
                expected = self.expected(seen)[0].float().cpu().numpy()
                golden = replace(golden, planes=seen[0].cpu().numpy(), heads=expected)
            apart = difference(found, golden, TOLERANCE.roundoff)
            agrees = apart.rms <= TOLERANCE.rms and apart.largest <= TOLERANCE.largest
            if not agrees:
                raise AssertionError(f"heads are {apart} from those in float32; allowed: {TOLERANCE}")
            return {"agrees": agrees, "rms": round(apart.rms, 5), "largest": round(apart.largest, 5)}

        def again() -> dict[str, Any]:
            kernels = opened[0][0].kernels
            begun = time.perf_counter()
            opened[0] = self._open(shape, kernels)
            self._aside(run)
            return {"kernels_bytes": len(kernels or b""), "seconds": _since(begun)}

        steps: tuple[tuple[str, Callable[[], dict[str, Any]]], ...] = (
            ("first run", first),
            ("heads", checked),
            ("launched", lambda: _figures(self._launched_ms(run))),
            ("opened again", again),
            # Last: a recording that fails may leave the GPU unusable for this process.
            ("recorded", lambda: _figures(recorded_ms(run) if self.gpu else host_ms(run))),
        )
        for step, measure in steps:
            if not cases.attempt(f"{name}, {step}", measure) and measure is first:
                return False
        return True

    def _open(self, shape: Shape, kernels: bytes | None) -> tuple[Plan, Translate]:
        plan = Plan(self.trt, self.data, kernels)
        return plan, plan.translate(shape)

    def _aside(self, run: Callable[[], None]) -> None:
        """Run on a stream of its own, as TensorRT wants it, and wait."""
        if not self.gpu:
            return run()
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            run()
        stream.synchronize()
        return None

    def _launched_ms(self, run: Callable[[], None]) -> list[float]:
        """Return how long each run takes that is launched from Python."""
        if not self.gpu:
            return host_ms(run)
        stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream):
            events = [torch.cuda.Event(enable_timing=True) for _ in range(WARM + CALLS + 1)]  # type: ignore[no-untyped-call]
            for event in events:
                event.record(stream)
                run()
            stream.synchronize()
        return [one.elapsed_time(other) for one, other in list(pairwise(events))[WARM:]]


def _since(begun: float) -> float:
    return round(time.perf_counter() - begun, 3)


def _figures(taken_ms: list[float]) -> dict[str, float]:
    ordered = sorted(taken_ms)
    return {
        "p50_ms": round(statistics.median(ordered), 4),
        "p99_ms": round(ordered[int(0.99 * (len(ordered) - 1))], 4),
    }
