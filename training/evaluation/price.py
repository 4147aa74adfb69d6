"""Price: how long an engine's network takes, against a yardstick, in turns in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from streamfx.backends.backend import CompileOptions
from streamfx.backends.registry import choose
from streamfx.engine.folder import Engine, read_engine
from streamfx.generate.network_input import Noise, network_input
from streamfx.media.colour import both_ways
from training.evaluation.section import Section
from training.evaluation.video import COLOUR, to_video
from training.export import export, golden, network_fields
from training.options import NetworkOptions

SIZE = (720, 1280)
FACTOR = 4.0
ROUNDS = 60
_WARM_UP = 5
YARDSTICK = NetworkOptions(stem=16, width=48, blocks=4, joined=32, detail=True, norm="instance")


def price(folder: Path, threads: int, rounds: int = ROUNDS) -> Section:
    """Times of an engine's network and of the yardstick's, which is the network that `wave` 1.2.0 was, on the
    CPU by OpenVINO; medians and quartiles of `rounds` turns."""
    engine = read_engine(folder)
    factor = min(engine.spec.factors or (FACTOR,), key=lambda known: abs(known - FACTOR))
    with TemporaryDirectory() as temporary:
        yardstick = _yardstick(Path(temporary) / "yardstick")
        with (
            closing(_Timed(engine, factor, threads)) as one,
            closing(_Timed(yardstick, factor, threads)) as other,
        ):
            mine, theirs = in_turns((one, other), rounds)
            precisions = one.precision, other.precision
    return Section(
        "price",
        f"Network alone, {SIZE[1]} x {SIZE[0]} at factor {factor:g}, OpenVINO, {threads} thread"
        f"{'s' if threads > 1 else ''}: median and quartiles of {rounds} calls in turns, in ms. Price: "
        "against the network of wave 1.2.0, median of the ratios of neighbouring calls.",
        {"method": "", "factor": "g", "precision": "", "ms": ".2f", "quartiles": "", "price": ".2f"},
        [
            ["engine", factor, precisions[0], *_spread(mine), float(np.median(np.divide(mine, theirs)))],
            ["wave 1.2.0", factor, precisions[1], *_spread(theirs), 1.0],
        ],
    )


def in_turns(calls: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Milliseconds of each call in each round, after a warm-up; who begins changes from round to round."""
    taken: list[list[float]] = [[] for _ in calls]
    for number in range(-_WARM_UP, rounds):
        order = list(range(len(calls)))
        for index in order if number % 2 else reversed(order):
            start_ns = time.perf_counter_ns()
            calls[index]()
            if number >= 0:
                taken[index].append((time.perf_counter_ns() - start_ns) / 1e6)
    return taken


class _Timed:
    """A compiled engine, and a picture for it."""

    def __init__(self, engine: Engine, factor: float, threads: int) -> None:
        self._compiled = choose("openvino").compile(engine, CompileOptions(threads=threads))
        self.precision = str(self._compiled.precision)
        picture = np.random.default_rng(5).integers(0, 256, (*SIZE, 3), np.uint8)
        frame = to_video(picture)
        self._values = network_input(frame, COLOUR, engine.spec, factor, Noise(), threads).values
        self._matrices, self._factor = both_ways(COLOUR, frame.depth), factor

    def __call__(self) -> object:
        return self._compiled(self._values, *self._matrices, self._factor)

    def close(self) -> None:
        self._compiled.close()


def _yardstick(folder: Path) -> Engine:
    """An engine with the yardstick's network, which need not have learned anything."""
    torch.manual_seed(7)
    network = YARDSTICK.build()
    fields = network_fields(
        YARDSTICK,
        version="1.2.0",
        domains=("photo", "any"),
        licence="Apache-2.0",
        factors=[FACTOR],
        max_displacement_pixels=4.0,
    )
    return export(network, folder, fields, golden(network), "# A yardstick\n", graph=False)


def _spread(values: Sequence[float]) -> tuple[float, str]:
    low, middle, high = np.percentile(values, (25, 50, 75))
    return float(middle), f"{low:.2f} to {high:.2f}"
