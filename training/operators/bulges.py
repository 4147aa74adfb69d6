"""Bulges: fields of displacements that enlarge or shrink places in a picture, and pictures warped by them.

A bulge is local: within an ellipse it scales what lies there about its centre, most in the middle and less
and less towards the edge, where field and slope are 0 (Gustafsson, "Interactive Image Warping", 1993).
Fields of several add up. A field is read backwards: a pixel of the result shows the source at its own place
plus the field there.

Legend of shapes: H x W picture; 2: x and y, in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.operators.planes import Plane
from training.pictures import Picture

Field = Plane
"""How far from each pixel the source is to be read, HW2: x and y, in pixels."""


@dataclass(frozen=True, eq=False)
class Bulge:
    """An ellipse in which a picture is scaled along two axes.

    Attributes:
        centre_2: x and y, in pixels.
        axis_2: Direction of the first axis, of length 1; the second one is at right angles to it.
        radii_2: Radii of the ellipse along both axes, in pixels.
        amounts_2: Along both axes: in the middle things become 1 / (1 - amount) as large. A single bulge
            folds nothing between -1.25 and 1.
    """

    centre_2: NDArray[np.floating]
    axis_2: NDArray[np.floating]
    radii_2: NDArray[np.floating]
    amounts_2: NDArray[np.floating]


def field(bulges: Iterable[Bulge], height: int, width: int) -> Field:
    """Sum of the fields of bulges; 0 wherever none of them reaches."""
    total_HW2 = np.zeros((height, width, 2), np.float32)
    for bulge in bulges:
        reach = float(np.max(bulge.radii_2))
        (x0, y0), (x1, y1) = (np.floor(bulge.centre_2 - reach), np.ceil(bulge.centre_2 + reach) + 1)
        left, right = (int(np.clip(x, 0, width)) for x in (x0, x1))
        top, bottom = (int(np.clip(y, 0, height)) for y in (y0, y1))
        total_HW2[top:bottom, left:right] += _field(bulge, slice(top, bottom), slice(left, right))
    return total_HW2


def _field(bulge: Bulge, rows: slice, columns: slice) -> Field:
    """Field of a bulge at some pixels."""
    y, x = np.mgrid[rows, columns].astype(np.float64)
    axes_22 = np.stack([bulge.axis_2, [-bulge.axis_2[1], bulge.axis_2[0]]])
    along_HW2 = (np.stack([x, y], axis=-1) - bulge.centre_2) @ axes_22.T
    apart_HW1 = np.square(along_HW2 / bulge.radii_2).sum(-1, keepdims=True)
    share_HW1 = np.square(1 - np.minimum(apart_HW1, 1))
    return np.asarray((-share_HW1 * bulge.amounts_2 * along_HW2) @ axes_22, np.float32)


def warp(picture: Picture, field_HW2: Field) -> Picture:
    """RGB picture HW3 warped by a field, read bilinearly as the fused full-size step does; where the field is
    0, the picture itself."""
    height, width = picture.shape[:2]
    x = np.arange(width, dtype=np.float32)[None] + field_HW2[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + field_HW2[..., 1]
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
