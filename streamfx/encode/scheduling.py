"""Scheduling: libraries that ask the system for more than their share do not get it.

SVT-AV1 puts itself, and the thread that opens it, ahead of every other program of the machine (SCHED_FIFO at
priority 99) whenever it may, as it may for root in a container; processes started later inherit that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def ordinary_scheduling() -> Iterator[None]:
    """Give the calling thread, and threads that begin inside, the policy back that it had before."""
    if not hasattr(os, "sched_getscheduler") or not _THREADS.is_dir():
        yield  # no Linux: there is nothing to give back
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    before = {thread: found for thread in _threads() if (found := _policy(thread)) is not None}
    try:
        yield
    finally:
        for thread in _threads():
            if _policy(thread) not in (None, before.get(thread, policy)):
                with suppress(OSError):  # it has ended meanwhile
                    os.sched_setscheduler(thread, before.get(thread, policy), parameters)


def _threads() -> list[int]:
    return [int(entry.name) for entry in _THREADS.iterdir()]


def _policy(thread: int) -> int | None:
    """Return how a thread is scheduled, None if it has ended."""
    try:
        return os.sched_getscheduler(thread)
    except OSError:
        return None
