"""Planar YUV in FFmpeg's terms: the names of its formats, and its planes as arrays. Shared by capture and
encode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streamfx.media.frame import Plane, Subsampling

if TYPE_CHECKING:
    from av.video.plane import VideoPlane


def planar_name(subsampling: Subsampling, depth: int, *, alpha: bool = False) -> str:
    """Return FFmpeg's name of the planar format, such as ``yuv420p10le``, or with alpha ``yuva420p10le``."""
    samples = subsampling.value.replace(":", "")
    return f"yuv{'a' if alpha else ''}{samples}p" + ("" if depth == 8 else f"{depth}le")


def plane_array(plane: VideoPlane, depth: int) -> Plane:
    """Return an array over the plane's own memory, which it keeps alive; rows are padded as FFmpeg padded
    them.

    Args:
        plane: plane of an 8 to 16 bit format, stored from top to bottom.
        depth: bits per sample.
    """
    if depth == 8:
        return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[
            :, : plane.width
        ]
    rows = np.frombuffer(memoryview(plane), np.uint16).reshape(plane.height, plane.line_size // 2)
    return rows[:, : plane.width]
