"""Warping error: how much a clip flickers beyond its own motion.

After Lai et al., "Learning Blind Video Temporal Consistency" (2018), with DIS flow (Kroeger et al., "Fast
Optical Flow using Dense Inverse Search", 2016) estimated on the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.pictures import Picture

Flow = NDArray[np.float32]
OCCLUSION_PIXELS = 1.0


@dataclass(frozen=True)
class Motion:
    """Where each pixel of a frame was in the frame before: map HW2 (x, y in pixels), and where that is known,
    HW."""

    positions: Flow
    visible: NDArray[np.bool_]


def motion(before: Picture, now: Picture) -> Motion:
    """Motion between two RGB frames; a pixel is visible where the flow there and back returns within one
    pixel."""
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    empty = np.zeros((*now.shape[:2], 2), np.float32)
    grey_before, grey_now = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, now))
    back = np.asarray(estimator.calc(grey_now, grey_before, empty.copy()), np.float32)
    forth = np.asarray(estimator.calc(grey_before, grey_now, empty), np.float32)
    height, width = grey_now.shape
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    positions = grid + back
    returned = back + _sample(forth, positions)
    inside = ((positions >= 0) & (positions <= (width - 1, height - 1))).all(axis=-1)
    return Motion(positions, inside & (np.linalg.norm(returned, axis=-1) < OCCLUSION_PIXELS))


def warping_error(frames: Sequence[Picture], motions: Sequence[Motion]) -> float:
    """Mean absolute difference (code values, 0..255) between each frame and the one before, moved to its
    place."""
    errors = []
    for before, now, moved in zip(frames[:-1], frames[1:], motions, strict=True):
        expected = _sample(before.astype(np.float32), moved.positions)
        if moved.visible.any():
            errors.append(float(np.abs(expected - now)[moved.visible].mean()))
    return float(np.mean(errors)) if errors else 0.0


def _sample(picture: Flow, positions_xy: Flow) -> Flow:
    x, y = np.ascontiguousarray(positions_xy[..., 0]), np.ascontiguousarray(positions_xy[..., 1])
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR), np.float32)
