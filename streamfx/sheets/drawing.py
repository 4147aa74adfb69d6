"""Drawing: a sheet of rows of labelled pictures, light on dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamfx.sheets.lettering import Coverage, label

Picture: TypeAlias = NDArray[np.uint8]
"""(height, width, 3): RGB, full range."""

_BACKGROUND, _LOUD, _QUIET = (22, 23, 26), (242, 242, 238), (160, 163, 170)
_HIGHEST, _LOWEST = 1.25, 0.09  # height of the sheet, and least height of a picture, in widths of the sheet
_GAP = 10  # pixels between pictures, and around them


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture of a sheet and what stands above it.

    Attributes:
        picture: RGB picture.
        title: label of the picture.
        detail: more of it, less loud.
    """

    picture: Picture
    title: str
    detail: str = ""


def room_for(rows: int, columns: int, sheet_width: int) -> tuple[int, int]:
    """Return the (height, width) that pictures may have so that the sheet is no wider than asked for.

    It is not much higher than wide either, unless there are so many rows that nothing would be seen.
    """
    width = max((sheet_width - (columns + 1) * _GAP) // columns, 1)
    height = round(_HIGHEST * sheet_width) // rows - _GAP - _strip(width)
    return max(height, min(width, round(_LOWEST * sheet_width))), width


def drawn(rows: Sequence[Sequence[Cell]]) -> Picture:
    """Return the sheet; pictures stand at the top left of their places, shorter rows end early."""
    columns = max(map(len, rows))
    widths = [
        max(row[column].picture.shape[1] for row in rows if column < len(row)) for column in range(columns)
    ]
    heights = [max(cell.picture.shape[0] for cell in row) for row in rows]
    letters, strip = _capital(max(widths)), _strip(max(widths))
    height = sum(heights) + len(rows) * (strip + _GAP) + _GAP
    sheet = np.empty((height, sum(widths) + (columns + 1) * _GAP, 3), np.uint8)
    sheet[:] = _BACKGROUND
    top = _GAP
    for row, row_height in zip(rows, heights, strict=True):
        left = _GAP
        for cell, width in zip(row, widths, strict=False):
            _write(sheet[top : top + strip, left : left + width], cell, letters)
            picture = cell.picture
            sheet[top + strip : top + strip + picture.shape[0], left : left + picture.shape[1]] = picture
            left += width + _GAP
        top += strip + row_height + _GAP
    return sheet


def _capital(width: int) -> int:
    """Return the height of a capital above pictures of a width, in pixels."""
    return min(max(round(width / 32), 9), 20)


def _strip(width: int) -> int:
    """Return the height of what stands above pictures of a width, in pixels."""
    return round(_capital(width) * 1.9)


def _write(place: Picture, cell: Cell, letters: int) -> None:
    """Write title and detail, one after the other, as far as there is room."""
    width = place.shape[1]
    title = label(cell.title, letters, width)
    _lay(place, title, 0, _LOUD)
    begins = title.shape[1] + letters
    if cell.detail and width - begins > letters:
        _lay(place, label(cell.detail, letters, width - begins), begins, _QUIET)


def _lay(place: Picture, text: Coverage, left: int, colour: tuple[int, int, int]) -> None:
    text = text[: place.shape[0]]
    part = place[: text.shape[0], left : left + text.shape[1]]
    weights = text[..., None]
    part[:] = np.rint(part * (1 - weights) + np.array(colour, np.float32) * weights)
