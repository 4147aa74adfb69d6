"""Report: what a run was told, what came of it, and whether everything is there."""

from __future__ import annotations

import json
import os
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, computed_field

from streamfx.capture.live.outages import Outage
from streamfx.config.live import LiveConfig
from streamfx.config.transcode import TranscodeConfig
from streamfx.encode.sink import AWAY
from streamfx.errors import ConfigError, SinkError
from streamfx.generate.where import Where
from streamfx.media.frame import VideoFormat
from streamfx.media.paths import followed, is_written_through, name_problem, write_whole
from streamfx.media.stage import LATENCY_STAGES, Stage
from streamfx.pipeline.fan_out import OutputAccount
from streamfx.pipeline.flow import Ending, RunResult
from streamfx.run.change_log import Change
from streamfx.run.decisions import FactorFacts, RoutingFacts, how_often

EXIT_ALL_THERE = 0
EXIT_WITH_LOSSES = 1
EXIT_STOPPED = 130


class SourceFacts(BaseModel):
    """What was read. What the source does not state is None."""

    model_config = ConfigDict(frozen=True)

    name: str
    width_pixels: int
    height_pixels: int
    pixel_format: str
    matrix: str
    code_range: str
    rate_fps: float | None
    frame_count: int | None
    duration_seconds: float | None
    live: bool


class EffectFacts(BaseModel):
    """One effect of the chain, as it ran; digest, backend and precision are empty where it has no network."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    digest: str
    backend: str
    precision: str
    controls: dict[str, float]
    where: Where = Where.ALL


class OutputFacts(BaseModel):
    """What was written; the size is None when there is no such file."""

    model_config = ConfigDict(frozen=True)

    name: str
    size_bytes: int | None


class Report(BaseModel):
    """The account of one run.

    Attributes:
        source: source that was read.
        output: output that was written.
        outputs: the account of each output of a live run.
        interruptions: times when a live source was away.
        effects: effects as they ran; where they were changed during the run, those at its end.
        matting: engine that told people from the background; None: no effect asked for it.
        changes: changes made by hand while a live run went on.
        factor: account of the choice of the factor; None where it was given.
        routing: decisions where the pictures decide, one account for each such place of the chain.
        config: the settings in full, defaults included.
        versions: versions of streamfx, Python and the libraries that did the work.
        machine: processor and cores.
        started_at: UTC time of the start, ISO 8601.
        seconds_to_first_frame: time from the call to the first frame written; None when
            none was.
        result: ending, ledger, speed and stage times.
        differences: discrepancies, one sentence each: in the ledger, between ledger and output, or between
            what the source promised and what came.
        notes: assumptions, conversions and omissions.
        left_out: notes on what is in the source and not in the output.
    """

    model_config = ConfigDict(frozen=True)

    source: SourceFacts
    output: OutputFacts
    outputs: tuple[OutputAccount, ...] = ()
    interruptions: tuple[Outage, ...] = ()
    effects: tuple[EffectFacts, ...]
    matting: EffectFacts | None = None
    config: TranscodeConfig | LiveConfig
    versions: dict[str, str]
    machine: dict[str, Any]
    started_at: str
    seconds_to_first_frame: float | None
    result: RunResult
    differences: tuple[str, ...]
    notes: tuple[str, ...]
    factor: FactorFacts | None = None
    routing: tuple[RoutingFacts, ...] = ()
    changes: tuple[Change, ...] = ()
    left_out: tuple[str, ...] = ()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def exit_code(self) -> int:
        """0: everything is there. 1: frames are missing or do not add up. 130: stopped by the user."""
        if self.result.ending in (Ending.FAILED, Ending.ABORTED) or self.losses:
            return EXIT_WITH_LOSSES
        return EXIT_STOPPED if self.result.ending is Ending.STOPPED else EXIT_ALL_THERE

    @property
    def losses(self) -> list[str]:
        """What is missing or wrong, one sentence each; empty when everything is there."""
        found = [self.result.failure] if self.result.failure else []
        account = self.result.account
        if decode_failures := account.failed.get(Stage.DECODE):  # those of other stages end the run
            reason = next((failed.reason for failed in account.failures if failed.stage == Stage.DECODE), "")
            found.append(f"{_frames(decode_failures)} failed to decode; the first: {reason}")
        if went_past := account.dropped.get(AWAY):
            found.append(f"{self.output.name} was away: {_frames(went_past)} went past it")
        for output in self.outputs:
            if output.failure:
                found.append(f"{output.name} ended early: {output.failure.removeprefix(f'{output.name}: ')}")
            elif went_past := output.dropped.get(AWAY):
                found.append(f"{output.name} was away: {_frames(went_past)} went past it")
        return found + list(self.differences)

    def summary(self) -> str:
        """Return the run in a few lines of text: what came of the frames, how fast, and what is missing."""
        account, speed = self.result.account, self.result.speed
        what = {
            Ending.COMPLETE: self._completeness(),
            Ending.STOPPED: self._stopped(),
            Ending.FAILED: "failed",
            Ending.ABORTED: "given up; no output was kept",
        }[self.result.ending]
        parts = [f"{account.frames_in} in", f"{account.encoded} encoded"]
        parts += [f"{account.repeated} repeated"] if account.repeated else []
        parts += [f"{count} dropped ({cause})" for cause, count in account.dropped.items()]
        parts += [f"{count} failed ({stage})" for stage, count in account.failed.items()]
        lines = [f"{self.output.name}: {what}", "frames: " + ", ".join(parts)]
        if speed.fps is not None:
            share = speed.share_of_bound  # None where several machines worked
            busy = "" if share is None else f", {share:.0%} of {speed.cores} cores"
            lines.append(f"speed: {speed.fps:.1f} fps in {speed.wall_seconds:.1f} s{busy}")
        if self.factor is not None:
            lines.append(self.factor.summary())
        lines += [routing.summary() for routing in self.routing]
        lines += self._live_lines()
        lines += [f"left out: {note}" for note in self.left_out]
        lines += [f"missing or wrong: {loss}" for loss in self.losses]
        return "\n".join(lines)

    def _stopped(self) -> str:
        if self.source.live:
            return "stopped"
        resume = isinstance(self.config, TranscodeConfig) and self.config.resume
        what = "the same command goes on from there" if resume else "the output is playable"
        return f"stopped before the end; {what}"

    def _completeness(self) -> str:
        if self.losses:
            return "finished, but not everything is there"
        return "complete but for what is left out" if self.left_out else "complete"

    def _live_lines(self) -> list[str]:
        lines = []
        if self.source.live and (latency := self.result.stages.get(Stage.LATENCY)) and latency.count:
            parts = ((latency.p50_seconds, "50"), (latency.p95_seconds, "95"), (latency.p99_seconds, "99"))
            shown = ", ".join(f"p{name} {(seconds or 0) * 1000:.0f} ms" for seconds, name in parts)
            lines.append(f"latency, captured to written: {shown}")
            lines.append(f"of it, p50 and p99 in ms: {self._where_latency_goes()}")
        if self.changes:
            last = self.changes[-1]
            lines.append(f"changed while running: {how_often(len(self.changes))}, at last {last.what}")
        if self.interruptions:
            away = sum(each.seconds for each in self.interruptions)
            lines.append(f"source away: {how_often(len(self.interruptions))}, {away:.1f} s altogether")
        for output in self.outputs:
            parts_of = [f"{output.frames_written} of {output.frames_given} written"]
            parts_of += [f"{count} dropped ({cause})" for cause, count in output.dropped.items()]
            if output.latency.p50_seconds is not None and output.latency.p99_seconds is not None:
                p50_ms, p99_ms = output.latency.p50_seconds * 1000, output.latency.p99_seconds * 1000
                parts_of.append(f"latency p50 {p50_ms:.0f} ms p99 {p99_ms:.0f} ms")
            parts_of += ["ended early"] if output.failure else []
            lines.append(f"output {output.name}: " + ", ".join(parts_of))
        return lines

    def _where_latency_goes(self) -> str:
        parts = []
        for name in LATENCY_STAGES:
            times = self.result.stages.get(name)
            if times is not None and times.p50_seconds is not None and times.p99_seconds is not None:
                parts.append(f"{name} {times.p50_seconds * 1e3:.3g} and {times.p99_seconds * 1e3:.3g}")
        return ", ".join(parts)

    def write(self, path: str | Path) -> None:
        """Write the report as JSON, whole or not at all; into a device or a pipe, as it comes.

        Raises:
            SinkError: it cannot be written there.
        """
        path = Path(path)
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
        data = text.encode("utf-8", "backslashreplace")
        try:
            write_whole(path, data)
        except OSError as error:
            raise SinkError(f"{path}: cannot write the report: {error.strerror or error}") from error


def read_report(path: str | PathLike[str]) -> Report:
    """Return the report that a run wrote.

    Raises:
        ConfigError: the file cannot be read, or is no report of this version of streamfx.
    """
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"report {path}: cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    try:
        return Report.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        what = ": ".join([*(str(part) for part in first["loc"]), first["msg"]])
        raise ConfigError(
            f"report {path}: is none of this version of streamfx ({what}); give the file that --report wrote"
        ) from error


def check_report_path(path: str, *, output: str, source: str) -> None:
    """Check before a run that its report can be written after it.

    Raises:
        ConfigError: the report would replace the output or the source.
        SinkError: there is no such folder, or no permission to write there.
    """
    if is_written_through(Path(path)):
        if not os.access(path, os.W_OK):
            raise SinkError(f"{path}: cannot write the report: no permission to write to it")
        return
    for other, what in ((output, "output"), (source, "source")):
        if os.path.realpath(path) == os.path.realpath(other):
            raise ConfigError(f"report: {path} is the {what} itself; choose another name")
    if problem := name_problem(followed(Path(path))):
        raise SinkError(f"{path}: cannot write the report: {problem}")
    folder = followed(Path(path)).absolute().parent
    if Path(path).is_dir() or not folder.is_dir():
        problem = "is a folder; give a file name" if folder.is_dir() else f"there is no folder {folder}"
        raise SinkError(f"{path}: cannot write the report: {problem}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SinkError(f"{path}: cannot write the report: no permission to write in {folder}")


def describe_source(name: str, form: VideoFormat, *, live: bool) -> SourceFacts:
    """Return what a report says about a source."""
    height, width = form.size
    return SourceFacts(
        name=name,
        width_pixels=width,
        height_pixels=height,
        pixel_format=f"{form.subsampling.value} {form.depth}-bit",
        matrix=form.colour.matrix.name.lower(),
        code_range=form.colour.code_range.value,
        rate_fps=float(form.rate_fps) if form.rate_fps is not None else None,
        frame_count=form.frame_count,
        duration_seconds=form.duration_seconds,
        live=live,
    )


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
