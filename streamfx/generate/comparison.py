"""Before and after in one picture: what came in beside what an effect made of it.

Split: left half before, right half after; side: one beside the other; stack: one above the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from streamfx.media.alpha import enlarged_plane
from streamfx.media.frame import Frame, Plane, Subsampling, VideoFormat
from streamfx.media.geometry import Layout

_LINE_SHARE = 400  # of the width of a split picture is its line wide, and at least two pixels


def compared_format(layout: Layout | None, made: VideoFormat) -> VideoFormat:
    """Return the format of frames that show before and after; None leaves it as it is.

    Args:
        layout: arrangement of both.
        made: format of the frames that come out of the effects.
    """
    (height, width), (step_y, step_x) = made.size, made.subsampling.steps
    if layout == "side":
        return replace(made, size=(height, _whole(width, step_x) + width))
    if layout == "stack":
        return replace(made, size=(_whole(height, step_y) + height, width))
    return made


def compared(process: Callable[[Frame], Frame], layout: Layout) -> Callable[[Frame], Frame]:
    """Return a function that gives a frame with both what it is given and what ``process`` makes of it."""

    def both(frame: Frame) -> Frame:
        made = process(frame)
        subsampling, depth = made.subsampling, made.depth
        planes = tuple(
            _joined(before, after, layout, number, subsampling, depth)
            for number, (before, after) in enumerate(zip(frame.planes, made.planes, strict=True))
        )
        alpha = made.alpha
        if alpha is not None and frame.alpha is not None:
            alpha = _placed(frame.alpha, alpha, layout, (1, 1), subsampling)
        return replace(made, planes=(planes[0], planes[1], planes[2]), alpha=alpha)

    return both


def _joined(
    before: Plane, after: Plane, layout: Layout, number: int, subsampling: Subsampling, depth: int
) -> Plane:
    """Return one plane of the picture, with a white line in the middle of a split one."""
    steps = subsampling.steps if number else (1, 1)
    plane = _placed(before, after, layout, steps, subsampling)
    if layout == "split":
        luma_width = after.shape[1] * steps[1]
        middle = _middle(luma_width, subsampling)
        half = _whole(max(luma_width // _LINE_SHARE, 2), 2 * subsampling.steps[1]) // 2
        colour = (128 if number else 235) << (depth - 8)
        plane[:, (middle - half) // steps[1] : (middle + half) // steps[1]] = colour
    return plane


def _placed(
    before: Plane, after: Plane, layout: Layout, steps: tuple[int, int], subsampling: Subsampling
) -> Plane:
    """Return both planes in one; the one before is enlarged where the effect enlarges.

    Args:
        before: plane of the frame that came in.
        after: plane of the frame that the effect made.
        layout: arrangement of both.
        steps: luma samples for each sample of the plane, down and across.
        subsampling: subsampling of the frame.
    """
    if before.shape != after.shape:
        before = enlarged_plane(before, (after.shape[0], after.shape[1]))
    if layout == "split":
        middle = _middle(after.shape[1] * steps[1], subsampling) // steps[1]
        return np.concatenate([before[:, :middle], after[:, middle:]], axis=1)
    axis = 1 if layout == "side" else 0
    spare = -before.shape[axis] % (subsampling.steps[axis] // steps[axis])
    padding = [(0, 0), (0, 0)]
    padding[axis] = (0, spare)
    return np.concatenate([np.pad(before, padding, mode="edge"), after], axis=axis)


def _middle(width: int, subsampling: Subsampling) -> int:
    """Return the column in which the right half begins: one where a chroma sample does."""
    return _whole(width // 2, subsampling.steps[1])


def _whole(length: int, step: int) -> int:
    """Return the length rounded up to a multiple of the step."""
    return -(-length // step) * step
