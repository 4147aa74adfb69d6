"""Rows shared among threads: each row once, and no failure lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from streamfx.hardware.bands import in_bands


@pytest.mark.parametrize("rows", [1, 15, 16, 33, 1080])
@pytest.mark.parametrize("threads", [1, 2, 5, None])
def test_bands_cover_every_row_once(rows: int, threads: int | None) -> None:
    bands: list[tuple[int, int]] = []
    in_bands(lambda first, end: bands.append((first, end)), rows, threads)
    assert sorted(row for first, end in bands for row in range(first, end)) == list(range(rows))


def test_one_thread_means_the_calling_thread() -> None:
    names: list[str] = []
    in_bands(lambda first, end: names.append(threading.current_thread().name), 1080, threads=1)
    assert names == [threading.current_thread().name]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_failure_in_any_band_is_raised_in_the_calling_thread(threads: int) -> None:
    def fail_at_the_top(first: int, end: int) -> None:
        if first == 0:
            raise ValueError("band 0")

    with pytest.raises(ValueError, match="band 0"):
        in_bands(fail_at_the_top, 1080, threads)


def test_many_callers_at_once_do_not_wait_for_each_other_for_ever() -> None:
    counts: list[int] = []

    def count(first: int, end: int) -> None:
        counts.append(end - first)

    with ThreadPoolExecutor(8) as callers:
        for _ in range(40):
            callers.submit(in_bands, count, 100, 4)
    assert sum(counts) == 40 * 100
