"""The three stages, each a loop for one thread: capture, generate, encode; and the queues between them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from streamfx.capture.source import Source
from streamfx.encode.sink import Sink
from streamfx.errors import DecodeError, SinkClosedError
from streamfx.media.frame import Frame
from streamfx.media.frame_queue import DropCause, FrameQueue, Policy
from streamfx.media.stage import Stage
from streamfx.pipeline.flow import Flow
from streamfx.pipeline.ledger import Ledger
from streamfx.pipeline.stats import Stats

CLOSED = "output closed"
"""Why a frame was dropped that came when nobody wanted to see more."""

Generate = Callable[[Frame], Frame]


class StagePosition:
    """Which frame a stage is working on; for the error message."""

    __slots__ = ("index",)

    def __init__(self) -> None:
        self.index: int | None = None


class Captured(NamedTuple):
    """A frame that waits to be generated, and since when (monotonic clock)."""

    frame: Frame
    since_seconds: float


class PendingFrame:
    """A place in the output order, taken when a frame is taken up and filled when it is generated.

    Args:
        frame: frame that is taken up.
        again: whether what was made of the frame before is shown again in its place.
    """

    __slots__ = ("again", "captured_ns", "done", "done_at", "error", "frame", "index")

    def __init__(self, frame: Frame, *, again: bool = False) -> None:
        self.index = frame.index
        self.captured_ns = frame.captured_ns
        self.again = frame if again else None
        self.frame: Frame | None = None
        self.error: BaseException | None = None
        self.done = threading.Event()
        self.done_at = 0.0  # monotonic clock, seconds


class Stages:
    """What the stages do and share. Each loop returns at its end and raises what broke it.

    Whoever takes a frame out of a queue settles it in the ledger; what a queue drops, ``on_drop`` settles.
    Frames that stand in for pictures that did not come do not count in the times of generate and encode.
    The times of a live frame add up to its latency (``LATENCY_STAGES``); that of capture is from when it was
    there until it is in the queue.
    """

    def __init__(self, source: Source, sink: Sink, flow: Flow, stats: Stats) -> None:
        self.source, self.sink, self.flow, self.stats = source, sink, flow, stats
        self.ledger, self.aborting = Ledger(), threading.Event()
        # The queues must not hold the stages: such a circle would keep codecs, their threads and pictures
        # until Python looks for circles.
        self._dropped = dropped = partial(_settle_drop, self.ledger, self.aborting)
        policy = flow.policy or (Policy.DROP_OLDEST if source.live else Policy.WAIT)
        self.captured = FrameQueue[Captured](
            flow.capture_capacity, policy, lambda item, cause: dropped(item.frame.index, cause)
        )
        self.generated = FrameQueue[PendingFrame](
            flow.encode_capacity, Policy.WAIT, lambda slot, cause: dropped(slot.index, cause)
        )
        # A plain number, because a signal handler counts it up: an Event's lock could be held already there.
        self.stop_requests = 0
        self.source_ended = False
        self.read_since: float | None = None
        self.finished = False
        self.first_written_at: float | None = None
        self.output_closed_at: float | None = None
        self._intake = threading.Lock()  # taking a frame and taking its place in the order are one step
        self._taken: int | None = None  # number of the frame that was taken last
        self._made: Frame | None = None  # what was written last; of the thread that encodes

    def end(self, stage: Stage) -> None:
        """Apply the shutdown rule: a stage that ends cancels its input queue and closes its output queue.

        Generate ends as a whole when one of its workers does: at the end of the input every frame has its
        place in the order already, and after a failure no further frame is wanted.
        """
        if stage == Stage.CAPTURE:
            self.captured.close()
        elif stage == Stage.GENERATE:
            self.captured.cancel()
            self.generated.close()
        else:
            self.generated.cancel()

    def capture(self, position: StagePosition) -> None:
        """Read frames until the source ends, the frame limit is reached, or a stop is asked for."""
        in_a_row = 0
        while not self.stop_requests:
            if self.ledger.frames_in == self.flow.frame_limit or self.time_is_up():
                self.source_ended = True
                return
            position.index = self.ledger.frames_taken
            started = self.read_since = time.monotonic()
            try:
                frame = self.source.read()
            except DecodeError as error:
                in_a_row += 1
                self._count_decode_failure(error, in_a_row)
                continue
            finally:
                self.read_since = None
            if frame is None:
                self.source_ended = not self.stop_requests
                return
            now = time.monotonic()
            self.stats.add(Stage.DECODE, now - started)
            self._add_live(frame, Stage.CAPTURE, now - frame.captured_ns / 1e9)
            in_a_row = 0
            self.ledger.enter(frame.index, filler=frame.repeated)
            if not self.captured.put(Captured(frame, now)):
                return

    def time_is_up(self) -> bool:
        """Return whether the run has lasted as long as it should."""
        limit = self.flow.seconds_limit
        return limit is not None and self.stats.elapsed_seconds >= limit

    def generate(self, process: Generate, position: StagePosition) -> None:
        """Take frames and generate them; several threads may run this at once."""
        while True:
            with self._intake:
                item = self.captured.get()
                if item is None:
                    return
                frame = self._in_its_place(item.frame)
                position.index, slot = frame.index, PendingFrame(frame, again=frame.again and self.flow.alike)
                memory = None
                if self.flow.memories is not None and slot.again is None:
                    memory = self.flow.memories.next()
                if not self.generated.put(slot):
                    return
            if slot.again is not None:
                slot.done.set()
                continue
            frame, started = frame.with_memory(memory), time.monotonic()
            try:
                self._add_live(frame, Stage.WAITING, started - item.since_seconds)
                if self.flow.watch is not None:
                    self.flow.watch.taken(frame)
                slot.frame = process(frame).with_memory(None)
            except BaseException as error:
                slot.error = error
                raise
            finally:
                if memory is not None:
                    memory.close()  # whatever happened: the frames after this one may wait for it
                slot.done_at = time.monotonic()
                slot.done.set()
            # What stands in for a picture costs next to nothing, which would make the stage look quick.
            if not frame.repeated:
                self.stats.add(Stage.GENERATE, slot.done_at - started)

    def _in_its_place(self, frame: Frame) -> Frame:
        """Return a frame that is taken up; only after the one before it does it show that one's picture
        again."""
        before, self._taken = self._taken, frame.index
        return frame if not frame.again or frame.index - 1 == before else replace(frame, again=False)

    def encode(self, position: StagePosition) -> None:
        """Write frames in order; then finish the output, or remove it when aborting."""
        try:
            while (slot := self.generated.get()) is not None:
                position.index = slot.index
                while not slot.done.wait(0.1) and not self.aborting.is_set():
                    pass
                if slot.again is not None and self._made is not None:
                    slot.frame = _in_place_of(slot.again, self._made)
                if self.aborting.is_set():
                    self._dropped(slot.index, DropCause.CANCELLED)
                elif slot.frame is None:
                    self.ledger.failed(slot.index, Stage.GENERATE, str(slot.error))
                    break  # the output ends before the frame that failed
                elif not self._write(slot, slot.frame):
                    break  # nobody wants to see more
                self._made = slot.frame if self.flow.alike else None
            position.index = None
            self.generated.cancel()  # unblocks generate before the output is finished, which may take a while
            self._finish()
        finally:
            self.output_closed_at = time.monotonic()
            self.generated.cancel()
            if not self.finished:
                self.sink.abort()  # after a failure of its own, a sink keeps what is usable

    def _write(self, slot: PendingFrame, frame: Frame) -> bool:
        """Write a frame; return whether the output takes more, and have the run stop where it was closed."""
        started = time.monotonic()
        self._add_live(frame, Stage.WAITING_TO_ENCODE, started - slot.done_at)
        try:
            cause = self.sink.write(frame)
        except SinkClosedError:
            self.ledger.dropped(slot.index, CLOSED)
            self.stop_requests = max(self.stop_requests, 1)
            return False
        except BaseException as error:
            self.ledger.failed(slot.index, Stage.ENCODE, str(error))
            raise
        if cause is not None:
            self.ledger.dropped(slot.index, cause)
            return True
        ended = time.monotonic()
        if not frame.repeated:
            self.stats.add(Stage.ENCODE, ended - started)
        if self.first_written_at is None:
            self.first_written_at = ended
        if slot.captured_ns:
            self.stats.add(Stage.LATENCY, ended - slot.captured_ns / 1e9)
        if self.flow.watch is not None:
            self.flow.watch.written(frame, ended)
        if frame.repeated:
            self.ledger.repeated(slot.index)
        else:
            self.ledger.encoded(slot.index)
        return True

    def _add_live(self, frame: Frame, stage: Stage, seconds: float) -> None:
        """Add a time that only says something where frames come at their own pace."""
        if self.source.live and frame.captured_ns:
            self.stats.add(stage, seconds)

    def _finish(self) -> None:
        if self.stop_requests > 1:
            self.aborting.set()
        if not self.aborting.is_set():
            self.sink.finish()
            self.finished = True

    def _count_decode_failure(self, error: DecodeError, in_a_row: int) -> None:
        self.ledger.decode_failed(str(error))
        total, flow = self.ledger.frames_failed, self.flow
        if in_a_row >= flow.decode_failures_in_a_row:
            raise DecodeError(f"{in_a_row} broken frames in a row, the last one: {error}") from error
        if flow.decode_failures is not None and total >= flow.decode_failures:
            raise DecodeError(f"{total} broken frames altogether, the last one: {error}") from error
        if self.source.live and in_a_row > 1:  # do not hammer a device that gives nothing but errors
            self.aborting.wait(min(0.01 * in_a_row, 0.25))


def _in_place_of(frame: Frame, made: Frame) -> Frame:
    """Return what was made of the frame before, with the number and the times of a frame."""
    return replace(
        made,
        index=frame.index,
        pts=frame.pts,
        duration=frame.duration,
        captured_ns=frame.captured_ns,
        key=frame.key,
        again=frame.again,
    )


def _settle_drop(ledger: Ledger, aborting: threading.Event, index: int, cause: DropCause) -> None:
    aborted = cause is DropCause.CANCELLED and aborting.is_set()
    ledger.dropped(index, "aborted" if aborted else cause.value)
