"""Percentiles in bounded memory, and rates that are unknown until they are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfx.hardware.cpu import usable_cores
from streamfx.pipeline.stats import Stats, Timing


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=200))
def test_percentiles_are_within_two_percent_of_the_exact_ones(seconds: list[float]) -> None:
    timing = Timing()
    for value in seconds:
        timing.add(value)
    times = timing.times()
    assert times.count == len(seconds)
    assert times.max_seconds == max(seconds)
    assert times.mean_seconds == pytest.approx(np.mean(seconds))
    for share, found in ((50, times.p50_seconds), (95, times.p95_seconds), (99, times.p99_seconds)):
        exact = np.percentile(seconds, share, method="inverted_cdf")
        assert found == pytest.approx(exact, rel=0.02)


def test_memory_does_not_grow_with_the_number_of_measurements() -> None:
    timing = Timing()
    for seconds in np.geomspace(1e-9, 1e6, 20_000):
        timing.add(float(seconds))
    assert len(timing._bins) < 1500


def test_nothing_is_known_before_the_first_measurement() -> None:
    stats = Stats()
    stats.start()
    times, speed = Timing().times(), stats.speed(0)
    assert (times.count, times.p50_seconds, times.max_seconds) == (0, None, None)
    assert (speed.fps, speed.cpu_seconds_per_frame, speed.share_of_bound) == (None, None, None)
    assert stats.recent_fps(0) is None


def test_the_share_of_the_bound_is_what_its_definition_says() -> None:
    stats = Stats()
    stats.start()
    sum(number * number for number in range(300_000))
    stats.end()
    speed = stats.speed(12)
    assert speed.cores == usable_cores() >= 1
    assert speed.fps is not None
    assert speed.cpu_seconds_per_frame is not None
    assert speed.fps == pytest.approx(12 / speed.wall_seconds)
    assert speed.share_of_bound == pytest.approx(speed.fps / (speed.cores / speed.cpu_seconds_per_frame))
    assert stats.speed(12) == speed, "the figures of a span that has ended do not change"


def test_stages_are_kept_apart() -> None:
    stats = Stats()
    stats.add("decode", 0.1)
    stats.add("encode", 0.2)
    stats.add("encode", 0.4)
    stages = stats.stages()
    assert {name: times.count for name, times in stages.items()} == {"decode": 1, "encode": 2}
    assert stages["encode"].mean_seconds == pytest.approx(0.3)
