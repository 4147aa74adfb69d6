"""Stamps: whether a picture repeats a mark in step with the grid of the network that made it.

A network has places that are `stride` times the factor apart in the full-size picture. Where it puts the same
mark at each of them, edges are stronger at some offsets from that grid than at others.

Legend of shapes: P x P offsets from the grid, H x W picture.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.evaluation.gradients import magnitudes
from training.pictures import Picture

Real = NDArray[np.float64]

_BESIDE = (3, 6)  # frequencies that a harmonic is held against: so many steps of the spectrum from it


class Folds:
    """Lengths of gradients by offset from a grid, over many pictures: what is not in step averages out.

    Args:
        period: Period of the grid, in pixels.
    """

    def __init__(self, period: int) -> None:
        self._period = period
        self._tables: list[Real] = []

    def add(self, picture: Picture) -> None:
        """Take a picture in; each counts as much as every other, however strong its edges are."""
        table_PP = folded(magnitudes(picture), self._period)
        self._tables.append(table_PP / max(float(table_PP.mean()), 1e-9))

    @property
    def lock(self) -> float:
        """Mean length of gradients at the offset with the strongest over that at all; 1 means no stamp."""
        return float(np.mean(self._tables, axis=0).max())


def folded(values_HW: NDArray[np.floating], period: int) -> Real:
    """Mean of values at each offset from a grid, PP; rows and columns beyond whole periods are left out."""
    down, along = (side // period for side in values_HW.shape)
    whole = values_HW[: down * period, : along * period].astype(np.float64)
    table_PP: Real = whole.reshape(down, period, along, period).mean((0, 2))
    return table_PP


def spectral_lock(picture: Picture, period: int) -> float:
    """How far the spectrum of gradient lengths stands out at the frequencies of a grid; about 1: not at all.

    Mean, over the harmonics of the grid, of power over that at frequencies beside. More sensitive than
    `Folds.lock`, and blind to how visible a stamp is.
    """
    values_HW = magnitudes(picture)
    down, along = (side // period for side in values_HW.shape)
    whole = values_HW[: down * period, : along * period]
    window = np.outer(np.hanning(whole.shape[0] + 1)[:-1], np.hanning(whole.shape[1] + 1)[:-1])
    power = np.square(np.abs(np.fft.fft2((whole - whole.mean()) * window)))
    near, far = _BESIDE
    ring = np.ones((2 * far + 1, 2 * far + 1))
    ring[far - near + 1 : far + near, far - near + 1 : far + near] = 0
    beside = cv2.filter2D(np.pad(power, far, mode="wrap"), cv2.CV_64F, ring / ring.sum())
    ratios = power / np.maximum(beside[far:-far, far:-far], 1e-12)
    return float((ratios[::down, ::along].sum() - ratios[0, 0]) / (period**2 - 1))
