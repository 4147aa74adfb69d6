"""Blur: a part of the picture out of focus, with no halo of what stays sharp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfx.generate.ops.matte.definition import OPAQUE, Mask
from streamfx.generate.ops.place.operation import place
from streamfx.media.frame import Frame, Plane, Planes

DEVIATION_SHARE = 0.03
"""Standard deviation of the blur at strength 1, as a share of the frame's short side."""

AROUND_SHARE = 0.01
"""Standard deviation of what counts as the surroundings of a pixel, as a share of the short side."""

_LEAST_DEVIATION_PIXELS = 1.5  # in the picture that is blurred: what makes it larger again is not seen then
_LARGEST_STEP = 16
_SURE = 0.75  # share of a small pixel from which on it counts
_LEAST_WEIGHT = 1e-4  # so that something is there where nothing counts; it is not seen

_Values = NDArray[np.float32]


def blurred(frame: Frame, part: Mask, strength: float, threads: int | None = None) -> Frame:
    """Return a frame of which a part is blurred; what it shows elsewhere is of no use.

    The mean around each pixel is one of the part alone, or the colours of a person would glow around the
    sharp picture: normalised convolution (Knutsson, Westin, "Normalized and Differential Convolution", 1993).

    Args:
        frame: frame with its pixels in main memory.
        part: (H, W) in 0..255, what is to be blurred.
        strength: 0..1, how far.
        threads: number of threads that share the rows; None for all cores this process may use.
    """
    return frame.with_planes(_spread(frame, part, strength * DEVIATION_SHARE * min(frame.size), threads))


def surroundings(frame: Frame, part: Mask, threads: int | None = None) -> Planes:
    """Return the planes of what a part of a frame would look like where something stands before it: the mean
    of the part around each pixel.

    Args:
        frame: frame with its pixels in main memory.
        part: (H, W) in 0..255, what lies behind.
        threads: number of threads that share the rows; None for all cores this process may use.
    """
    return _spread(frame, part, AROUND_SHARE * min(frame.size), threads)


def _spread(frame: Frame, part: Mask, deviation_pixels: float, threads: int | None) -> Planes:
    """Return the planes of a frame, each sample the mean of the part around it."""
    blurring: dict[tuple[int, int], _Blurring] = {}
    small = []
    for plane, steps in zip(
        frame.planes, ((1, 1), frame.subsampling.steps, frame.subsampling.steps), strict=True
    ):
        if plane.shape not in blurring:
            blurring[plane.shape] = _Blurring.of(
                plane.shape, part, [deviation_pixels / each for each in steps]
            )
        small.append(blurring[plane.shape].blurred(plane))
    y, u, v = small
    return place(frame, (y, u, v), frame.colour.assumed(frame.size[0]), threads=threads)


@dataclass(frozen=True, slots=True, eq=False)
class _Blurring:
    """A blur of planes of one size, done in a size at which it is cheap.

    Attributes:
        weights: (h, w), how much each small pixel counts.
        counts: the same, blurred.
        deviations: standard deviations across and down, in small pixels.
    """

    weights: _Values
    counts: _Values
    deviations: tuple[float, float]

    @classmethod
    def of(cls, shape: tuple[int, ...], part: Mask, deviations_pixels: Sequence[float]) -> _Blurring:
        """Return the blur for planes of a shape, given its standard deviations down and across."""
        step = min(max(1, int(min(deviations_pixels) / _LEAST_DEVIATION_PIXELS)), _LARGEST_STEP)
        height, width = (max(1, side // step) for side in shape)
        down, across = (
            max(deviation * small / side, 1e-3)
            for deviation, small, side in zip(deviations_pixels, (height, width), shape, strict=True)
        )
        weights = _reduced(part, (height, width))
        weights *= np.float32(1 / (OPAQUE * (1 - _SURE)))
        weights -= np.float32(_SURE / (1 - _SURE))
        np.clip(weights, _LEAST_WEIGHT, 1, out=weights)
        return cls(weights, _gaussian(weights, (across, down)), (across, down))

    def blurred(self, plane: Plane) -> _Values:
        """Return a plane, blurred and small."""
        values = _reduced(plane, self.weights.shape)
        values *= self.weights
        return np.asarray(_gaussian(values, self.deviations) / self.counts, np.float32)


def _gaussian(values: _Values, deviations: tuple[float, float]) -> _Values:
    across, down = deviations
    blurred = cv2.GaussianBlur(values, (0, 0), sigmaX=across, sigmaY=down, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.float32)


def _reduced(plane: Plane, shape: tuple[int, ...]) -> _Values:
    return cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
