"""Bands: rows of an array shared among threads, for kernels that release the interpreter lock.

Numba's own ``prange`` is not used: its portable threading layer aborts the process when two threads enter it
at once, as the threads of two pipelines do. Kernels that release the interpreter lock, one call per band,
have no such limit.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

from streamfx.hardware.cpu import usable_cores

BANDS_PER_THREAD = 2  # some slack for a thread that is interrupted; more costs set-up time per band
SMALLEST_BAND_ROWS = 16


@cache
def available_threads() -> int:
    """Return the number of processors this process can keep busy, as found on the first call."""
    return usable_cores()


def in_bands(work: Callable[[int, int], None], rows: int, threads: int | None = None) -> None:
    """Call ``work(first_row, end_row)`` for bands that cover 0..rows, on up to ``threads`` threads, and wait.

    The calling thread works too. An exception of ``work`` is raised here once all bands have ended.

    Args:
        work: function of a band; it must release the interpreter lock to gain anything, and must not write
            outside its rows.
        rows: number of rows to cover.
        threads: None for as many as there are cores.
    """
    wanted = available_threads() if threads is None else threads
    bands = min(wanted * BANDS_PER_THREAD, rows // SMALLEST_BAND_ROWS) if wanted > 1 else 1
    if bands <= 1:
        work(0, rows)
        return
    edges = [rows * band // bands for band in range(bands + 1)]
    pending = list(pairwise(edges))

    def take() -> None:
        while True:
            try:
                first, end = pending.pop()  # atomic: each band goes to one thread
            except IndexError:
                return
            work(first, end)

    others = [_pool().submit(take) for _ in range(min(wanted, bands) - 1)]
    try:
        take()
    finally:
        for other in others:
            other.cancel()  # not begun: all bands are already taken, nothing to wait for
        failures = [other.exception() for other in others if not other.cancelled()]
    for failure in failures:
        if failure is not None:
            raise failure


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=max(1, available_threads() - 1), thread_name_prefix="streamfx-rows")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its parent's threads
