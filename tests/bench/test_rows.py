"""A run cut into rows: each counts its own span, factors are those in force, growth is a slope."""

from __future__ import annotations

import time

import pytest

from streamfx.bench.meter import PictureMeter
from streamfx.bench.rows import IntervalRow, IntervalRows, growth_per_minute, memory_mib
from streamfx.capture.pattern import PatternSource
from streamfx.pipeline.stats import Snapshot

SOURCE = PatternSource("test:bars?size=64x32&frames=0")


def show(meter: PictureMeter, number: int, latency_seconds: float) -> None:
    now = time.monotonic()
    frame = SOURCE.format.frame(SOURCE.planes(number), index=number, pts=number, captured_ns=round(now * 1e9))
    meter.sent(frame)
    meter.seen(frame.planes[0], now + latency_seconds, number)


def snapshot(seconds: float, frames_in: int, dropped: int = 0, factor: float = 2.0) -> Snapshot:
    out = frames_in - dropped
    return Snapshot(frames_in, out, dropped, 0, None, seconds, None, None, {}, {}, factors=(factor, 4.0))


def row(minute: int, p50_ms: float | None = 20.0, seconds: float = 60.0) -> IntervalRow:
    start = 60.0 * minute
    return IntervalRow(start, start + seconds, 1800, 1800, 0, 30.0, p50_ms, None, None, None, 300.0, 2.0)


def test_each_row_counts_its_own_span() -> None:
    meter = PictureMeter()
    rows = IntervalRows(iter((1.0, 2.0, 9.0)), meter)
    show(meter, 0, 0.010)
    rows.look(snapshot(0.9, 27))
    rows.look(snapshot(1.1, 33, 3))
    show(meter, 1, 0.030)
    rows.look(snapshot(2.1, 63, 5, factor=3.0))
    rows.look(snapshot(2.6, 78, 5, factor=3.0))
    found = rows.end()
    assert [(each.from_seconds, each.to_seconds) for each in found] == [(0, 1.1), (1.1, 2.1), (2.1, 2.6)]
    assert [(each.frames_in, each.frames_out, each.dropped) for each in found] == [
        (33, 30, 3), (30, 28, 2), (15, 15, 0)
    ]  # fmt: skip
    assert [each.latency_p50_ms for each in found] == [
        pytest.approx(10, abs=0.2), pytest.approx(30, abs=0.6), None
    ]  # fmt: skip
    assert found[2].fps == 30.0
    assert [each.factor for each in found] == [2.0, 3.0, 3.0]
    assert (found[0].memory_mib or 0) > 10


def test_a_look_that_comes_late_makes_one_row_of_what_went_by() -> None:
    rows = IntervalRows(iter((1.0, 2.0, 3.0)), PictureMeter())
    rows.look(snapshot(2.5, 75))
    rows.look(snapshot(3.1, 93))
    assert [each.frames_in for each in rows.end()] == [75, 18]


def test_growth_is_the_slope_of_whole_rows_after_the_first() -> None:
    rows = [row(0, 900.0), row(1, 20.0), row(2, 23.0), row(3, 26.0), row(4, 500.0, seconds=6.0)]
    assert growth_per_minute(rows, "latency_p50_ms") == pytest.approx(3.0)
    assert growth_per_minute(rows, "memory_mib") == pytest.approx(0.0)
    assert growth_per_minute(rows[:3], "latency_p50_ms") is None
    assert growth_per_minute([row(0), row(1), row(2, None), row(3)], "latency_p50_ms") is None


def test_memory_is_that_of_this_process() -> None:
    before = memory_mib()
    held = bytearray(b"x" * (64 << 20))
    after = memory_mib()
    assert before is not None
    assert after is not None
    assert after - before > 0.8 * len(held) / 2**20
