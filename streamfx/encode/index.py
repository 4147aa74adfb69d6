"""Moves the index (``moov``) of a finished MP4 or MOV to the front, so that it plays while it is still
loading.

FFmpeg's own way ("faststart") does not go together with writing the file in fragments, which is what makes it
survive a crash. The box layout is that of ISO/IEC 14496-12.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_COPY_BYTES = 1 << 22


def move_index_to_front(path: Path) -> str | None:
    """Rewrite the file with its index before the data. Needs room for a second copy while doing so.

    Returns:
        None when done or not needed; a sentence for the report when it was left at the end, which still
        plays.
    """
    with path.open("rb") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        boxes = {kind: (start, size) for kind, start, size in _boxes(file, size_bytes)}
        if b"moov" not in boxes or b"mdat" not in boxes or boxes[b"moov"][0] < boxes[b"mdat"][0]:
            return None
        if shutil.disk_usage(path.parent).free < size_bytes + (16 << 20):
            return "the index stays at the end of the file: there is no room on the disk to move it"
        start, size = boxes[b"moov"]
        file.seek(start)
        index = bytearray(file.read(size))
        insert_at = boxes[b"ftyp"][1]
        if not _shift_offsets(index, len(index)):
            return "the index stays at the end of the file: 32-bit offsets are too small to move it"
        moved = path.with_name(path.name + ".moving")
        try:
            with moved.open("wb") as out:
                file.seek(0)
                out.write(file.read(insert_at))
                out.write(index)
                _copy(file, out, start - insert_at)
                file.seek(start + size)
                shutil.copyfileobj(file, out, _COPY_BYTES)
                out.flush()
                os.fsync(out.fileno())
            os.replace(moved, path)
        except OSError:
            moved.unlink(missing_ok=True)
            return "the index stays at the end of the file: moving it failed"
    return None


def _boxes(file: IO[bytes], end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (kind, start, size in bytes) of each box at the top level of the file."""
    at = 0
    while at + 8 <= end:
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
        elif size == 0:
            size = end - at
        if size < 8:
            return
        yield kind, at, size
        at += size


def _shift_offsets(index: bytearray, by: int) -> bool:
    """Add ``by`` to every chunk offset in a ``moov`` box, in place. Return False when one does not fit."""
    tables = list(_offset_tables(index, 0, len(index)))
    for kind, at in tables:
        (count,) = struct.unpack_from(">I", index, at)
        form = f">{count}{'I' if kind == b'stco' else 'Q'}"
        offsets = [offset + by for offset in struct.unpack_from(form, index, at + 4)]
        if kind == b"stco" and any(offset >= 1 << 32 for offset in offsets):
            return False
        struct.pack_into(form, index, at + 4, *offsets)
    return True


def _offset_tables(index: bytearray, at: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Yield (kind, position of the entry count) of each chunk offset table between two positions."""
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", index, at)
        if size < 8:
            return
        if kind in _PARENTS:
            yield from _offset_tables(index, at + 8, at + size)
        elif kind in (b"stco", b"co64"):
            yield kind, at + 12  # size, kind, version and flags come first
        at += size


def _copy(file: IO[bytes], out: IO[bytes], count: int) -> None:
    while count > 0 and (part := file.read(min(count, _COPY_BYTES))):
        out.write(part)
        count -= len(part)
