"""How alike two masks are: of what they cover, and of where their borders lie."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.float32]

_HALF = 0.5


def overlap(mask_HW: Mask, other_HW: Mask) -> float:
    """Intersection over union of what is at least half covered; 1 where neither covers anything."""
    one, other = mask_HW >= _HALF, other_HW >= _HALF
    union = np.count_nonzero(one | other)
    return 1.0 if union == 0 else np.count_nonzero(one & other) / union


def border_score(mask_HW: Mask, other_HW: Mask, pixels: float) -> float:
    """Boundary F-score: harmonic mean of the shares of each border that lie within so many pixels of the
    other; 1 where there are no borders, 0 where only one mask has some.

    After Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation"
    (2016).
    """
    one, other = _border(mask_HW), _border(other_HW)
    if not one.any() or not other.any():
        return float(one.any() == other.any())
    precision, recall = _near(one, other, pixels), _near(other, one, pixels)
    return 2 * precision * recall / max(precision + recall, 1e-9)


def _border(mask_HW: Mask) -> NDArray[np.bool_]:
    """Pixels that are at least half covered and have a neighbour that is not; the edge of the picture is
    none."""
    inside = (mask_HW >= _HALF).astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    return np.asarray(inside > cv2.erode(inside, kernel, borderType=cv2.BORDER_REPLICATE), np.bool_)


def _near(border_HW: NDArray[np.bool_], other_HW: NDArray[np.bool_], pixels: float) -> float:
    """Share of one border that lies within so many pixels of the other."""
    away_HW = cv2.distanceTransform((~other_HW).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((away_HW[border_HW] <= pixels).mean())
