"""Matte and mix in main memory: `definition.py` says what comes out, kernels for processors do it fast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamfx.generate.ops.matte.definition import Mask, check, check_mix
from streamfx.media.frame import Frame, Plane, Planes


def matte_of(
    luma: Plane, heads: NDArray[np.float32], reduced: NDArray[np.float32], threads: int | None = None
) -> Mask:
    """Return how much of each pixel belongs to a person: (H, W) in 0..255, within one code of
    `matte_reference`.

    Args:
        luma: (H, W) of the source, in code values.
        heads: (3, h, w) float32: person, rise and fall.
        reduced: (h, w) float32, the luma that the network saw.
        threads: number of threads that share the rows; None for all cores this process may use.

    Raises:
        FrameError: sizes do not fit together, or a head is not finite.
    """
    from streamfx.generate.ops.matte.cpu import fill_matte

    check(luma, heads, reduced)
    return fill_matte(luma, heads, reduced, threads)


def chroma_matte(matte: Mask, steps: tuple[int, int]) -> Mask:
    """Return the matte at the size of chroma, equal to `mean_over`."""
    from streamfx.generate.ops.matte.cpu import mean_of_steps

    return mean_of_steps(matte, steps)


def replace_behind(
    frame: Frame, behind: Planes, new: Planes, kept: Mask, threads: int | None = None
) -> Planes:
    """Return the planes of a frame with another picture behind what is kept, equal to `replace_reference`.

    Args:
        frame: frame with its pixels in main memory.
        behind: estimate of what lies behind in the frame, planes of the same sizes.
        new: planes of what is to lie behind.
        kept: (H, W) uint8, how much of each pixel is kept.
        threads: number of threads that share the rows; None for all cores this process may use.

    Raises:
        FrameError: sizes or depths differ.
    """
    from streamfx.generate.ops.matte.cpu import replace_planes

    check_mix(frame, frame.with_planes(behind), kept)
    check_mix(frame, frame.with_planes(new), kept)
    return replace_planes(frame, behind, new, kept, threads)


def mix(over: Frame, under: Frame, matte: Mask, threads: int | None = None) -> Planes:
    """Return the planes of one frame over another by a matte, equal to `mix_reference`.

    Args:
        over: frame that is seen where the matte is 255, its pixels in main memory.
        under: frame that is seen where the matte is 0.
        matte: (H, W) uint8.
        threads: number of threads that share the rows; None for all cores this process may use.

    Raises:
        FrameError: sizes, subsampling or depths differ.
    """
    from streamfx.generate.ops.matte.cpu import mix_planes

    check_mix(over, under, matte)
    return mix_planes(over, under, matte, threads)
