"""Video: pictures as most video holds them, 8-bit 4:2:0, so that figures are of what a video shows."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfx.media.frame import ChromaLocation, CodeRange, Colour, Frame, Matrix, Planes, Subsampling
from training.fused import FROM_YUV, TO_YUV
from training.pictures import Picture

COLOUR = Colour(Matrix.BT709, CodeRange.LIMITED, chroma_location=ChromaLocation.LEFT)

Real = NDArray[np.float32]

_LUMA = (219 / 255, 16)  # codes for each code of full range, and the code of black
_CHROMA = (224 / 255, 128)


def to_video(picture: Picture, index: int = 0) -> Frame:
    """The 8-bit 4:2:0 frame (BT.709, limited range, chroma at the left) number `index` of a clip, of an RGB
    picture HW3 of even sides."""
    yuv = picture.astype(np.float32) @ TO_YUV.numpy().T
    luma, chroma = yuv[..., 0] * _LUMA[0] + _LUMA[1], yuv[..., 1:] * _CHROMA[0] + _CHROMA[1]
    beside = cv2.copyMakeBorder(chroma, 0, 0, 1, 0, cv2.BORDER_REPLICATE)
    columns = (beside[:, 0:-1:2] + 2 * beside[:, 1::2] + beside[:, 2::2]) / 4
    halved = (columns[0::2] + columns[1::2]) / 2
    return Frame(
        (_codes(luma), _codes(halved[..., 0]), _codes(halved[..., 1])),
        Subsampling.YUV420, 8, COLOUR, index, index, Fraction(1, 25),
    )  # fmt: skip


def from_video(planes: Planes) -> Picture:
    """The RGB picture HW3 of the planes of such a frame, chroma enlarged linearly."""
    luma, *chroma = planes
    height, width = luma.shape
    # Where samples of the full size lie among those of chroma: columns at every other one, rows between two.
    from_full_23 = np.array([[0.5, 0, 0], [0, 0.5, -0.25]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    enlarged = [
        cv2.warpAffine(
            plane.astype(np.float32), from_full_23, (width, height), flags=flags,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for plane in chroma
    ]  # fmt: skip
    yuv: Real = np.stack(
        [
            (luma.astype(np.float32) - _LUMA[1]) / _LUMA[0],
            *((plane - _CHROMA[1]) / _CHROMA[0] for plane in enlarged),
        ],
        axis=-1,
    )
    return np.asarray(np.clip(np.rint(yuv @ FROM_YUV.numpy().T), 0, 255), np.uint8)


def as_video(picture: Picture) -> Picture:
    """What a video shows of an RGB picture HW3: it went to planes and came back."""
    return from_video(to_video(picture).planes)


def _codes(plane: Real) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.clip(np.rint(plane), 0, 255), np.uint8)
