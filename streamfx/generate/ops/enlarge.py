"""Enlarge: a picture twice as large each way, by bicubic interpolation: what super-resolution adds to.

Keys, "Cubic Convolution Interpolation for Digital Image Processing" (1981), with a = -3/4, which is what
OpenCV and torch compute, and so what the networks were trained with. Edges are repeated.
"""

# mypy: allow-untyped-defs
# Kernels have no annotations: Numba takes the types of the first call.

from __future__ import annotations

import numba
import numpy as np

from streamfx.engine.golden import Array
from streamfx.hardware.bands import in_bands
from streamfx.media.array_memory import arrays

_kernel = numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz", "arcp"})


def enlarge_twice(planes: Array, threads: int | None = None) -> Array:
    """Return (C, 2h, 2w) planes from (C, h, w) ones, float32.

    Args:
        planes: planes to enlarge, at least one sample each way.
        threads: number of threads that share the rows; None for all cores this process may use.

    Example:
        >>> import numpy as np
        >>> enlarge_twice(np.full((1, 2, 3), 7, np.float32)).shape
        (1, 4, 6)
    """
    channels, height, width = planes.shape
    out: Array = arrays.empty((channels, 2 * height, 2 * width))
    ahead = cubic(0.75)
    behind = ahead[::-1].copy()

    def work(first_row: int, end_row: int) -> None:
        for plane, target in zip(planes, out, strict=True):
            _enlarge_rows(np.ascontiguousarray(plane), target, behind, ahead, first_row, end_row)

    in_bands(work, height, threads)
    return out


def cubic(along: float, a: float = -0.75) -> Array:
    """Return the weights of the four samples around a position, ``along`` of the way from the second to the
    third."""

    def weight(distance: float) -> float:
        if distance <= 1:
            return (a + 2) * distance**3 - (a + 3) * distance**2 + 1
        return a * distance**3 - 5 * a * distance**2 + 8 * a * distance - 4 * a

    return np.array([weight(abs(along - at)) for at in (-1, 0, 1, 2)], np.float32)


@_kernel
def _sum(taps, first, second, third, fourth):
    return taps[0] * first + taps[1] * second + taps[2] * third + taps[3] * fourth


@_kernel
def _enlarge_rows(plane, target, behind, ahead, first_row, end_row):
    """Write the two rows that each of rows first_row..end_row becomes.

    Output row 2y lies a quarter above row y, so between y - 1 and y; row 2y + 1 a quarter below it.
    """
    height, width = plane.shape
    line = np.empty(width + 4, np.float32)
    for y in range(first_row, end_row):
        for half in range(2):
            taps = ahead if half == 0 else behind
            first = y - 2 if half == 0 else y - 1
            rows = plane[min(max(first, 0), height - 1)], plane[min(max(first + 1, 0), height - 1)]
            more = plane[min(first + 2, height - 1)], plane[min(first + 3, height - 1)]
            for x in range(width):
                line[x + 2] = _sum(taps, rows[0][x], rows[1][x], more[0][x], more[1][x])
            line[0] = line[1] = line[2]
            line[width + 2] = line[width + 3] = line[width + 1]
            out = target[2 * y + half]
            for x in range(width):
                out[2 * x] = _sum(ahead, line[x], line[x + 1], line[x + 2], line[x + 3])
                out[2 * x + 1] = _sum(behind, line[x + 1], line[x + 2], line[x + 3], line[x + 4])
