"""Stand-ins for the part of torch.cuda that streams, events and graphs are made of, on tensors of the CPU.

Work is done when it is given, so a stream is no more than a name in `FakeCuda.log`. A graph notes what torch
does while it records, and does that again, on the same memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from streamfx.gpu.streams import Stream


class FakeStream:
    """Does work at once, and notes who waits for it."""

    def __init__(self, cuda: FakeCuda, name: str) -> None:
        self._cuda, self.name, self.device = cuda, name, torch.device("cpu")
        self.cuda_stream = 1

    def wait_stream(self, other: FakeStream) -> None:
        self._cuda.log.append(f"{self.name} waits for {other.name}")

    def wait_event(self, event: FakeEvent) -> None: ...

    def synchronize(self) -> None:
        self._cuda.log.append(f"the host waits for {self.name}")


class FakeEvent:
    """A point in a stream, passed when it is recorded."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False) -> None:
        self.timed, self._at_seconds = enable_timing, 0.0

    def record(self, stream: FakeStream) -> None:
        self._at_seconds = time.perf_counter()

    def query(self) -> bool:
        return True

    def synchronize(self) -> None: ...

    def elapsed_time(self, end: FakeEvent) -> float:
        assert self.timed
        assert end.timed
        return (end._at_seconds - self._at_seconds) * 1e3


class FakeGraph:
    """Notes what torch does, and does it again."""

    def __init__(self) -> None:
        self.noted: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def replay(self) -> None:
        for operation, given, named, gave in self.noted:
            again = operation(*given, **named)
            for old, new in zip(tree_leaves(gave), tree_leaves(again), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class FakeCuda:
    """What stands in for torch.cuda, and what happened there.

    Attributes:
        log: waits and recordings, in order.
        current: the stream that work goes to.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.current = FakeStream(self, "default")
        self._streams = 0

    def new_stream(self, device: object = None) -> Any:
        """Return a `FakeStream`, where torch's own is expected."""
        self._streams += 1
        return FakeStream(self, f"stream {self._streams}")

    @contextmanager
    def within(self, stream: FakeStream) -> Iterator[None]:
        former, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = former

    @contextmanager
    def recording(self, graph: FakeGraph, stream: FakeStream, capture_error_mode: str) -> Iterator[None]:
        self.log.append(f"records in {stream.name}, {capture_error_mode}")

        class Noting(TorchDispatchMode):  # type: ignore[no-untyped-call]
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                gave = func(*args, **kwargs or {})
                graph.noted.append((func, args, kwargs or {}, gave))
                return gave

        with self.within(stream), Noting():  # type: ignore[no-untyped-call]
            yield


def install(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """Let torch.cuda be the stand-in until the test ends; main memory is not pinned, as there is nothing to
    pin it for."""
    cuda = FakeCuda()
    for name, fake in {
        "Stream": cuda.new_stream,
        "Event": FakeEvent,
        "CUDAGraph": FakeGraph,
        "stream": cuda.within,
        "graph": cuda.recording,
        "current_stream": lambda device=None: cuda.current,
    }.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    for name in ("zeros", "empty"):
        make = getattr(torch, name)

        def unpinned(*given: Any, pin_memory: bool = False, make: Any = make, **named: Any) -> Any:
            return make(*given, **named)

        monkeypatch.setattr(torch, name, unpinned)
    return cuda


class Again:
    """Stands in for a graph: does the work again, all of it, as NumPy's part of it is seen by no stand-in."""

    def __init__(self, work: Callable[[], object], stream: object) -> None:
        work()
        self.replay = work


def install_for_residents(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """Let frames on a device, in main memory, take the ways that they take on a GPU: streams and graphs."""
    cuda = install(monkeypatch)

    def with_stream(stream: Stream, device: torch.device, name: str) -> None:
        stream.device, stream.name, stream.stream = device, name, cuda.new_stream()

    monkeypatch.setattr(Stream, "__init__", with_stream)
    for module in ("recording", "network_call"):
        monkeypatch.setattr(f"streamfx.generate.gpu.{module}.recorded", Again)
    return cuda
