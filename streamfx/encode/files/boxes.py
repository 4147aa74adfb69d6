"""Boxes of an MP4 or MOV index in memory (ISO/IEC 14496-12): found, replaced, added."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

_BEFORE_CHILDREN = {b"meta": 12}  # a version and flags come first there
_HEAD_BYTES = 8


def box(kind: bytes, inner: bytes) -> bytes:
    """Return a box.

    Example:
        >>> box(b"free", b"!").hex()
        '000000096672656521'
    """
    return struct.pack(">I4s", _HEAD_BYTES + len(inner), kind) + inner


def children(index: bytearray, at: int) -> Iterator[tuple[bytes, int]]:
    """Yield (kind, start) of each box right inside the box at ``at``."""
    size, kind = struct.unpack_from(">I4s", index, at)
    end, inner = at + size, at + _BEFORE_CHILDREN.get(kind, _HEAD_BYTES)
    while inner + _HEAD_BYTES <= end:
        size, kind = struct.unpack_from(">I4s", index, inner)
        if size < _HEAD_BYTES:
            return
        yield kind, inner
        inner += size


def find(index: bytearray, at: int, *kinds: bytes) -> list[int]:
    """Return where the boxes start that lead from the one at ``at`` inwards, that one first.

    The list is shorter than asked for where one of the kinds is missing. Of several alike it is the first.
    """
    path = [at]
    for wanted in kinds:
        found = next((start for kind, start in children(index, path[-1]) if kind == wanted), None)
        if found is None:
            break
        path.append(found)
    return path


def track_kind(index: bytearray, track: int) -> bytes:
    """Return the handler of the track at ``track``: ``vide``, ``soun``, ``sbtl``, ``text``, …"""
    path = find(index, track, b"mdia", b"hdlr")
    return bytes(index[path[2] + 16 : path[2] + 20]) if len(path) == 3 else b""


def replace(index: bytearray, path: Sequence[int], new: bytes) -> None:
    """Put ``new`` in the place of the last box of a path, and set the sizes of those around it right."""
    *around, at = path
    (size,) = struct.unpack_from(">I", index, at)
    index[at : at + size] = new
    grow(index, around, len(new) - size)


def append(index: bytearray, path: Sequence[int], new: bytes) -> None:
    """Put ``new`` at the end of the last box of a path, and set the sizes right."""
    (size,) = struct.unpack_from(">I", index, path[-1])
    end = path[-1] + size
    index[end:end] = new
    grow(index, path, len(new))


def grow(index: bytearray, path: Sequence[int], size_bytes: int) -> None:
    """Add to the sizes of boxes."""
    for at in path:
        (size,) = struct.unpack_from(">I", index, at)
        struct.pack_into(">I", index, at, size + size_bytes)
