"""Thumbnails: a small picture of what an effect does, cut out of the sheet in its engine's folder."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

_MOST_BYTES = 4 << 20  # of a sheet
_MOST_SIDE_PIXELS = 8192
_LABEL_PIXELS, _GAP_PIXELS, _COLUMNS = 18, 4, range(8, 1, -1)  # of sheets, see training/sheet.py
_LEAST_SIDE_PIXELS, _WHITE, _WHITE_SHARE = 32, 225, 0.98
_SIDE_PIXELS = 176
_QUALITY = 82
_START, _FRAMES, _NO_SIZE = 0xFF, range(0xC0, 0xD0), (0xC4, 0xC8, 0xCC)


def thumbnail(sheet: bytes, *, halved: bool) -> bytes | None:
    """Return a small square JPEG: one of the pictures that the effect made, of the first row of its sheet.

    A sheet has a row of labels and columns of squares with white between them: the source in the first,
    and in the last but one what the effect makes of it at a usual setting.

    Args:
        sheet: the file, a JPEG.
        halved: whether the left half shows the source, for effects that are seen in comparison only.

    Returns:
        None where the sheet is too large, or laid out otherwise.
    """
    size = jpeg_size(sheet)
    if len(sheet) > _MOST_BYTES or size is None or max(size) > _MOST_SIDE_PIXELS:
        return None
    picture: Any = cv2.imdecode(np.frombuffer(sheet, np.uint8), cv2.IMREAD_COLOR)
    side = None if picture is None else _side(picture)
    if side is None:
        return None
    columns = (picture.shape[1] + _GAP_PIXELS) // (side + _GAP_PIXELS)
    source, changed = (
        picture[_LABEL_PIXELS : _LABEL_PIXELS + side, left : left + side].copy()
        for left in (0, max(columns - 2, 1) * (side + _GAP_PIXELS))
    )
    if halved:
        changed[:, : side // 2] = source[:, : side // 2]
        changed[:, side // 2 - 1 : side // 2 + 1] = 255
    small = cv2.resize(changed, (_SIDE_PIXELS, _SIDE_PIXELS), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes() if done else None


def _side(picture: Any) -> int | None:
    """Return the side of the squares in pixels: what makes whole columns, with a white line below them."""
    height, width = map(int, picture.shape[:2])
    for columns in _COLUMNS:
        side, rest = divmod(width + _GAP_PIXELS, columns)
        side -= _GAP_PIXELS
        below = _LABEL_PIXELS + side
        if rest or side < _LEAST_SIDE_PIXELS or below > height:
            continue
        # The lines beside are a little blurred by the JPEG; without any there is one row only.
        line = picture[below + 1 : below + _GAP_PIXELS - 1]
        if below == height or (line > _WHITE).mean() > _WHITE_SHARE:
            return side
    return None


def jpeg_size(jpeg: bytes) -> tuple[int, int] | None:
    """Return the (height, width) that a JPEG states, before it is decoded; None: it has none."""
    at = 2
    while jpeg[:2] == b"\xff\xd8" and at + 9 <= len(jpeg) and jpeg[at] == _START:
        marker = jpeg[at + 1]
        if marker in _FRAMES and marker not in _NO_SIZE:
            return int.from_bytes(jpeg[at + 5 : at + 7], "big"), int.from_bytes(jpeg[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return None
