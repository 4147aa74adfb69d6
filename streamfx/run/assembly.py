"""Assembly: opened parts in, one run of the pipeline, its report out; what all kinds of run share."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from streamfx.backends.registry import libraries
from streamfx.capture.live.outages import Outage
from streamfx.capture.source import Source
from streamfx.config.live import LiveConfig
from streamfx.config.transcode import TranscodeConfig
from streamfx.encode.sink import Sink, bytes_so_far
from streamfx.errors import SinkError, StageFailedError
from streamfx.generate.chain import AnyEffect
from streamfx.generate.effect import Effect
from streamfx.generate.people.effects import PeopleEffect
from streamfx.generate.routed import Routed
from streamfx.hardware.cpu import cpu
from streamfx.hardware.software import versions
from streamfx.media.frame import Frame
from streamfx.media.notes import left_out, say
from streamfx.media.paths import printable
from streamfx.pipeline.fan_out import OutputAccount
from streamfx.pipeline.flow import Flow, RunResult
from streamfx.pipeline.pipeline import Pipeline
from streamfx.pipeline.stats import Snapshot, Stats
from streamfx.run.completeness import differences
from streamfx.run.control_state import controls_of
from streamfx.run.controls import RunControls
from streamfx.run.decisions import FactorFacts, RoutingFacts
from streamfx.run.effects import Effects
from streamfx.run.report import (
    EffectFacts,
    OutputFacts,
    Report,
    check_report_path,
    describe_source,
)
from streamfx.version import __version__

Progress = Callable[[Snapshot], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a run needs, open.

    Attributes:
        source: source of the frames.
        effects: effects applied to them.
        sink: sink that they are written to.
        flow: settings of the flow.
        process: function that processes a frame; None: the effects.
        workers: number of frames generated at a time.
        file: the output when it is a single file; None otherwise.
        controls: place where the effects are changed while the run goes on; None where they stay as they are.
        interruptions: function that is called after the run and returns when the source was away.
        accounts: function that is called after the run and returns the account of each output, when there
            are several.
        losses: function that is called after the run and returns what else is missing or wrong, one sentence
            each.
        said: notes of source and sink that were said already.
    """

    source: Source
    effects: Effects
    sink: Sink
    flow: Flow
    process: Callable[[Frame], Frame] | None = None
    workers: int = 1
    file: Path | None = None
    controls: RunControls | None = None
    interruptions: Callable[[], tuple[Outage, ...]] = tuple
    accounts: Callable[[], tuple[OutputAccount, ...]] = tuple
    losses: Callable[[], tuple[str, ...]] = tuple
    said: frozenset[str] = frozenset()

    def look(self, snapshot: Snapshot, progress: Progress | None) -> None:
        """Take the state of the run; called now and then, in one thread."""
        if self.controls is not None:
            self.controls.look(snapshot)
        elif self.effects.watch is not None:
            self.effects.watch.look(snapshot)
        if progress is not None:
            effects = self.controls.effects if self.controls is not None else self.effects
            progress(replace(snapshot, factors=effects.chain.factors, bytes_out=bytes_so_far(self.sink)))


def run_parts(
    config: TranscodeConfig | LiveConfig,
    opened: Callable[[Stats], AbstractContextManager[Parts]],
    progress: Progress | None = None,
) -> Report:
    """Run what ``opened`` gives, write the report where the configuration says, and return it.

    A Ctrl-C while it runs finishes the output; the report says so. A second one gives up and is raised.

    Args:
        config: the settings in full, for the report.
        opened: function that opens everything, and closes it again; what it measures goes into the stats it
            is given.
        progress: callback that is called now and then, in this thread, with the state of the run.

    Raises:
        StageFailedError: something failed on the way; its ``report`` is the account up to there.
        ConfigError, SinkError: the report could not be written where it should; found before the run.
    """
    if config.report is not None:
        for output in config.outputs:
            check_report_path(config.report, output=output, source=config.input)
    started_at, started = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    stats = Stats()
    with opened(stats) as parts:
        workers = [parts.process or parts.effects.chain.process] * parts.workers
        pipeline = Pipeline(parts.source, workers, parts.sink, parts.flow, stats)
        opening_seconds = time.monotonic() - started
        said = parts.said | say((*parts.source.notes, *parts.sink.notes), but=parts.said)
        failure: StageFailedError | KeyboardInterrupt | None = None
        try:
            with _without_search():
                pipeline.run(lambda snapshot: parts.look(snapshot, progress))
        except (StageFailedError, KeyboardInterrupt) as error:
            failure = error
        if pipeline.result is None:  # Ctrl-C before anything had started
            raise KeyboardInterrupt from failure
        report = _report(config, parts, pipeline.result, started_at, opening_seconds)
        say((*parts.source.notes, *parts.sink.notes), but=said)
    if config.report is not None:
        try:
            report.write(config.report)
        except SinkError as error:  # the run is done all the same, and what came of it is to be told
            report = report.model_copy(update={"differences": (*report.differences, str(error))})
    if isinstance(failure, StageFailedError):
        failure.report = report
    if failure is not None:
        raise failure
    return report


@contextmanager
def _without_search() -> Iterator[None]:
    """Spare the garbage collection what is there already: it would search all imported libraries now and
    then, for a few hundredths of the processor time of a run."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _report(
    config: TranscodeConfig | LiveConfig,
    parts: Parts,
    result: RunResult,
    started_at: str,
    opening_seconds: float,
) -> Report:
    source, sink, first = parts.source, parts.sink, result.first_frame_seconds
    controls = parts.controls
    effects = controls.effects if controls else parts.effects
    limits = config.limits
    whole = limits.frames is None and not source.live
    wrong, worth_knowing = differences(source, sink, result, whole=whole, verify=config.verify)
    file, notes = parts.file, (*source.notes, *sink.notes, *worth_knowing)
    return Report(
        source=describe_source(printable(source.name), source.format, live=source.live),
        output=OutputFacts(
            name=printable(sink.name),
            size_bytes=file.stat().st_size if file and result.packets_written and file.is_file() else None,
        ),
        outputs=parts.accounts(),
        interruptions=parts.interruptions(),
        effects=tuple(facts for effect in effects.chain.effects for facts in facts_of(effect)),
        matting=effect_facts(matting.network) if (matting := effects.chain.matting) else None,
        config=config.without_credentials(),
        versions=versions(libraries()),
        machine=asdict(cpu()),
        started_at=started_at,
        seconds_to_first_frame=None if first is None else opening_seconds + first,
        result=_with_printable_texts(result),
        differences=tuple(map(printable, (*wrong, *parts.losses()))),
        notes=tuple(map(printable, notes)),
        left_out=tuple(map(printable, left_out(notes))),
        factor=factor_facts(parts),
        routing=tuple(
            _routing_facts(effect) for effect in parts.effects.chain.effects if isinstance(effect, Routed)
        ),
        changes=tuple(controls.changes) if controls else (),
    )


def _with_printable_texts(result: RunResult) -> RunResult:
    """Return a result whose messages a report can hold: they name files, whose names may be no UTF-8."""
    failures = tuple(replace(each, reason=printable(each.reason)) for each in result.account.failures)
    failure = None if result.failure is None else printable(result.failure)
    return replace(result, account=replace(result.account, failures=failures), failure=failure)


def facts_of(effect: AnyEffect) -> tuple[EffectFacts, ...]:
    """Return what a report says of what stands in one place of a chain."""
    if not isinstance(effect, PeopleEffect):
        return tuple(map(effect_facts, effect.parts))
    controls = {control.name: control.value for control in controls_of(effect)}
    where = effect.controls.where
    return (
        EffectFacts(
            name=effect.name,
            version=__version__,
            digest="",
            backend="",
            precision="",
            controls=controls,
            where=where,
        ),
    )


def effect_facts(effect: Effect) -> EffectFacts:
    return EffectFacts(
        name=effect.engine.name,
        version=effect.engine.spec.version,
        digest=effect.engine.digest,
        backend=effect.compiled.backend,
        precision=effect.compiled.precision.value,
        controls={
            **{control.name: control.value for control in controls_of(effect)},
            "factor": effect.controls.factor,
        },
        where=effect.controls.where,
    )


def _routing_facts(effect: Routed) -> RoutingFacts:
    engine = effect.classifier.engine
    return RoutingFacts(
        name=effect.name,
        classifier=f"{engine.name} {engine.spec.version} {engine.digest}",
        options={kind: option.engine.name for kind, option in effect.options.items()},
        looks=effect.looks,
        choices=effect.choices,
    )


def factor_facts(parts: Parts) -> FactorFacts | None:
    choice, watch = parts.effects.choice, parts.effects.watch
    if choice is None:
        return None
    decisions = parts.controls.decisions if parts.controls else (watch.decisions if watch else ())
    return FactorFacts(
        factor=choice.factor,
        reason=choice.reason,
        budget_seconds=choice.budget_seconds,
        predicted_seconds={f"{found.factor:g}": found.frame_seconds for found in choice.predictions},
        decisions=tuple(decisions),
    )
