"""Pipeline: capture ▶ queue ▶ generate ▶ queue ▶ encode, each stage in its own thread.

The shutdown rule: when a stage ends, for whatever reason, it cancels its input queue and closes its output
queue. So a failure unblocks everything before it at once, and everything after it drains the good frames.
Whoever takes a frame out of a queue settles it in the ledger; what a queue drops, its ``on_drop`` settles.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from streamfx.capture.source import Source
from streamfx.encode.sink import Sink
from streamfx.errors import DecodeError, SourceLostError, StageFailedError
from streamfx.flow import Ending, Flow, RunResult
from streamfx.frame import Frame
from streamfx.frame_queue import DropCause, FrameQueue, Policy
from streamfx.ledger import Ledger
from streamfx.stats import Snapshot, Stats

log = logging.getLogger(__name__)

Generate = Callable[[Frame], Frame]


class _Slot:
    """A place in the output order, taken when a frame is taken up and filled when it is generated."""

    __slots__ = ("captured_ns", "done", "error", "frame", "index")

    def __init__(self, frame: Frame) -> None:
        self.index = frame.index
        self.captured_ns = frame.captured_ns
        self.frame: Frame | None = None
        self.error: BaseException | None = None
        self.done = threading.Event()


class _Position:
    """Which frame a stage is working on; for the error message."""

    __slots__ = ("index",)

    def __init__(self) -> None:
        self.index: int | None = None


class Pipeline:
    """Runs one source through generate into one sink. Use it once.

    The pipeline owns source and sink from here on: it closes the one and finishes or aborts the other.

    Args:
        source: an open source.
        generate: what to do with a frame. A sequence gives one worker thread per entry: frames are then
            generated concurrently, and still encoded in order.
        sink: an open sink.
        flow: settings of the flow.
        stats: where to measure; pass one to share it with what ``generate`` measures.
    """

    def __init__(
        self,
        source: Source,
        generate: Generate | Sequence[Generate],
        sink: Sink,
        flow: Flow | None = None,
        stats: Stats | None = None,
    ) -> None:
        self._source, self._sink = source, sink
        self._flow = flow = flow or Flow()
        self._workers = (generate,) if callable(generate) else tuple(generate)
        self._ledger, self._stats = Ledger(), stats or Stats()
        policy = flow.policy or (Policy.DROP_OLDEST if source.live else Policy.WAIT)
        self._captured = FrameQueue[Frame](
            flow.capture_capacity, policy, lambda frame, cause: self._dropped(frame.index, cause)
        )
        self._generated = FrameQueue[_Slot](
            flow.encode_capacity, Policy.WAIT, lambda slot, cause: self._dropped(slot.index, cause)
        )
        self._intake = threading.Lock()  # taking a frame and taking its place in the order are one step
        self._stop_requests = (
            0  # a plain number: a signal handler may count it up, an Event could deadlock there
        )
        self._aborting = threading.Event()
        self._source_closed = False
        self._read_since: float | None = None
        self._failures: list[tuple[str, int | None, BaseException]] = []
        self._finished = False
        self._output_closed_at: float | None = None
        self._source_ended = False
        self._threads_left = 0
        self._lock = threading.Lock()
        self._all_ended = threading.Event()
        self.result: RunResult | None = None

    # ---------------------------------------------------------------- from outside

    def run(self, progress: Callable[[Snapshot], None] | None = None) -> RunResult:
        """Run to the end and return what came of it; ``progress`` is called now and then from this thread.

        A first KeyboardInterrupt stops (the output is finished properly), a second one aborts.

        Raises:
            StageFailedError: a stage failed; ``__cause__`` is the original exception; ``result`` is set.
            KeyboardInterrupt: the run was aborted by a second one.
        """
        threads = self._start()
        interrupt: BaseException | None = None
        waiting = True
        while waiting and interrupt is None:
            try:
                self._wait(progress)
                waiting = False
            except KeyboardInterrupt as error:
                self.stop()
                if self._stop_requests > 1:
                    interrupt = error
            except BaseException as error:  # raised by progress: a bug there must not leave threads behind
                interrupt = error
        if interrupt is not None:
            self.abort()
        self._join(threads)
        self._close_source()
        self.result = self._conclude()
        if interrupt is not None:
            raise interrupt
        if self._failures:
            stage, index, original = self._failures[0]
            raise StageFailedError(_describe(stage, index, original), stage, index) from original
        return self.result

    def stop(self) -> None:
        """Ask for a proper end: nothing more is read, frames in flight are encoded, the output is finished.

        A second call aborts. Safe from any thread and from a signal handler.
        """
        self._stop_requests += 1

    def abort(self) -> None:
        """Give up at once: frames in flight are dropped and the output is removed. Safe from any thread."""
        self._stop_requests = max(self._stop_requests, 1)
        self._aborting.set()
        self._captured.cancel()
        self._generated.cancel()
        self._close_source()

    def snapshot(self) -> Snapshot:
        """Return the state of the run now."""
        account, elapsed = self._ledger.account(), self._stats.elapsed_seconds
        frames_out = account.encoded + account.repeated
        count = self._flow.frame_limit or self._source.format.frame_count
        fps, left = self._stats.recent_fps(frames_out), None
        if count and frames_out and count >= account.frames_in:
            left = (count - frames_out) * elapsed / frames_out
        return Snapshot(
            frames_in=account.frames_in,
            frames_out=frames_out,
            frames_dropped=account.frames_dropped,
            frames_failed=account.frames_failed,
            frame_count=count,
            elapsed_seconds=elapsed,
            fps=fps,
            remaining_seconds=left,
            queue_fill={"captured": self._captured.fill, "generated": self._generated.fill},
            stages=self._stats.stages(),
            stopping=self._stop_requests > 0,
        )

    # ---------------------------------------------------------------- the stages, each in its own thread

    def _capture(self, position: _Position) -> None:
        in_a_row = 0
        while not self._stop_requests:
            if self._ledger.frames_in == self._flow.frame_limit:
                self._source_ended = True
                return
            position.index = self._ledger.frames_in
            started = self._read_since = time.monotonic()
            try:
                frame = self._source.read()
            except DecodeError as error:
                in_a_row += 1
                self._count_decode_failure(error, in_a_row)
                continue
            finally:
                self._read_since = None
            if frame is None:
                self._source_ended = True
                return
            self._stats.add("decode", time.monotonic() - started)
            in_a_row = 0
            self._ledger.enter(frame.index)
            if not self._captured.put(frame):
                return

    def _generate(self, process: Generate, position: _Position) -> None:
        while True:
            with self._intake:
                frame = self._captured.get()
                if frame is None:
                    return
                position.index, slot = frame.index, _Slot(frame)
                if not self._generated.put(slot):
                    return
            started = time.monotonic()
            try:
                slot.frame = process(frame)
            except BaseException as error:
                slot.error = error
                raise
            finally:
                slot.done.set()
            self._stats.add("generate", time.monotonic() - started)

    def _encode(self, position: _Position) -> None:
        try:
            while (slot := self._generated.get()) is not None:
                position.index = slot.index
                while not slot.done.wait(0.1) and not self._aborting.is_set():
                    pass
                if self._aborting.is_set():
                    self._dropped(slot.index, DropCause.CANCELLED)
                elif slot.frame is None:
                    self._ledger.failed(slot.index, "generate", str(slot.error))
                    break  # the output ends before the frame that failed
                else:
                    self._write(slot, slot.frame)
            position.index = None
            self._generated.cancel()
        except BaseException:
            self._generated.cancel()
            self._close_sink_after_failure()
            raise
        self._close_sink()

    def _write(self, slot: _Slot, frame: Frame) -> None:
        started = time.monotonic()
        try:
            self._sink.write(frame)
        except BaseException as error:
            self._ledger.failed(slot.index, "encode", str(error))
            raise
        self._stats.add("encode", time.monotonic() - started)
        if slot.captured_ns:
            self._stats.add("latency", (time.monotonic_ns() - slot.captured_ns) / 1e9)
        self._ledger.encoded(slot.index)

    def _close_sink(self) -> None:
        """Finish the output, so that what is good stays usable; remove it on an abort or if that fails."""
        if self._stop_requests > 1:
            self._aborting.set()
        try:
            if not self._aborting.is_set():
                self._sink.finish()
                self._finished = True
        finally:
            self._output_closed_at = time.monotonic()
            if not self._finished:
                self._sink.abort()

    def _close_sink_after_failure(self) -> None:
        try:
            self._close_sink()
        except BaseException as error:  # the failure that brought us here is the one to report
            log.warning("%s: could not be finished after the failure: %s", self._sink.name, error)

    # ---------------------------------------------------------------- around the stages

    def _start(self) -> list[threading.Thread]:
        bodies: list[tuple[str, Callable[[_Position], None]]] = [
            ("capture", self._capture),
            *(("generate", partial(self._generate, worker)) for worker in self._workers),
            ("encode", self._encode),
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

    def _run_stage(self, stage: str, body: Callable[[_Position], None]) -> None:
        position = _Position()
        try:
            body(position)
        except BaseException as error:  # the thread boundary: run() raises it
            if not (
                stage == "capture" and self._source_closed
            ):  # a read that our own close broke is no failure
                self._fail(stage, position.index, error)
        finally:
            self._end_stage(stage)
            with self._lock:
                self._threads_left -= 1
                if not self._threads_left:
                    self._stats.end()
                    self._all_ended.set()

    def _fail(self, stage: str, index: int | None, error: BaseException) -> None:
        with self._lock:
            self._failures.append((stage, index, error))
        log.debug("%s", _describe(stage, index, error))

    def _end_stage(self, stage: str) -> None:
        """Apply the shutdown rule.

        Generate ends as a whole when one of its workers does: at the end of the input every frame has its
        place in the order already, and after a failure no further frame is wanted.
        """
        if stage == "capture":
            self._captured.close()
        elif stage == "generate":
            self._captured.cancel()
            self._generated.close()
        else:
            self._generated.cancel()

    def _wait(self, progress: Callable[[Snapshot], None] | None) -> None:
        # An Event, not Thread.join: in Python 3.11 and 3.12 a join that Ctrl-C interrupts can take a running
        # thread for ended (python/cpython#90882).
        next_report = 0.0
        while not self._all_ended.wait(0.05):
            now = time.monotonic()
            if progress is not None and now >= next_report:
                next_report = now + self._flow.progress_seconds
                progress(self.snapshot())
            self._watch(now)
            if now - (self._output_closed_at or now) > self._flow.abort_limit_seconds:
                return  # the output is complete; a thread that hangs in foreign code must not hold us up
        if progress is not None:
            progress(self.snapshot())

    def _watch(self, now: float) -> None:
        """Act on requests to stop, and on a source that blocks."""
        reading_seconds = 0.0 if self._read_since is None else now - self._read_since
        if self._stop_requests > 1 and not self._aborting.is_set():
            self.abort()
        elif self._stop_requests and reading_seconds > self._flow.stop_grace_seconds:
            self._give_up_source()
        limit_seconds = self._flow.read_limit_seconds
        if limit_seconds is not None and reading_seconds > limit_seconds and not self._source_closed:
            message = f"{self._source.name}: no frame came within {limit_seconds:g} s"
            self._fail("capture", self._ledger.frames_in, SourceLostError(message))
            self._give_up_source()

    def _give_up_source(self) -> None:
        """Stop waiting for a blocked read: everything after it drains, even if the read never returns."""
        self._captured.close()
        self._close_source()

    def _close_source(self) -> None:
        with self._lock:
            closed, self._source_closed = self._source_closed, True
        if not closed:
            self._source.close()

    def _count_decode_failure(self, error: DecodeError, in_a_row: int) -> None:
        self._ledger.decode_failed(str(error))
        total, flow = self._ledger.frames_failed, self._flow
        if in_a_row >= flow.decode_failures_in_a_row:
            raise DecodeError(f"{in_a_row} broken frames in a row, the last one: {error}") from error
        if flow.decode_failures is not None and total >= flow.decode_failures:
            raise DecodeError(f"{total} broken frames altogether, the last one: {error}") from error
        if self._source.live and in_a_row > 1:  # do not hammer a device that gives nothing but errors
            self._aborting.wait(min(0.01 * in_a_row, 0.25))

    def _dropped(self, index: int, cause: DropCause) -> None:
        text = cause.value
        if cause is DropCause.CANCELLED:
            text = "aborted" if self._aborting.is_set() else "after a failure" if self._failures else text
        self._ledger.dropped(index, text)

    def _join(self, threads: list[threading.Thread]) -> None:
        """Wait until the threads have really ended; longer only than a moment after an abort."""
        deadline = time.monotonic() + self._flow.abort_limit_seconds
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("the thread %s hangs in foreign code; it is left behind", thread.name)

    def _conclude(self) -> RunResult:
        self._stats.end()
        account = self._ledger.account()
        if self._aborting.is_set():
            ending = Ending.ABORTED
        elif self._failures:
            ending = Ending.FAILED
        else:
            ending = Ending.COMPLETE if self._source_ended else Ending.STOPPED
        return RunResult(
            ending=ending,
            account=account,
            packets_written=self._sink.packets_written if self._finished else None,
            speed=self._stats.speed(account.encoded + account.repeated),
            stages=self._stats.stages(),
            queue_drops={"captured": _named(self._captured), "generated": _named(self._generated)},
            failure=_describe(*self._failures[0]) if self._failures else None,
        )


def _describe(stage: str, index: int | None, error: BaseException) -> str:
    place = "" if index is None else f" at frame {index}"
    return f"{stage} failed{place}: {str(error) or type(error).__name__}"


def _named(queue: FrameQueue[Frame] | FrameQueue[_Slot]) -> dict[str, int]:
    return {cause.value: count for cause, count in queue.drops.items()}
