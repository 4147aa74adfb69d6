"""The size at which a Matroska or WebM file is to be shown, written into the finished file.

FFmpeg writes it from a field that PyAV 18.1 has no access to. The elements are those of RFC 9559, coded as in
RFC 8794. The file is not rewritten: FFmpeg leaves room (a Void element) between the list of what is where and
what comes first, and what is added to the tracks is taken from there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

_SEGMENT, _SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x18538067, 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_VOID, _CRC, _INFO, _TRACKS, _ENTRY, _VIDEO = 0xEC, 0xBF, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0
_WIDTH, _HEIGHT, _UNIT = 0x54B0, 0x54BA, 0x54B2
_RATIO = 3  # a unit of the size
_HEAD_BYTES = 1 << 20
_LEAST_VOID_BYTES = 9  # its own head, with a size of 8 bytes


class Element(NamedTuple):
    """Where an element starts, where what is in it starts, and where it ends."""

    kind: int
    start: int
    inner: int
    end: int


@dataclass(frozen=True, slots=True)
class DisplaySize:
    """At which size a picture is shown whose pixels are not square.

    Attributes:
        height: height in pixels, or the second part of the ratio of the sides.
        width: width in pixels, or the first part of the ratio.
        is_ratio: whether height and width are a ratio.
    """

    height: int
    width: int
    is_ratio: bool


def shown_size(size: tuple[int, int], shape: Fraction, *, pixels_only: bool) -> DisplaySize:
    """Return at which size a picture is shown: in whole pixels where that is exact, else as a ratio.

    Args:
        size: (height, width) of the picture in pixels.
        shape: shape of a pixel, width to height.
        pixels_only: round to whole pixels, which is all that WebM knows.

    Example:
        >>> shown_size((576, 704), Fraction(16, 11), pixels_only=False)
        DisplaySize(height=576, width=1024, is_ratio=False)
    """
    height, width = size
    exact = (Fraction(height), width * shape) if shape > 1 else (height / shape, Fraction(width))
    rounded = DisplaySize(round(exact[0]), round(exact[1]), is_ratio=False)
    if pixels_only or (Fraction(rounded.height), Fraction(rounded.width)) == exact:
        return rounded
    ratio = Fraction(width * shape / height)
    return DisplaySize(ratio.denominator, ratio.numerator, is_ratio=True)


def write_shape(path: Path, size: tuple[int, int], shape: Fraction, muxer: str) -> bool:
    """State in a finished file what pixels are like that are not square.

    Args:
        path: the file.
        size: (height, width) of the picture in pixels.
        shape: shape of a pixel, width to height.
        muxer: FFmpeg's name of the container: matroska or webm.

    Returns:
        Whether there was room for it.
    """
    return shape == 1 or write_display_size(path, shown_size(size, shape, pixels_only=muxer == "webm"))


def write_display_size(path: Path, shown: DisplaySize) -> bool:
    """State in a finished file at which size its video is to be shown.

    Returns:
        Whether there was room for it.
    """
    with path.open("r+b") as file:
        head = bytearray(file.read(_HEAD_BYTES))
        changed = _with_shown_size(head, shown)
        if changed is None:
            return False
        file.seek(0)
        file.write(changed)
        return True


def _with_shown_size(head: bytearray, shown: DisplaySize) -> bytearray | None:
    """Return the beginning of a file with the size added; None where it is not laid out as expected."""
    segment = next((each for each in elements(head, 0, len(head)) if each.kind == _SEGMENT), None)
    if segment is None:
        return None
    found: dict[int, Element] = {}
    for each in elements(head, segment.inner, len(head)):
        found.setdefault(each.kind, each)
    if not {_SEEK_HEAD, _VOID, _INFO, _TRACKS} <= found.keys():
        return None
    void, tracks = found[_VOID], found[_TRACKS]
    new_tracks = _tracks_with(head, tracks, shown)
    if new_tracks is None or not void.start < found[_INFO].start < tracks.start:
        return None
    moved_by = len(new_tracks) - (tracks.end - tracks.start)
    left = void.end - void.start - moved_by
    if left < _LEAST_VOID_BYTES:
        return None
    between = head[void.end : tracks.start]
    new_void = _element(_VOID, bytes(left - _LEAST_VOID_BYTES), size_length=8)
    seek_head = _seek_head_with(head, found[_SEEK_HEAD], {_INFO: moved_by, _TRACKS: moved_by})
    changed = bytearray(head)
    changed[found[_SEEK_HEAD].start : found[_SEEK_HEAD].end] = seek_head
    changed[void.start : tracks.end] = new_void + between + new_tracks
    return changed if len(changed) == len(head) else None


def _tracks_with(head: bytearray, tracks: Element, shown: DisplaySize) -> bytes | None:
    """Return the tracks with the size in the first one that is a video."""
    parts, done = [], False
    for entry in elements(head, tracks.inner, tracks.end):
        if entry.kind == _CRC:
            continue
        part = bytes(head[entry.start : entry.end])
        inside = list(elements(head, entry.inner, entry.end)) if entry.kind == _ENTRY else []
        video = next((each for each in inside if each.kind == _VIDEO), None)
        if video is not None and not done:
            kept = [
                bytes(head[each.start : each.end])
                for each in elements(head, video.inner, video.end)
                if each.kind not in (_WIDTH, _HEIGHT, _UNIT)
            ]
            stated = _element(_WIDTH, _number(shown.width)) + _element(_HEIGHT, _number(shown.height))
            stated += _element(_UNIT, _number(_RATIO)) if shown.is_ratio else b""
            new_video = _element(_VIDEO, b"".join(kept) + stated)
            before, after = head[entry.inner : video.start], head[video.end : entry.end]
            part, done = _element(_ENTRY, bytes(before) + new_video + bytes(after), size_length=8), True
        parts.append(part)
    return _like(head, tracks, b"".join(parts)) if done else None


def _seek_head_with(head: bytearray, seek_head: Element, moved_by: dict[int, int]) -> bytes:
    """Return the list of what is where, with some of it so many bytes nearer to the start."""
    parts = []
    for seek in elements(head, seek_head.inner, seek_head.end):
        if seek.kind != _SEEK:
            continue
        inside = {
            each.kind: bytes(head[each.inner : each.end]) for each in elements(head, seek.inner, seek.end)
        }
        identity, position = inside[_SEEK_ID], inside[_SEEK_POSITION]
        nearer = int.from_bytes(position) - moved_by.get(int.from_bytes(identity), 0)
        parts.append(
            _element(
                _SEEK,
                _element(_SEEK_ID, identity) + _element(_SEEK_POSITION, nearer.to_bytes(len(position))),
            )
        )
    return _like(head, seek_head, b"".join(parts))


def _like(head: bytearray, old: Element, inner: bytes) -> bytes:
    """Return an element of the kind of an old one, with a checksum in it if that has one (WebM has none)."""
    if next(elements(head, old.inner, old.end)).kind == _CRC:
        inner = _element(_CRC, zlib.crc32(inner).to_bytes(4, "little")) + inner
    return _element(old.kind, inner)


def _element(kind: int, inner: bytes, size_length: int | None = None) -> bytes:
    length = size_length or next(n for n in range(1, 9) if len(inner) < (1 << 7 * n) - 1)
    size = (len(inner) | 1 << 7 * length).to_bytes(length)
    return kind.to_bytes((kind.bit_length() + 7) // 8) + size + inner


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8 or 1)


def elements(data: bytearray, at: int, end: int) -> Iterator[Element]:
    """Yield the elements between two positions, without going into any; the last may be cut off."""
    while at < end:
        kind_length = _length(data[at])
        size_at = at + kind_length
        if size_at >= end or (size_length := _length(data[size_at])) + size_at > end:
            return
        size = int.from_bytes(data[size_at : size_at + size_length]) & ((1 << 7 * size_length) - 1)
        inner = size_at + size_length
        yield Element(int.from_bytes(data[at:size_at]), at, inner, inner + size)
        at = inner + size


def _length(first: int) -> int:
    """Return how many bytes a number has that begins so."""
    return 9 - first.bit_length() if first else 9
