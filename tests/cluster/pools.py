"""A cluster within this process: each task is done when somebody asks what has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from streamfx.cluster.pool import Machine, Task, TaskEnd

Change = Callable[[dict[str, Any]], dict[str, Any]]


class PoolHere:
    """Does tasks in this process, the last that was submitted first.

    Args:
        machines: processors of each machine, by its name.
        change: function that changes what a task is asked, as a machine set up otherwise would see it.
        fails: numbers of tasks that are lost for good.
        in_order: whether the first task is done first.
    """

    def __init__(
        self,
        machines: Mapping[str, int] | None = None,
        change: Change = lambda asked: asked,
        fails: tuple[int, ...] = (),
        *,
        in_order: bool = False,
    ) -> None:
        self._machines = {"left": 2, "right": 2} if machines is None else machines
        self._change, self._fails, self._next = change, fails, min if in_order else max
        self._waiting: dict[int, tuple[Task, dict[str, Any]]] = {}
        self.done: list[dict[str, Any]] = []
        self.asked_for: list[tuple[float, float]] = []
        self.closed = False

    def machines(self) -> list[Machine]:
        return [Machine(name, name, cpus, 0) for name, cpus in self._machines.items()]

    def on_each(self, task: Task, asked: Any) -> dict[Machine, TaskEnd]:
        return {machine: TaskEnd(0, task(self._change(dict(asked)))) for machine in self.machines()}

    def submit(self, task: Task, asked: Any, *, cpus: float, gpus: float) -> int:
        number = len(self.asked_for) + 1
        self.asked_for.append((cpus, gpus))
        self._waiting[number] = (task, dict(asked))
        return number

    def ended(self, wait_seconds: float) -> list[TaskEnd]:
        if not wait_seconds or not self._waiting:
            return []
        number = self._next(self._waiting)
        task, asked = self._waiting.pop(number)
        if number in self._fails:
            return [TaskEnd(number, None, "The worker died unexpectedly.")]
        self.done.append(asked)
        return [TaskEnd(number, task(self._change(asked)))]

    def cancel(self, number: int | None = None) -> None:
        for each in [*self._waiting]:
            if number in (None, each):
                del self._waiting[each]

    def close(self) -> None:
        self.closed = True


@contextmanager
def closed_after(pool: PoolHere) -> Iterator[PoolHere]:
    """Check that the pool was left when all is over."""
    yield pool
    assert pool.closed
