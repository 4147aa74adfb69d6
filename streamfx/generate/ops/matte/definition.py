"""Matte: how much of each pixel belongs to a person, at full size, and two pictures mixed by it. Reference.

For luma Y of the source, the reduced luma R that the network saw, its heads (person, rise, fall), and ``up``
bilinear with clamped edges:

    detail = Y - up(R)
    A      = clamp(up(person) + up(rise) · max(detail, 0) + up(fall) · min(detail, 0), 0, 1)
    matte  = floor(255 · A + 0.5)

The source's own detail draws the edge, as ink does in `streamfx.generate.ops.fuse.definition`: hair that is
darker than what is behind it belongs to the person where it is dark. In the manner of He, Sun, "Fast Guided
Filter" (2015): an affine function of the source, found at the reduced size and applied at full size; here a
network finds it, and the two sides of the reduced luma have slopes of their own.

Two frames mixed by a matte, plane by plane, with ``a`` the mean of the matte over the luma samples that a
sample of the plane stands for, rounded:

    mixed  = floor((a · over + (255 - a) · under + 127) / 255)

Where another picture takes the place of what lies behind, edges must not bring the old one along: a sample
I of the frame is taken for the mixture of what stays, F, and of what lay behind, of which B is an estimate,
so that F = (255 · I - (255 - a) · B) / a within the codes there are, and

    replaced = floor((clamp(255 · I - (255 - a) · B, 0, a · highest) + (255 - a) · new + 127) / 255)

Source: Porter, Duff, "Compositing Digital Images" (1984), their equation solved for the foreground.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamfx.errors import FrameError
from streamfx.generate.ops.fuse.definition import bilinear
from streamfx.media.frame import Frame, Plane, Planes

OPAQUE = 255
HEADS = 3
PERSON, RISE, FALL = range(HEADS)

Mask = NDArray[np.uint8]


def matte_reference(luma: Plane, heads: NDArray[np.float32], reduced: NDArray[np.float32]) -> Mask:
    """Return the matte by definition: float64, written for reading; arguments and errors as `matte_of`."""
    check(luma, heads, reduced)
    (height, width), (small_height, small_width) = luma.shape, reduced.shape
    y = (np.arange(height)[:, None] + 0.5) * small_height / height - 0.5
    x = (np.arange(width)[None, :] + 0.5) * small_width / width - 0.5
    person, rise, fall = (bilinear(head, y, x) for head in heads)
    detail = luma - bilinear(reduced, y, x)
    share = np.clip(person + rise * np.maximum(detail, 0) + fall * np.minimum(detail, 0), 0, 1)
    return np.floor(OPAQUE * share + 0.5).astype(np.uint8)


def mix_reference(over: Frame, under: Frame, matte: Mask) -> tuple[Plane, Plane, Plane]:
    """Return the planes of two frames mixed by definition; arguments and errors as `mix`."""
    check_mix(over, under, matte)
    mixed: list[NDArray[Any]] = []
    for front, back, steps in zip(
        over.planes, under.planes, ((1, 1), over.subsampling.steps, over.subsampling.steps), strict=True
    ):
        share = mean_over(matte, steps).astype(np.int64)
        sums = share * front + (OPAQUE - share) * back
        mixed.append(((sums + OPAQUE // 2) // OPAQUE).astype(front.dtype))
    y, u, v = mixed
    return y, u, v


def replace_reference(frame: Frame, behind: Planes, new: Planes, kept: Mask) -> Planes:
    """Return the planes by definition; arguments and errors as `replace_behind`."""
    highest = (1 << frame.depth) - 1
    made: list[NDArray[Any]] = []
    for own, old, other, steps in zip(
        frame.planes, behind, new, ((1, 1), frame.subsampling.steps, frame.subsampling.steps), strict=True
    ):
        share = mean_over(kept, steps).astype(np.int64)
        stays = np.clip(OPAQUE * own.astype(np.int64) - (OPAQUE - share) * old, 0, share * highest)
        made.append(((stays + (OPAQUE - share) * other + OPAQUE // 2) // OPAQUE).astype(own.dtype))
    y, u, v = made
    return y, u, v


def mean_over(matte: Mask, steps: tuple[int, int]) -> Mask:
    """Return the mean of the matte over each step_y x step_x samples, rounded; edges are repeated."""
    step_y, step_x = steps
    height, width = matte.shape
    padded = np.pad(matte, ((0, -height % step_y), (0, -width % step_x)), mode="edge").astype(np.uint32)
    count = step_y * step_x
    sums = sum(padded[y::step_y, x::step_x] for y in range(step_y) for x in range(step_x))
    return np.asarray((sums + count // 2) // count, np.uint8)


def check(luma: Plane, heads: NDArray[np.float32], reduced: NDArray[np.float32]) -> None:
    """Check that what a matte is made of fits together.

    Raises:
        FrameError: it does not, or a head is not finite.
    """
    if heads.shape != (HEADS, *reduced.shape) or heads.dtype != np.float32 or 0 in heads.shape:
        raise FrameError(
            f"matte: heads must be float32 of shape ({HEADS}, height, width) for a reduced luma "
            f"{reduced.shape}; found {heads.dtype} {heads.shape}"
        )
    if luma.ndim != 2 or luma.dtype not in (np.uint8, np.uint16):
        raise FrameError(
            f"matte: luma must be uint8 or uint16 (height, width); found {luma.dtype} {luma.shape}"
        )
    if not np.isfinite(heads.sum()) and not np.isfinite(heads).all():
        counts = (~np.isfinite(heads)).sum(axis=(1, 2))
        raise FrameError(
            "the engine that finds people gave values that are not finite (person, rise, fall: "
            f"{counts.tolist()} of {heads[0].size} pixels); verify the engine, or run it in float32"
        )


def check_mix(over: Frame, under: Frame, matte: Mask) -> None:
    """Check that two frames and a matte fit together.

    Raises:
        FrameError: sizes, subsampling or depths differ.
    """
    forms = [(frame.size, frame.subsampling, frame.depth) for frame in (over, under)]
    if forms[0] != forms[1] or matte.shape != over.size or matte.dtype != np.uint8:
        raise FrameError(
            f"mix: two frames of one format need a matte of their size, uint8; found {over!r}, {under!r} "
            f"and {matte.dtype} {matte.shape}"
        )
