"""Place: full-size planes from the picture that a network gives instead of the frame's, or adds to it.

For plane p of size (H_p, W_p), small picture of any size, strength s, and ``up`` bilinear with clamped edges:

    placed  = s · clamp(up(T), lowest legal code, highest legal code) + (1 - s) · S_p
    added   = S_p + s · up(R)
    out     = floor(clamp(placed or added, 0, 2^depth - 1) + 0.5)

Strength 0 is the identity, bit for bit. Where the small picture is larger than the plane, as for chroma, it
is read at the positions of the plane's samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamfx.errors import FrameError
from streamfx.generate.ops.fuse.definition import bilinear, not_finite
from streamfx.media.colour import chroma_shift, legal_codes
from streamfx.media.frame import Colour, Frame, Planes

Small = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
Shifts = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
NO_SHIFTS: Shifts = ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))


def shifts_of(frame: Frame, colour: Colour) -> Shifts:
    """Return where the samples of each plane lie, (y, x) in samples, for a small picture on one grid."""
    chroma = chroma_shift(frame.subsampling, colour.chroma_location)
    return (0.0, 0.0), chroma, chroma


def place_reference(
    frame: Frame,
    small: Small,
    colour: Colour,
    *,
    strength: float = 1.0,
    added: bool = False,
    shifts: Shifts = NO_SHIFTS,
) -> Planes:
    """Return the planes by definition: float64, written for reading; arguments and errors as `place`."""
    check(small, strength)
    luma_legal, chroma_legal = legal_codes(frame.depth, colour.code_range)
    done: list[NDArray[Any]] = []
    for source, picture, shift, legal in zip(
        frame.planes, small, shifts, (luma_legal, chroma_legal, chroma_legal), strict=True
    ):
        (height, width), (rows, columns) = source.shape, picture.shape
        y = (np.arange(height)[:, None] + 0.5 + shift[0]) * rows / height - 0.5
        x = (np.arange(width)[None, :] + 0.5 + shift[1]) * columns / width - 0.5
        up = bilinear(picture, y, x)
        result = source + strength * up if added else strength * np.clip(up, *legal) + (1 - strength) * source
        done.append(np.floor(np.clip(result, 0, (1 << frame.depth) - 1) + 0.5).astype(source.dtype))
    luma, u, v = done
    return luma, u, v


def check(small: Small, strength: float) -> None:
    if not 0 <= strength <= 1:
        raise FrameError(f"place: strength must be 0 to 1, found {strength}")
    for name, plane in zip("YUV", small, strict=True):
        if plane.ndim != 2 or plane.size == 0 or plane.dtype != np.float32:
            raise FrameError(
                f"place: small plane {name} must be float32 of shape (height, width), found {plane.dtype} "
                f"{plane.shape}"
            )
    if not all(np.isfinite(plane.sum()) for plane in small) and not all(
        np.isfinite(plane).all() for plane in small
    ):
        counts = np.zeros((3, 1, max(plane.size for plane in small)), np.float32)
        for row, plane in zip(counts, small, strict=True):
            row[0, : plane.size] = plane.ravel()
        raise not_finite(counts)
