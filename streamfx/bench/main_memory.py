"""In memory: the network alone, and reduce, network and fuse, on frames that are there already.

Where a device keeps frames from decoder to encoder, they are there in its own memory: ``device_memory.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from streamfx.backends.backend import CompiledEngine, DeviceEngine, Precision
from streamfx.bench.level import FRAME, Opened, Setup, config_of, ran_of
from streamfx.capture.opening import open_source
from streamfx.capture.source import Source
from streamfx.errors import ConfigError
from streamfx.generate.effect import Effect
from streamfx.media.frame import Frame
from streamfx.pipeline.stats import Stats
from streamfx.run.effects import open_effects
from streamfx.run.placement import Placement

_PICTURES = 4  # in turns, so that no picture is in the cache from the time before
_MODEL = (
    "the calls of the compiled network that a frame needs, from and to main memory, one frame at a time with "
    "all threads; not the way from the frame to its input and back"
)
_RESIDENT = (
    "reduce, network and fuse, from and to full-size planes in main memory, one frame at a time with all "
    "threads; neither decoding nor encoding"
)


class _Loop:
    """Does the work of one frame after the other, and begins again with the first."""

    most_frames: int | None = None

    def __init__(
        self,
        includes: str,
        effect: Effect,
        threads: int,
        works: Sequence[Callable[[], object]],
        place: Placement,
    ) -> None:
        self.includes, self.ran = includes, ran_of(effect.compiled, threads=threads)
        self._effect, self._works, self._place = effect, works, place

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
        device_context = self._place.device_context
        return None if device_context is None else device_context.peak_bytes()


@contextmanager
def open_resident(setup: Setup, place: Placement) -> Iterator[Opened]:
    """Give what measures reduce, network and fuse: on the device, if the effect can stay there."""
    with _opened(setup, place, stays=True) as (effect, pictures):
        if place.device_context is not None and effect.on_device is not None:
            from streamfx.bench.device_memory import frames_on_device

            yield frames_on_device(effect, place.device_context, pictures)
        else:
            works = [partial(effect.process, picture) for picture in pictures]
            yield _Loop(_RESIDENT, effect, setup.threads, works, place)


@contextmanager
def open_model(setup: Setup, place: Placement) -> Iterator[Opened]:
    """Give what measures the network alone: the calls that the frames make, written down and made again.

    Raises:
        ConfigError: the frames make none.
    """
    with _opened(setup, place, stays=False) as (effect, pictures):
        recorders = []
        for picture in pictures:
            recorders.append(_Recorder(effect.compiled))
            replace(effect, compiled=recorders[-1]).process(picture)
            if not recorders[-1].calls:
                raise ConfigError(f"effect {setup.case.effect!r} at strength 0 never calls its network")
        compiled, device_context = effect.compiled, place.device_context
        if device_context is not None and isinstance(compiled, DeviceEngine):
            from streamfx.bench.device_memory import calls_on_device
            from streamfx.generate.gpu.network_call import DeviceCall

            stream = device_context.work
            frames = [
                [DeviceCall(compiled, stream, *call.args, **call.keywords) for call in recorder.calls]
                for recorder in recorders
            ]
            yield calls_on_device(compiled, device_context, frames)
        else:
            works = [recorder.repeat for recorder in recorders]
            yield _Loop(_MODEL, effect, setup.threads, works, place)


class _Recorder:
    """Stands before a compiled engine, and can make the calls again that went through it."""

    def __init__(self, compiled: CompiledEngine) -> None:
        self._compiled = compiled
        self.calls: list[partial[Any]] = []

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
def _opened(setup: Setup, place: Placement, *, stays: bool) -> Iterator[tuple[Effect, list[Frame]]]:
    """Give the effect, ready for the first frame, and a few frames in main memory.

    Args:
        setup: setup of the case.
        place: place where networks run.
        stays: whether frames are to stay there, too, as far as the effect can do with that.
    """
    with closing(_source(setup)) as source:
        pictures = _pictures(source)
        video = source.format
        if stays and place.device_context is not None:
            from streamfx.encode.gpu_encode import device_format

            # as decoders of GPUs would give them
            place.device_context.interleaved = device_format(video) is not None
        place = place if stays else replace(place, device_context=None)
        precision = Precision(setup.case.precision)
        with open_effects(config_of(setup, source.name), source, 1, Stats(), place, precision) as effects:
            yield effects.chain.effects[0].parts[0], pictures


def _source(setup: Setup) -> Source:
    return open_source(setup.clip or f"test:bars?size={setup.case.size}", threads=setup.threads)


def _pictures(source: Source) -> list[Frame]:
    found = [source.read() for _ in range(_PICTURES)]
    pictures = [picture for picture in found if picture is not None]
    if not pictures:
        raise ConfigError(f"{source.name} has no frames")
    return pictures
