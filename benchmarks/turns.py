"""Timing that survives a busy machine: all are warmed up and take turns: what disturbs one disturbs all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Threads of OpenMP go on spinning for a while after their work is done, at the cost of whoever comes next.
SETTLE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one candidate took, over all its rounds.

    Attributes:
        median_ms: wall time.
        fastest_ms: wall time.
        cpu_median_ms: processor time of all threads; waiting for a busy machine does not count.
        rounds: number of times that it was measured.
    """

    median_ms: float
    fastest_ms: float
    cpu_median_ms: float
    rounds: int


def take_turns(
    candidates: Mapping[str, Callable[[], Any]], rounds: int, limit_seconds: float = 5.0
) -> dict[str, Timing]:
    """Return the timing of each candidate.

    Args:
        candidates: functions to call, by name; called twice before it counts.
        rounds: number of times that each is measured.
        limit_seconds: a candidate that has used up this much sits out the remaining rounds, but has three.
    """
    for candidate in candidates.values():
        candidate()
        candidate()
    walls: dict[str, list[float]] = {name: [] for name in candidates}
    cpus: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            if len(walls[name]) >= 3 and sum(walls[name]) > limit_seconds:
                continue
            time.sleep(SETTLE_SECONDS)
            candidate()  # the one before has filled the caches with what is its own
            cpu_seconds, wall_seconds = time.process_time(), time.perf_counter()
            candidate()
            walls[name].append(time.perf_counter() - wall_seconds)
            cpus[name].append(time.process_time() - cpu_seconds)
    return {
        name: Timing(
            round(statistics.median(walls[name]) * 1e3, 3),
            round(min(walls[name]) * 1e3, 3),
            round(statistics.median(cpus[name]) * 1e3, 3),
            len(walls[name]),
        )
        for name in candidates
    }
