"""Fine luma: what a network sees of the luma on a grid finer than the reduced picture.

A line that is a pixel or two wide is lost in a picture reduced by 4. So some networks see, for each pixel of
the reduced picture, the square of luma that it covers: side x side values, as their differences to the
reduced luma, in as many channels (the pixel unshuffle of Shi et al., "Real-Time Single Image and Video
Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", 2016, backwards). The finer grid
spans the plane as the reduced one does; where it is finer than the plane itself, it is interpolated.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streamfx.errors import FrameError
from streamfx.generate.ops.reduce.definition import axis_matrix, axis_weights
from streamfx.media.frame import Plane


def fine_luma(
    luma: Plane, reduced: NDArray[np.float32], out: NDArray[np.float32], threads: int | None = None
) -> None:
    """Write the fine luma of a plane to `out`.

    Safe to call from several threads at once; the interpreter lock is released while it computes.

    Args:
        luma: (H, W), uint8 or uint16; rows may be padded.
        reduced: (h, w) float32, the reduced luma in code values.
        out: (side * side, h, w) float32, C-contiguous: channel side * i + j gets row i and column j of each
            square, minus the reduced luma, in code values.
        threads: number of threads that share the rows; None for all cores this process may use.

    Raises:
        FrameError: `out` does not fit.
    """
    from streamfx.generate.ops.reduce import cpu as reduce_cpu

    side = math.isqrt(len(out))
    if side * side != len(out) or out.shape[1:] != reduced.shape or out.dtype != np.float32:
        raise FrameError(
            f"fine luma: output must be float32 of shape (side * side, {reduced.shape[0]}, "
            f"{reduced.shape[1]}); found {out.dtype} {out.shape}"
        )
    rows, columns = (
        axis_weights(full, side * small, 0.0) for full, small in zip(luma.shape, reduced.shape, strict=True)
    )
    reduce_cpu.unshuffle(luma, (rows, columns), reduced, out, threads)


def fine_luma_reference(luma: Plane, reduced: NDArray[np.floating], side: int) -> NDArray[np.float64]:
    """Return the fine luma (side * side, h, w) by definition, in float64."""
    height, width = reduced.shape
    rows = axis_matrix(luma.shape[0], side * height, 0.0)
    columns = axis_matrix(luma.shape[1], side * width, 0.0)
    fine = rows @ luma.astype(np.float64) @ columns.T
    squares = fine.reshape(height, side, width, side).transpose(1, 3, 0, 2)
    difference: NDArray[np.float64] = squares.reshape(side * side, height, width) - reduced
    return difference
