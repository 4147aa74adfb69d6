"""How a picture must be turned to stand upright: from a display matrix or from a photograph's EXIF data."""

from __future__ import annotations

from collections.abc import Sequence

from streamfx.media.photo_metadata import orientation

Filters = tuple[tuple[str, str], ...]
"""FFmpeg filters, each a name and its arguments."""

_ONE = 1 << 16  # of the fixed-point numbers of a display matrix
MIRROR: Filters = (("hflip", ""),)
UPSIDE_DOWN: Filters = (("vflip", ""), ("copy", ""))  # else the rows would only be counted backwards
# By EXIF's number of the orientation; FFmpeg's names of the four ways to exchange rows and columns.
_TURNS: dict[int, Filters] = {
    1: (),
    2: MIRROR,
    3: MIRROR + UPSIDE_DOWN,
    4: UPSIDE_DOWN,
    5: (("transpose", "cclock_flip"),),
    6: (("transpose", "clock"),),
    7: (("transpose", "clock_flip"),),
    8: (("transpose", "cclock"),),
}
# The first two rows of a display matrix map a point (x, y) to (ax + cy, bx + dy), y downwards.
_MATRICES = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
_BY_DEGREES = {0: 1, 90: 8, 180: 3, 270: 6}  # counter-clockwise


def turn_of_matrix(matrix: Sequence[int]) -> Filters | None:
    """Return the filters that do what a display matrix asks of a player.

    None where it asks for more than quarter turns and mirroring.

    Example:
        >>> turn_of_matrix((0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))
        (('transpose', 'clock'),)
    """
    a, b, _, c, d, *_ = matrix
    if any(abs(value) not in (0, _ONE) for value in (a, b, c, d)):
        return None
    number = _MATRICES.get((a // _ONE, b // _ONE, c // _ONE, d // _ONE))
    return None if number is None else _TURNS[number]


def turn_of_degrees(degrees: int) -> Filters | None:
    """Return the filters that turn a picture counter-clockwise; None for what is no quarter turn."""
    number = _BY_DEGREES.get(degrees % 360)
    return None if number is None else _TURNS[number]


def turn_of_photo(exif: bytes) -> Filters:
    """Return the filters that turn a photograph as its EXIF data says."""
    return _TURNS.get(orientation(exif) or 1, ())
