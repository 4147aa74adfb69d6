"""Contact sheets: before and after, side by side, for cards and for the eye during training."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from training.pictures import Picture

LARGEST_BYTES = 400_000
_GAP = 4
_LABEL = 18


def sheet(rows: Sequence[Sequence[Picture]], labels: Sequence[str]) -> Picture:
    """One picture of labelled columns; the pictures of one row have equal heights, all rows equal widths."""
    width = sum(picture.shape[1] + _GAP for picture in rows[0]) - _GAP
    parts = [_label_row([picture.shape[1] for picture in rows[0]], labels, width)]
    for row in rows:
        cells: list[Picture] = []
        for picture in row:
            cells += [picture, np.full((picture.shape[0], _GAP, 3), 255, np.uint8)]
        parts += [np.concatenate(cells[:-1], axis=1), np.full((_GAP, width, 3), 255, np.uint8)]
    return np.concatenate(parts[:-1], axis=0)


def jpeg(picture: Picture, largest_bytes: int = LARGEST_BYTES) -> bytes:
    """JPEG file of an RGB picture, with the best quality that keeps it below `largest_bytes`.

    Raises:
        ValueError: Even quality 40 is too large.
    """
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    for quality in range(92, 39, -4):
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if data.size < largest_bytes:
            return data.tobytes()
    raise ValueError(f"the sheet needs more than {largest_bytes} bytes; show fewer or smaller pictures")


def cell(picture: Picture, side: int) -> Picture:
    """Centre square of a picture, `side` pixels wide."""
    short = min(picture.shape[:2])
    top, left = (picture.shape[0] - short) // 2, (picture.shape[1] - short) // 2
    square = picture[top : top + short, left : left + short]
    return np.asarray(cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def centre(picture: Picture, side: int) -> Picture:
    """Centre square of `side` pixels, not resized."""
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    return picture[top : top + side, left : left + side]


def _label_row(widths: Sequence[int], labels: Sequence[str], width: int) -> Picture:
    row = np.full((_LABEL, width, 3), 255, np.uint8)
    left = 0
    for cell_width, label in zip(widths, labels, strict=True):
        cv2.putText(row, label, (left + 4, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        left += cell_width + _GAP
    return row
