"""Steady: heads averaged with those of the frames before, where what the network saw has not changed.

For the reduced planes r and the heads h of a frame, r_k and h_k of the frames before (k = 1, 2), a tolerance
t in code values, and ``mean3`` the mean of 3 x 3 pixels with repeated edges:

    change_k    = mean3(max over planes |r - r_k|)
    agreement_k = clamp(1 - change_k / t, 0, 1)
    steadied    = (h + sum over k of agreement_k · h_k) / (1 + sum over k of agreement_k)

A frame before of which less than a quarter agrees at all is of another shot, and does not count.

Every frame before is compared with the frame itself, so nothing is dragged along, and what comes out depends
on three frames of the source alone: it is the same for any number of workers, and after a film that was
broken off goes on. A recursive filter of the heads, as RobustVideoMatting has (Lin and others, "Robust
High-Resolution Video Matting with Temporal Guidance", 2021), is a little steadier and has neither property.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamfx.engine.golden import Array

SAME_SHOT = 4
"""One pixel in so many must agree for a frame before to be of the same shot."""


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What is kept of a frame.

    Attributes:
        reduced: (3, h, w) float32 in code values, what the network saw.
        heads: (C, h, w) float32, what it gave, not averaged.
    """

    reduced: Array
    heads: Array


def steady_reference(heads: Array, reduced: Array, past: Sequence[Past], tolerance: float) -> Array:
    """Return the averaged heads by definition: float64, written for reading; arguments as `steady`."""
    total, weights = heads.astype(np.float64), np.ones(heads.shape[1:])
    for before in past:
        agreement = agreement_reference(reduced, before.reduced, tolerance)
        total += agreement * before.heads
        weights += agreement
    averaged: Array = (total / weights).astype(np.float32)
    return averaged


def agreement_reference(reduced: Array, before: Array, tolerance: float) -> NDArray[np.float64]:
    """Return (h, w) in 0..1, how far two reduced pictures agree; 0 everywhere where they are of two shots."""
    change = np.abs(reduced.astype(np.float64) - before).max(axis=0)
    height, width = change.shape
    around = np.pad(change, 1, mode="edge")
    squares = [around[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    agreement: NDArray[np.float64] = np.clip(1 - np.mean(squares, axis=0) / tolerance, 0, 1)
    agrees = np.count_nonzero(agreement)
    return agreement if SAME_SHOT * agrees >= agreement.size else np.zeros_like(agreement)
