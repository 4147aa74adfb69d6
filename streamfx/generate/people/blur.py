"""Blur: a part of the picture out of focus, with no halo of what stays sharp."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfx.generate.ops.matte.definition import OPAQUE, Mask, mean_over
from streamfx.generate.ops.place.operation import place
from streamfx.media.frame import Frame, Plane, Planes

DEVIATION_SHARE = 0.03
"""Standard deviation of the blur at strength 1, as a share of the frame's short side."""

AROUND_SHARE = 0.01
"""Standard deviation of what counts as the surroundings of a pixel, as a share of the short side."""

_LEAST_DEVIATION_PIXELS = 2.5  # in the picture that is blurred: what makes it larger again is not seen then
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
    small = []
    for plane, steps in zip(
        frame.planes, ((1, 1), frame.subsampling.steps, frame.subsampling.steps), strict=True
    ):
        down, across = (deviation_pixels / step for step in steps)
        small.append(_blurred(plane, mean_over(part, steps) if steps != (1, 1) else part, down, across))
    y, u, v = small
    colour = frame.colour.assumed(frame.size[0])
    return place(frame, (y, u, v), colour, threads=threads)


def _blurred(plane: Plane, part: Mask, down_pixels: float, across_pixels: float) -> _Values:
    """Return a blurred plane, in a size at which a blur of so many pixels is cheap."""
    step = min(max(1, int(min(down_pixels, across_pixels) / _LEAST_DEVIATION_PIXELS)), _LARGEST_STEP)
    height, width = plane.shape
    size = max(1, width // step), max(1, height // step)
    values = _reduced(plane, size)
    weights = (_reduced(part, size) / OPAQUE - _SURE) / (1 - _SURE)
    np.clip(weights, _LEAST_WEIGHT, 1, out=weights)
    deviations = max(across_pixels * size[0] / width, 1e-3), max(down_pixels * size[1] / height, 1e-3)
    sums, counts = (
        cv2.GaussianBlur(
            each, (0, 0), sigmaX=deviations[0], sigmaY=deviations[1], borderType=cv2.BORDER_REPLICATE
        )
        for each in (values * weights, weights)
    )
    return np.asarray(sums / counts, np.float32)


def _reduced(plane: Plane, size: tuple[int, int]) -> _Values:
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)
