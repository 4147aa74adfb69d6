"""On a device: reduce, network and fuse on frames that are in its memory already and stay there."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from streamfx.bench.levels import FRAME, ran_of
from streamfx.frame import Frame
from streamfx.generate.effect import Effect
from streamfx.resident.lanes import Moment
from streamfx.resident.residence import Residence, held_of
from streamfx.run_device import MOST_IN_FLIGHT
from streamfx.stats import Stats

_COPIES = 6  # of each picture: with what comes out more than the caches of GPUs hold, less than a ring


class DeviceLoop:
    """Gives a device one frame after the other, a few ahead of those that it has finished; see `Opened`.

    Args:
        effect: that stays on the device.
        residence: of the frames.
        pictures: in main memory; they are taken there once.
    """

    includes = (
        "reduce, network and fuse, from and to frames in the memory of the GPU, one after the other, "
        f"{MOST_IN_FLIGHT} given to it ahead; neither decoding nor encoding, no copy to or from main memory; "
        "the time of a frame is what the GPU itself counts for it"
    )
    most_frames: int | None = None

    def __init__(self, effect: Effect, residence: Residence, pictures: Sequence[Frame]) -> None:
        self.ran = ran_of(effect.compiled, threads=1, at_a_time=MOST_IN_FLIGHT, frames=residence.device.type)
        self._effect, self._residence = effect, residence
        self._frames = [residence.as_decoded(picture) for picture in [*pictures] * _COPIES]

    def run(self, frames: int, stats: Stats) -> float:
        self._given(self._frames[-1])[2]()
        waiting: deque[tuple[Moment, Moment, Callable[[], None]]] = deque()
        since_seconds = time.perf_counter()
        for number in range(frames + MOST_IN_FLIGHT):
            if number >= MOST_IN_FLIGHT and waiting:
                begun, ended, wait = waiting.popleft()
                wait()
                stats.add(FRAME, begun.seconds_until(ended))
            if number < frames:
                waiting.append(self._given(self._frames[number % len(self._frames)]))
        return time.perf_counter() - since_seconds

    def _given(self, frame: Frame) -> tuple[Moment, Moment, Callable[[], None]]:
        """Give the device a frame; return when it begins and ends, and what waits for it and keeps it."""
        lane = self._residence.work
        begun = lane.moment()
        done = self._effect.process(frame)
        return begun, lane.moment(), held_of(done).wait

    def device_memory_bytes(self) -> int | None:
        return self._residence.peak_bytes()
