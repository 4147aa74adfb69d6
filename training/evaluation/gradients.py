"""Gradients: how strong the edges of a picture are, and whether they are where another's are.

Legend of shapes: H x W picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.pictures import Picture

Real = NDArray[np.float32]

_STRETCHES = 6
_MOST_CONTRAST = 50.0

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def luma(picture: Picture) -> Real:
    """Luma HW of an RGB picture HW3, in code values."""
    return np.asarray(picture.astype(np.float32) @ _LUMA, np.float32)


def magnitudes(picture: Picture) -> Real:
    """Length of the gradient of the luma, HW, in code values a pixel, by central differences."""
    down, along = np.gradient(luma(picture))
    return np.asarray(np.hypot(down, along), np.float32)


def gradient_energy(picture: Picture) -> float:
    """Mean squared step between neighbouring pixels of the luma, in squared code values."""
    values = luma(picture)
    return float(np.square(np.diff(values, axis=0)).mean() + np.square(np.diff(values, axis=1)).mean())


def stretched(picture: Picture, energy: float) -> Picture:
    """The picture with contrast around middle grey changed until its gradient energy is `energy`, or as near
    as clipping lets it come."""
    away = picture.astype(np.float32) - 128
    contrast, found = 1.0, picture
    for _ in range(_STRETCHES):
        contrast *= min(float(np.sqrt(energy / max(gradient_energy(found), 1e-6))), _MOST_CONTRAST / contrast)
        found = np.asarray((128 + np.float32(contrast) * away).clip(0, 255).round(), np.uint8)
    return found


def edge_correlation(picture: Picture, source: Picture) -> float:
    """Pearson's correlation of the lengths of the gradients of two pictures; 0 where one has none."""
    one, other = (values - values.mean() for values in (magnitudes(picture), magnitudes(source)))
    spread = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    return float((one * other).sum()) / spread if spread > 0 else 0.0
