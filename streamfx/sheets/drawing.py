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
_GAP = 10  # pixels between pictures, and around them


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture of a sheet and what stands above it.

    Attributes:
        picture: RGB picture.
        title: what it shows.
        detail: more of it, less loud.
    """

    picture: Picture
    title: str
    detail: str = ""


def cell_width(columns: int, sheet_width: int) -> int:
    """Return how wide pictures may be for so many to stand beside one another."""
    return max((sheet_width - (columns + 1) * _GAP) // columns, 1)


def drawn(rows: Sequence[Sequence[Cell]]) -> Picture:
    """Return the sheet; pictures stand at the top left of their places, shorter rows end early."""
    columns = max(map(len, rows))
    widths = [
        max(row[column].picture.shape[1] for row in rows if column < len(row)) for column in range(columns)
    ]
    heights = [max(cell.picture.shape[0] for cell in row) for row in rows]
    letters = min(max(round(max(widths) / 32), 9), 20)  # height of a capital
    strip = round(letters * 1.9)
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
