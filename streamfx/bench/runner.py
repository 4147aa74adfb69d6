"""Runner: the side of a case's process that tells it when its turn is, and makes a row of what it says."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Sequence

from streamfx.bench.environment import MeterReadings, Surroundings
from streamfx.bench.level import FRAME, Setup
from streamfx.bench.result import BenchConfig, Case, Row
from streamfx.bench.worker import Answer, Failure, Ready, Turn, work
from streamfx.media.stage import EFFECT_STAGES, Stage

ENOUGH_FOR_P95, ENOUGH_FOR_P99 = 20, 100
_LEAST_TURN_SECONDS = 0.25
_CLOSE_SECONDS = 5.0
_PARTS = (Stage.DECODE, *EFFECT_STAGES, Stage.ON_DEVICE, Stage.ENCODE)


class Runner:
    """A case, the process that measures it, and what it has said so far.

    Args:
        setup: setup of the case.
        config: settings, which say how long a turn is.
    """

    def __init__(self, setup: Setup, config: BenchConfig) -> None:
        self.case, self._config = setup.case, config
        # Spawned, not forked: libraries with threads of their own do not survive a fork.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, setup), daemon=True, name=f"{setup.case}")
        self._theirs = theirs
        self._ready: Ready | None = None
        self._turns: list[Turn] = []
        self._looks: list[tuple[MeterReadings, MeterReadings]] = []

    @property
    def process_id(self) -> int | None:
        """Number of the process; None before it was started."""
        return self._process.pid

    def open(self) -> Answer:
        """Start the process and return its first answer."""
        self._process.start()
        self._theirs.close()  # so that its end is noticed
        answer = self._answer()
        if isinstance(answer, Ready):
            self._ready = answer
        return answer

    def turn(self, around: Surroundings) -> Answer:
        """Have it measure for one turn, while meters run, and return its answer."""
        before = around.look()
        try:
            self._connection.send(self._frames())
        except OSError:
            return self._ended()
        answer = self._answer()
        if isinstance(answer, Turn):
            self._turns.append(answer)
            self._looks.append((before, around.look()))
        return answer

    def row(self) -> Row:
        """Return the figures so far, after at least one turn."""
        assert self._ready is not None
        return row_of(self.case, self._ready, self._turns, self._looks)

    def close(self) -> None:
        """End the process, kindly where it is waiting to be told what to do. May be called twice."""
        if self._connection.closed or self._process.pid is None:
            return
        self._connection.close()
        self._process.join(_CLOSE_SECONDS if self._ready is not None else 0.1)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _frames(self) -> int:
        """Return how many frames its next turn has."""
        assert self._ready is not None
        config, ready = self._config, self._ready
        wanted = max(config.frames / config.rounds, _LEAST_TURN_SECONDS / ready.frame_seconds)
        allowed = config.seconds / config.rounds / ready.frame_seconds
        return max(1, min(math.ceil(wanted), math.floor(allowed), ready.most_frames or math.ceil(wanted)))

    def _answer(self) -> Answer:
        try:
            answer: Answer = self._connection.recv()
        except (EOFError, OSError):
            return self._ended()
        return answer

    def _ended(self) -> Failure:
        self._process.join()
        code = self._process.exitcode
        why = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        return Failure(f"its process {why}, perhaps for lack of memory")


def row_of(
    case: Case, ready: Ready, turns: Sequence[Turn], looks: Sequence[tuple[MeterReadings, MeterReadings]]
) -> Row:
    """Return the figures of a case.

    Args:
        case: case as it was asked for.
        ready: answer of its process when it was ready.
        turns: answers of its process after each turn; at least one.
        looks: meters and clocks, read before and after each turn.
    """
    last, frames = turns[-1], sum(turn.frames for turn in turns)
    times = last.stages[FRAME]
    return Row(
        case=case,
        ran=ready.ran,
        fps=frames / sum(turn.seconds for turn in turns),
        p50_ms=_ms(times.p50_seconds),
        p95_ms=_ms(times.p95_seconds) if times.count >= ENOUGH_FOR_P95 else None,
        p99_ms=_ms(times.p99_seconds) if times.count >= ENOUGH_FOR_P99 else None,
        max_ms=_ms(times.max_seconds),
        turns_fps=tuple(turn.frames / turn.seconds for turn in turns),
        frames=frames,
        warm_up_frames=ready.warm_up_frames,
        peak_memory_mib=_mib(last.peak_memory_bytes),
        device_memory_mib=_mib(last.device_memory_bytes),
        taken_by_others=taken_by_others(looks, sum(turn.cpu_seconds for turn in turns)),
        power_watts=watts(looks),
        parts_p50_ms={name: _ms(last.stages[name].p50_seconds) for name in _PARTS if name in last.stages},
    )


def watts(looks: Sequence[tuple[MeterReadings, MeterReadings]]) -> dict[str, float]:
    """Return the mean power by meter, of those that could be read all the time."""
    seconds = sum(after.at_seconds - before.at_seconds for before, after in looks)
    meters = set.intersection(*(set(look.joules) for pair in looks for look in pair))
    return {
        meter: sum(after.joules[meter] - before.joules[meter] for before, after in looks) / seconds
        for meter in sorted(meters)
    }


def taken_by_others(looks: Sequence[tuple[MeterReadings, MeterReadings]], cpu_seconds: float) -> float | None:
    """Return the share of the processors, 0..1, that other programs took during the turns."""
    spans = [
        (after.at_seconds - before.at_seconds, after.busy_seconds - before.busy_seconds)
        for before, after in looks
        if before.busy_seconds is not None and after.busy_seconds is not None
    ]
    if not spans:
        return None
    seconds, busy_seconds = map(sum, zip(*spans, strict=True))
    share = (busy_seconds - cpu_seconds) / (seconds * (os.cpu_count() or 1))
    return min(max(share, 0.0), 1.0)


def _ms(seconds: float | None) -> float:
    assert seconds is not None  # there was at least one measurement
    return seconds * 1e3


def _mib(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else size_bytes / 2**20
