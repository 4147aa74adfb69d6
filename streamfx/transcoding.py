"""Transcoding: one call from a source to a finished, checked output and its report. Joins all the parts."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from os import PathLike, fspath
from pathlib import Path

from streamfx.capture.source import Source, open_source
from streamfx.completeness import differences
from streamfx.config import TranscodeConfig, load_config
from streamfx.device import cpu, usable_cores
from streamfx.encode.sink import Sink, open_sink
from streamfx.errors import StageFailedError
from streamfx.factor import FactorChoice, automatic_effects, fit_factor
from streamfx.factor_watch import FactorWatch, watch_factor
from streamfx.flow import Flow, RunResult
from streamfx.frame_queue import Policy
from streamfx.generate.effect import Chain, EffectSettings, open_chain
from streamfx.pipeline import Pipeline
from streamfx.report import (
    EffectFacts,
    FactorDecision,
    FactorFacts,
    OutputFacts,
    Report,
    check_report_path,
    describe_source,
)
from streamfx.stats import Snapshot, Stats
from streamfx.version import __version__

Progress = Callable[[Snapshot], None]
_MOST_WORKERS = 16  # each holds a model and two frames, and one encoder cannot follow many more
_LIBRARIES = ("av", "numpy", "numba", "openvino", "torch")


def transcode(
    input: str | PathLike[str],
    output: str | PathLike[str],
    *,
    effects: Sequence[str] = (),
    factor: float | str = "auto",
    speed: float = 1.0,
    backend: str = "auto",
    codec: str | None = None,
    preset: str | None = None,
    quality: int | None = None,
    threads: int | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    verify: bool = True,
    report: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Change how a video looks and write a new one; return the report of what came of it.

    Args:
        input: what to read: a video file, ``-``, pictures, ``test:bars``.
        output: what to write: a video file, ``null:``.
        effects: effects in the order they are applied, each ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE``.
        factor: how many times smaller the network's picture is: 1, 1.5, 2, 3, 4, 6, 8 or "auto": the smallest
            that keeps up with the source, or with ``speed``.
        speed: how many times faster than real time a file is to be done, for the factor "auto".
        backend: what runs the network; "auto" takes the fastest that can run here.
        codec: video codec of the output; None takes one that fits.
        preset: speed against size, as the codec names it.
        quality: constant quality, as the codec counts it (lower is better).
        threads: processor threads to use; None for all.
        workers: frames generated at a time; None takes what is fastest.
        overwrite: replace the output when it exists.
        verify: read the finished output again and compare it with the account.
        report: write the report to this file too, as JSON.
        progress: called now and then, in this thread, with the state of the run.

    Raises:
        ConfigError: a setting is wrong.
        SourceOpenError: the input cannot be read.
        SinkError: the output cannot be written.
        EngineNotFoundError: there is no such effect.
        BackendUnavailableError: the backend cannot run here.
        StageFailedError: something failed on the way; its ``report`` is the account up to there.

    Example:
        >>> report = transcode("in.mp4", "same.mp4")
        >>> report.exit_code, report.result.account.encoded == report.source.frame_count
        (0, True)
    """
    options = {
        "input": fspath(input),
        "output": fspath(output),
        "effects": tuple(effects),
        "factor": factor,
        "speed": speed,
        "backend": backend,
        "codec": codec,
        "preset": preset,
        "quality": quality,
        "threads": threads,
        "workers": workers,
        "overwrite": overwrite,
        "verify": verify,
        "report": None if report is None else fspath(report),
    }
    return run_config(load_config(options=options), progress)


def run_config(config: TranscodeConfig, progress: Progress | None = None) -> Report:
    """Run what the configuration says; returns and raises as ``transcode``.

    A Ctrl-C while it runs finishes the output; the report says so. A second one gives up and is raised.
    """
    if config.report is not None:
        check_report_path(config.report, output=config.output, source=config.input)
    started_at, started = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    stats = Stats()
    with _open(config, stats) as parts:
        workers = [parts.chain.process] * parts.workers
        pipeline = Pipeline(parts.source, workers, parts.sink, _flow(config, parts), stats)
        opening_seconds = time.monotonic() - started
        failure: StageFailedError | KeyboardInterrupt | None = None
        try:
            pipeline.run(lambda snapshot: parts.look(snapshot, progress))
        except (StageFailedError, KeyboardInterrupt) as error:
            failure = error
        assert pipeline.result is not None
        report = _report(config, parts, pipeline.result, started_at, opening_seconds)
    if config.report is not None:
        report.write(config.report)
    if isinstance(failure, StageFailedError):
        failure.report = report
    if failure is not None:
        raise failure
    return report


@dataclass(frozen=True, slots=True)
class _Parts:
    """Everything a run needs, open.

    Attributes:
        source: read from.
        chain: the effects.
        sink: written to.
        workers: frames generated at a time.
        choice: of the factor; None where it was given.
        watch: keeps the factor right while a live source runs; None where nothing is to be watched.
    """

    source: Source
    chain: Chain
    sink: Sink
    workers: int
    choice: FactorChoice | None
    watch: FactorWatch | None

    def look(self, snapshot: Snapshot, progress: Progress | None) -> None:
        """Take the state of the run; called now and then, in one thread."""
        if self.watch is not None:
            self.watch.look(snapshot)
        if progress is not None:
            progress(snapshot)


@contextmanager
def _open(config: TranscodeConfig, stats: Stats) -> Iterator[_Parts]:
    """Open source, sink and effects; the effects last, because they may have to be compiled first.

    A frame generated by one thread costs less processor time than one shared among several, so for files
    there are as many workers as processors. A live frame must be ready soon, so all threads work on it.
    """
    total = config.threads or usable_cores()
    with contextlib.ExitStack() as opened:
        source = open_source(config.input, threads=min(total, _MOST_WORKERS))
        opened.callback(source.close)
        sink = open_sink(
            config.output,
            format=source.format,
            extras=source.extras,
            source_path=Path(config.input),
            codec=config.codec,
            preset=config.preset,
            quality=config.quality,
            threads=config.threads,
            overwrite=config.overwrite,
        )
        opened.callback(sink.abort)  # does nothing once the output is finished
        workers = config.workers or (1 if source.live else min(total, _MOST_WORKERS))
        settings = EffectSettings(
            backend=config.backend,
            factor=None if config.factor == "auto" else config.factor,
            threads=max(1, total // workers),
            workers=workers,
            measure=stats.add,
        )
        chain = open_chain(config.effects, settings)
        opened.callback(chain.close)
        choice = watch = None
        if automatic := automatic_effects(config, chain):
            choice = fit_factor(chain, automatic, source.format, config, settings, live=source.live)
            watch = watch_factor(choice, automatic, source.format) if source.live else None
        if watch is not None:
            opened.callback(watch.close)
        chain.warm_up(source.format)
        yield _Parts(source, chain, sink, workers, choice, watch)


def _flow(config: TranscodeConfig, parts: _Parts) -> Flow:
    queue, limits, workers = config.queue, config.limits, parts.workers
    return Flow(
        policy=None if queue.policy == "auto" else Policy(queue.policy),
        capture_capacity=queue.capture or (2 if parts.source.live else workers + 1),
        encode_capacity=queue.encode or workers + 2,
        frame_limit=limits.frames,
        decode_failures_in_a_row=limits.decode_failures_in_a_row,
        decode_failures=limits.decode_failures,
        read_limit_seconds=limits.read_seconds,
    )


def _report(
    config: TranscodeConfig, parts: _Parts, result: RunResult, started_at: str, opening_seconds: float
) -> Report:
    source, sink, first = parts.source, parts.sink, result.first_frame_seconds
    wrong, worth_knowing = differences(
        source, sink, result, whole=config.limits.frames is None, verify=config.verify
    )
    output = Path(config.output)
    return Report(
        source=describe_source(source.name, source.format, live=source.live),
        output=OutputFacts(
            name=sink.name,
            size_bytes=output.stat().st_size if result.packets_written and output.is_file() else None,
        ),
        effects=tuple(
            EffectFacts(
                name=effect.engine.name,
                version=effect.engine.spec.version,
                digest=effect.engine.digest,
                backend=effect.compiled.backend,
                precision=effect.compiled.precision.value,
                controls=asdict(effect.controls),
            )
            for effect in parts.chain.effects
        ),
        config=config,
        versions=_versions(),
        machine=asdict(cpu()),
        started_at=started_at,
        seconds_to_first_frame=None if first is None else opening_seconds + first,
        result=result,
        differences=tuple(wrong),
        notes=(*source.notes, *sink.notes, *worth_knowing),
        factor=None if parts.choice is None else _factor_facts(parts.choice, parts.watch),
    )


def _factor_facts(choice: FactorChoice, watch: FactorWatch | None) -> FactorFacts:
    return FactorFacts(
        factor=choice.factor,
        reason=choice.reason,
        budget_seconds=choice.budget_seconds,
        predicted_seconds={f"{found.factor:g}": found.frame_seconds for found in choice.predictions},
        decisions=tuple(
            FactorDecision(time_seconds=made.at_seconds, before=made.before, after=made.factor, why=made.why)
            for made in (watch.decisions if watch else ())
        ),
    )


def _versions() -> dict[str, str]:
    found = {"streamfx": __version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[library] = version(library)
    return found
