"""Code values of a stream and RGB: the affine maps between them, the legal codes, where chroma samples lie.

A pixel in code values is (Y, U, V) as stored in the planes; RGB is gamma-coded R'G'B' in 0..1 of the same
stream. Both directions are affine, so that one 3x4 matrix holds all of matrix, range and depth:
``rgb = m[:, :3] @ yuv + m[:, 3]``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamfx.errors import FrameError
from streamfx.media.frame import ChromaLocation, CodeRange, Colour, Matrix, Subsampling

# Weight of red and of blue in luma, from ITU-T H.273, table 4. BT.2020 with constant luminance is not affine;
# its nearest affine map is the non-constant one.
LUMA_WEIGHTS = {
    Matrix.BT709: (0.2126, 0.0722),
    Matrix.FCC: (0.30, 0.11),
    Matrix.BT470BG: (0.299, 0.114),
    Matrix.SMPTE170M: (0.299, 0.114),
    Matrix.SMPTE240M: (0.212, 0.087),
    Matrix.BT2020_NCL: (0.2627, 0.0593),
    Matrix.BT2020_CL: (0.2627, 0.0593),
}

# How far chroma lies from the middle of the luma samples it covers, in luma samples where subsampled: (y, x).
_CHROMA_SHIFT = {
    ChromaLocation.LEFT: (0.0, -0.5),
    ChromaLocation.CENTER: (0.0, 0.0),
    ChromaLocation.TOP_LEFT: (-0.5, -0.5),
    ChromaLocation.TOP: (-0.5, 0.0),
    ChromaLocation.BOTTOM_LEFT: (0.5, -0.5),
    ChromaLocation.BOTTOM: (0.5, 0.0),
}


def code_to_rgb(colour: Colour, depth: int) -> NDArray[np.float64]:
    """Return the (3, 4) affine map from code values (Y, U, V) to RGB in 0..1.

    Args:
        colour: description without unknowns in matrix and range (see `Colour.assumed`).
        depth: bits per sample, 8 to 16.

    Raises:
        FrameError: matrix or range is unknown, or the depth is not 8 to 16.

    Example:
        >>> from streamfx.media.frame import CodeRange, Colour, Matrix
        >>> to_rgb = code_to_rgb(Colour(Matrix.BT709, CodeRange.LIMITED), depth=8)
        >>> (to_rgb[:, :3] @ [235, 128, 128] + to_rgb[:, 3]).round(6).tolist()
        [1.0, 1.0, 1.0]
    """
    forward = rgb_to_code(colour, depth)
    inverse = np.linalg.inv(forward[:, :3])
    return np.column_stack([inverse, -inverse @ forward[:, 3]])


def both_ways(colour: Colour, depth: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return `code_to_rgb` and `rgb_to_code` as networks take them, in single precision."""
    return (
        code_to_rgb(colour, depth).astype(np.float32),
        rgb_to_code(colour, depth).astype(np.float32),
    )


def rgb_to_code(colour: Colour, depth: int) -> NDArray[np.float64]:
    """Return the (3, 4) affine map from RGB in 0..1 to code values (Y, U, V), not rounded and not clamped.

    Args:
        colour: description without unknowns in matrix and range (see `Colour.assumed`).
        depth: bits per sample, 8 to 16.

    Raises:
        FrameError: matrix or range is unknown, or the depth is not 8 to 16.
    """
    luma, chroma = legal_codes(depth, colour.code_range)
    if colour.matrix is Matrix.RGB:  # planes are G, B, R, all with the excursion of luma
        green_blue_red = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
        return np.column_stack([green_blue_red * (luma[1] - luma[0]), np.full(3, luma[0])])
    if colour.matrix not in LUMA_WEIGHTS:
        known = ", ".join(matrix.name.lower() for matrix in LUMA_WEIGHTS)
        raise FrameError(
            f"colour matrix {colour.matrix.name.lower()} has no conversion to RGB; tag the stream, or take "
            f"the usual assumption with Colour.assumed(height); known: {known}"
        )
    red, blue = LUMA_WEIGHTS[colour.matrix]
    weights = np.array([red, 1 - red - blue, blue])
    blue_difference = (np.array([0.0, 0.0, 1.0]) - weights) / (2 * (1 - blue))
    red_difference = (np.array([1.0, 0.0, 0.0]) - weights) / (2 * (1 - red))
    # Full-range chroma spans -0.5..0.5 over 2^depth - 1 codes around the middle code, as luma does over 0..1.
    scale = np.array([luma[1] - luma[0], chroma[1] - chroma[0], chroma[1] - chroma[0]], dtype=np.float64)
    middle = float(1 << (depth - 1))
    linear = np.stack([weights, blue_difference, red_difference]) * scale[:, None]
    return np.column_stack([linear, [luma[0], middle, middle]])


def legal_codes(depth: int, code_range: CodeRange) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the lowest and highest legal code of luma and of chroma: ``((low, high), (low, high))``.

    Raises:
        FrameError: the range is unknown, or the depth is not 8 to 16.

    Example:
        >>> from streamfx.media.frame import CodeRange
        >>> legal_codes(10, CodeRange.LIMITED)
        ((64, 940), (64, 960))
    """
    if not 8 <= depth <= 16:
        raise FrameError(f"depth must be 8 to 16 bits, found {depth}")
    if code_range is CodeRange.FULL:
        return (0, (1 << depth) - 1), (0, (1 << depth) - 1)
    if code_range is CodeRange.LIMITED:
        step = 1 << (depth - 8)
        return (16 * step, 235 * step), (16 * step, 240 * step)
    raise FrameError(
        f"code range {code_range} has no legal codes; tag the stream, or take the usual assumption "
        "with Colour.assumed(height)"
    )


def chroma_shift(subsampling: Subsampling, location: ChromaLocation) -> tuple[float, float]:
    """Return how far a chroma sample lies from the middle of its luma samples, (y, x) in chroma samples.

    Left-sited 4:2:0 gives (0, -0.25): sample ``i`` lies at luma position ``2 i`` rather than ``2 i + 0.5``.
    Axes that are not subsampled have no shift. An unknown location counts as left-sited.
    """
    known = ChromaLocation.LEFT if location is ChromaLocation.UNKNOWN else location
    shift_y, shift_x = _CHROMA_SHIFT[known]
    step_y, step_x = subsampling.steps
    return (shift_y / step_y if step_y > 1 else 0.0), (shift_x / step_x if step_x > 1 else 0.0)
