"""Rows: a live run cut into spans, so that what grows over time shows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamfx.bench.meter import PictureMeter
from streamfx.pipeline.stats import Snapshot


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """One span of a run; None for what is not known.

    Attributes:
        from_seconds: beginning, in the time of the run.
        to_seconds: end, in the time of the run.
        frames_in: frames that came.
        frames_out: frames the sink took.
        dropped: frames given up.
        fps: frames out per second.
        latency_p50_ms: latency (p50) from captured to seen at the far end, read from the pictures.
        latency_p95_ms: 95th percentile of it.
        latency_p99_ms: 99th percentile.
        latency_max_ms: largest latency.
        memory_mib: resident memory of the process at the end of the span.
        factor: factor of the first effect, at the end of the span; None without an effect.
    """

    from_seconds: float
    to_seconds: float
    frames_in: int
    frames_out: int
    dropped: int
    fps: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    latency_max_ms: float | None
    memory_mib: float | None
    factor: float | None


class IntervalRows:
    """Cuts a run into rows while it goes on.

    Args:
        cuts_seconds: times at which to cut, in the time of the run, ascending.
        meter: meter of the far end.
    """

    def __init__(self, cuts_seconds: Iterator[float], meter: PictureMeter) -> None:
        self._rows: list[IntervalRow] = []
        self._cuts, self._meter = cuts_seconds, meter
        self._next = next(cuts_seconds, float("inf"))
        self._before = _Counts()
        self._now = _Counts()

    def look(self, snapshot: Snapshot) -> None:
        """Take the state of the run; cut where it is time to."""
        self._now = _Counts(
            snapshot.elapsed_seconds,
            snapshot.frames_in,
            snapshot.frames_out,
            snapshot.frames_dropped,
            snapshot.factors[0] if snapshot.factors else None,
        )
        if self._now.seconds >= self._next:
            self._cut()
            while self._next <= self._now.seconds:
                self._next = next(self._cuts, float("inf"))

    def end(self) -> tuple[IntervalRow, ...]:
        """Return all rows; the last ends with the run."""
        if self._now.frames_in > self._before.frames_in:
            self._cut()
        return tuple(self._rows)

    def _cut(self) -> None:
        before, now, latency = self._before, self._now, self._meter.span()
        frames_out = now.frames_out - before.frames_out
        self._rows.append(
            IntervalRow(
                from_seconds=round(before.seconds, 2),
                to_seconds=round(now.seconds, 2),
                frames_in=now.frames_in - before.frames_in,
                frames_out=frames_out,
                dropped=now.dropped - before.dropped,
                fps=round(frames_out / max(now.seconds - before.seconds, 1e-3), 2),
                latency_p50_ms=_ms(latency.p50_seconds),
                latency_p95_ms=_ms(latency.p95_seconds),
                latency_p99_ms=_ms(latency.p99_seconds),
                latency_max_ms=_ms(latency.max_seconds),
                memory_mib=memory_mib(),
                factor=now.factor,
            )
        )
        self._before = now


@dataclass(frozen=True, slots=True)
class _Counts:
    """Counters of a run at one moment."""

    seconds: float = 0.0
    frames_in: int = 0
    frames_out: int = 0
    dropped: int = 0
    factor: float | None = None


def growth_per_minute(rows: Sequence[IntervalRow], of: str) -> float | None:
    """Return by how much a figure grows per minute, by least squares; None of fewer than four rows.

    The first row is left out: caches fill and memory is taken then. So is a last one that is shorter.
    """
    whole = [row for row in rows[1:] if row.to_seconds - row.from_seconds >= 0.9 * _usual_seconds(rows)]
    points = [((row.from_seconds + row.to_seconds) / 120, getattr(row, of)) for row in whole]
    if len(points) < 3 or any(value is None for _, value in points):
        return None
    minutes = sum(minute for minute, _ in points) / len(points)
    figure = sum(value for _, value in points) / len(points)
    slope = sum((minute - minutes) * (value - figure) for minute, value in points)
    return float(slope / sum((minute - minutes) ** 2 for minute, _ in points))


def memory_mib() -> float | None:
    """Return the resident memory of this process in MiB; None where the system does not show it."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def _usual_seconds(rows: Sequence[IntervalRow]) -> float:
    return rows[0].to_seconds - rows[0].from_seconds


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 2)
