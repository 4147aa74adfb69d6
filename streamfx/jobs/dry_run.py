"""Dry run: what a transcode would read, keep, convert and leave out, how long it takes, how big it gets."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from streamfx.capture.source import Source
from streamfx.cluster.film import check_spreadable
from streamfx.config.transcode import TranscodeConfig
from streamfx.encode.files.file import FileSink
from streamfx.encode.files.measured import MeasuringSink
from streamfx.encode.null import NullSink
from streamfx.encode.opening import opens_elsewhere
from streamfx.encode.sink import Sink
from streamfx.errors import ConfigError
from streamfx.jobs.sampling import SampledSource
from streamfx.media.frame import VideoFormat
from streamfx.media.notes import Converted, LeftOut
from streamfx.media.paths import shown_name
from streamfx.pipeline.flow import Flow
from streamfx.pipeline.pipeline import Pipeline
from streamfx.pipeline.stats import Stats
from streamfx.resume.resuming import check_resumable
from streamfx.run.assembly import Parts, factor_facts
from streamfx.run.black_bars import with_bars_found
from streamfx.run.effects import numbered
from streamfx.run.film import made_format, open_parts
from streamfx.run.report import check_report_path
from streamfx.run.size_limit import Budget, find_budget


@dataclass(frozen=True, slots=True)
class TranscodePlan:
    """What a transcode would do, as far as it is known before the first frame.

    Attributes:
        source: name and format of what would be read.
        output: name and format of what would be written.
        kept: streams beside the pictures that would be copied as they are.
        converted: conversions that would be made.
        left_out: content of the source that would be left out.
        notes: further facts worth knowing.
        factors: factor of each effect.
        why: reason for the factor, where nobody gave one.
        seconds: estimate of the time it takes; None: not known.
        size_bytes: estimate of how large the pictures get; None: not known.
        measured_frames: frames that the estimates come from.
    """

    source: str
    output: str
    kept: tuple[str, ...]
    converted: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    factors: tuple[float, ...]
    why: str | None
    seconds: float | None
    size_bytes: int | None
    measured_frames: int

    def summary(self) -> str:
        """Return all of it, one thing a line."""
        lines = [f"would read: {self.source}", f"would write: {self.output}"]
        lines += [f"factor: {' and '.join(f'{factor:g}' for factor in self.factors)}"] if self.factors else []
        lines += [f"factor chosen: {self.why}"] if self.why else []
        for what, found in (
            ("kept", self.kept),
            ("converted", self.converted),
            ("left out", self.left_out),
            ("note", self.notes),
        ):
            lines += [f"{what}: {each}" for each in found]
        measured = f"measured on {self.measured_frames} frames"
        unknown = "not known: the source does not say how many frames it has"
        lines.append(
            f"time: {unknown}" if self.seconds is None else f"time: about {_span(self.seconds)}, {measured}"
        )
        lines.append(
            "size: not known"
            if self.size_bytes is None
            else f"size: about {_megabytes(self.size_bytes)} without sound, {measured}"
        )
        return "\n".join([*lines, "nothing was written"])


def dry_run(config: TranscodeConfig) -> TranscodePlan:
    """Return what a transcode would do; refuses what it would refuse, and writes nothing.

    Raises:
        ConfigError, SourceOpenError, SinkError, EngineNotFoundError, BackendUnavailableError: as the
            transcode would; and for an output that cannot be tried without opening it.
    """
    if opens_elsewhere(config.output):
        raise ConfigError(
            f"--dry-run: whether {config.output} can be written shows only when it is opened; run without it"
        )
    if config.report is not None:
        check_report_path(config.report, output=config.output, source=config.input)
    if config.cluster is not None:
        check_spreadable(config)
    elif config.resume:
        check_resumable(config)
    config = with_bars_found(config)
    with open_parts(config, Stats(), written=False) as parts:
        source = getattr(parts.source, "inner", parts.source)
        kept = _kept(parts)
        budget = None if config.size_limit is None else find_budget(config)
        said = [*source.notes, *parts.sink.notes]
        frames = _frames_of(config, source.format)
        measured, seconds_each, size_bytes = _measured(parts, frames, whole=config.part is None)
        notes = [note for note in said if not isinstance(note, Converted | LeftOut)]
        passes = 1
        if budget is not None:
            passes, size_bytes, note = _within(budget, size_bytes)
            notes.append(note)
        facts = factor_facts(parts)
        return TranscodePlan(
            source=f"{source.name}, {_described(source.format, frames)}",
            output=f"{shown_name(Path(config.output))}, {_coded(config, source, parts.sink)}",
            kept=kept,
            converted=tuple(note for note in said if isinstance(note, Converted)),
            left_out=tuple(note for note in said if isinstance(note, LeftOut)),
            notes=tuple(notes),
            factors=parts.effects.chain.factors,
            why=None if facts is None else facts.reason,
            seconds=None if frames is None or seconds_each is None else frames * seconds_each * passes,
            size_bytes=size_bytes,
            measured_frames=measured,
        )


def _measured(parts: Parts, frames: int | None, *, whole: bool) -> tuple[int, float | None, int | None]:
    """Do a few frames as the run would; return how many, the seconds for each, and the size of all."""
    inner = getattr(parts.source, "inner", parts.source)
    source = SampledSource(inner, whole=whole)
    sink: NullSink | MeasuringSink = NullSink()
    if isinstance(parts.sink, FileSink):
        plan, packing = parts.sink.recipe
        sink = MeasuringSink(plan, packing, source.begins)
    work = parts.process or parts.effects.chain.process
    flow = Flow(
        policy=None,
        capture_capacity=parts.flow.capture_capacity,
        encode_capacity=parts.flow.encode_capacity,
        alike=parts.flow.alike,
    )
    pipeline = Pipeline(numbered(source, parts.effects), [work] * parts.workers, sink, flow, Stats())
    begun = time.monotonic()
    result = pipeline.run()
    seconds = time.monotonic() - begun
    done = result.account.encoded
    size_bytes = None
    if frames is not None and isinstance(sink, MeasuringSink):
        size_bytes = sink.bytes_for(frames)
    return done, seconds / done if done else None, size_bytes


def _within(budget: Budget, size_bytes: int | None) -> tuple[int, int, str]:
    """Return how many passes it takes to keep within a size, that of the pictures then, and what to say."""
    most_bytes = budget.limit_bytes - budget.other_bytes
    if size_bytes is not None and size_bytes <= most_bytes:
        return 1, size_bytes, "one pass by quality keeps within the size"
    bits = budget.bits_per_second
    return 2, most_bytes, f"two passes, and pictures at about {bits} bits a second, keep within the size"


def _kept(parts: Parts) -> tuple[str, ...]:
    other_tracks = parts.source.other_tracks
    if other_tracks is None or not isinstance(parts.sink, FileSink):
        return ()
    return tuple(str(stream) for stream in other_tracks.streams if stream.index in parts.sink.copied)


def _frames_of(config: TranscodeConfig, video: VideoFormat) -> int | None:
    """Return how many frames there will be; None where neither source nor settings say."""
    return min(filter(None, (video.expected_frames, config.limits.frames)), default=None)


def _described(video: VideoFormat, frames: int | None) -> str:
    height, width = video.size
    parts = [f"{width}x{height}, {video.subsampling.value}, {video.depth} bit"]
    parts += [f"{float(video.rate_fps):.6g} fps"] if video.rate_fps else []
    about = "about " if video.frame_count is None else ""
    parts += [f"{about}{frames} frames"] if frames is not None else []
    return ", ".join(parts)


def _coded(config: TranscodeConfig, source: Source, sink: Sink) -> str:
    if isinstance(sink, FileSink):
        plan = sink.recipe[0]
        return f"{plan.size[1]}x{plan.size[0]}, {plan.codec.name} ({plan.codec.encoder}), {plan.pix_fmt}"
    height, width = made_format(config, source.format).size
    return f"{width}x{height}" + ("" if isinstance(sink, NullSink) else ", pictures")


def _span(seconds: float) -> str:
    """Return a duration in words.

    Example:
        >>> _span(0.4), _span(42), _span(600), _span(9000)
        ('1 s', '42 s', '10 min', '2.5 h')
    """
    if seconds < 100:
        return f"{max(round(seconds), 1)} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _megabytes(size_bytes: int) -> str:
    """Return a size in words.

    Example:
        >>> _megabytes(123_456), _megabytes(4_560_000_000)
        ('0.12 MB', '4600 MB')
    """
    return f"{float(f'{size_bytes / 1e6:.2g}'):g} MB"
