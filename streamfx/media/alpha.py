"""Alpha: how opaque each pixel of a picture is, as a plane of its own."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Alpha: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]


def enlarged_plane(plane: Alpha, size: tuple[int, int]) -> Alpha:
    """Return a plane, of alpha or of samples, at another (height, width), interpolated linearly.

    Example:
        >>> enlarged_plane(np.array([[0, 100]], np.uint8), (1, 4)).tolist()
        [[0, 25, 75, 100]]
    """
    values = plane.astype(np.float32)
    for axis, (length, new) in enumerate(zip(plane.shape, size, strict=True)):
        places = np.clip((np.arange(new) + 0.5) * length / new - 0.5, 0, length - 1)
        below = places.astype(int)
        above = np.minimum(below + 1, length - 1)
        share = (places - below).reshape((-1, 1) if axis == 0 else (1, -1)).astype(np.float32)
        values = values.take(below, axis) * (1 - share) + values.take(above, axis) * share
    rounded = np.rint(values)
    return rounded.astype(np.uint8) if plane.dtype == np.uint8 else rounded.astype(np.uint16)
