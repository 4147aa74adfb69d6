"""Blur: a part of the picture out of focus, with no halo of what stays sharp."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from streamfx.generate.ops.matte.definition import OPAQUE, Mask
from streamfx.generate.ops.matte.operation import chroma_matte
from streamfx.generate.ops.place.operation import place
from streamfx.generate.ops.reduce.operation import reduce_to
from streamfx.media.frame import Frame, Planes

DEVIATION_SHARE = 0.03
"""Standard deviation of the blur at strength 1, as a share of the frame's short side."""

AROUND_SHARE = 0.01
"""Standard deviation of what counts as the surroundings of a pixel, as a share of the short side."""

_LEAST_DEVIATION_PIXELS = 1.2  # in the picture that is blurred: what makes it larger again is not seen then
_LARGEST_STEP = 16
_SURE = 0.75  # share of a small pixel from which on it counts
_TRUSTED = 0.2  # share of what is around a pixel that must lie behind for its mean to tell what does
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
    return _spread(frame, part, AROUND_SHARE * min(frame.size), threads, _TRUSTED)


def _spread(
    frame: Frame, part: Mask, deviation_pixels: float, threads: int | None, trusted: float = 0.0
) -> Planes:
    """Return the planes of a frame, each sample the mean of the part around it, computed in a size at which
    that is cheap.

    Where less than ``trusted`` of what is around belongs to the part, the frame itself counts the more.
    """
    luma = _Grid.of(frame.size, (deviation_pixels, deviation_pixels))
    down, across = frame.subsampling.steps
    chroma_size = frame.subsampling.chroma_size(frame.size)
    chroma = _Grid.of(chroma_size, (deviation_pixels / down, deviation_pixels / across))
    grids = (luma, chroma, chroma)
    *values, share, chroma_share = reduce_to(
        (*frame.planes, part, chroma_matte(part, frame.subsampling.steps)),
        [grid.size for grid in (*grids, luma, chroma)],
        threads,
    )
    weights, chroma_weights = _weights(share), _weights(chroma_share)
    counts, chroma_counts = luma.blurred(weights), chroma.blurred(chroma_weights)
    y, u, v = (
        _mean(grid.blurred(plane * weight) / count, plane, count, trusted)
        for grid, plane, weight, count in zip(
            grids,
            values,
            (weights, chroma_weights, chroma_weights),
            (counts, chroma_counts, chroma_counts),
            strict=True,
        )
    )
    return place(frame, (y, u, v), frame.colour.assumed(frame.size[0]), threads=threads)


def _mean(mean: _Values, plane: _Values, count: _Values, trusted: float) -> _Values:
    if not trusted:
        return mean
    trust = np.clip(count / np.float32(trusted), 0, 1)
    return np.asarray(plane + trust * (mean - plane), np.float32)


@dataclass(frozen=True, slots=True)
class _Grid:
    """A size at which planes of one size are blurred.

    Attributes:
        size: (h, w) in small pixels.
        deviations: standard deviations down and across, in small pixels.
    """

    size: tuple[int, int]
    deviations: tuple[float, float]

    @classmethod
    def of(cls, full: tuple[int, int], deviations_pixels: tuple[float, float]) -> _Grid:
        """Return the grid for planes of a size, given the standard deviations down and across in pixels."""
        step = min(max(1, int(min(deviations_pixels) / _LEAST_DEVIATION_PIXELS)), _LARGEST_STEP)
        height, width = (max(1, side // step) for side in full)
        down, across = deviations_pixels
        return cls((height, width), (down * height / full[0], across * width / full[1]))

    def blurred(self, values: _Values) -> _Values:
        """Return values (h, w) blurred, their edges repeated."""
        down, across = self.deviations
        return _blurred_down(np.ascontiguousarray(_blurred_down(values, down).T), across).T


def _blurred_down(values: _Values, deviation: float) -> _Values:
    taps = _taps(deviation)
    reach, length = len(taps) // 2, len(values)
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    total = taps[reach] * values
    for away in range(1, reach + 1):
        above, below = padded[reach - away :][:length], padded[reach + away :][:length]
        total += taps[reach + away] * (above + below)
    return total


@lru_cache(maxsize=16)
def _taps(deviation: float) -> tuple[np.float32, ...]:
    """Return the weights of a Gaussian blur, whose sum is 1."""
    reach = max(1, math.ceil(3 * deviation))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(deviation, 1e-3)) ** 2)
    return tuple((taps / taps.sum()).astype(np.float32))


def _weights(share: _Values) -> _Values:
    """Return how much small pixels count: not at all unless most of them belongs to the part."""
    return np.clip((share / OPAQUE - _SURE) / (1 - _SURE), _LEAST_WEIGHT, 1).astype(np.float32)
