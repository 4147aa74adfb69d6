"""Course: a job is run to its end and watched over: progress, sheets, a first engine and the last."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from streamfx.engine.families.warp_mask import WarpMask
from streamfx.engine.folder import Engine
from training import checkpoint
from training.export import export, golden_of
from training.own_look.job import Job, finish
from training.own_look.preview import preview, shown_pictures
from training.own_look.words import described

SHEET = "sheet.jpg"
SHEET_SECONDS = 180.0
EARLY_SECONDS = 900.0
_EARLY_SHARE = 0.8  # of all steps: after that the last engine is near
_TOLD_STEPS = 20
_LINE_BYTES = 4096


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        done: Steps done.
        steps: Number of steps of the whole training.
        seconds_left: Time until its end, as far as can be told.
        terms: The largest terms of the losses, in plain words.
    """

    done: int
    steps: int
    seconds_left: float
    terms: str


class Listener(Protocol):
    """Who is told."""

    def progress(self, progress: Progress) -> None:
        """Called after each step."""

    def say(self, text: str) -> None:
        """A line that stays."""


def run(job: Job, listener: Listener, clock: Callable[[], float] = time.monotonic) -> Engine:
    """Train to the end and write the engine.

    Raises:
        FloatingPointError: A term of the loss is not finite.
    """
    watch = _Watch(job, listener, clock)
    with watch.noted():
        network = job.training.train(job.options, watch)
    assert isinstance(network, WarpMask)
    drawn = watch.draw(network)
    engine = _write(job, network, drawn, job.options.version)
    finish(job)
    return engine


class _Watch:
    """Looks after a training between its steps."""

    def __init__(self, job: Job, listener: Listener, clock: Callable[[], float]) -> None:
        self._job, self._listener, self._clock = job, listener, clock
        self._began = self._drawn_at = clock()
        self._before = job.kept.seconds
        self._first: int | None = None
        self._terms: deque[dict[str, float]] = deque(maxlen=_TOLD_STEPS)
        self._pictures = shown_pictures()

    def __call__(self, done: int) -> None:
        """After each step: tell, and now and then draw a sheet or write the first engine."""
        job, now = self._job, self._clock()
        self._first = done - 1 if self._first is None else self._first
        self._terms.append(_last_terms(job.request.work / "log.jsonl"))
        self._listener.progress(
            Progress(done, job.total_steps, self._seconds_left(done, now), described(self._terms))
        )
        if done == job.total_steps:
            return
        early = not job.kept.early and self._spent(now) >= EARLY_SECONDS
        early = early and done < _EARLY_SHARE * job.total_steps
        if early or now - self._drawn_at >= SHEET_SECONDS:
            self._look(early)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note how long the training ran, however it ends."""
        try:
            yield
        finally:
            self._job.kept.seconds = self._spent(self._clock())
            self._job.save()

    def draw(self, network: WarpMask) -> bytes:
        """Draw the sheet, write it into the work folder and return the file."""
        drawn = preview(network.cpu(), self._job.options.max_displacement_pixels, self._pictures)
        path = self._job.request.work / SHEET
        partial = path.with_suffix(".partial")
        partial.write_bytes(drawn)
        partial.replace(path)
        return drawn

    def _spent(self, now: float) -> float:
        return self._before + now - self._began

    def _seconds_left(self, done: int, now: float) -> float:
        """Time left by the times that were measured, times how much slower it goes than that."""
        assert self._first is not None
        expected = self._job.seconds_left(self._first) - self._job.seconds_left(done)
        return self._job.seconds_left(done) * (now - self._began) / max(expected, 1e-9)

    def _look(self, early: bool) -> None:
        """Draw a sheet of the weights of the last checkpoint; write the first engine if it is time."""
        job = self._job
        found = checkpoint.weights_of(job.request.work, "generator")
        if found is None:
            return
        done, weights = found
        network = _network(job, weights)
        drawn = self.draw(network)
        self._listener.say(
            f"step {done} of {job.total_steps}: how it looks now is in {job.request.work / SHEET}"
        )
        if early:
            _write(job, network, drawn, f"0.{done}.0", done)
            job.kept.early = True
            self._listener.say(
                "a first engine is ready, and gets better until the end; try it with --effect " + effect(job)
            )
        job.kept.seconds = self._spent(self._clock())
        job.save()
        self._drawn_at = self._clock()


def effect(job: Job) -> str:
    """What `--effect` takes for the engine of a job: its name, or a path where it lies elsewhere."""
    return job.request.name if job.request.installed else str(job.request.folder)


def _network(job: Job, weights: dict[str, Tensor]) -> WarpMask:
    network: WarpMask = job.options.network.build()
    network.load_state_dict(weights)
    return network.eval()


def _write(job: Job, network: WarpMask, drawn: bytes, version: str, done: int | None = None) -> Engine:
    """Write the engine's folder, replacing what is there.

    Args:
        job: Training that the network comes from.
        network: Network with the weights.
        drawn: The sheet.
        version: Version of the engine.
        done: Steps that were done, where more are to come.
    """
    card = job.training.card(job.options)
    if done is not None:
        card += f"\nAn early version: {done} of {job.total_steps} steps were done.\n"
    fields = job.training.fields(job.options) | {"version": version}
    return export(network, job.request.folder, fields, golden_of(network, fields), card, drawn)


def _last_terms(log: Path) -> dict[str, float]:
    """The terms of the last step, as the loop logged them."""
    with log.open("rb") as lines:
        lines.seek(0, 2)
        lines.seek(max(0, lines.tell() - _LINE_BYTES))
        last = json.loads(lines.read().splitlines()[-1])
    return {name: float(value) for name, value in last.items() if name != "step"}
