"""Settings and result of one run of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from streamfx.media.frame import Frame
from streamfx.media.frame_memory import FrameMemories
from streamfx.media.frame_queue import Policy
from streamfx.pipeline.ledger import Account
from streamfx.pipeline.stats import Speed, Times


class Ending(StrEnum):
    """How a run ended."""

    COMPLETE = "complete"  # the source came to its end, or the frame limit was reached
    STOPPED = "stopped"  # a stop was asked for; the output was finished properly
    FAILED = "failed"  # a stage failed; the output holds the good frames before it, if it could be finished
    ABORTED = "aborted"  # given up at once; the output was removed


class Watch(Protocol):
    """Sees frames at both ends of the way. What it does takes time from the stage that calls it."""

    def taken(self, frame: Frame) -> None:
        """See a frame of the source that is taken up; called by the thread that generates it."""

    def written(self, frame: Frame, at_seconds: float) -> None:
        """See a frame that the sink took, and when (monotonic clock); called by the encode thread."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Settings of the flow.

    Attributes:
        policy: behaviour of a full capture queue; None: ``wait``, or ``drop_oldest`` for a live source.
        capture_capacity: most frames waiting for generate; keep it at 1 to 3 for live sources.
        encode_capacity: most frames generated, or being generated, and not yet encoded.
        frame_limit: end after this many frames came in; None for all.
        seconds_limit: end after this time, whatever came in; None for no limit.
        decode_failures_in_a_row: give up after this many broken frames without a good one between them.
        decode_failures: give up after this many broken frames altogether; None for no limit.
        read_limit_seconds: give up when the source delivers nothing for that long; None for no limit.
        stop_grace_seconds: time for which a stop waits for a source that is blocked in a read before
            closing it.
        abort_limit_seconds: time for which an abort waits for threads to end.
        progress_seconds: time between two progress snapshots.
        watch: observer that sees every frame that is taken up or written; None for nobody.
        memories: memories of the frames, which begin with those of frames that were done before the run;
            None: each frame stands alone.
        alike: whether the same picture shown again gives the same again, so that it need not be generated.
    """

    policy: Policy | None = None
    capture_capacity: int = 3
    encode_capacity: int = 4
    frame_limit: int | None = None
    seconds_limit: float | None = None
    decode_failures_in_a_row: int = 50
    decode_failures: int | None = 1000
    read_limit_seconds: float | None = 60.0
    stop_grace_seconds: float = 1.0
    abort_limit_seconds: float = 10.0
    progress_seconds: float = 0.25
    watch: Watch | None = None
    memories: FrameMemories | None = field(default_factory=FrameMemories)
    alike: bool = False


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to.

    Attributes:
        ending: manner in which it ended.
        account: account of every source frame.
        packets_written: packets in the finished output; None when the output was not finished.
        first_frame_seconds: time from the start of the run to the first frame written; None when
            none was.
        speed: rate, processor time and share of what the processors allow.
        stages: times by stage.
        queue_fill: mean fill of each queue, 0 to 1; None when the run was too short to look. A full queue
            shows that the stage after it is the slower side.
        queue_drops: frames dropped by each queue, by cause.
        failure: the first failure as one sentence, None without one.
    """

    ending: Ending
    account: Account
    packets_written: int | None
    first_frame_seconds: float | None
    speed: Speed
    stages: dict[str, Times]
    queue_fill: dict[str, float | None]
    queue_drops: dict[str, dict[str, int]]
    failure: str | None = None
