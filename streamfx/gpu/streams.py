"""Streams: what a GPU does at a time, each in order by itself; and events, by which one waits for another.

A stream here is never the default one, which waits for all others. On the CPU everything is done
when the call returns: there a stream is nothing, and every event has passed.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Event:
    """A point in the work of a stream; without an event one that is passed."""

    event: torch.cuda.Event | None = None

    @property
    def passed(self) -> bool:
        """Whether the work before it is done. Does not wait."""
        return self.event is None or bool(self.event.query())  # type: ignore[no-untyped-call]

    def wait(self) -> None:
        """Wait until the work before it is done; other threads go on meanwhile."""
        if self.event is not None:
            self.event.synchronize()


PASSED = Event()


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """When a stream came to a point in its work.

    Attributes:
        at_seconds: time by the clock of the host, when the point was set: on the CPU that is when it was
            reached.
        event: event to which the GPU gives its own time; None on the CPU.
    """

    at_seconds: float
    event: torch.cuda.Event | None = None

    @property
    def passed(self) -> bool:
        """Whether the stream has come there. Does not wait."""
        return self.event is None or bool(self.event.query())  # type: ignore[no-untyped-call]

    def seconds_until(self, later: TimedEvent) -> float:
        """Return how long the stream took from here to a later point; waits for that."""
        if self.event is None or later.event is None:
            return later.at_seconds - self.at_seconds
        later.event.synchronize()
        return float(self.event.elapsed_time(later.event)) / 1e3


class Meter:
    """Tells how long a stream took for something, once that is known: it never waits. Used in turns."""

    def __init__(self) -> None:
        self._at_work: deque[tuple[TimedEvent, TimedEvent, Callable[[float], None]]] = deque()

    def took(self, begun: TimedEvent, ended: TimedEvent, tell: Callable[[float], None]) -> None:
        """Have ``tell`` called with the seconds between two points: now, or in a later call of this."""
        self._at_work.append((begun, ended, tell))
        while self._at_work and self._at_work[0][1].passed:
            begun, ended, tell = self._at_work.popleft()
            tell(begun.seconds_until(ended))


class Stream:
    """Work in order. Threads may share one if they take turns from `work` to `record_event`.

    Args:
        device: place where the work is done.
        name: name for people.
    """

    def __init__(self, device: torch.device, name: str) -> None:
        import torch

        self.device, self.name = device, name
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    @contextmanager
    def work(self, *after: Event) -> Iterator[None]:
        """Within this, torch's work is done in this stream, once the events have passed. Does not wait."""
        import torch

        with contextlib.nullcontext() if self.stream is None else torch.cuda.stream(self.stream):
            for event in after:
                if event.event is not None and self.stream is not None:
                    self.stream.wait_event(event.event)
            yield

    def record_event(self) -> Event:
        """Return the point that all work given so far comes before."""
        import torch

        if self.stream is None:
            return PASSED
        # Who waits for it sleeps: other threads need the processor.
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record(self.stream)
        return Event(event)

    def record_time(self) -> TimedEvent:
        """Return the point that all work given so far comes before, to be timed."""
        import torch

        if self.stream is None:
            return TimedEvent(time.perf_counter())
        event = torch.cuda.Event(enable_timing=True, blocking=True)  # type: ignore[no-untyped-call]
        event.record(self.stream)
        return TimedEvent(time.perf_counter(), event)

    @property
    def handle(self) -> int | None:
        """CUDA's own handle, for other libraries; None on the CPU."""
        return None if self.stream is None else int(self.stream.cuda_stream)


def decoder_event(device: torch.device) -> Event:
    """Return the point that all that FFmpeg decoded so far comes before.

    FFmpeg decodes in CUDA's default stream (`AVCUDADeviceContext.stream` is null unless somebody sets it),
    which streams made by torch do not wait for by themselves. Nothing is done there, it is only marked.
    """
    import torch

    if device.type != "cuda":
        return PASSED
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    event.record(torch.cuda.default_stream(device))
    return Event(event)
