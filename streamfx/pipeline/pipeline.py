"""Pipeline: capture ▶ queue ▶ generate ▶ queue ▶ encode, each stage in its own thread.

The shutdown rule: when a stage ends, for whatever reason, it cancels its input queue and closes its output
queue. So a failure unblocks everything before it at once, and everything after it drains the good frames.
What the stages do is in ``stages.py``; here they are started, watched and ended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from streamfx.capture.source import Source
from streamfx.encode.sink import Sink
from streamfx.errors import SourceLostError, StageFailedError
from streamfx.hardware.memory import NOT_ENOUGH
from streamfx.media.frame_queue import FrameQueue
from streamfx.media.stage import Stage
from streamfx.pipeline.flow import Ending, Flow, RunResult
from streamfx.pipeline.interrupts import interrupts_call
from streamfx.pipeline.stages import Captured, Generate, PendingFrame, StagePosition, Stages
from streamfx.pipeline.stats import Snapshot, Stats

log = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 0.05


class Pipeline:
    """Runs one source through generate into one sink. Use it once.

    The pipeline owns source and sink from here on: it closes the one and finishes or aborts the other.

    Args:
        source: an open source.
        generate: function that generates a frame. A sequence gives one worker thread per entry: frames are
            then generated concurrently, and still encoded in order.
        sink: an open sink.
        flow: settings of the flow.
        stats: stats to measure into; pass one to share it with what ``generate`` measures.

    Attributes:
        result: outcome of the run, once it has ended, however it ended.
    """

    def __init__(
        self,
        source: Source,
        generate: Generate | Sequence[Generate],
        sink: Sink,
        flow: Flow | None = None,
        stats: Stats | None = None,
    ) -> None:
        self.result: RunResult | None = None
        self._source, self._flow, self._stats = source, flow or Flow(), stats or Stats()
        self._workers = (generate,) if callable(generate) else tuple(generate)
        self._stages = Stages(source, sink, self._flow, self._stats)
        self._lock = threading.Lock()
        self._failures: list[tuple[Stage, int | None, BaseException]] = []
        self._source_closed = False
        self._interrupted_twice = False
        self._threads_left = 0
        self._all_ended = threading.Event()
        self._queues: dict[str, FrameQueue[Captured] | FrameQueue[PendingFrame]] = {
            "captured": self._stages.captured,
            "generated": self._stages.generated,
        }
        self._fill_sums, self._looks = dict.fromkeys(self._queues, 0.0), 0

    def run(self, progress: Callable[[Snapshot], None] | None = None) -> RunResult:
        """Run to the end and return what came of it; ``progress`` is called now and then from this thread.

        A first Ctrl-C stops (the output is finished properly), a second one aborts; a KeyboardInterrupt that
        ``progress`` raises counts as one.

        Raises:
            StageFailedError: a stage failed; ``__cause__`` is the original exception; ``result`` is set.
            KeyboardInterrupt: the run was aborted by a second Ctrl-C.
        """
        bug: BaseException | None = None
        with interrupts_call(self._interrupt):
            threads = self._start()
            try:
                self._wait(progress)
            except BaseException as error:  # raised by progress: a bug there must not leave threads behind
                bug = error
                self.abort()
            self._join(threads)
            self._close_source()
            self.result = self._conclude()
        if bug is not None:
            raise bug
        if self._interrupted_twice:
            raise KeyboardInterrupt
        if self._failures:
            stage, index, original = self._failures[0]
            raise StageFailedError(_describe(stage, index, original), stage, index) from original
        return self.result

    def stop(self) -> None:
        """Ask for a proper end: nothing more is read, frames in flight are encoded, the output is finished.

        A second call aborts. Safe from any thread and from a signal handler.
        """
        self._stages.stop_requests += 1

    def _interrupt(self) -> None:
        self.stop()
        self._interrupted_twice = self._stages.stop_requests > 1

    def abort(self) -> None:
        """Give up at once: frames in flight are dropped and the output is removed. Safe from any thread."""
        stages = self._stages
        stages.stop_requests = max(stages.stop_requests, 1)
        stages.aborting.set()
        stages.captured.cancel()
        stages.generated.cancel()
        self._close_source()

    def snapshot(self) -> Snapshot:
        """Return the state of the run now."""
        stages, stats = self._stages, self._stats
        account, elapsed = stages.ledger.account(), stats.elapsed_seconds
        frames_out = account.encoded + account.repeated
        count, left = self._flow.frame_limit or self._source.format.frame_count, None
        expected = count or self._source.format.expected_frames
        if expected and frames_out and expected >= account.frames_in:
            left = (expected - frames_out) * elapsed / frames_out
        return Snapshot(
            frames_in=account.frames_in,
            frames_out=frames_out,
            frames_dropped=account.frames_dropped,
            frames_failed=account.frames_failed,
            frame_count=count,
            elapsed_seconds=elapsed,
            fps=stats.recent_fps(frames_out),
            remaining_seconds=left,
            queue_fill={name: queue.fill for name, queue in self._queues.items()},
            stages=stats.stages(),
            stopping=stages.stop_requests > 0,
            frames_repeated=account.repeated,
            drops=account.dropped,
        )

    def _start(self) -> list[threading.Thread]:
        bodies: list[tuple[str, Callable[[StagePosition], None]]] = [
            (Stage.CAPTURE, self._stages.capture),
            *((Stage.GENERATE, partial(self._stages.generate, worker)) for worker in self._workers),
            (Stage.ENCODE, self._stages.encode),
        ]
        self._threads_left = len(bodies)
        self._stats.start()
        threads = [
            threading.Thread(target=self._run_stage, args=body, name=f"streamfx-{body[0]}", daemon=True)
            for body in bodies
        ]
        for thread in threads:
            thread.start()
        return threads

    def _run_stage(self, stage: Stage, body: Callable[[StagePosition], None]) -> None:
        position = StagePosition()
        try:
            body(position)
        except BaseException as error:  # the thread boundary: run() raises it
            ours = stage == Stage.CAPTURE and self._source_closed  # our own close broke the read: no failure
            if not ours:
                self._fail(stage, position.index, error)
        finally:
            self._stages.end(stage)
            with self._lock:
                self._threads_left -= 1
                if not self._threads_left:
                    self._stats.end()
                    self._all_ended.set()

    def _fail(self, stage: Stage, index: int | None, error: BaseException) -> None:
        with self._lock:
            self._failures.append((stage, index, error))
        log.debug("%s", _describe(stage, index, error))

    def _wait(self, progress: Callable[[Snapshot], None] | None) -> None:
        # An Event, not Thread.join: in Python 3.11 and 3.12 a join that Ctrl-C interrupts can take a running
        # thread for ended (python/cpython#90882).
        next_report = 0.0
        while not self._all_ended.wait(_LOOK_EVERY_SECONDS):
            now = time.monotonic()
            if progress is not None and now >= next_report:
                next_report = now + self._flow.progress_seconds
                self._tell(progress)
            self._watch(now)
            if self._stages.aborting.is_set():
                return  # joining the threads has a limit, this has none
            if now - (self._stages.output_closed_at or now) > self._flow.abort_limit_seconds:
                return  # the output is complete; a thread that hangs in foreign code must not hold us up
        if progress is not None:
            self._tell(progress)

    def _tell(self, progress: Callable[[Snapshot], None]) -> None:
        try:
            progress(self.snapshot())
        except KeyboardInterrupt:
            self._interrupt()

    def _watch(self, now: float) -> None:
        """Look how full the queues are; act on requests to stop, and on a source that blocks."""
        self._looks += 1
        for name, queue in self._queues.items():
            self._fill_sums[name] += queue.fill / queue.capacity
        stages, flow = self._stages, self._flow
        since = stages.read_since
        reading_seconds = 0.0 if since is None else now - since
        if stages.stop_requests > 1 and not stages.aborting.is_set():
            self.abort()
        elif stages.stop_requests and reading_seconds > flow.stop_grace_seconds:
            self._give_up_source()
        elif stages.time_is_up() and reading_seconds > flow.stop_grace_seconds and not self._source_closed:
            stages.source_ended = True
            self._give_up_source()
        limit_seconds = flow.read_limit_seconds
        if limit_seconds is not None and reading_seconds > limit_seconds and not self._source_closed:
            message = f"{self._source.name}: no frame came within {limit_seconds:g} s"
            self._fail(Stage.CAPTURE, stages.ledger.frames_taken, SourceLostError(message))
            self._give_up_source()

    def _give_up_source(self) -> None:
        """Stop waiting for a blocked read: everything after it drains, even if the read never returns."""
        self._stages.captured.close()
        self._close_source()

    def _close_source(self) -> None:
        with self._lock:
            closed, self._source_closed = self._source_closed, True
        if not closed:
            self._source.close()

    def _join(self, threads: list[threading.Thread]) -> None:
        """Wait until the threads have really ended; longer than a moment only after an abort."""
        deadline = time.monotonic() + self._flow.abort_limit_seconds
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("the thread %s hangs in foreign code; it is left behind", thread.name)

    def _conclude(self) -> RunResult:
        stages = self._stages
        self._stats.end()
        account = stages.ledger.account()
        if stages.aborting.is_set() and not stages.finished:  # an abort may come when all is done
            ending = Ending.ABORTED
        elif self._failures:
            ending = Ending.FAILED
        else:
            ending = Ending.COMPLETE if stages.source_ended else Ending.STOPPED
        first = stages.first_written_at
        return RunResult(
            ending=ending,
            account=account,
            packets_written=stages.sink.packets_written if stages.finished else None,
            first_frame_seconds=None if first is None else first - self._stats.started_at,
            speed=self._stats.speed(account.encoded + account.repeated),
            stages=self._stats.stages(),
            queue_fill={
                name: total / self._looks if self._looks else None for name, total in self._fill_sums.items()
            },
            queue_drops={
                name: {cause.value: count for cause, count in queue.drops.items()}
                for name, queue in self._queues.items()
            },
            failure=_describe(*self._failures[0]) if self._failures else None,
        )


def _describe(stage: Stage, index: int | None, error: BaseException) -> str:
    place = "" if index is None else f" at frame {index}"
    plain = isinstance(error, MemoryError) and not str(error)
    return f"{stage} failed{place}: {NOT_ENOUGH if plain else str(error) or type(error).__name__}"
