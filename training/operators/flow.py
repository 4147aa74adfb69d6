"""Direction of the edges of a picture, and smoothing guided by it.

Sources: structure tensor and smoothing along and across it (Kyprianidis, Doellner, "Image Abstraction by
Structure Adaptive Filtering", 2008).
"""

from __future__ import annotations

import cv2
import numpy as np

from training.operators import kernels
from training.operators.planes import Plane, bell, blur

_COARSE = 5.0  # times as wide, for flat places
_COARSE_SHARE = 0.02
_FLAT = 3e-5  # of the tensor: a little above the noise of a camera
_LIKENESS = np.exp(-np.arange(0, 4.5, 1 / 64)).astype(np.float32)


def edge_direction(rgb: Plane, deviation: float) -> Plane:
    """Unit vectors HW2 (x, y) along the edges of RGB in 0..1, HW3: `edge_flow` without the rest."""
    return edge_flow(rgb, deviation)[0]


def edge_flow(rgb: Plane, deviation: float) -> tuple[Plane, Plane]:
    """Unit vectors HW2 (x, y) along the edges of RGB in 0..1, HW3, and how straight these are, HW in 0..1.

    The eigenvector of the smaller eigenvalue of the structure tensor of all three channels, smoothed over
    `deviation` pixels. Flat places take the direction of edges further off; noise is not straight.
    """
    across = cv2.Scharr(rgb, cv2.CV_32F, 1, 0, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Scharr(rgb, cv2.CV_32F, 0, 1, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    products = ((across * across).sum(-1), (across * down).sum(-1), (down * down).sum(-1))
    tensor = blur(np.stack(products, axis=-1), deviation)
    tensor += np.float32(_COARSE_SHARE) * blur(tensor, _COARSE * deviation)
    xx, xy, yy = np.moveaxis(tensor, -1, 0)
    # Twice the angle of the gradient has cosine (xx - yy) and sine 2 xy, up to the same factor.
    angle = np.float32(0.5) * np.arctan2(2 * xy, xx - yy) + np.float32(np.pi / 2)
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)
    straightness = np.hypot(xx - yy, 2 * xy) / (xx + yy + np.float32(_FLAT))
    return direction, np.asarray(straightness, np.float32)


def along(planes: Plane, direction: Plane, deviation: float) -> Plane:
    """Planes HWC smoothed by a Gaussian along the flow: a line integral in steps of a pixel, both ways."""
    out = np.empty_like(planes)
    kernels.sum_along(np.ascontiguousarray(planes), direction, bell(deviation, round(2 * deviation)), out)
    return out


def even_out(lab: Plane, direction: Plane, deviation: float, unlike: float, times: int) -> Plane:
    """Lab HW3 smoothed `times` over, across the flow and then along it, where colours are alike.

    Args:
        lab: Lightness and chroma.
        direction: Flow HW2.
        deviation: Deviation of the distances that count, in pixels.
        unlike: Deviation of the differences of colour that count.
        times: Number of repetitions.
    """
    closeness = np.float32(64 / (2 * unlike**2))
    likeness = np.append(_LIKENESS, np.float32(0))
    shares = bell(deviation, round(2 * deviation))
    smooth, out = np.ascontiguousarray(lab), np.empty_like(lab)
    for _ in range(times):
        for bent in (False, True):
            kernels.even_out(smooth, direction, shares, likeness, closeness, bent, out)
            smooth, out = out, np.empty_like(lab)
    return smooth
