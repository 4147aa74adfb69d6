"""The whole way: decode, reduce, network, fuse, encode, in the pipeline as it runs for a file."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamfx.backends.backend import Precision
from streamfx.bench.levels import FRAME, Opened, Setup
from streamfx.bench.result import Ran
from streamfx.capture.source import open_source
from streamfx.device import usable_cores
from streamfx.encode.sink import open_sink
from streamfx.errors import ConfigError
from streamfx.flow import Flow
from streamfx.frame import Frame
from streamfx.generate.effect import Effect, EffectSettings, open_effect
from streamfx.pipeline import Pipeline
from streamfx.stats import Stats
from streamfx.transcoding import MOST_WORKERS, transcode

_FILLING = 4  # frames besides those of the workers until all stages are at work
_PRESET = "ultrafast"


@contextmanager
def open_pipeline(setup: Setup) -> Iterator[Opened]:
    """Give what measures the whole way. A clip of the test picture is made where none was given.

    Raises:
        ConfigError: the clip is too short.
    """
    case, workers = setup.case, min(setup.threads, MOST_WORKERS)
    clip = Path(setup.clip) if setup.clip else _clip(setup, _around(workers))
    settings = EffectSettings(
        case.backend, Precision(case.precision), case.factor, max(1, setup.threads // workers), workers
    )
    effect = open_effect(case.effect, settings)
    try:
        opened = _WholeWay(effect, setup, clip, workers)
        yield opened
    finally:
        effect.close()


class _WholeWay:
    """Runs the pipeline anew for each turn; the effect stays open."""

    def __init__(self, effect: Effect, setup: Setup, clip: Path, workers: int) -> None:
        self._effect, self._setup, self._clip, self._workers = effect, setup, clip, workers
        self._output = setup.folder / f"{os.getpid()}.mp4" if setup.encoder == "x264" else None
        compiled = effect.compiled
        self.ran = Ran(
            backend=compiled.backend,
            precision=compiled.precision.value,
            threads=max(1, setup.threads // workers),
            at_a_time=workers,
        )
        source = open_source(str(clip))
        source.close()
        around = _around(workers)
        self.most_frames = None if source.format.frame_count is None else source.format.frame_count - around
        if self.most_frames is not None and self.most_frames < 1:
            raise ConfigError(
                f"{clip} has {source.format.frame_count} frames; with {workers} frames at a time more than "
                f"{around} are needed, because the first and last do not count"
            )
        effect.warm_up(source.format)

    def run(self, frames: int, stats: Stats) -> float:
        threads, workers = self._setup.threads, self._workers
        source = open_source(str(self._clip), threads=min(threads, MOST_WORKERS))
        try:
            sink = open_sink(
                str(self._output or "null:"),
                format=self._effect.output(source.format),
                codec="h264" if self._output else None,
                preset=_PRESET if self._output else None,
                threads=None if threads == usable_cores() else threads,  # as where nobody says how many
            )
        except BaseException:
            source.close()
            raise
        intervals = Intervals(_lead(workers), frames, workers, stats)
        flow = Flow(
            capture_capacity=workers + 1,
            encode_capacity=workers + 2,
            frame_limit=frames + _around(workers),
            watch=intervals,
        )
        self._effect.measure = stats.add
        try:
            Pipeline(source, [self._effect.process] * workers, sink, flow, stats).run()
        finally:
            self._effect.measure = None
            if self._output is not None:
                self._output.unlink(missing_ok=True)
        if intervals.seconds is None:
            raise ConfigError(
                f"{self._clip} ended before {frames + _around(workers)} frames were read; use a longer one"
            )
        return intervals.seconds

    def device_memory_bytes(self) -> int | None:
        return None


class Intervals:
    """Sees frames written, and measures the time between them. See ``streamfx.flow.Watch``.

    Several workers may finish close together, so what counts is the mean of as many as there are workers.

    Args:
        lead: frames before those that count.
        frames: that count.
        at_a_time: workers.
        stats: gets the times.

    Attributes:
        seconds: that the frames took together; None until they were all written.
    """

    def __init__(self, lead: int, frames: int, at_a_time: int, stats: Stats) -> None:
        self._stats, self._last = stats, lead + frames
        self._lead, self._count, self._first_seconds = lead, 0, 0.0
        self._times: deque[float] = deque(maxlen=at_a_time + 1)
        self.seconds: float | None = None

    def taken(self, frame: Frame) -> None:
        """Nothing is to be known of that."""

    def written(self, frame: Frame, at_seconds: float) -> None:  # noqa: ARG002 - the protocol's signature
        self._count += 1
        self._times.append(at_seconds)
        if self._count == self._lead:
            self._first_seconds = at_seconds
        if self._lead < self._count <= self._last:
            steps = len(self._times) - 1
            self._stats.add(FRAME, (at_seconds - self._times[0]) / steps)
        if self._count == self._last:
            self.seconds = at_seconds - self._first_seconds


def _lead(workers: int) -> int:
    """Return how many frames come before those that count: all stages are to be at work, queues filled."""
    return 2 * workers + _FILLING


def _around(workers: int) -> int:
    """Return how many frames come before and after those that count; at the end workers run out of work."""
    return _lead(workers) + workers + 1


def _clip(setup: Setup, around: int) -> Path:
    """Return a clip of the test picture, long enough for a turn; cases of one size share it."""
    path = setup.folder / f"{setup.case.size}.mp4"
    if not path.exists():
        bars = f"test:bars?size={setup.case.size}&frames={setup.frames + around}"
        transcode(bars, path, codec="h264", preset=_PRESET, threads=setup.threads, verify=False)
    return path
