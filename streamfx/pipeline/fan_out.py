"""Several outputs at once, each with a queue and a thread of its own: none holds the others."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from streamfx.encode.sink import Sink
from streamfx.errors import SinkClosedError, SinkError
from streamfx.media.frame import Frame
from streamfx.media.frame_queue import DropCause, FrameQueue, Policy
from streamfx.pipeline.stats import Times, Timing

log = logging.getLogger(__name__)

Measure = Callable[[str, float], None]
OUTPUT_STAGE = "output "  # before the name of an output: its stage in the measurements
_ENDED = "output ended"


@dataclass(frozen=True, slots=True)
class OutputAccount:
    """What became of the frames of one output.

    Attributes:
        name: name of the output.
        frames_given: frames it was handed.
        frames_written: frames it took.
        dropped: frames it did not get or take, by cause.
        latency: latency from capture to written there.
        failure: reason for an early end; None when there was none.
    """

    name: str
    frames_given: int
    frames_written: int
    dropped: Mapping[str, int]
    failure: str | None
    latency: Times


class OutputBranch:
    """One of the outputs, its queue, its thread, and the account of it.

    Attributes:
        name: name of the output.
        frames_given: frames it was handed.
        frames_written: frames it took.
        dropped: frames it did not get or take, by cause.
        latency: latency from capture to written here.
        failure: reason for an early end; None while it goes on.
        closed: whether it was closed by who looked at it.
        finished: whether it was completed.
    """

    def __init__(
        self, sink: Sink, capacity: int, room: threading.Condition, measure: Measure | None = None
    ) -> None:
        self.name, self.sink = sink.name, sink
        self.frames_given = self.frames_written = 0
        self.dropped: Counter[str] = Counter()
        self.latency = Timing()
        self.failure: str | None = None
        self.closed = self.finished = False
        self._capacity, self._room, self._measure = capacity, room, measure
        self._aborting = False
        # The oldest goes when it is full; an output that failed takes nothing, at no cost to the others.
        # It is not to hold the branch: such a circle would keep the sink until Python looks for circles.
        self._queue = FrameQueue[Frame](capacity, Policy.DROP_OLDEST, partial(_count_drop, self.dropped))
        self._thread = threading.Thread(target=self._run, name=f"streamfx-output {sink.name}", daemon=True)
        self._thread.start()

    @property
    def takes_more(self) -> bool:
        """Whether it has not ended."""
        return self.failure is None and not self.closed

    @property
    def has_room(self) -> bool:
        """Whether a frame can be handed over without dropping another."""
        return self.takes_more and self._queue.fill < self._capacity

    @property
    def account(self) -> OutputAccount:
        """What became of its frames."""
        return OutputAccount(
            self.name,
            self.frames_given,
            self.frames_written,
            dict(self.dropped),
            self.failure,
            self.latency.times(),
        )

    def put(self, frame: Frame) -> None:
        """Hand a frame over; never waits."""
        self.frames_given += 1
        self._queue.put(frame)

    def finish(self) -> None:
        """Say that no more frames come; what waits is still written."""
        self._queue.close()

    def abort(self) -> None:
        """Give up at once."""
        self._aborting = True
        self._queue.cancel()

    def join(self, limit_seconds: float) -> bool:
        """Wait until the thread has ended; False when it takes longer."""
        self._thread.join(limit_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while (frame := self._queue.get()) is not None:
                with self._room:
                    self._room.notify_all()
                started = time.monotonic()
                cause = self.sink.write(frame)
                if cause is None:
                    if self._measure is not None and not frame.repeated:
                        self._measure(f"{OUTPUT_STAGE}{self.name}", time.monotonic() - started)
                    self.frames_written += 1
                    if frame.captured_ns:
                        self.latency.add((time.monotonic_ns() - frame.captured_ns) / 1e9)
                else:
                    self.dropped[cause] += 1
            if not self._aborting:
                self.sink.finish()
                self.finished = True
        except SinkClosedError:
            self.closed = True
        except Exception as error:  # the thread boundary: the account says so, the others go on
            self.failure = str(error) or type(error).__name__
            log.warning("%s", self.failure)
        finally:
            self._queue.cancel()
            if not self.finished:
                self.sink.abort()  # after a failure of its own, a sink keeps what is usable
            with self._room:
                self._room.notify_all()


def _count_drop(drops: Counter[str], _frame: Frame, cause: DropCause) -> None:
    drops[_ENDED if cause is DropCause.CANCELLED else cause.value] += 1


class SeveralSinks:
    """Gives every frame to each of several sinks, at the pace of the quickest.

    ``write`` waits while no output has room, because a frame that was generated is not thrown away; one that
    is slower than the quickest loses frames of its own, which its account shows.

    Args:
        sinks: the open outputs; owned from here on.
        capacity: most frames waiting for each.
        measure: callback that is called with the stage of an output ("output NAME") and the seconds that
            writing a frame took, in its thread; ``write`` itself only hands over.

    Attributes:
        branches: the account of each.
        (the others are those of ``Sink``; ``packets_written`` counts frames that at least one output got)
    """

    def __init__(self, sinks: list[Sink], capacity: int, measure: Measure | None = None) -> None:
        self.name = ", ".join(sink.name for sink in sinks)
        self.frames_written = self.packets_written = 0
        self._room = threading.Condition()
        self.branches = [OutputBranch(sink, capacity, self._room, measure) for sink in sinks]

    @property
    def notes(self) -> list[str]:
        """What the outputs noted, each under its name."""
        return [
            note if note.startswith(branch.name) else f"{branch.name}: {note}"
            for branch in self.branches
            for note in branch.sink.notes
        ]

    @notes.setter
    def notes(self, _notes: list[str]) -> None:  # the protocol has it as a plain attribute
        raise AttributeError("the notes of several outputs are those of each")

    def write(self, frame: Frame) -> None:
        """Hand a frame to every output; waits while none has room.

        Raises:
            SinkClosedError: every output was closed by who looked at it.
            SinkError: none takes more, and at least one has failed.
        """
        with self._room:
            self._room.wait_for(self._any_ready)
        if not any(branch.takes_more for branch in self.branches):
            raise self._end()
        for branch in self.branches:
            branch.put(frame)
        self.frames_written += 1
        self.packets_written += 1

    def finish(self) -> None:
        """Complete every output that can be.

        Raises:
            SinkError: not one could be.
        """
        for branch in self.branches:
            branch.finish()
        for branch in self.branches:
            while not branch.join(0.5):
                pass
        if not any(branch.finished or branch.closed for branch in self.branches):
            raise self._end()

    def abort(self) -> None:
        """Give every output up. Safe to call at any time."""
        for branch in self.branches:
            branch.abort()
        for branch in self.branches:
            branch.join(1.0)

    def _any_ready(self) -> bool:
        return any(branch.has_room for branch in self.branches) or not any(
            branch.takes_more for branch in self.branches
        )

    def _end(self) -> SinkError:
        reasons = "; ".join(
            dict.fromkeys(branch.failure for branch in self.branches if branch.failure is not None)
        )
        if not reasons:
            return SinkClosedError("every output was closed")
        return SinkError(f"every output has failed: {reasons}")
