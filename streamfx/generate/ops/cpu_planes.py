"""CPU planes: planes as flat views, which the kernels for processors share.

A flat view is of one type whatever the padding, so each kernel is compiled once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def flat_view(plane: NDArray[Any], writeable: bool = False) -> tuple[NDArray[Any], int]:
    """Return the memory of a plane from first to last sample as one row, and its row stride in samples.

    Sample (y, x) is at ``y * stride + x``. No copy is made, except where rows do not lie whole samples apart.

    Args:
        plane: 2-D, samples contiguous in a row, rows padded or not.
        writeable: whether the view may be written to; the plane must allow it.
    """
    if plane.strides[0] % plane.itemsize or plane.strides[0] < plane.shape[1] * plane.itemsize:
        plane = np.ascontiguousarray(plane)
    height, width = plane.shape
    stride = plane.strides[0] // plane.itemsize
    length = (height - 1) * stride + width
    view = np.lib.stride_tricks.as_strided(plane, (length,), (plane.itemsize,), writeable=writeable)
    return view, stride
