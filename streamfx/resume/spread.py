"""Spreading: the segments of a film handed out while they are planned, and noted when they come back.

The film is read once to plan it, with no effect and no encoder; every place where a segment begins is handed
out with the state that it begins in. Who does the segments is no matter of this module: see ``Hands``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from streamfx.errors import SinkError
from streamfx.media.frame import Frame
from streamfx.media.tracks import OtherTracks
from streamfx.pipeline.flow import RunResult
from streamfx.pipeline.stats import Snapshot, Speed, Times
from streamfx.resume.alone import SegmentDone, SegmentRange
from streamfx.resume.checkpoint import Checkpoint
from streamfx.resume.segments import SegmentedSource
from streamfx.resume.work import Work

_LOOK_EVERY_SECONDS = 0.5


class Ended(NamedTuple):
    """What became of a segment: done, or why not."""

    place: SegmentRange
    done: SegmentDone | None
    problem: str = ""


class Hands(Protocol):
    """Who does segments, a number of them at a time, and again where somebody who does one is lost."""

    def begin(self, decided: Mapping[str, Any]) -> None:
        """Hear what the run has decided by itself, before the first segment.

        Raises:
            ConfigError: who should do them cannot.
        """

    def give(self, place: SegmentRange) -> None:
        """Have a segment done, when its turn comes."""

    def ended(self, wait_seconds: float) -> list[Ended]:
        """Return what has ended since the last call; wait so long for the first."""

    def stop(self) -> None:
        """Give up what is not done. Safe to call twice."""


class SpreadSink:
    """Takes the frames of a film that is planned, and has its segments done by others.

    Args:
        name: name of the output.
        source: source, which says where segments begin.
        work: the work on the film, where finished segments are noted.
        begins: state where planning begins: after the segments that are finished from the first on.
        first: number of the segment there.
        hands: somebody who does them, and was told what was decided.
    """

    def __init__(
        self, name: str, source: SegmentedSource, work: Work, begins: Checkpoint, first: int, hands: Hands
    ) -> None:
        self.name, self.notes = name, list[str]()
        self.frames_written = self.packets_written = 0
        self.frames_done = self.bytes_written = 0
        self.results: list[RunResult] = []
        self.expected_frames = source.format.expected_frames
        self._source, self._work, self._hands = source, work, hands
        self._begins, self._number = begins, first
        self._kept, self._left = work.finished(), 0
        self._other_tracks: OtherTracks | None = source.other_tracks

    def write(self, frame: Frame) -> str | None:
        """Pass over a frame; where a segment begins with it, the one before is handed out.

        Raises:
            SinkError: a segment could not be done; those that are finished stay.
        """
        if self._other_tracks is not None:
            self._other_tracks.take()  # sound is read again when all is put together
        if (checkpoint := self._source.begins.pop(frame.index, None)) is not None:
            self._hand_out(checkpoint)
            self._hear(0.0)
        self.frames_written += 1
        self.packets_written += 1
        return None

    def finish(self) -> None:
        """Do nothing: whether the source has come to its end, only the end of the run shows: ``settle``."""

    def settle(self, checkpoint: Checkpoint, show: Callable[[], None] = lambda: None) -> None:
        """Hand out the last segment, and wait until all are done.

        Args:
            checkpoint: state at the end of the source.
            show: function that is called now and then while there is something to wait for.

        Raises:
            SinkError: a segment could not be done; those that are finished stay.
        """
        self._hand_out(checkpoint)
        while self._left:
            self._hear(_LOOK_EVERY_SECONDS)
            show()

    def abort(self) -> None:
        """Give up the segments that are not finished."""
        self._hands.stop()

    def _hand_out(self, ends: Checkpoint) -> None:
        place = SegmentRange(number=self._number, begins=self._begins, ends=ends)
        self._begins, self._number = ends, self._number + 1
        kept = self._kept.get(place.number)
        if kept is not None and (kept.checkpoint, kept.frames) == (ends, place.frames):
            self.frames_done += kept.frames
            self.bytes_written += kept.size_bytes
        elif place.frames:
            self._hands.give(place)
            self._left += 1

    def _hear(self, wait_seconds: float) -> None:
        for place, done, why in self._hands.ended(wait_seconds):
            self._left -= 1
            segment = None if done is None else done.segment.model_copy(update={"checkpoint": place.ends})
            problem = why if segment is None else self._work.problem(segment)
            if done is None or segment is None or problem:
                raise SinkError(
                    f"{self.name}: segment {place.number} could not be done: {problem}; finished segments "
                    "are kept, and the same command goes on from them"
                )
            self._work.add(segment)
            self.results.append(done.result)
            self.frames_done += segment.frames
            self.bytes_written += segment.size_bytes


@dataclass(frozen=True, slots=True)
class _Sum:
    """Times of one stage of several runs."""

    count: int = 0
    seconds: float = 0.0
    most_seconds: float | None = None

    def plus(self, times: Times) -> _Sum:
        most = [each for each in (self.most_seconds, times.max_seconds) if each is not None]
        seconds = self.seconds + times.count * (times.mean_seconds or 0.0)
        return _Sum(self.count + times.count, seconds, max(most, default=None))

    def times(self) -> Times:
        """Return them as times; what cannot be told from those of the parts is None."""
        mean = self.seconds / self.count if self.count else None
        return Times(self.count, mean, None, None, None, self.most_seconds)


def result_of_all(planned: RunResult, results: list[RunResult], wall_seconds: float) -> RunResult:
    """Return what the runs of all segments came to together.

    Args:
        planned: outcome of the run that planned them, which has the account of all frames.
        results: outcomes of the runs of the segments.
        wall_seconds: time from the beginning to the end of all.
    """
    sums: dict[str, _Sum] = {}
    for result in results:
        for stage, times in result.stages.items():
            sums[stage] = sums.get(stage, _Sum()).plus(times)
    frames = sum(result.speed.frames_out for result in results)
    cpu_seconds = planned.speed.cpu_seconds + sum(result.speed.cpu_seconds for result in results)
    known = frames > 0 and wall_seconds > 0
    speed = Speed(
        frames_out=frames,
        wall_seconds=wall_seconds,
        fps=frames / wall_seconds if known else None,
        cpu_seconds=cpu_seconds,
        cpu_seconds_per_frame=cpu_seconds / frames if known else None,
        cores=planned.speed.cores,
        share_of_bound=None,  # of how many machines, nobody knows: they come and go
    )
    stages = {stage: found.times() for stage, found in sums.items()}
    return replace(
        planned, speed=speed, stages=stages, first_frame_seconds=None, queue_fill={}, queue_drops={}
    )


def snapshot_of_all(snapshot: Snapshot, sink: SpreadSink, elapsed_seconds: float) -> Snapshot:
    """Return how far the film is when the run that plans it is so far."""
    frames_done = sink.frames_done
    fps = frames_done / elapsed_seconds if frames_done and elapsed_seconds else None
    left, expected = None, snapshot.frame_count or sink.expected_frames
    if expected and fps:
        left = max(expected - frames_done, 0) / fps
    return replace(
        snapshot,
        frames_out=frames_done,
        elapsed_seconds=elapsed_seconds,
        fps=fps,
        remaining_seconds=left,
        queue_fill={},
        stages={},
        bytes_out=sink.bytes_written,
    )


def snapshot_of_whole(snapshot: Snapshot, before: Checkpoint, *, limited: bool) -> Snapshot:
    """Return how far the film is, when the run is so far.

    Args:
        snapshot: state of the run.
        before: state at which it went on.
        limited: whether the run ends after a number of frames, which counts those left; else the film does.
    """
    frames_before, count, left = (
        before.frames + before.failed,
        snapshot.frame_count,
        snapshot.remaining_seconds,
    )
    if limited and count is not None:
        count += frames_before
    elif left is not None:
        left = max(left - before.frames * snapshot.elapsed_seconds / snapshot.frames_out, 0.0)
    return replace(
        snapshot,
        frames_in=snapshot.frames_in + frames_before,
        frames_out=snapshot.frames_out + before.frames,
        frame_count=count,
        remaining_seconds=left,
    )
