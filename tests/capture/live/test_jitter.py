"""Bursts are evened out, what comes in time does not wait, and waiting becomes shorter again."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streamfx.capture.live.jitter import JitterBuffer

STEP = 0.04


def handed_out(arrivals: list[float], most_seconds: float = 0.5) -> list[float]:
    """Return when pictures that come at such times, and are ``STEP`` apart, are handed out."""
    buffer, last, out = JitterBuffer(most_seconds), 0.0, []
    for number, arrived in enumerate(arrivals):
        last = max(last, arrived + buffer.wait_seconds(number * STEP, arrived))
        out.append(last)
    return out


def bursts(size: int, count: int) -> list[float]:
    """Return arrivals of pictures that come several at a time, when the last of them is made."""
    return [100 + (number // size + 1) * size * STEP for number in range(count)]


@pytest.mark.parametrize("size", [2, 5, 7, 12])
def test_bursts_come_out_evenly(size: int) -> None:
    out = handed_out(bursts(size, 200))
    assert all(late - early > 0.9 * STEP for early, late in pairwise(out))
    assert out[-1] - bursts(size, 200)[-1] <= 0.5


def test_pictures_that_come_in_time_do_not_wait() -> None:
    buffer = JitterBuffer(0.5)
    waits = [
        buffer.wait_seconds(number * STEP, 50 + number * STEP + number % 2 * 0.002) for number in range(200)
    ]
    assert waits == [0.0] * 200


def test_a_hiccup_loses_nothing_and_is_forgotten_slowly() -> None:
    arrivals = [100 + number * STEP for number in range(600)]
    for number in range(50, 58):
        arrivals[number] = arrivals[57]  # held up on their way
    out = handed_out(arrivals)
    assert all(late - early > 0.85 * STEP for early, late in pairwise(out[50:]))
    waits = [late - early for early, late in zip(arrivals, out, strict=True)]
    assert max(waits) <= 0.3
    assert waits[-1] == 0


def test_what_comes_too_late_to_be_evened_out_is_not_waited_with() -> None:
    arrivals = [100 + number * STEP for number in range(100)]
    for number in range(50, 90):
        arrivals[number] = arrivals[89]  # more than a second
    waits = [late - early for early, late in zip(arrivals, handed_out(arrivals), strict=True)]
    assert waits[50:75] == [0.0] * 25
    assert max(waits) <= 0.5


def test_another_connection_begins_anew() -> None:
    buffer = JitterBuffer(0.5)
    for number in range(20):
        buffer.wait_seconds(number * STEP, 100 + number // 5 * 5 * STEP)
    buffer.reset()
    assert buffer.wait_seconds(20 * STEP, 300.0) == 0
    assert buffer.wait_seconds(21 * STEP, 300.0 + STEP) == 0


def test_without_a_time_to_wait_nothing_waits() -> None:
    assert handed_out(bursts(5, 50), most_seconds=0) == bursts(5, 50)
