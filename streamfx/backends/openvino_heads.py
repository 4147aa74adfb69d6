"""Heads from what the last convolution of a network gives: its bias and the pixel shuffle, in one pass."""

# mypy: allow-untyped-defs
# Kernels have no annotations: Numba takes the types of the first call.

from __future__ import annotations

import numba
import numpy as np

from streamfx.engine.golden import Array
from streamfx.hardware.bands import in_bands
from streamfx.media.array_memory import arrays

_kernel = numba.njit(cache=True, nogil=True)


def shuffled(values_hwC: Array, bias_C: Array, threads: int | None) -> Array:
    """Return the heads (K, 2 h, 2 w): a pixel of 4 K channels and the bias become a square of K channels."""
    rows, columns, channels = values_hwC.shape
    heads = arrays.empty((channels // 4, 2 * rows, 2 * columns), np.float32)
    in_bands(lambda first, end: _shuffle_rows(values_hwC, bias_C, first, end, heads), rows, threads)
    return heads


@_kernel
def _shuffle_rows(values, bias, first_row, end_row, heads):
    """Write the rows of the heads that rows first_row..end_row become."""
    width = values.shape[1]
    for y in range(first_row, end_row):
        line = values[y]
        for head in range(len(heads)):
            for below in range(2):
                channel = 4 * head + 2 * below
                left, right, out = bias[channel], bias[channel + 1], heads[head, 2 * y + below]
                for x in range(width):
                    out[2 * x] = line[x, channel] + left
                    out[2 * x + 1] = line[x, channel + 1] + right
