"""Sheets of a look: people close up and far at every factor, at rest and moving."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence

import av
import cv2
import numpy as np

from training.evaluation.faces import FaceDetector
from training.pictures import Picture
from training.sheet import cell, sheet

LARGEST_MOVING_BYTES = 1_000_000
_GAP = 4
_QUALITIES = range(85, 14, -10)

Column = Callable[[Picture], Picture]


def look_sheet(columns: Mapping[str, Column], pictures: Sequence[Picture], side: int = 200) -> Picture:
    """Pictures as a whole, then the largest face of each that has one, pixel by pixel.

    Args:
        columns: Functions that give the picture of each column, by its heading.
        pictures: Pictures to show.
        side: Side of each cell, in pixels.
    """
    detect = FaceDetector()
    rows, details = [], []
    for picture in pictures:
        versions = [column(picture) for column in columns.values()]
        rows.append([cell(version, side) for version in versions])
        faces = [face for face in detect(picture) if face.score >= 0.6]
        if faces:
            x0, y0, x1, y1 = max(faces, key=lambda face: face.height).box
            details.append([_around(version, ((y0 + y1) / 2, (x0 + x1) / 2), side) for version in versions])
    return sheet(rows + details, list(columns))


def moving_sheet(
    columns: Sequence[Column], frames: Sequence[Picture], size: tuple[int, int]
) -> list[Picture]:
    """Frames of a clip, the versions of each side by side: a part around the first frame's largest face.

    Args:
        columns: Functions that give each version.
        frames: Frames of the clip.
        size: Height and width of the part, in pixels; the whole frame's where that is smaller.
    """
    faces = FaceDetector()(frames[0])
    height, width = frames[0].shape[:2]
    x0, y0, x1, y1 = max(faces, key=lambda face: face.score).box if faces else (0, 0, width, height)
    part = (min(size[0], height), min(size[1], width))
    # The face in the upper third, so that hands are in the picture.
    middle = ((y0 + y1) / 2 + part[0] / 6, (x0 + x1) / 2)
    shown = []
    for frame in frames:
        parts: list[Picture] = []
        for column in columns:
            parts += [_part(column(frame), middle, part), np.full((part[0], _GAP, 3), 255, np.uint8)]
        shown.append(np.concatenate(parts[:-1], axis=1))
    return shown


def animation(frames: Sequence[Picture], rate_fps: int, largest_bytes: int = LARGEST_MOVING_BYTES) -> bytes:
    """Animated WebP file of RGB frames with the best quality that keeps it below `largest_bytes`.

    WebP, because a README on GitHub shows it like any picture, moving and without a click, in true colour; a
    video file from the repository it only links to, and a GIF of the same quality is several times as large.

    Raises:
        ValueError: Even the lowest quality is too large.
    """
    for quality in _QUALITIES:
        data = _webp(frames, rate_fps, quality)
        if len(data) <= largest_bytes:
            return data
    raise ValueError(f"the moving sheet needs more than {largest_bytes} bytes; show fewer or smaller frames")


def _webp(frames: Sequence[Picture], rate_fps: int, quality: int) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="webp", options={"loop": "0"}) as container:
        stream = container.add_stream("libwebp_anim", rate=rate_fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"quality": str(quality), "compression_level": "4"}
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return target.getvalue()


def _around(picture: Picture, middle_yx: tuple[float, float], side: int) -> Picture:
    """Square of a picture around a place, pixel by pixel; a smaller picture is enlarged."""
    short = min(picture.shape[:2])
    square = _part(picture, middle_yx, (min(side, short), min(side, short)))
    return np.asarray(cv2.resize(square, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def _part(picture: Picture, middle_yx: tuple[float, float], size: tuple[int, int]) -> Picture:
    """Part of a picture around a place, moved to lie within."""
    top, left = (
        int(min(max(middle - side / 2, 0), whole - side))
        for middle, side, whole in zip(middle_yx, size, picture.shape[:2], strict=True)
    )
    return picture[top : top + size[0], left : left + size[1]]
