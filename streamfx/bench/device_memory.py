"""On a device: the network alone, and reduce, network and fuse, on frames that are in its memory already."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from streamfx.backends.backend import CompiledEngine
from streamfx.bench.level import FRAME, ran_of
from streamfx.generate.effect import Effect
from streamfx.generate.gpu.network_call import DeviceCall
from streamfx.gpu.streams import Stream, TimedEvent
from streamfx.gpu.transfer import DeviceContext, device_picture_of
from streamfx.media.frame import Frame
from streamfx.pipeline.stats import Stats
from streamfx.run.placement import MOST_IN_FLIGHT

Work: TypeAlias = Callable[[], Callable[[], None]]
"""Gives the device the work of a frame; returns what waits for it, and keeps what it needs until then."""

_COPIES = 6  # of each picture: with what comes out more than the caches of GPUs hold, and less than a pool
_HOW = (
    f"one after the other, {MOST_IN_FLIGHT} given to it ahead; no copy to or from main memory; the time of a "
    "frame is what the GPU itself counts for it"
)
_MODEL = f"the calls of the compiled network that a frame needs, from and to the memory of the GPU, {_HOW}"
_RESIDENT = (
    "reduce, network and fuse, from and to frames in the memory of the GPU, neither decoding nor encoding, "
    + _HOW
)


class DeviceLoop:
    """Gives a device the work of one frame after the other, a few ahead of what is done; see `Opened`.

    Args:
        includes: parts of the work that are in the time of a frame, in words.
        compiled: the network.
        device_context: device_context of the frames.
        works: works of one frame each; they take turns.
    """

    most_frames: int | None = None

    def __init__(
        self, includes: str, compiled: CompiledEngine, device_context: DeviceContext, works: Sequence[Work]
    ) -> None:
        self.includes, self._device_context, self._works = includes, device_context, works
        self.ran = ran_of(compiled, threads=1, at_a_time=MOST_IN_FLIGHT, frames=device_context.device.type)

    def run(self, frames: int, stats: Stats) -> float:
        self._works[-1]()()
        waiting: deque[tuple[TimedEvent, TimedEvent, Callable[[], None]]] = deque()
        stream, since_seconds = self._device_context.work, time.perf_counter()
        for number in range(frames + MOST_IN_FLIGHT):
            if number >= MOST_IN_FLIGHT and waiting:
                begun, ended, wait = waiting.popleft()
                wait()
                stats.add(FRAME, begun.seconds_until(ended))
            if number < frames:
                begun = stream.record_time()
                wait = self._works[number % len(self._works)]()
                waiting.append((begun, stream.record_time(), wait))
        return time.perf_counter() - since_seconds

    def device_memory_bytes(self) -> int | None:
        return self._device_context.peak_bytes()


def frames_on_device(effect: Effect, device_context: DeviceContext, pictures: Sequence[Frame]) -> DeviceLoop:
    """Return what measures an effect that stays on a device, on pictures that are taken there once."""
    there = [device_context.as_decoded(picture) for picture in [*pictures] * _COPIES]
    works = [partial(_process, effect, frame) for frame in there]
    return DeviceLoop(_RESIDENT, effect.compiled, device_context, works)


def _process(effect: Effect, frame: Frame) -> Callable[[], None]:
    return device_picture_of(effect.process(frame)).wait


def calls_on_device(
    compiled: CompiledEngine, device_context: DeviceContext, frames: Sequence[Sequence[DeviceCall]]
) -> DeviceLoop:
    """Return what measures a network alone, by the calls that some frames need."""
    works = [partial(_call, calls, device_context.work) for calls in frames]
    return DeviceLoop(_MODEL, compiled, device_context, works)


def _call(calls: Sequence[DeviceCall], stream: Stream) -> Callable[[], None]:
    for call in calls:
        call()
    return stream.record_event().wait
