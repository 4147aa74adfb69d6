"""Turns: every case in a process of its own, measured in rounds, so that what disturbs one disturbs all."""

from __future__ import annotations

import math
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from streamfx.backends.registry import libraries
from streamfx.backends.store import CompiledStore
from streamfx.bench.cases import cases_of
from streamfx.bench.environment import Surroundings
from streamfx.bench.level import Setup
from streamfx.bench.result import BenchConfig, BenchResult, Case, Failed, Row
from streamfx.bench.runner import Runner
from streamfx.bench.worker import Answer, Failure, Ready
from streamfx.hardware.cpu import available_memory_bytes
from streamfx.hardware.software import versions
from streamfx.run.placement import settle_device

AT_ONCE = 8
"""Most cases that take turns with one another: each holds its engine and its pictures in memory."""

_MEMORY_FOR_ANOTHER = 4  # times what the largest case has held so far: the next may have larger pictures
_SETTLE_SECONDS = 0.05  # threads go on spinning for a while after their work is done

Told: TypeAlias = Callable[[str], None]


def measure(config: BenchConfig, told: Told = lambda _: None) -> BenchResult:
    """Return what was measured; a case that fails is in it with its reason. A Ctrl-C ends it early.

    Args:
        config: cases to measure, and how.
        told: callback that is called with a line now and then: what is done next.

    Raises:
        ConfigError: an effect or backend is not known.
        BackendUnavailableError: a GPU was asked for and is not there.
        EngineNotFoundError, EngineCorruptError: see `streamfx.engine.library.load_engine`.
    """
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    cases = cases_of(config)
    device = settle_device(config.device)  # before meters are opened: they look at the GPU there is then
    found = _Found()
    around = Surroundings()
    with closing(around), tempfile.TemporaryDirectory(prefix="streamfx-bench-") as folder:
        setups = [
            Setup(case, config.threads, math.ceil(config.frames / config.rounds), config.clip, config.encoder,
                  Path(folder), device)
            for case in cases
        ]  # fmt: skip
        stopped = False
        try:
            waiting = deque(setups)
            while waiting:
                _measure_together(waiting, config, found, around, told)
        except KeyboardInterrupt:
            stopped = True
        return BenchResult(
            measured_at=measured_at,
            device=around.device(),
            versions=versions(libraries()),
            config=config,
            includes=found.includes,
            notes=around.notes,
            rows=tuple(found.rows[case] for case in cases if case in found.rows),
            failed=tuple(
                Failed(case=case, reason=found.failed[case]) for case in cases if case in found.failed
            ),
            stopped=stopped,
        )


@dataclass(slots=True)
class _Found:
    """What is known so far."""

    rows: dict[Case, Row] = field(default_factory=dict)
    failed: dict[Case, str] = field(default_factory=dict)
    includes: dict[str, str] = field(default_factory=dict)
    most_bytes: int = 0  # that a case has held

    def take(self, case: Case, answer: Answer) -> bool:
        """Take what a case answers; return whether it can go on."""
        if isinstance(answer, Failure):
            self.failed[case] = answer.reason
            self.rows.pop(case, None)
            return False
        self.most_bytes = max(self.most_bytes, answer.peak_memory_bytes or 0)
        if isinstance(answer, Ready):
            same = self.includes.setdefault(case.level, answer.includes) == answer.includes
            if not same:  # frames are elsewhere, and so the level means another thing
                self.includes[f"{case.level}, frames on {answer.ran.frames}"] = answer.includes
        return True


def _measure_together(
    waiting: deque[Setup], config: BenchConfig, found: _Found, around: Surroundings, told: Told
) -> None:
    """Open some of the cases one after the other, give each a turn in every round, and close them again."""
    with ExitStack() as opened:
        runners: list[Runner] = []
        while waiting and (not runners or (len(runners) < AT_ONCE and _has_room(found.most_bytes))):
            setup = waiting.popleft()
            told(f"opening {setup.case}, {len(waiting)} to come")
            runner, answer = _open(setup, config, opened)
            if isinstance(answer, Failure) and answer.lacks_device_memory and runners:
                waiting.appendleft(setup)  # once those that are open have given theirs back
                break
            if found.take(runner.case, answer):
                runners.append(runner)
        for number in range(1, config.rounds + 1 if runners else 1):
            told(f"round {number} of {config.rounds}")
            for runner in list(runners):
                time.sleep(_SETTLE_SECONDS)
                if found.take(runner.case, runner.turn(around)):
                    found.rows[runner.case] = runner.row()
                else:
                    runners.remove(runner)


def _open(setup: Setup, config: BenchConfig, opened: ExitStack) -> tuple[Runner, Answer]:
    """Return a case whose process has opened it, and its answer.

    At its first use an engine is compiled, which takes memory that no later use does: what is measured is a
    process that finds it compiled.
    """
    store = CompiledStore()
    before = store.entries()
    runner = Runner(setup, config)
    opened.callback(runner.close)
    answer = runner.open()
    if isinstance(answer, Failure) or store.entries() == before:
        return runner, answer
    runner.close()
    again = Runner(setup, config)
    opened.callback(again.close)
    return again, again.open()


def _has_room(most_bytes: int) -> bool:
    available_bytes = available_memory_bytes()
    return available_bytes is None or available_bytes > _MEMORY_FOR_ANOTHER * most_bytes
