"""In memory: the network alone, and reduce, network and fuse, on frames that are there already."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from streamfx.backends.backend import CompiledEngine, Precision
from streamfx.bench.levels import FRAME, Opened, Setup
from streamfx.bench.result import Ran
from streamfx.capture.source import open_source
from streamfx.errors import ConfigError
from streamfx.frame import Frame
from streamfx.generate.effect import Effect, EffectSettings, open_effect
from streamfx.stats import Stats

_PICTURES = 4  # in turns, so that no picture is in the cache from the time before


class _Loop:
    """Does the work of one frame after the other, and begins again with the first."""

    most_frames: int | None = None

    def __init__(self, effect: Effect, threads: int, works: Sequence[Callable[[], object]]) -> None:
        self.ran = Ran(
            backend=effect.compiled.backend, precision=effect.compiled.precision.value, threads=threads
        )
        self._effect, self._works = effect, works

    def run(self, frames: int, stats: Stats) -> float:
        self._works[-1]()  # what ran in between has filled the caches with what is its own
        self._effect.measure = stats.add
        whole_seconds = 0.0
        for number in range(frames):
            begun = time.perf_counter()
            self._works[number % len(self._works)]()
            seconds = time.perf_counter() - begun
            stats.add(FRAME, seconds)
            whole_seconds += seconds
        self._effect.measure = None
        return whole_seconds

    def device_memory_bytes(self) -> int | None:
        return None


@contextmanager
def open_resident(setup: Setup) -> Iterator[Opened]:
    """Give what measures reduce, network and fuse."""
    with _opened(setup) as (effect, pictures):
        yield _Loop(effect, setup.threads, [partial(effect.process, picture) for picture in pictures])


@contextmanager
def open_model(setup: Setup) -> Iterator[Opened]:
    """Give what measures the network alone: the calls that the frames make, written down and made again.

    Raises:
        ConfigError: the frames make none.
    """
    with _opened(setup) as (effect, pictures):
        works = []
        for picture in pictures:
            recorder = _Recorder(effect.compiled)
            replace(effect, compiled=recorder).process(picture)
            works.append(recorder.repeat)
            if not recorder.calls:
                raise ConfigError(f"effect {setup.case.effect!r} at strength 0 never calls its network")
        yield _Loop(effect, setup.threads, works)


class _Recorder:
    """Stands before a compiled engine, and can make the calls again that went through it."""

    def __init__(self, compiled: CompiledEngine) -> None:
        self._compiled = compiled
        self.calls: list[Callable[[], object]] = []

    @property
    def backend(self) -> str:
        return self._compiled.backend

    @property
    def precision(self) -> Precision:
        return self._compiled.precision

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls.append(partial(self._compiled, *arguments, **named))
        return self.calls[-1]()

    def repeat(self) -> None:
        for call in self.calls:
            call()

    def warm_up(self, *arguments: Any, **named: Any) -> None:
        self._compiled.warm_up(*arguments, **named)

    def close(self) -> None:
        """Leave it to the effect that the engine belongs to."""


@contextmanager
def _opened(setup: Setup) -> Iterator[tuple[Effect, list[Frame]]]:
    """Give the effect, ready for the first frame, and a few frames."""
    case = setup.case
    pictures = _pictures(setup)
    settings = EffectSettings(case.backend, Precision(case.precision), case.factor, setup.threads)
    effect = open_effect(case.effect, settings)
    try:
        effect.warm_up(pictures[0].format)
        yield effect, pictures
    finally:
        effect.close()


def _pictures(setup: Setup) -> list[Frame]:
    source = open_source(setup.clip or f"test:bars?size={setup.case.size}", threads=setup.threads)
    try:
        found = [source.read() for _ in range(_PICTURES)]
    finally:
        source.close()
    pictures = [picture for picture in found if picture is not None]
    if not pictures:
        raise ConfigError(f"{source.name} has no frames")
    return pictures
