"""Pool: what is asked of a cluster, whatever it is made of; and the refusal where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol


class Machine(NamedTuple):
    """A machine of the cluster.

    Attributes:
        key: identity in the cluster.
        name: name or address, for messages.
        cpus: processors that it gives.
        gpus: GPUs that it gives.
    """

    key: str
    name: str
    cpus: float
    gpus: float


class TaskEnd(NamedTuple):
    """What became of a task: its number, and what it returned, or why it returned nothing."""

    number: int
    returned: Any
    problem: str | None = None


Task = Callable[[Any], Any]
"""A function at the top of a module of ours, which each worker imports; it takes and returns plain data."""


class Pool(Protocol):
    """Workers that do tasks, each task on some machine with room for it, and again where a worker is lost."""

    def machines(self) -> list[Machine]:
        """Return the machines that are there now."""

    def on_each(self, task: Task, asked: object) -> dict[Machine, TaskEnd]:
        """Have a task done on each machine, whatever else it does."""

    def submit(self, task: Task, asked: object, *, cpus: float, gpus: float) -> int:
        """Have a task done where there is room for it; return its number."""

    def ended(self, wait_seconds: float) -> list[TaskEnd]:
        """Return the tasks that have ended since the last call; wait so long for the first."""

    def cancel(self, number: int | None = None) -> None:
        """Give up a task, or all."""

    def close(self) -> None:
        """Give up what is not done, and leave the cluster. Safe to call twice."""
