"""A segment done by itself: by whoever is given its place in the film, on this machine or another."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from streamfx.config.transcode import TranscodeConfig
from streamfx.encode.files.file import FileSink
from streamfx.errors import ConfigError, SinkError, StreamfxError
from streamfx.generate.routed import Routed
from streamfx.pipeline.flow import Ending, RunResult
from streamfx.pipeline.stats import Stats, process_cpu_seconds
from streamfx.resume.checkpoint import Checkpoint, CheckpointRecorder, remembered, restore
from streamfx.resume.journal import changes, sync_folder
from streamfx.resume.segments import Segment, SegmentedSource, SegmentSink, segment_path
from streamfx.resume.work import otherwise
from streamfx.run.assembly import Parts, effect_facts, factor_facts, run_parts
from streamfx.run.film import open_parts

_NO_END_SECONDS = 1e9  # a segment done by itself ends where it was told to, and not where it is long enough


class SegmentRange(BaseModel):
    """Which part of a film a segment is.

    What must be run before a segment so that it begins as it would in the whole is for `restore` to do, from
    ``begins``; here, only which frames are written.

    Attributes:
        number: position among the segments, counted from 0.
        begins: state before its first frame.
        ends: state after its last.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    begins: Checkpoint
    ends: Checkpoint

    @property
    def frames(self) -> int:
        """How many frames are written."""
        return self.ends.frames - self.begins.frames

    @property
    def frames_in(self) -> int:
        """How many frames come in, those that cannot be decoded included."""
        return self.frames + self.ends.failed - self.begins.failed


@dataclass(frozen=True, slots=True)
class SegmentDone:
    """A segment that is on the disk.

    Attributes:
        segment: the segment.
        result: outcome of the run that did it.
        cpu_seconds: processor time that it took, opening everything included.
    """

    segment: Segment
    result: RunResult
    cpu_seconds: float


def decided_by(parts: Parts, sink: FileSink) -> dict[str, Any]:
    """Return what a run has decided by itself: engines as they run, codec, factor."""
    effects = parts.effects.chain.networks
    plan, facts = sink.recipe[0], factor_facts(parts)
    return {
        "engines": {
            str(number): effect_facts(part).model_dump(mode="json") for number, part in enumerate(effects)
        },
        "coded": f"{plan.codec.name} {plan.pix_fmt}",
        "factor": parts.effects.choice.factor if parts.effects.choice else None,
        "factor_facts": None if facts is None else facts.model_dump(mode="json"),
    }


def run_segment(
    config: TranscodeConfig, place: SegmentRange, decided: Mapping[str, Any], folder: Path
) -> SegmentDone:
    """Do one segment of a film and put its file into the folder of the work.

    The file is written under a name of its own and takes its name when it was read again: of two processes
    that do the same segment, because one was taken for dead, neither harms the other.

    Args:
        config: settings of the film, all that a run decides by itself given.
        place: part of the film that the segment is.
        decided: decisions that the run of the film has made by itself.
        folder: folder of the work.

    Raises:
        ConfigError: this machine decides otherwise.
        SourceOpenError, SourceLostError: the source is not what it was.
        SinkError: the segment cannot be written, or does not hold the frames that it should.
        StageFailedError: something failed on the way.
    """
    before = process_cpu_seconds()
    own, run = folder / f"alone-{place.number:06d}-{secrets.token_hex(4)}", _Run()
    try:
        own.mkdir()
        report = run_parts(config, partial(_opened, config, place, decided, own, run))
        assert run.sink is not None
        assert run.recorder is not None
        if report.result.ending is not Ending.COMPLETE:
            raise KeyboardInterrupt
        ended = run.recorder.checkpoint(run.recorder.memory())
        run.sink.settle(place.ends)
        _check(config, place, run.done[0], ended)
        segment_path(own, 0).replace(segment_path(folder, place.number))
        sync_folder(folder)
        segment = run.done[0].model_copy(update={"number": place.number})
        return SegmentDone(segment, report.result, process_cpu_seconds() - before)
    except OSError as error:
        if isinstance(error, StreamfxError):
            raise
        raise SinkError(
            f"{folder}: segment {place.number} cannot be put there: {error.strerror or error}"
        ) from error
    finally:
        if run.sink is not None:
            run.sink.abort()
        shutil.rmtree(own, ignore_errors=True)


@dataclass(slots=True)
class _Run:
    """What a run of one segment is made of, once it is open, and what it has finished."""

    recorder: CheckpointRecorder | None = None
    sink: SegmentSink | None = None
    done: list[Segment] = field(default_factory=list)


@contextmanager
def _opened(
    config: TranscodeConfig,
    place: SegmentRange,
    decided: Mapping[str, Any],
    folder: Path,
    run: _Run,
    stats: Stats,
) -> Iterator[Parts]:
    with open_parts(config, stats, written=False) as parts:
        sink, source = parts.sink, parts.source
        assert isinstance(sink, FileSink)
        if others := otherwise(decided, decided_by(parts, sink)):
            raise ConfigError(f"what decides the result is another here: {', '.join(others)}")
        inner = getattr(source, "inner", source)
        routed = [effect for effect in parts.effects.chain.effects if isinstance(effect, Routed)]
        looked_back, alike = parts.effects.chain.looks_back, parts.flow.alike
        restored = restore(place.begins, source, inner, routed, alike=alike)
        memories = remembered(restored.frames, parts.process or parts.effects.chain.process, looked_back)
        run.recorder = CheckpointRecorder(
            source, inner, routed, place.begins, looked_back, alike=alike, last_frames=restored.frames
        )
        segmented = SegmentedSource(source, run.recorder, _NO_END_SECONDS)
        run.sink = SegmentSink(sink.name, sink.recipe, segmented, folder, (), run.done.append)
        flow = replace(parts.flow, frame_limit=place.frames_in, memories=memories)
        yield replace(parts, source=segmented, sink=run.sink, flow=flow, file=None)


def _check(config: TranscodeConfig, place: SegmentRange, segment: Segment, ended: Checkpoint) -> None:
    """Check that the frames were those that whoever planned the segment had read.

    Raises:
        SinkError: they were others.
    """
    passing = {"notes", "damaged", "reasons"}  # of all that was read, which here is not all
    found = ended.model_dump(exclude=passing)
    others = list(changes(place.ends.model_dump(exclude=passing), found))
    if segment.frames != place.frames:
        others.insert(0, f"frames (were {place.frames}, are {segment.frames})")
    if others:
        raise SinkError(
            f"{config.output}: segment {place.number} holds other frames than were planned: "
            f"{', '.join(others)}; run with --resume on one machine"
        )
