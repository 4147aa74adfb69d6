"""What a network reads and what its last convolution gives, in the layout that OpenVINO computes in.

Legend of shapes: N channels that the network sees, of h x w pixels; K heads; B blocks of 4 channels, the last
one filled up with zeros; m pixels of border.
"""

# mypy: allow-untyped-defs
# Kernels have no annotations: Numba takes the types of the first call.

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from streamfx.engine.golden import Array
from streamfx.hardware.bands import in_bands
from streamfx.media.array_memory import arrays

_kernel = numba.njit(cache=True, nogil=True)


def packed(seen_Nhw: Array, margin: int, threads: int | None) -> NDArray[np.uint16]:
    """Return what is seen as (h + 2 m, w + 2 m, 4 B) of bfloat16, as its bits, with the edge repeated."""
    channels, height, width = seen_Nhw.shape
    blocks = -(-channels // 4)
    out = arrays.empty((height + 2 * margin, width + 2 * margin, blocks), np.uint64)
    bits = np.ascontiguousarray(seen_Nhw, np.float32).view(np.uint32)
    in_bands(lambda first, end: _pack_rows(bits, margin, first, end, out), height, threads)
    return out.view(np.uint16)


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


@_kernel
def _pack_rows(bits, margin, first_row, end_row, out):
    """Write the rows first_row..end_row of the picture, and the border that is next to them."""
    channels, height, width = bits.shape
    lines = np.zeros((4, width), np.uint16)
    for y in range(first_row, end_row):
        line = out[margin + y]
        for block in range(out.shape[2]):
            for place in range(4):
                channel = 4 * block + place
                if channel < channels:
                    _round_row(bits[channel, y], lines[place])
                else:
                    lines[place, :] = 0
            first, second, third, fourth = lines[0], lines[1], lines[2], lines[3]
            for x in range(width):  # as one word: single stores of so little are what takes the time
                low = np.uint64(first[x]) | np.uint64(second[x]) << np.uint64(16)
                high = np.uint64(third[x]) | np.uint64(fourth[x]) << np.uint64(16)
                line[margin + x, block] = low | high << np.uint64(32)
            for x in range(margin):
                line[x, block] = line[margin, block]
                line[margin + width + x, block] = line[margin + width - 1, block]
    for y in range(margin):
        if first_row == 0:
            out[y] = out[margin]
        if end_row == height:
            out[margin + height + y] = out[margin + height - 1]


@_kernel
def _round_row(bits, out):
    """Write float32 values, as bits, rounded to bfloat16: to the nearest, and to the even one of two."""
    for x in range(bits.shape[0]):
        value = bits[x]
        odd = (value >> np.uint32(16)) & np.uint32(1)
        out[x] = np.uint16((value + np.uint32(0x7FFF) + odd) >> np.uint32(16))
