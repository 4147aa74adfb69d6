"""Pictures that show through: effects see colours everywhere, and nothing hidden bleeds into view."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamfx.media.frame import Frame, Plane

_Values = NDArray[np.float32]


def opaque_within(process: Callable[[Frame], Frame]) -> Callable[[Frame], Frame]:
    """Return ``process`` for frames with alpha: it is given them with hidden colours replaced.

    What is fully transparent may have any colour, black most often. The effect would see it, and its small
    picture mix it into the edges. So it is given the colours around instead.

    Args:
        process: changes a frame.
    """

    def processed(frame: Frame) -> Frame:
        if frame.alpha is None:
            return process(frame)
        given = without_hidden_colours(frame)
        made = process(given)
        return frame if made is given else made

    return processed


def without_hidden_colours(frame: Frame) -> Frame:
    """Return the frame with each fully transparent pixel in the colours of the visible ones near it."""
    alpha = frame.alpha
    if alpha is None or alpha.min() > 0:
        return frame
    highest = float((1 << frame.depth) - 1)
    weights = alpha.astype(np.float32) / highest
    step_y, step_x = frame.subsampling.steps
    chroma_weights = _reduced(weights, step_y, step_x)
    luma, u, v = (
        _filled(plane, weight)
        for plane, weight in zip(frame.planes, (weights, chroma_weights, chroma_weights), strict=True)
    )
    return frame.with_planes((luma, u, v))


def _filled(plane: Plane, weights: _Values) -> Plane:
    """Return a plane with samples of weight 0 replaced by the weighted mean of those around.

    Steven J. Gortler et al., The Lumigraph, 1996: means are taken in ever smaller pictures, and where one has
    none the next smaller gives it.
    """
    hidden = weights == 0
    if not hidden.any() or hidden.all():
        return plane
    values = _pulled(plane.astype(np.float32) * weights, weights)
    filled = np.where(hidden, np.rint(values), plane)
    return filled.astype(np.uint8) if plane.dtype == np.uint8 else filled.astype(np.uint16)


def _pulled(sums: _Values, weights: _Values) -> _Values:
    """Return the weighted means, those without weight taken from a picture half as large."""
    known = weights > 0
    means = np.divide(sums, weights, out=np.zeros_like(sums), where=known)
    if known.all() or max(sums.shape) == 1:
        return means
    smaller = _pulled(_reduced(sums, 2, 2), _reduced(weights, 2, 2))
    height, width = sums.shape
    larger = smaller.repeat(2, 0).repeat(2, 1)[:height, :width]
    result: _Values = np.where(known, means, larger)
    return result


def _reduced(values: _Values, step_y: int, step_x: int) -> _Values:
    """Return the means of blocks; a block that is cut off counts what is there."""
    height, width = values.shape
    padded = np.pad(values, ((0, -height % step_y), (0, -width % step_x)))
    blocks = padded.reshape(padded.shape[0] // step_y, step_y, padded.shape[1] // step_x, step_x)
    result: _Values = blocks.mean(axis=(1, 3), dtype=np.float32)
    return result
