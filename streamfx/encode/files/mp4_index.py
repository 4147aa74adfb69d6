"""The index (``moov``) of a finished MP4 or MOV: puts right what FFmpeg leaves wrong, and moves it to the
front.

Files are written in fragments, which makes them survive a crash, and turned into ordinary ones at the end.
FFmpeg's own way of moving the index ("faststart") does not go together with that. And the edit list FFmpeg
writes then ends with the last fragment's pictures, even when the last picture to be shown lies in the
fragment before it: players would drop it (seen in FFmpeg 8.1). The box layout is that of ISO/IEC 14496-12.
"""

from __future__ import annotations

import os
import secrets
import shutil
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO

from streamfx.encode.files.boxes import children
from streamfx.encode.files.covers import Cover, add_covers
from streamfx.encode.files.languages import state_languages
from streamfx.encode.files.track_times import set_track_times

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_COPY_BYTES = 1 << 22
_SPARE_BYTES = 16 << 20


def finish_index(
    path: Path,
    video_seconds: Fraction,
    covers: Sequence[Cover] = (),
    languages: Sequence[str | None] = (),
) -> str | None:
    """Make each track as long as what is in it, add covers and languages, and move the index before the data.

    Moving needs room for a second copy of the file.

    Args:
        path: the finished file.
        video_seconds: time from the first picture to the end of the last.
        covers: pictures that players show for the file.
        languages: languages of the streams, in the order they were added; None for one that is not stated.

    Returns:
        None when done; a sentence for the report when the index was left at the end, which still plays.
    """
    with path.open("r+b") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        boxes = {kind: (start, size) for kind, start, size in _file_boxes(file, size_bytes)}
        start, size = boxes[b"moov"]
        file.seek(start)
        index = bytearray(file.read(size))
        state_languages(index, languages)
        if start + size == size_bytes:  # else there would be no room to write a larger one
            set_track_times(index, video_seconds)
            add_covers(index, covers)
        if start > boxes[b"mdat"][0]:
            if shutil.disk_usage(path.parent).free < size_bytes + _SPARE_BYTES:
                problem = "there is no room on the disk to move it"
            elif (moved := _with_offsets(index, len(index))) is None:
                problem = "32-bit offsets are too small to move it"
            elif _rewrite(file, path, moved, boxes[b"ftyp"][1], start, size):
                return None
            else:
                problem = "moving it failed"
            note = f"the index stays at the end of the file: {problem}"
        else:
            note = None
        file.seek(start)
        file.write(index)
        return note


def _rewrite(
    file: IO[bytes], path: Path, index: bytearray, insert_at: int, start: int, size_bytes: int
) -> bool:
    """Replace the file by one with ``index`` at ``insert_at``, in place of the one at ``start``."""
    moved = path.with_name(
        f".moving-{secrets.token_hex(8)}"
    )  # short: the file's own may be as long as can be
    try:
        with moved.open("wb") as out:
            file.seek(0)
            out.write(file.read(insert_at))
            out.write(index)
            _copy(file, out, start - insert_at)
            file.seek(start + size_bytes)
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


def _offset_tables(index: bytearray, at: int = 0) -> Iterator[tuple[bytes, int]]:
    """Yield (kind, start) of every table of chunk offsets."""
    for kind, start in children(index, at):
        if kind in _PARENTS:
            yield from _offset_tables(index, start)
        elif kind in (b"stco", b"co64"):
            yield kind, start


def _with_offsets(index: bytearray, by: int) -> bytearray | None:
    """Return the index with ``by`` added to every chunk offset; None when one does not fit any more."""
    moved = bytearray(index)
    for kind, at in _offset_tables(moved):
        (count,) = struct.unpack_from(">I", moved, at + 12)  # size, kind, version and flags come first
        form = f">{count}{'I' if kind == b'stco' else 'Q'}"
        offsets = [offset + by for offset in struct.unpack_from(form, moved, at + 16)]
        if kind == b"stco" and any(offset >= 1 << 32 for offset in offsets):
            return None
        struct.pack_into(form, moved, at + 16, *offsets)
    return moved
