"""How long the tracks of an MP4 or MOV are, and when their samples end: FFmpeg's figures put right.

A sample lasts up to the next one in coding order; the sum of all is the length of the track. The layout of
boxes is that of ISO/IEC 14496-12. FFmpeg 8.1 does not let the last sample of a video last until the end, and
counts the last subtitle twice.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import groupby

from streamfx.encode.files.boxes import box, children, find, replace, track_kind

_TEXTS = (b"sbtl", b"text", b"subt")
_EMPTY_TEXT_BYTES = 2
_LENGTH_AT = {b"mvhd": (24, 32), b"mdhd": (24, 32), b"tkhd": (28, 36)}  # in versions 0 and 1 of the box


def set_track_times(index: bytearray, video_seconds: Fraction) -> None:
    """Make the video last as long as its pictures, texts as long as they are shown, and the movie as long as
    its longest track, in place.

    Args:
        index: the box ``moov``.
        video_seconds: time from the first picture to the end of the last.
    """
    timescale = _timescale(index, find(index, 0, b"mvhd")[1])
    # A box that grows moves those behind it, so the last track comes first.
    for track in reversed(_tracks(index)):
        kind = track_kind(index, track)
        if kind == b"vide":
            _lengthen_video(index, track, math.ceil(video_seconds * timescale))
        elif kind in _TEXTS:
            _end_text(index, track, timescale)
    longest = max(_length(index, find(index, track, b"tkhd")[1]) for track in _tracks(index))
    _set_length(index, find(index, 0, b"mvhd")[1], longest)


def _tracks(index: bytearray) -> list[int]:
    return [start for kind, start in children(index, 0) if kind == b"trak"]


def _lengthen_video(index: bytearray, track: int, ticks: int) -> None:
    """Make the last edit and the track at least as long as the pictures, and the samples as long as the
    track."""
    edits, header = find(index, track, b"edts", b"elst"), find(index, track, b"tkhd")[1]
    if len(edits) == 3:
        total = _change_last_edit(index, edits[2], lambda length: max(length, ticks))
        _set_length(index, header, max(_length(index, header), total))
    durations = _durations(index, track)
    missing = _length(index, find(index, track, b"mdia", b"mdhd")[2]) - sum(durations)
    if durations and missing > 0:
        _set_durations(index, track, [*durations[:-1], durations[-1] + missing])


def _end_text(index: bytearray, track: int, timescale: int) -> None:
    """Let nothing that is empty last longer than the last text of a track."""
    sizes, durations = _sizes(index, track), _durations(index, track)
    said = [number for number, size in enumerate(sizes) if size > _EMPTY_TEXT_BYTES]
    if not said or len(sizes) != len(durations):
        return
    kept = said[-1] + 1
    excess = sum(durations[kept:])
    if not excess:
        return
    media, header = find(index, track, b"mdia", b"mdhd")[2], find(index, track, b"tkhd")[1]
    ticks = round(Fraction(excess, _timescale(index, media)) * timescale)
    _set_length(index, media, _length(index, media) - excess)
    _set_length(index, header, _length(index, header) - ticks)
    edits = find(index, track, b"edts", b"elst")
    if len(edits) == 3:
        _change_last_edit(index, edits[2], lambda length: max(length - ticks, 0))
    _set_durations(index, track, [*durations[:kept], *[0] * (len(durations) - kept)])


def _table(index: bytearray, track: int, kind: bytes) -> list[int]:
    """Return the path from the movie to a table of the samples of a track."""
    return [0, *find(index, track, b"mdia", b"minf", b"stbl", kind)]


def _durations(index: bytearray, track: int) -> list[int]:
    """Return how long each sample lasts, in ticks of the track."""
    at = _table(index, track, b"stts")[-1]
    (count,) = struct.unpack_from(">I", index, at + 12)
    pairs = struct.unpack_from(f">{2 * count}I", index, at + 16)
    return [ticks for samples, ticks in zip(pairs[::2], pairs[1::2], strict=True) for _ in range(samples)]


def _set_durations(index: bytearray, track: int, durations: Sequence[int]) -> None:
    runs = [(len(list(equal)), ticks) for ticks, equal in groupby(durations)]
    flat = [number for run in runs for number in run]
    table = box(b"stts", struct.pack(f">II{len(flat)}I", 0, len(runs), *flat))
    replace(index, _table(index, track, b"stts"), table)


def _sizes(index: bytearray, track: int) -> list[int]:
    """Return the bytes of each sample."""
    at = _table(index, track, b"stsz")[-1]
    size, count = struct.unpack_from(">II", index, at + 12)
    return [size] * count if size else list(struct.unpack_from(f">{count}I", index, at + 20))


def _timescale(index: bytearray, header: int) -> int:
    """Return the ticks a second of the box ``mvhd`` or ``mdhd`` at ``header``."""
    return int(struct.unpack_from(">I", index, header + (28 if index[header + 8] else 20))[0])


def _length(index: bytearray, header: int) -> int:
    """Return the length that a box ``mvhd``, ``mdhd`` or ``tkhd`` states, in its ticks."""
    form, at = _place_of_length(index, header)
    return int(struct.unpack_from(form, index, at)[0])


def _set_length(index: bytearray, header: int, ticks: int) -> None:
    form, at = _place_of_length(index, header)
    struct.pack_into(form, index, at, ticks)


def _place_of_length(index: bytearray, header: int) -> tuple[str, int]:
    narrow, wide = _LENGTH_AT[bytes(index[header + 4 : header + 8])]
    return (">Q", header + wide) if index[header + 8] else (">I", header + narrow)


def _change_last_edit(index: bytearray, at: int, changed: Callable[[int], int]) -> int:
    """Return the sum of all edits of the edit list at ``at`` after the length of its last was changed."""
    form, length = (">Qqi", ">Q") if index[at + 8] else (">Iii", ">I")
    (count,) = struct.unpack_from(">I", index, at + 12)
    entries = [at + 16 + number * struct.calcsize(form) for number in range(count)]
    (last,) = struct.unpack_from(length, index, entries[-1])
    struct.pack_into(length, index, entries[-1], changed(last))
    return sum(int(struct.unpack_from(length, index, entry)[0]) for entry in entries)
