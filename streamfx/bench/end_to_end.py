"""The whole way: decode, reduce, network, fuse, encode, in the pipeline as it runs for a file."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from streamfx.backends.backend import Precision
from streamfx.bench.level import FRAME, Opened, Setup, config_of, ran_of
from streamfx.bench.result import ActualSettings
from streamfx.capture.opening import open_source
from streamfx.capture.source import Source
from streamfx.config.transcode import LimitsConfig, TranscodeConfig
from streamfx.errors import ConfigError
from streamfx.generate.chain import Chain
from streamfx.generate.effect import Effect
from streamfx.hardware.cpu import usable_cores
from streamfx.media.frame import Frame
from streamfx.pipeline.pipeline import Pipeline
from streamfx.pipeline.stats import Stats
from streamfx.run.effects import open_effects
from streamfx.run.film import MOST_WORKERS, flow_of, most_workers, open_ends
from streamfx.run.placement import Encoder, Placement
from streamfx.transcoding import transcode

_FILLING = 4  # frames besides those of the workers until all stages are at work
_PRESET = "ultrafast"
_BY_PROCESSOR = {"codec": "h264", "preset": _PRESET}


@contextmanager
def open_pipeline(setup: Setup, place: Placement) -> Iterator[Opened]:
    """Give what measures the whole way. A clip of the test picture is made where none was given.

    Raises:
        ConfigError: the clip is too short.
    """
    workers = most_workers(setup.threads, place)
    clip = setup.clip or str(_clip(setup, _around(workers)))
    output = "null:" if setup.encoder == "null:" else str(setup.folder / f"{os.getpid()}.mp4")
    config = config_of(setup, clip, output).model_copy(update={"workers": workers})
    if setup.encoder == "x264":
        config = config.model_copy(update=_BY_PROCESSOR)
    # Opened once to decide where it is decoded and encoded: a trial, whose outcome may not change from turn
    # to turn.
    with open_ends(config, place) as ends:
        source, encoder = ends.source, ends.encoder
    if encoder is not None:
        config = config.model_copy(update={"codec": encoder.codec})
    elif output != "null:":
        config = config.model_copy(update=_BY_PROCESSOR)
    count = source.format.frame_count
    if count is not None and count <= _around(workers):
        raise ConfigError(
            f"{clip} has {count} frames; with {workers} frames at a time more than {_around(workers)} are "
            "needed, because the first and last do not count"
        )
    precision = Precision(setup.case.precision)
    with open_effects(config, source, workers, Stats(), place, precision) as effects:
        yield _WholeWay(config, effects.chain.effects[0].parts[0], place, encoder, count)


class _WholeWay:
    """Runs the pipeline anew for each turn; the effect stays open."""

    includes = (
        "decode an H.264 file (or --clip), reduce, network, fuse, encode, each stage in threads of its own; "
        "the time of a frame is that from one written to the next, the mean over as many as are generated at "
        "a time; the first and last frames of a turn, while queues fill and drain, are left out"
    )

    def __init__(
        self,
        config: TranscodeConfig,
        effect: Effect,
        place: Placement,
        encoder: Encoder | None,
        frame_count: int | None,
    ) -> None:
        self._config, self._effect, self._place, self._encoder = config, effect, place, encoder
        self._workers = config.workers or 1
        self.most_frames = None if frame_count is None else frame_count - _around(self._workers)

    @property
    def ran(self) -> ActualSettings:
        device_context = self._place.device_context
        return ran_of(
            self._effect.compiled,
            threads=max(1, (self._config.threads or 1) // self._workers),
            at_a_time=self._workers,
            frames="cpu"
            if device_context is None or not self._effect.on_device
            else device_context.device.type,
            encoder=self._encoder.codec if self._encoder else None,
        )

    def run(self, frames: int, stats: Stats) -> float:
        workers = self._workers
        wanted = frames + _around(workers)
        config = self._config.model_copy(update={"limits": LimitsConfig(frames=wanted)})
        intervals = Intervals(_lead(workers), frames, workers, stats)
        self._effect.measure = stats.add
        try:
            with open_ends(config, self._place, own_source=self._source()) as ends:
                chain = Chain((self._effect,), ends.place.processing_device(ends.source.format))
                flow = replace(flow_of(config, ends.source, workers), watch=intervals)
                Pipeline(ends.source, [chain.process] * workers, ends.sink, flow, stats).run()
        finally:
            self._effect.measure = None
            if config.output != "null:":
                Path(config.output).unlink(missing_ok=True)
        if intervals.seconds is None:
            raise ConfigError(f"{config.input} ended before {wanted} frames were read; use a longer one")
        return intervals.seconds

    def device_memory_bytes(self) -> int | None:
        device_context = self._place.device_context
        return None if device_context is None else device_context.peak_bytes()

    def _source(self) -> Source | None:
        """Return the source where it is decoded on a device, as was found; None for that of a run."""
        device_context = self._place.device_context
        if device_context is None:
            return None
        threads = min(self._config.threads or usable_cores(), MOST_WORKERS)
        if not device_context.interleaved:
            return open_source(self._config.input, threads=threads)
        from streamfx.capture.files.gpu_decode import DevicePictures

        return open_source(self._config.input, threads=threads, pictures=DevicePictures(device_context))


class Intervals:
    """Sees frames written, and measures the time between them. See ``streamfx.pipeline.flow.Watch``.

    Several workers may finish close together, so what counts is the mean of as many as there are workers.

    Args:
        lead: frames before those that count.
        frames: frames that count.
        at_a_time: workers.
        stats: receiver of the times.

    Attributes:
        seconds: time that the frames took together; None until they were all written.
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
