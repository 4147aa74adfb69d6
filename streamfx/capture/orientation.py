"""How a picture must be turned to stand upright: from a display matrix or from a photograph's EXIF data."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

Filters = tuple[tuple[str, str], ...]
"""FFmpeg filters, each a name and its arguments."""

_ONE = 1 << 16  # of the fixed-point numbers of a display matrix
_MIRROR, _UPSIDE_DOWN = ("hflip", ""), ("vflip", "")
# By EXIF's number of the orientation; FFmpeg's names of the four ways to exchange rows and columns.
_TURNS: dict[int, Filters] = {
    1: (),
    2: (_MIRROR,),
    3: (_MIRROR, _UPSIDE_DOWN),
    4: (_UPSIDE_DOWN,),
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
_ORIENTATION, _SHORT = 0x0112, 3
_LOOKED_AT_BYTES = 1 << 20  # EXIF data stands near the beginning, but in WebP


def turn_of_matrix(matrix: Sequence[int]) -> Filters | None:
    """Return the filters that do what a display matrix asks of a player.

    None where it asks for more than quarter turns and mirroring.

    Example:
        >>> turn_of_matrix((0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))
        (('transpose', 'clock'),)
    """
    a, b, _, c, d, *_ = matrix
    number = _MATRICES.get(tuple(round(value / _ONE) for value in (a, b, c, d)))  # type: ignore[arg-type]
    exact = all(abs(value) in (0, _ONE) for value in (a, b, c, d))
    return _TURNS[number] if exact and number is not None else None


def turn_of_degrees(degrees: int) -> Filters | None:
    """Return the filters that turn a picture counter-clockwise; None for what is no quarter turn."""
    number = _BY_DEGREES.get(degrees % 360)
    return None if number is None else _TURNS[number]


def turn_of_photo(data: bytes) -> Filters:
    """Return the filters that turn a photograph as its EXIF data says: JPEG, PNG, WebP or TIFF."""
    for exif in _exif(data[:_LOOKED_AT_BYTES] if not data.startswith(b"RIFF") else data):
        number = _orientation(exif)
        if number in _TURNS:
            return _TURNS[number]
    return ()


def _exif(data: bytes) -> Iterator[bytes]:
    """Yield the EXIF data of a picture file, which is laid out as a TIFF file."""
    if data.startswith((b"II*\0", b"MM\0*")):
        yield data
    elif data.startswith(b"\xff\xd8"):
        for kind, inner in _jpeg_segments(data):
            if kind == 0xE1 and inner.startswith(b"Exif\0\0"):
                yield inner[6:]
    elif data.startswith(b"\x89PNG"):
        yield from (inner for kind, inner in _png_chunks(data) if kind == b"eXIf")
    elif data.startswith(b"RIFF"):
        yield from (inner.removeprefix(b"Exif\0\0") for kind, inner in _riff_chunks(data) if kind == b"EXIF")


def _orientation(exif: bytes) -> int | None:
    """Return EXIF's number of the orientation; None where it is not stated, or the data is damaged."""
    order = "<" if exif.startswith(b"II") else ">"
    try:
        (at,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, entry)
            if tag == _ORIENTATION and kind == _SHORT:
                return int(value)
    except struct.error:
        return None
    return None


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        (size,) = struct.unpack_from(">H", data, at + 2)
        yield data[at + 1], data[at + 4 : at + 2 + size]
        at += 2 + size


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        (size,) = struct.unpack_from("<I", data, at + 4)
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
