"""The whole way: decode, reduce, network, fuse, encode, in the pipeline as it runs for a file."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from streamfx.backends.backend import Build, Precision
from streamfx.bench.level import FRAME, Opened, Setup, ran_of
from streamfx.bench.result import Ran
from streamfx.capture.opening import open_source
from streamfx.capture.source import Source
from streamfx.config.loading import load_config
from streamfx.encode.encoding import Encoding
from streamfx.encode.opening import open_sink
from streamfx.encode.sink import Sink
from streamfx.errors import ConfigError, SinkError
from streamfx.generate.chain import Chain
from streamfx.generate.effect import Effect, EffectSettings, open_effect
from streamfx.hardware.cpu import usable_cores
from streamfx.media.frame import Frame, VideoFormat
from streamfx.pipeline.flow import Flow
from streamfx.pipeline.pipeline import Pipeline
from streamfx.pipeline.stats import Stats
from streamfx.run.film import MOST_WORKERS
from streamfx.run.placement import MOST_IN_FLIGHT, Encoder, Placement, encoder_of, open_decoded
from streamfx.transcoding import transcode

_FILLING = 4  # frames besides those of the workers until all stages are at work
_PRESET = "ultrafast"


log = logging.getLogger(__name__)


@contextmanager
def open_pipeline(setup: Setup, place: Placement) -> Iterator[Opened]:
    """Give what measures the whole way. A clip of the test picture is made where none was given.

    Raises:
        ConfigError: the clip is too short.
    """
    case, workers = setup.case, min(setup.threads, _most_workers(place))
    clip = Path(setup.clip) if setup.clip else _clip(setup, _around(workers))
    # Opened once to decide where it is decoded: a trial, whose outcome may not change from turn to turn.
    source = open_decoded(str(clip), place, threads=min(setup.threads, MOST_WORKERS))
    source.close()
    settings = EffectSettings(
        case.backend,
        Precision(case.precision),
        case.factor,
        max(1, setup.threads // workers),
        workers,
        device=place.device,
        build=Build.WAIT,  # else what is measured is what runs meanwhile
        processing_device=place.processing_device(source.format),
    )
    effect = open_effect(case.effect, settings)
    try:
        yield _WholeWay(effect, setup, clip, source.format, place)
    finally:
        effect.close()


class _WholeWay:
    """Runs the pipeline anew for each turn; the effect stays open."""

    includes = (
        "decode an H.264 file (or --clip), reduce, network, fuse, encode, each stage in threads of its own; "
        "the time of a frame is that from one written to the next, the mean over as many as are generated at "
        "a time; the first and last frames of a turn, while queues fill and drain, are left out"
    )

    def __init__(
        self, effect: Effect, setup: Setup, clip: Path, video: VideoFormat, place: Placement
    ) -> None:
        self._effect, self._setup, self._clip, self._place = effect, setup, clip, place
        self._workers = workers = min(setup.threads, _most_workers(place))
        self._output = setup.folder / f"{os.getpid()}.mp4" if setup.encoder != "null:" else None
        self._encoder = self._encoder_of(effect.output(video))
        around = _around(workers)
        self.most_frames = None if video.frame_count is None else video.frame_count - around
        if self.most_frames is not None and self.most_frames < 1:
            raise ConfigError(
                f"{clip} has {video.frame_count} frames; with {workers} frames at a time more than "
                f"{around} are needed, because the first and last do not count"
            )
        effect.warm_up(video)

    @property
    def ran(self) -> Ran:
        device_context = self._place.device_context
        return ran_of(
            self._effect.compiled,
            threads=max(1, self._setup.threads // self._workers),
            at_a_time=self._workers,
            frames="cpu"
            if device_context is None or not self._effect.on_device
            else device_context.device.type,
            encoder=self._encoder.codec if self._encoder else None,
        )

    def run(self, frames: int, stats: Stats) -> float:
        workers = self._workers
        source = self._source()
        try:
            sink = self._sink(self._effect.output(source.format))
        except BaseException:
            source.close()
            raise
        processing_device = replace(self._place, stays=self._encoder is not None).processing_device(
            source.format
        )
        intervals = Intervals(_lead(workers), frames, workers, stats)
        flow = Flow(
            capture_capacity=workers + 1,
            encode_capacity=workers + 2,
            frame_limit=frames + _around(workers),
            watch=intervals,
        )
        self._effect.measure = stats.add
        try:
            Pipeline(
                source, [Chain((self._effect,), processing_device).process] * workers, sink, flow, stats
            ).run()
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
        device_context = self._place.device_context
        return None if device_context is None else device_context.peak_bytes()

    def _source(self) -> Source:
        device_context, threads = self._place.device_context, min(self._setup.threads, MOST_WORKERS)
        if device_context is None or not device_context.interleaved:
            return open_source(str(self._clip), threads=threads)
        from streamfx.capture.files.gpu_decode import DevicePictures

        return open_source(str(self._clip), threads=threads, pictures=DevicePictures(device_context))

    def _encoder_of(self, video: VideoFormat) -> Encoder | None:
        """Return NVIDIA's encoder, if it is the one for frames that live where they do."""
        if self._output is None or self._setup.encoder == "x264":
            return None
        config = load_config(options={"input": str(self._clip), "output": str(self._output)})
        return encoder_of(config, video, self._place.device_context)

    def _sink(self, video: VideoFormat) -> Sink:
        if self._output is None:
            return open_sink("null:", format=video)
        if (encoder := self._encoder) is not None:
            try:
                return open_sink(
                    str(self._output),
                    format=video,
                    packing=encoder.packing,
                    encoding=Encoding(codec=encoder.codec, pixel_format=encoder.pixel_format),
                )
            except SinkError as error:
                log.warning("encoded by the processor: %s", error)
                self._encoder = None
        threads = self._setup.threads
        return open_sink(
            str(self._output),
            format=video,
            encoding=Encoding(
                codec="h264", preset=_PRESET, threads=None if threads == usable_cores() else threads
            ),
        )


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


def _most_workers(place: Placement) -> int:
    return MOST_WORKERS if place.device_context is None else MOST_IN_FLIGHT


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
