"""Resume: a run in segments. Killed at any moment, it goes on after those that are finished.

What comes out is what an uninterrupted run of the same command gives; `docs/design/jobs.md` says why.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from streamfx.config.transcode import TranscodeConfig
from streamfx.encode.containers import CONTAINERS
from streamfx.encode.files.file import FileSink
from streamfx.errors import ConfigError
from streamfx.generate.routed import Routed
from streamfx.media.addresses import scheme_of
from streamfx.media.frame import Frame
from streamfx.media.frame_memory import FrameMemories
from streamfx.media.notes import NOTE, left_out, say
from streamfx.media.paths import followed, is_written_through, shown_name
from streamfx.media.paths import printable as printable_text
from streamfx.media.stage import Stage
from streamfx.pipeline.flow import Ending
from streamfx.pipeline.ledger import Account, FailedFrame
from streamfx.pipeline.stats import Snapshot, Stats
from streamfx.resume.alone import decided_by
from streamfx.resume.checkpoint import KINDS, Checkpoint, CheckpointRecorder, remembered, restore
from streamfx.resume.identity import decisions
from streamfx.resume.join import join
from streamfx.resume.journal import has_locks, sync_folder
from streamfx.resume.segments import SegmentedSource, SegmentSink
from streamfx.resume.spread import (
    Hands,
    SpreadSink,
    result_of_all,
    snapshot_of_all,
    snapshot_of_whole,
)
from streamfx.resume.work import Work
from streamfx.run.assembly import Parts, Progress, run_parts
from streamfx.run.completeness import differences
from streamfx.run.film import (
    choose_tracks,
    comparison_notes,
    made_format,
    open_output,
    open_parts,
    preparation_for,
)
from streamfx.run.report import OutputFacts, Report, check_report_path

log = logging.getLogger(__name__)


def resume_problem(config: TranscodeConfig) -> str | None:
    """Return why a run cannot be done in segments and resumed; None where it can."""
    if config.size_limit is not None:
        return f"{config.output}: two passes over all of it are needed to keep a size"
    if not has_locks():
        return "this system has no locks that keep two runs off one output"
    if scheme_of(config.input) is not None or not Path(config.input).is_file():
        return f"{config.input}: only a file can be read again from where a run ended"
    output = Path(config.output)
    container = CONTAINERS.get(output.suffix.lower())
    if container is None or not container.sound or is_written_through(output):
        kinds = "no GIF, APNG, WebP or Y4M"
        return f"{shown_name(output)}: only a video file, and {kinds}, is put together of segments"
    if container.alpha and config.codec in (None, "vp8", "vp9") and container.muxer in ("matroska", "webm"):
        return _alpha_problem(config)
    return None


def check_resumable(config: TranscodeConfig) -> None:
    """Refuse a run that cannot be done in segments.

    Raises:
        ConfigError: it cannot; the message says why.
    """
    if problem := resume_problem(config):
        raise ConfigError(f"--resume: {problem}; run with --no-resume")


def run_resumable(
    config: TranscodeConfig, progress: Progress | None = None, hands: Hands | None = None
) -> Report:
    """Run in segments; returns and raises as ``run_config``.

    Args:
        config: the settings in full.
        progress: callback that is called now and then, in this thread, with the state of the run.
        hands: somebody who does the segments; None: this process does, one after the other.

    Raises:
        ConfigError: it cannot be resumed (the message says why), or another run is at work on the output.
    """
    check_resumable(config)
    if config.report is not None:
        check_report_path(config.report, output=config.output, source=config.input)
    work = Work(Path(config.output), decisions(config))
    try:
        told = work.completed
        if told is not None and not _are_whole(work, told):
            work.reopen()
            told = None
        report = None
        if told is None:
            report, told = _segments(config, work, progress, hands)
            if told is None:  # stopped
                return report
        report = _joined(config, work, told, report)
        if config.report is not None:
            report.write(config.report)
        sync_folder(followed(Path(config.output)).absolute().parent)
        work.done()
        return report
    finally:
        work.close()


@dataclass(slots=True)
class _Run:
    """What a run in segments is made of, once it is open."""

    begun_at: Checkpoint = field(default_factory=Checkpoint)
    limited: bool = False
    source: SegmentedSource | None = None
    sink: SegmentSink | SpreadSink | None = None
    started: float = field(default_factory=time.monotonic)

    def shown(self, snapshot: Snapshot) -> Snapshot:
        """Return how far the film is, when this run is so far."""
        if isinstance(self.sink, SpreadSink):
            elapsed_seconds = time.monotonic() - self.started
            snapshot = snapshot_of_all(snapshot, self.sink, elapsed_seconds)
        return snapshot_of_whole(snapshot, self.begun_at, limited=self.limited)


def _segments(
    config: TranscodeConfig, work: Work, progress: Progress | None, hands: Hands | None
) -> tuple[Report, dict[str, Any] | None]:
    """Do what is left of the segments; return the report, and what is to be kept of it for the whole.

    That is None where the run was stopped.
    """
    run = _Run()
    # What an earlier run decided by itself, from measurements, is not decided again.
    factor = work.decided.get("factor")
    pinned = {"factor": factor} if config.factor == "auto" and factor is not None else {}
    alone = config.model_copy(update={**pinned, "report": None, "verify": False})
    if hands is not None and alone.factor != "auto":  # which is found for as many threads as a segment has
        alone = alone.model_copy(update={"threads": None, "workers": 1})  # all of them read the film
    last: list[Snapshot] = []

    def show(snapshot: Snapshot) -> None:
        last[:] = [snapshot]
        if progress is not None:
            progress(run.shown(snapshot))

    try:
        report = run_parts(alone, partial(_opened, alone, work, run, hands), show)
        report = report.model_copy(update={"config": config.without_credentials()})
        if report.result.ending is not Ending.COMPLETE or run.source is None or run.sink is None:
            return _stopped(report, run), None
        recorder = run.source.recorder
        checkpoint = recorder.checkpoint(recorder.memory())
        if isinstance(run.sink, SpreadSink):
            try:
                run.sink.settle(checkpoint, lambda: show(last[0]))
            except KeyboardInterrupt:
                return _stopped(report, run), None
            seconds = time.monotonic() - run.started
            result = result_of_all(report.result, run.sink.results, seconds)
            report = report.model_copy(update={"result": result})
        else:
            run.sink.settle(checkpoint)
    finally:
        if run.sink is not None:
            run.sink.abort()  # a segment that is not finished; else there is none
    whole = report.model_dump(mode="json")
    whole["result"]["account"] = asdict(_account(report, run.begun_at))
    whole["factor"] = work.decided.get("factor_facts")
    told = {
        "report": whole,
        "checkpoint": checkpoint.model_dump(mode="json"),
        "resumed_at": run.begun_at.frames,
    }
    work.complete(told)
    return report, told


def _stopped(report: Report, run: _Run) -> Report:
    """Return the report of a run that was stopped: what was only planned does not count as done."""
    if not isinstance(run.sink, SpreadSink):
        return report
    done = run.sink.frames_done
    account = replace(report.result.account, frames_in=done, encoded=done, failed={}, failures=())
    ending = Ending.STOPPED if report.result.ending is Ending.COMPLETE else report.result.ending
    result = replace(report.result, ending=ending, account=account, packets_written=done)
    return report.model_copy(update={"result": result})


@contextmanager
def _opened(
    config: TranscodeConfig, work: Work, run: _Run, hands: Hands | None, stats: Stats
) -> Iterator[Parts]:
    """Open what a plain run opens, which refuses what it must; then put segments in place of the output."""
    with open_parts(config, stats) as parts:
        sink, source = parts.sink, parts.source
        assert isinstance(sink, FileSink)
        sink.abort()
        inner = getattr(source, "inner", source)
        routed = [effect for effect in parts.effects.chain.effects if isinstance(effect, Routed)]
        work.settle(decided_by(parts, sink))
        done, memories = work.segments(), FrameMemories()
        looked_back, alike = parts.effects.chain.looks_back, parts.flow.alike
        checkpoint = run.begun_at = done[-1].checkpoint if done else Checkpoint()
        last_frames: tuple[Frame, ...] = ()
        if done:
            restored = restore(checkpoint, source, inner, routed, alike=alike)
            last_frames = restored.frames
            if hands is None:
                process = parts.process or parts.effects.chain.process
                memories = remembered(last_frames, process, looked_back)
            how = "" if restored.spared else "; the frames before are read again, and not changed"
            log.log(NOTE, "%s: goes on with frame %d%s", config.output, checkpoint.frames, how)
        recorder = CheckpointRecorder(
            source, inner, routed, checkpoint, looked_back, alike=alike, last_frames=last_frames
        )
        run.source = SegmentedSource(source, recorder, config.segment_seconds)
        if hands is None:
            run.sink = SegmentSink(sink.name, sink.recipe, run.source, work.folder, done, work.add)
        else:
            hands.begin(work.decided)
            run.sink = SpreadSink(sink.name, run.source, work, checkpoint, len(done), hands)
        run.sink.notes.extend(sink.notes)
        limit = config.limits.frames
        run.limited = limit is not None
        left = None if limit is None else max(limit - checkpoint.frames - checkpoint.failed, 0)
        flow = replace(parts.flow, frame_limit=left, memories=memories)
        yield replace(
            parts,
            source=run.source,
            sink=run.sink,
            flow=flow,
            file=None,
            process=parts.process if hands is None else _as_it_is,
            workers=parts.workers if hands is None else 1,
        )


def _as_it_is(frame: Frame) -> Frame:
    return frame


def _joined(config: TranscodeConfig, work: Work, told: dict[str, Any], now: Report | None) -> Report:
    """Put everything together and return the report of the whole."""
    from streamfx.capture.opening import open_source

    report = Report.model_validate(told["report"])
    checkpoint = Checkpoint.model_validate(told["checkpoint"])
    segments, limit = work.segments(), config.limits.frames
    work.check_input(Path(config.input))
    source = open_source(config.input, threads=1, preparation=preparation_for(config))
    try:
        choose_tracks(config, source)
        codec = work.decided["coded"].split()
        chosen = {
            "codec": codec[0],
            "pixel_format": config.pixel_format,
            "overwrite": work.may_replace(config.overwrite),
        }
        video = made_format(config, source.format)
        sink = open_output(config.model_copy(update=chosen), source, video, None)
        assert isinstance(sink, FileSink)
        sink.notes.extend(comparison_notes(config, video))
        try:
            join(sink, source, segments, work.folder, whole=limit is None)
        except BaseException:
            sink.abort()
            raise
        result = replace(report.result, packets_written=sink.packets_written)
        wrong, worth_knowing = differences(source, sink, result, whole=limit is None, verify=config.verify)
        notes = _notes(checkpoint, [*source.notes, *sink.notes, *worth_knowing], work, told)
        say(note for note in notes if now is None or note not in now.notes)
        size_bytes = sink.path.stat().st_size
    finally:
        source.close()
    return report.model_copy(
        update={
            "config": config.without_credentials(),
            "output": OutputFacts(name=report.output.name, size_bytes=size_bytes),
            "result": result,
            "differences": tuple(map(printable_text, wrong)),
            "notes": tuple(map(printable_text, notes)),
            "left_out": tuple(map(printable_text, left_out(notes))),
        }
    )


def _are_whole(work: Work, told: dict[str, Any]) -> bool:
    encoded = told["report"]["result"]["account"]["encoded"]
    return bool(sum(segment.frames for segment in work.segments()) == encoded)


def _notes(checkpoint: Checkpoint, found: list[str], work: Work, told: dict[str, Any]) -> list[str]:
    notes: list[str] = [KINDS.get(kind, str)(text) for kind, text in checkpoint.notes]
    notes += [note for note in found if note not in notes]
    if told["resumed_at"]:
        notes.append(f"the run went on at frame {told['resumed_at']}, after one that was broken off")
    if work.anew is not None:
        notes.append(f"the run began anew, for what decides the result had changed: {work.anew}")
    return notes


def _account(report: Report, before: Checkpoint) -> Account:
    """Return the account of all frames: those of this run, and of those before it."""
    now = report.result.account
    failed = dict(now.failed)
    if before.failed:
        failed[Stage.DECODE] = failed.get(Stage.DECODE, 0) + before.failed
    failures = tuple(FailedFrame(None, Stage.DECODE, reason) for reason in before.reasons)
    return replace(
        now,
        frames_in=now.frames_in + before.frames + before.failed,
        encoded=now.encoded + before.frames,
        failed=failed,
        failures=(*failures, *now.failures),
    )


def _alpha_problem(config: TranscodeConfig) -> str | None:
    """Return that alpha beside VP8 or VP9 cannot be put together of segments, if there will be any."""
    from streamfx.capture.opening import open_source

    if config.pixel_format is not None:
        return None
    source = open_source(config.input, threads=1, preparation=preparation_for(config))
    source.close()
    return (
        f"{config.output}: alpha beside VP8 or VP9 is not put together of segments"
        if source.format.alpha
        else None
    )
