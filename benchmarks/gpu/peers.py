"""The fused step beside the same step written with other libraries, on the same GPU and in the same run.

    python -m benchmarks.gpu.peers [--out FOLDER] [--rounds 30]

All take the same NV12 pictures and heads, give NV12, and are held against the same definition: ``agrees``
says whether every code is within one of it. They take turns, round by round, on enough pictures that the
cache holds none from the turn before; ``bytes`` is what the step reads and writes at least for one. What can
be recorded as a CUDA graph is, so that nothing waits for Python. In favour of the others: positions that are
the same for every picture are computed beforehand.

``torch float16`` keeps positions in float32: half precision does not tell neighbouring pixels of 4K apart.
A library that is not installed is listed, with what is missing. Without a GPU one tiny picture is done.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.cases import Cases, Measure, NotHereError
from benchmarks.gpu.contenders import Array, FuseOne, by_cupy, by_opencv, by_torch
from benchmarks.gpu.kernels import ROTATED_BYTES, SIZES, captured, defined, fuse
from benchmarks.gpu.material import Material, material, planes_of, varied

LAUNCHES = 20  # in one graph
TINY = (32, 64)
OURS = "streamfx"
WANTED = [("1080p", 2, False), ("4k", 2, False), ("1080p", 4, True)]
"""Size, factor, and whether the heads are those with ink."""


def off(found: list[Array], expected: Any) -> dict[str, Any]:
    """Return how far codes are from the definition's."""
    apart = [np.abs(a.astype(int) - b.astype(int)).ravel() for a, b in zip(found, expected, strict=True)]
    every = np.concatenate(apart)
    largest = int(every.max())
    return {
        "agrees": largest <= 1,
        "largest_off_codes": largest,
        "mean_off_codes": round(float(every.mean()), 5),
        "pixels_off": int((every > 0).sum()),
    }


class Table:
    """One size: all that take part in it, checked one by one and timed in turns."""

    def __init__(
        self,
        cases: Cases,
        name: str,
        size: tuple[int, int],
        factor: int,
        device: str,
        *,
        gpu: bool,
        inked: bool = False,
    ) -> None:
        self._cases, self._name, self._gpu = cases, name, gpu
        small = (size[0] // factor, size[1] // factor)
        self._one = material("nv12", size, small, 0, device, inked=inked)
        count = min(LAUNCHES, max(2, ROTATED_BYTES // self._one.fused_bytes)) if gpu else 1
        many = varied(self._one, count)
        self._launches = [many[at % count] for at in range(LAUNCHES if self._gpu else 1)]
        self._expected = defined(self._one, 8, 1.0)
        self._checked: dict[str, dict[str, Any]] = {}
        self._replays: dict[str, Callable[[], None]] = {}

    @property
    def moved_bytes(self) -> int:
        """What the step reads and writes at least for one picture."""
        return self._one.fused_bytes

    def enter(self, name: str, prepare: Callable[[Material], FuseOne], *, recorded: bool = True) -> None:
        """Check one that works on the GPU, and let it take part."""

        def checked() -> Mapping[str, Any]:
            started = time.perf_counter()
            fuse_one = prepare(self._one)
            for plane in self._one.out.planes:
                plane.zero_()
            fuse_one(self._one)
            self._checked[name] = off(planes_of(self._one.out), self._expected)
            work: list[Callable[[], Any]] = [partial(fuse_one, one) for one in self._launches]
            replay = captured(work) if recorded else partial(one_after_the_other, work)
            replay()
            self._replays[name] = replay
            seconds = round(time.perf_counter() - started, 2)
            return {**self._checked[name], "recorded": recorded and self._gpu, "ready_seconds": seconds}

        self._cases.attempt(
            f"{self._name}, {name}, check", checked if name == OURS else at_most_told(checked)
        )

    def host(self, name: str, prepare: Callable[[Material], Callable[[], list[Array]]], rounds: int) -> None:
        """Check and time one that works in main memory, by itself."""

        def row() -> Mapping[str, Any]:
            run = prepare(self._one)
            found = off(run(), self._expected)
            taken = []
            for _ in range(rounds):
                begun = time.perf_counter()
                run()
                taken.append(1e6 * (time.perf_counter() - begun))
            return {**found, **figures(taken)}

        self._cases.attempt(f"{self._name}, {name}", at_most_told(row))

    def turns(self, rounds: int) -> None:
        """Time all in turns; ``times_ours`` is how many times longer one takes than our kernel."""
        taken: dict[str, list[float]] = {name: [] for name in self._replays}
        for _ in range(rounds):
            for name, replay in self._replays.items():
                taken[name].append(1e6 * seconds_of(replay, gpu=self._gpu) / len(self._launches))
        ours = statistics.median(taken[OURS]) if OURS in taken else None
        for name, times in taken.items():
            slower = round(statistics.median(times) / ours, 2) if ours else None
            row = {**figures(times), "times_ours": slower, "pictures": len({*map(id, self._launches)})}
            self._cases.attempt(f"{self._name}, {name}, time", partial(dict, row))


def at_most_told(measure: Measure) -> Measure:
    """Return the same for another's library: that it fails here is told, and no failure of ours."""

    def told() -> Mapping[str, Any]:
        try:
            return measure()
        except Exception as error:
            raise NotHereError(f"{type(error).__name__}: {error}") from error

    return told


def one_after_the_other(work: list[Callable[[], Any]]) -> None:
    for one in work:
        one()


def figures(times_us: list[float]) -> dict[str, float]:
    return {"median_us": round(statistics.median(times_us), 2), "fastest_us": round(min(times_us), 2)}


def seconds_of(replay: Callable[[], None], *, gpu: bool) -> float:
    """Return how long it takes: by the GPU's clock, or the host's without one."""
    if not gpu:
        begun = time.perf_counter()
        replay()
        return time.perf_counter() - begun
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    stream = torch.cuda.current_stream()
    begin.record(stream)
    replay()
    end.record(stream)
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


def ours(one: Material) -> FuseOne:
    """Return what fuses a picture with our kernel into its ``out``."""
    from streamfx.generate.ops.fuse.triton import FuseTile

    device = one.heads.device
    tile = FuseTile() if device.type == "cuda" else FuseTile(32, 64)  # the interpreter is slow by the program
    strength = torch.ones(1, device=device)
    flag = torch.zeros(1, dtype=torch.int32, device=device)
    return lambda one: fuse(one, strength, flag, tile)


def compare(
    cases: Cases, name: str, size: tuple[int, int], factor: int, rounds: int, *, gpu: bool, inked: bool
) -> Mapping[str, Any]:
    """Measure one size; return what it is."""
    table = Table(cases, name, size, factor, "cuda" if gpu else "cpu", gpu=gpu, inked=inked)
    table.enter(OURS, ours)
    table.enter("torch float32", partial(by_torch, dtype=torch.float32))
    table.enter("torch float16", partial(by_torch, dtype=torch.float16))
    if gpu:  # on a processor it takes a minute to compile
        torch.compiler.reset()  # else sizes add up, and beyond a few torch falls back to eager
        table.enter("torch.compile float32", partial(by_torch, dtype=torch.float32, compiled=True))
        table.enter("CuPy", by_cupy, recorded=False)
    table.turns(rounds)
    table.host("OpenCV on the processor", by_opencv, min(rounds, 10))
    return {"size": size, "factor": factor, "inked": inked, "bytes": table.moved_bytes}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder for gpu_peers.json; without a GPU none")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    if not gpu:
        os.environ["TRITON_INTERPRET"] = "1"  # before the kernels are imported
        torch.set_num_threads(1)
    config = {"rounds": options.rounds, "launches": LAUNCHES, "rotated_bytes": ROTATED_BYTES, "kind": "nv12"}
    cases = Cases("gpu_peers", options.out, config, gpu=gpu)
    wanted = WANTED if gpu else [("tiny", 2, False), ("tiny", 2, True)]
    for at, factor, inked in wanted:
        size, rounds = SIZES.get(at, TINY), options.rounds if gpu else 1
        name = f"{at} factor {factor}{' with ink' * inked}"
        cases.attempt(name, partial(compare, cases, name, size, factor, rounds, gpu=gpu, inked=inked))
    return cases.end()


if __name__ == "__main__":
    raise SystemExit(main())
