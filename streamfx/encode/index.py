"""The index (``moov``) of a finished MP4 or MOV: puts right what FFmpeg leaves wrong, and moves it to the
front.

Files are written in fragments, which makes them survive a crash, and turned into ordinary ones at the end.
FFmpeg's own way of moving the index ("faststart") does not go together with that. And the edit list FFmpeg
writes then ends with the last fragment's pictures, even when the last picture to be shown lies in the
fragment before it: players would drop it (seen in FFmpeg 8.1). The box layout is that of ISO/IEC 14496-12.
"""

from __future__ import annotations

import math
import os
import shutil
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import IO

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts")
_COPY_BYTES = 1 << 22
_SPARE_BYTES = 16 << 20


def finish_index(path: Path, video_seconds: Fraction) -> str | None:
    """Make the video track as long as its pictures, and move the index before the data.

    Moving needs room for a second copy of the file.

    Args:
        path: the finished file.
        video_seconds: from the first picture to the end of the last.

    Returns:
        None when done; a sentence for the report when the index was left at the end, which still plays.
    """
    with path.open("r+b") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        boxes = {kind: (start, size) for kind, start, size in _file_boxes(file, size_bytes)}
        start, size = boxes[b"moov"]
        file.seek(start)
        index = bytearray(file.read(size))
        _lengthen_video(index, video_seconds)
        if start > boxes[b"mdat"][0]:
            if shutil.disk_usage(path.parent).free < size_bytes + _SPARE_BYTES:
                problem = "there is no room on the disk to move it"
            elif (moved := _with_offsets(index, len(index))) is None:
                problem = "32-bit offsets are too small to move it"
            elif _rewrite(file, path, moved, boxes[b"ftyp"][1], start):
                return None
            else:
                problem = "moving it failed"
            note = f"the index stays at the end of the file: {problem}"
        else:
            note = None
        file.seek(start)
        file.write(index)
        return note


def _rewrite(file: IO[bytes], path: Path, index: bytearray, insert_at: int, start: int) -> bool:
    """Replace the file by one with ``index`` at ``insert_at``, in place of the one at ``start``."""
    moved = path.with_name(path.name + ".moving")
    try:
        with moved.open("wb") as out:
            file.seek(0)
            out.write(file.read(insert_at))
            out.write(index)
            _copy(file, out, start - insert_at)
            file.seek(start + len(index))
            shutil.copyfileobj(file, out, _COPY_BYTES)
            out.flush()
            os.fsync(out.fileno())
        os.replace(moved, path)
    except OSError:
        moved.unlink(missing_ok=True)
        return False
    return True


def _copy(file: IO[bytes], out: IO[bytes], count: int) -> None:
    while count > 0 and (part := file.read(min(count, _COPY_BYTES))):
        out.write(part)
        count -= len(part)


def _file_boxes(file: IO[bytes], end: int) -> Iterator[tuple[bytes, int, int]]:
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


def _boxes(index: bytearray, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (kind, start, end) of each box between two positions of the index, parents before their
    children."""
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", index, at)
        if size < 8:
            return
        yield kind, at, at + size
        if kind in _PARENTS:
            yield from _boxes(index, at + 8, at + size)
        at += size


def _with_offsets(index: bytearray, by: int) -> bytearray | None:
    """Return the index with ``by`` added to every chunk offset; None when one does not fit any more."""
    moved = bytearray(index)
    for kind, at, _ in _boxes(moved, 0, len(moved)):
        if kind not in (b"stco", b"co64"):
            continue
        (count,) = struct.unpack_from(">I", moved, at + 12)  # size, kind, version and flags come first
        form = f">{count}{'I' if kind == b'stco' else 'Q'}"
        offsets = [offset + by for offset in struct.unpack_from(form, moved, at + 16)]
        if kind == b"stco" and any(offset >= 1 << 32 for offset in offsets):
            return None
        struct.pack_into(form, moved, at + 16, *offsets)
    return moved


def _lengthen_video(index: bytearray, video_seconds: Fraction) -> None:
    """Make the video track's last edit, the track and the movie at least as long as the pictures, in
    place."""
    boxes = list(_boxes(index, 0, len(index)))
    movie = next(at for kind, at, _ in boxes if kind == b"mvhd")
    (timescale,) = struct.unpack_from(">I", index, movie + (28 if index[movie + 8] else 20))
    ticks = math.ceil(video_seconds * timescale)
    for kind, at, end in boxes:
        if kind != b"trak" or b"vide" not in _handlers(index, at, end):
            continue
        inner = {child: start for child, start, _ in _boxes(index, at + 8, end)}
        if b"elst" not in inner:
            continue
        total = _lengthen_last_edit(index, inner[b"elst"], ticks)
        _raise_to(index, inner[b"tkhd"] + (36 if index[inner[b"tkhd"] + 8] else 28), total, inner[b"tkhd"])
        _raise_to(index, movie + (32 if index[movie + 8] else 24), total, movie)


def _handlers(index: bytearray, at: int, end: int) -> list[bytes]:
    inner = _boxes(index, at + 8, end)
    return [bytes(index[start + 16 : start + 20]) for kind, start, _ in inner if kind == b"hdlr"]


def _lengthen_last_edit(index: bytearray, at: int, ticks: int) -> int:
    """Return the sum of all edits of an edit list, after its last one was made at least ``ticks`` long."""
    form = ">Qqi" if index[at + 8] else ">Iii"
    (count,) = struct.unpack_from(">I", index, at + 12)
    entries = [at + 16 + number * struct.calcsize(form) for number in range(count)]
    _raise_to(index, entries[-1], ticks, at)
    return sum(int(struct.unpack_from(form, index, entry)[0]) for entry in entries)


def _raise_to(index: bytearray, at: int, least: int, box: int) -> None:
    """Make the duration at ``at`` at least ``least``; the version of its box says how wide it is."""
    form = ">Q" if index[box + 8] else ">I"
    (found,) = struct.unpack_from(form, index, at)
    struct.pack_into(form, index, at, max(found, least))
