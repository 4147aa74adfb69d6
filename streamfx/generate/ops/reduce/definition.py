"""Reduce: full-size planes to the small picture that a generator sees, in code values on one common grid.

The planes span the small picture exactly. Along an axis that shrinks, a small pixel is the mean of the area
it covers (samples partly covered count in part); along an axis that grows, as chroma does at factor 1, it
is interpolated linearly. Where chroma lies is accounted for: the area is shifted against the chroma
samples, and where it leaves the plane, the edge sample stands in.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamfx.errors import FrameError
from streamfx.media.colour import chroma_shift
from streamfx.media.frame import Colour, Plane, Planes, Subsampling

_SAMPLES_PER_THREAD = 2_000_000  # fewer are done before another thread has woken up


class AxisWeights(NamedTuple):
    """How samples along an axis make up small ones: ``small[i] = sum_j weights[i, j] · full[first[i] + j]``.

    Where the ratio is a whole number, all small samples but those at the edges have the same weights.

    Attributes:
        first: (n,) int32, first sample used.
        weights: (n, taps) float32; each row sums to one, trailing zeros where fewer samples are used.
        step: samples from one small sample to the next, where they are alike; 0 if the ratio is not whole.
        alike: (begin, end) of the small samples that have the same weights.
    """

    first: NDArray[np.int32]
    weights: NDArray[np.float32]
    step: int
    alike: tuple[int, int]


def threads_of_use(samples: int) -> int:
    """Return how many threads a frame of so many samples is worth; at least 1."""
    return max(1, samples // _SAMPLES_PER_THREAD)


def small_size(size: tuple[int, int], factor: float, stride: int) -> tuple[int, int]:
    """Return the (height, width) a generator sees: the multiples of ``stride`` nearest to ``size / factor``.

    At least one stride each, and never more than ``size`` rounded up to the stride.

    Args:
        size: (height, width) of the source in pixels.
        factor: reduction, 1 or more.
        stride: divisor of both sides, in pixels.

    Raises:
        FrameError: the factor is below 1, the stride below 1, or the size is empty.

    Example:
        >>> small_size((1080, 1920), 4, 4)
        (272, 480)
    """
    if factor < 1 or stride < 1 or min(size) < 1:
        raise FrameError(
            f"cannot reduce {size} by factor {factor} at stride {stride}: all must be at least 1"
        )

    def side(length: int) -> int:
        return min(max(1, math.floor(length / factor / stride + 0.5)), -(-length // stride)) * stride

    return side(size[0]), side(size[1])


def reduce_reference(
    planes: Planes, subsampling: Subsampling, colour: Colour, small_size: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the reduced planes (3, h, w) by definition, in float64: one dense matrix per axis and plane."""
    chroma = chroma_shift(subsampling, colour.chroma_location)
    small = []
    for plane, shift in zip(planes, ((0.0, 0.0), chroma, chroma), strict=True):
        rows = axis_matrix(plane.shape[0], small_size[0], shift[0])
        columns = axis_matrix(plane.shape[1], small_size[1], shift[1])
        small.append(rows @ plane.astype(np.float64) @ columns.T)
    return np.stack(small)


def axis_matrix(full: int, small: int, shift: float) -> NDArray[np.float64]:
    """Return the (small, full) matrix that reduces one axis; every row sums to one.

    Args:
        full: samples along the axis of the plane.
        small: samples along the axis of the small picture.
        shift: distance of the plane's samples from the middle of their cells, in samples.
    """
    matrix = np.zeros((small, full))
    step = full / small
    for index in range(small):
        if full >= small:
            # The sample n covers n..n+1, moved by shift; so the small pixel's area is moved by -shift.
            start, end = index * step - shift, (index + 1) * step - shift
            for sample in range(math.floor(start), math.ceil(end)):
                covered = min(sample + 1, end) - max(sample, start)
                matrix[index, min(max(sample, 0), full - 1)] += covered / step
        else:
            position = min(max((index + 0.5) * step - 0.5 - shift, 0), full - 1)
            sample = min(math.floor(position), full - 1)
            matrix[index, sample] += 1 - (position - sample)
            matrix[index, min(sample + 1, full - 1)] += position - sample
    return matrix


@lru_cache(maxsize=64)
def axis_weights(full: int, small: int, shift: float) -> AxisWeights:
    """Return `axis_matrix` without its zeros, ready for a kernel; cached, do not write to it."""
    samples, covered = _axis_covered(full, small, shift)
    matrix = np.zeros((small, covered.shape[1] + 1))  # from the first sample on; the last column is of none
    np.add.at(matrix, (np.arange(small)[:, None], samples - samples[:, :1]), covered)
    used = matrix > 1e-9
    first = used.argmax(axis=1)
    taps = int((used.shape[1] - used[:, ::-1].argmax(axis=1) - first).max())
    first = np.minimum(samples[:, 0] + first, full - taps)  # so that all taps lie within the axis
    at = first[:, None] + np.arange(taps) - samples[:, :1]
    none = covered.shape[1]
    at = np.where((at >= 0) & (at < none), at, none)
    weights = np.take_along_axis(matrix, at, axis=1).astype(np.float32)
    step = full // small if full % small == 0 else 0
    begin = end = small // 2
    offset = first - step * np.arange(small)
    like_middle = (weights == weights[begin]).all(axis=1) & (offset == offset[begin])
    while step and begin > 0 and like_middle[begin - 1]:
        begin -= 1
    while step and end < small and like_middle[end]:
        end += 1
    return AxisWeights(first.astype(np.int32), weights, step, (begin, end))


def _axis_covered(full: int, small: int, shift: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return what makes up each small sample, as `axis_matrix` says: samples (small, n), in order, and the
    weight of each. One at the edge may be there several times."""
    step, index = full / small, np.arange(small)[:, None]
    if full >= small:
        start, end = index * step - shift, (index + 1) * step - shift
        samples = np.floor(start) + np.arange(int((np.ceil(end) - np.floor(start)).max()))
        weights = np.maximum(np.minimum(samples + 1, end) - np.maximum(samples, start), 0) / step
    else:
        position = np.clip((index + 0.5) * step - 0.5 - shift, 0, full - 1)
        samples = np.floor(position) + np.arange(2)
        weights = np.abs(np.array([1.0, 0.0]) - (position - samples[:, :1]))
    return np.clip(samples, 0, full - 1).astype(np.int64), weights


def fine_luma_reference(luma: Plane, reduced: NDArray[np.floating], side: int) -> NDArray[np.float64]:
    """Return the fine luma (side * side, h, w) by definition, in float64.

    A line that is a pixel or two wide is lost in a picture reduced by 4. So some networks see, for each
    pixel of the reduced picture, the square of luma that it covers: side x side values, as their differences
    to the reduced luma, in as many channels (the pixel unshuffle of Shi et al., "Real-Time Single Image and
    Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", 2016, backwards). The
    finer grid spans the plane as the reduced one does; where it is finer than the plane itself, it is
    interpolated.
    """
    height, width = reduced.shape
    rows = axis_matrix(luma.shape[0], side * height, 0.0)
    columns = axis_matrix(luma.shape[1], side * width, 0.0)
    fine = rows @ luma.astype(np.float64) @ columns.T
    squares = fine.reshape(height, side, width, side).transpose(1, 3, 0, 2)
    difference: NDArray[np.float64] = squares.reshape(side * side, height, width) - reduced
    return difference
