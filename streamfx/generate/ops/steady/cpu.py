"""The averages of `definition.py` as Numba kernels: the heads are read and written once."""

# mypy: allow-untyped-defs
# Kernels have no annotations: Numba takes the types of the first call.

from __future__ import annotations

import threading
from collections.abc import Sequence

import numba
import numpy as np

from streamfx.engine.golden import Array
from streamfx.generate.ops.steady.definition import SAME_SHOT, Past
from streamfx.hardware.bands import in_bands
from streamfx.media.array_memory import arrays

_kernel = numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"})


def average(
    heads: Array, reduced: Array, past: Sequence[Past], tolerance: float, threads: int | None
) -> Array:
    """Return the averaged heads; arguments checked."""
    agreed = [(_agreement(reduced, before.reduced, tolerance, threads), before.heads) for before in past]
    used = [(agreement, before) for agreement, before in agreed if agreement is not None]
    if not used:
        return heads
    agreements, befores = (tuple(each) for each in zip(*used, strict=True))
    out = arrays.like(heads)
    in_bands(
        lambda first, end: _average_rows(heads, befores, agreements, first, end, out), heads.shape[1], threads
    )
    return out


def _agreement(reduced: Array, before: Array, tolerance: float, threads: int | None) -> Array | None:
    """Return (h, w) in 0..1; None where the pictures are of two shots."""
    height, width = reduced.shape[1:]
    agreement = arrays.empty((height, width))
    agreeing, adding = 0, threading.Lock()

    def work(first_row: int, end_row: int) -> None:
        nonlocal agreeing
        count = _agree_rows(reduced, before, np.float32(tolerance), first_row, end_row, agreement)
        with adding:
            agreeing += count

    in_bands(work, height, threads)
    return agreement if SAME_SHOT * agreeing >= height * width else None


@_kernel
def _change_row(reduced, before, y, line):
    """Write the largest change of the planes in a row to line[1:-1], with the edges repeated."""
    width = reduced.shape[2]
    for x in range(width):
        luma = abs(reduced[0, y, x] - before[0, y, x])
        u = abs(reduced[1, y, x] - before[1, y, x])
        v = abs(reduced[2, y, x] - before[2, y, x])
        line[x + 1] = max(luma, u, v)
    line[0], line[width + 1] = line[1], line[width]


@_kernel
def _agree_rows(reduced, before, tolerance, first_row, end_row, out):
    """Write rows first_row..end_row of the agreement; return how many pixels agree at all."""
    _, height, width = reduced.shape
    lines = np.empty((3, width + 2), np.float32)
    for y in range(first_row - 1, first_row + 1):
        _change_row(reduced, before, max(y, 0), lines[(y + 3) % 3])
    share = np.float32(1) / (np.float32(9) * tolerance)
    agreeing = 0
    for y in range(first_row, end_row):
        _change_row(reduced, before, min(y + 1, height - 1), lines[(y + 1) % 3])
        above, here, below = lines[(y + 2) % 3], lines[y % 3], lines[(y + 1) % 3]
        for x in range(width):
            change = above[x] + above[x + 1] + above[x + 2] + here[x] + here[x + 1] + here[x + 2]
            change += below[x] + below[x + 1] + below[x + 2]
            agreement = max(np.float32(1) - change * share, np.float32(0))
            out[y, x] = agreement
            agreeing += agreement > 0
    return agreeing


@_kernel
def _average_rows(heads, befores, agreements, first_row, end_row, out):
    """Write rows first_row..end_row of the averages."""
    channels, _, width = heads.shape
    share = np.ones((end_row - first_row, width), np.float32)
    for y in range(first_row, end_row):
        for agreement in agreements:
            for x in range(width):
                share[y - first_row, x] += agreement[y, x]
        for x in range(width):
            share[y - first_row, x] = 1 / share[y - first_row, x]
    for channel in range(channels):
        for y in range(first_row, end_row):
            line = out[channel, y]
            line[:] = heads[channel, y]
            for at in range(len(befores)):
                before, agreement = befores[at][channel, y], agreements[at][y]
                for x in range(width):
                    line[x] += agreement[x] * before[x]
            for x in range(width):
                line[x] *= share[y - first_row, x]
