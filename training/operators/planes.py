"""Small steps that the operators share: conversions, blurs and soft thresholds of planes."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from training.pictures import Picture

Plane: TypeAlias = NDArray[np.float32]


def to_rgb(picture: Picture) -> Plane:
    """Picture HW3 of 8 bits in 0..1."""
    return np.ascontiguousarray(picture, np.uint8).astype(np.float32) / np.float32(255)


def to_picture(rgb: Plane) -> Picture:
    """Picture HW3 of 8 bits of one in 0..1; what lies outside is clipped."""
    return np.asarray((rgb.clip(0, 1) * 255).round(), np.uint8)


def to_lab(rgb: Plane) -> Plane:
    """CIE Lab, lightness 0..100, of RGB in 0..1, HW3."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), np.float32)


def lightness(lab: Plane) -> Plane:
    """Lightness HW in 0..1 of CIE Lab."""
    return np.ascontiguousarray(lab[..., 0] * np.float32(0.01))


def from_lab(lab: Plane) -> Plane:
    """RGB in 0..1, HW3, of CIE Lab."""
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.float32)


def blur(plane: Plane, deviation: float) -> Plane:
    """Plane smoothed by a Gaussian; the border is repeated."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE), np.float32)


def bell(deviation: float, reach: int) -> Plane:
    """Weights of a Gaussian at the distances 0, 1, … `reach` pixels, 1 at the middle."""
    away = np.arange(reach + 1)
    return np.asarray(np.exp(-(away**2) / (2 * deviation**2)), np.float32)


def rise(plane: Plane, low: float, high: float) -> Plane:
    """0 up to `low`, 1 from `high` on, smooth in between."""
    part = ((plane - np.float32(low)) / np.float32(high - low)).clip(0, 1)
    return np.asarray(part * part * (3 - 2 * part), np.float32)
