"""Animated WebP and APNG as FFmpeg 8.1 writes them: put right at the end, and read again to be compared.

FFmpeg blends each picture of a WebP with those before, so that nothing could become transparent again, says
of every one that it has alpha, and shows the last picture of an APNG for as long as the one before it. The
layouts are those of the WebP container specification (Google, 2011) and of "Portable Network Graphics (PNG)
Specification, Third Edition" (W3C, 2025).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from streamfx.encode.files.expected import Expected

_ALPHA, _NOT_BLENDED = 16, 2  # flags of a WebP and of a picture in it
_MOST_TERM = 0xFFFF  # of a fraction in an APNG
_WEBP_HEAD_BYTES, _PNG_HEAD_BYTES, _CONTROL_BYTES = 12, 8, 26


@dataclass(slots=True)
class _Found:
    """What an animation says of itself.

    Attributes:
        size: (height, width) of its pictures.
        delays: times for which each is shown, in seconds; empty for a still.
        stills: pictures in it that are no part of an animation.
        whole: whether the file ends where it says.
    """

    size: tuple[int, int] = (0, 0)
    delays: list[Fraction] = field(default_factory=list)
    stills: int = 0
    whole: bool = False


def finish_animation(path: Path, muxer: str, last_seconds: Fraction, *, alpha: bool) -> None:
    """Put right, in place, what FFmpeg writes otherwise; of a file with one picture nothing is changed.

    Args:
        path: a complete file.
        muxer: FFmpeg's name of the muxer that wrote it.
        last_seconds: time for which the last picture is shown.
        alpha: whether pictures have alpha.

    Raises:
        OSError: it cannot be read or written.
    """
    with path.open("r+b") as file:
        if muxer == "webp":
            _finish_webp(file, alpha=alpha)
        elif muxer == "apng":
            _finish_apng(file, last_seconds)


def _finish_webp(file: BinaryIO, *, alpha: bool) -> None:
    for kind, at in list(_webp_chunks(file)):
        if kind == b"VP8X" and not alpha:
            _change(file, at, bytes([_read(file, at, 1)[0] & ~_ALPHA]))
        elif kind == b"ANMF":
            _change(file, at + 15, bytes([_read(file, at + 15, 1)[0] | _NOT_BLENDED]))


def _finish_apng(file: BinaryIO, last_seconds: Fraction) -> None:
    controls = [at for kind, at in _png_chunks(file) if kind == b"fcTL"]
    if not controls:
        return
    control = bytearray(_read(file, controls[-1], _CONTROL_BYTES))
    struct.pack_into(">HH", control, 20, *_in_terms(last_seconds))
    _change(file, controls[-1], bytes(control) + struct.pack(">I", zlib.crc32(b"fcTL" + control)))


def _in_terms(seconds: Fraction) -> tuple[int, int]:
    """Return the numerator and denominator of a delay, or of the nearest that an APNG can state."""
    near = seconds.limit_denominator(max(min(_MOST_TERM, int(_MOST_TERM / max(seconds, Fraction(1)))), 1))
    return min(near.numerator, _MOST_TERM), near.denominator


def animation_differences(path: Path, expected: Expected) -> Iterator[str]:
    """Yield every difference between a finished animation and what was sent to it, a sentence each.

    Compared are the number of pictures, the time from the first to the last, the size, and whether the file
    is as long as it says.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        found = _found_webp(file) if expected.animation == "webp" else _found_apng(file)
    pictures = len(found.delays) or found.stills
    if pictures != expected.packets:
        yield f"pictures: {expected.packets} sent, {pictures} found"
    sent, got = expected.last_seconds - expected.first_seconds, sum(found.delays[:-1], Fraction(0))
    if found.delays and abs(sent - got) > 2 * expected.tick_seconds:
        yield f"time from first to last picture: {float(sent):.4f} s sent, {float(got):.4f} s found"
    if found.size not in (expected.size, (0, 0)):
        height, width = found.size
        yield f"size: {expected.size[1]}x{expected.size[0]} sent, {width}x{height} found"
    if not found.whole:
        yield "the file does not end where it says that it does"


def _found_webp(file: BinaryIO) -> _Found:
    found = _Found()
    for kind, at in _webp_chunks(file):
        if kind == b"VP8X":
            head = _read(file, at, 10)
            found.size = (_number(head[7:10]) + 1, _number(head[4:7]) + 1)
        elif kind == b"ANMF":
            found.delays.append(Fraction(_number(_read(file, at + 12, 3)), 1000))
        elif kind in (b"VP8 ", b"VP8L"):
            found.stills += 1
    (stated,) = struct.unpack("<I", _read(file, 4, 4))
    found.whole = stated + 8 == file.seek(0, 2)
    return found


def _found_apng(file: BinaryIO) -> _Found:
    found, kind, stated = _Found(stills=1), b"", None
    for kind, at in _png_chunks(file):
        if kind == b"IHDR":
            width, height = struct.unpack(">II", _read(file, at, 8))
            found.size = (height, width)
        elif kind == b"acTL":
            (stated,) = struct.unpack(">I", _read(file, at, 4))
        elif kind == b"fcTL":
            over, under = struct.unpack(">HH", _read(file, at + 20, 4))
            found.delays.append(Fraction(over, under or 100))
    found.whole = kind == b"IEND" and stated in (None, len(found.delays))
    return found


def _webp_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield kind and place of what each chunk holds."""
    at, end_bytes = _WEBP_HEAD_BYTES, file.seek(0, 2)
    while at + 8 <= end_bytes:
        kind, size_bytes = struct.unpack("<4sI", _read(file, at, 8))
        yield kind, at + 8
        at += 8 + size_bytes + size_bytes % 2


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield kind and place of what each chunk holds."""
    at, end_bytes = _PNG_HEAD_BYTES, file.seek(0, 2)
    while at + 12 <= end_bytes:
        size_bytes, kind = struct.unpack(">I4s", _read(file, at, 8))
        yield kind, at + 8
        at += 12 + size_bytes


def _read(file: BinaryIO, at: int, size_bytes: int) -> bytes:
    file.seek(at)
    data = file.read(size_bytes)
    if len(data) < size_bytes:
        raise OSError(f"ends after {at + len(data)} bytes, in the middle of a chunk")
    return data


def _change(file: BinaryIO, at: int, data: bytes) -> None:
    file.seek(at)
    file.write(data)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
