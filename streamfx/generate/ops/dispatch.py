"""Dispatch: which implementation of an operation runs, by where the pixels are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from streamfx.gpu.layout import arrays_of
from streamfx.media.surface import Surface

if TYPE_CHECKING:
    from torch import Tensor


def by_processor(pixels: Surface | Tensor) -> bool:
    """Return whether the kernels for the CPU do it."""
    return pixels.device.type == "cpu"


def planes_of(surface: Surface) -> Any:
    """Return Y, U, V in main memory with values in the low bits: views where they lie that way."""
    luma, *chroma = arrays_of(surface)
    if surface.paired:
        chroma = [np.ascontiguousarray(chroma[0][..., index]) for index in range(2)]
    planes = (luma, *chroma)
    return tuple(plane >> surface.unused_bits for plane in planes) if surface.unused_bits else planes
