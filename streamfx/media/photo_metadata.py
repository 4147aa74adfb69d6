"""What picture files hold beside their pixels, EXIF data and colour profile: read, and written into new ones.

Segments of JPEG, chunks of PNG and of WebP (RIFF), and EXIF data, which is laid out as a TIFF file is.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_ORIENTATION, _SHORT = 0x0112, 3
_EXIF, _PROFILE = b"Exif\0\0", b"ICC_PROFILE\0"
_APP1, _APP2, _SCAN = 0xE1, 0xE2, 0xDA
_MOST_SEGMENT_BYTES = 65_533 - len(_PROFILE) - 2
_PNG_HEAD_BYTES = 8 + 25  # signature, and the first chunk, IHDR


def read_exif(data: bytes) -> bytes:
    """Return the EXIF data of a JPEG, PNG, WebP or TIFF file; empty where there is none."""
    if data.startswith((b"II*\0", b"MM\0*")):
        return data
    if data.startswith(b"\xff\xd8"):
        found = (inner for kind, inner in _segments(data) if kind == _APP1 and inner.startswith(_EXIF))
    else:
        found = (inner for kind, inner in chunks(data) if kind in (b"eXIf", b"EXIF"))
    return next(found, b"").removeprefix(_EXIF)


def read_icc(data: bytes) -> bytes:
    """Return the colour profile of a JPEG, PNG or WebP file; empty where there is none."""
    if data.startswith(b"\xff\xd8"):
        parts = [
            inner[len(_PROFILE) :]
            for kind, inner in _segments(data)
            if kind == _APP2 and inner.startswith(_PROFILE)
        ]
        return b"".join(part[2:] for part in sorted(parts, key=lambda part: part[:1]))
    for kind, inner in chunks(data):
        if kind == b"ICCP":
            return inner
        if kind == b"iCCP":
            packed = inner.partition(b"\0")[2][1:]
            try:
                return zlib.decompress(packed)
            except zlib.error:
                return b""
    return b""


def orientation(exif: bytes) -> int | None:
    """Return EXIF's number of the orientation, 1 to 8; None where it is not stated or the data damaged."""
    at = _place_of_orientation(exif)
    return None if at is None else int(struct.unpack_from(f"{_order(exif)}H", exif, at)[0])


def made_upright(exif: bytes) -> bytes:
    """Return EXIF data that says that the picture stands upright."""
    at = _place_of_orientation(exif)
    return exif if at is None else exif[:at] + struct.pack(f"{_order(exif)}H", 1) + exif[at + 2 :]


def with_tags(picture: bytes, exif: bytes, icc: bytes) -> bytes:
    """Return a JPEG or PNG file with EXIF data and a colour profile put in; empty ones are not."""
    if picture.startswith(b"\xff\xd8"):
        parts = [icc[at : at + _MOST_SEGMENT_BYTES] for at in range(0, len(icc), _MOST_SEGMENT_BYTES)]
        inner = [(_APP1, _EXIF + exif)] if exif and len(exif) <= _MOST_SEGMENT_BYTES else []
        inner += [
            (_APP2, _PROFILE + bytes((number, len(parts))) + part) for number, part in enumerate(parts, 1)
        ]
        added = b"".join(struct.pack(">BBH", 0xFF, kind, len(part) + 2) + part for kind, part in inner)
        end = 2 + (2 + int.from_bytes(picture[4:6]) if picture[2:4] == b"\xff\xe0" else 0)  # after JFIF's own
        return picture[:end] + added + picture[end:]
    chunks = [(b"iCCP", b"profile\0\0" + zlib.compress(icc))] if icc else []
    chunks += [(b"eXIf", exif)] if exif else []
    added = b"".join(
        struct.pack(">I", len(inner)) + kind + inner + struct.pack(">I", zlib.crc32(kind + inner))
        for kind, inner in chunks
    )
    return picture[:_PNG_HEAD_BYTES] + added + picture[_PNG_HEAD_BYTES:]


def is_animated(data: bytes) -> bool:
    """Return whether a PNG or WebP file holds several pictures, to be shown one after the other."""
    for kind, inner in chunks(data):
        if kind in (b"acTL", b"ANIM"):
            return True
        if kind == b"IDAT" or (kind == b"VP8X" and inner and not inner[0] & 2):
            return False
    return False


def _order(exif: bytes) -> str:
    return "<" if exif.startswith(b"II") else ">"


def _place_of_orientation(exif: bytes) -> int | None:
    order = _order(exif)
    try:
        (at,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, _, _ = struct.unpack_from(f"{order}HHII", exif, entry)
            if tag == _ORIENTATION and kind == _SHORT:
                return entry + 8
    except struct.error:
        return None
    return None


def _segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, what is in it) of each segment before the picture itself."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] != _SCAN:
        (size,) = struct.unpack_from(">H", jpeg, at + 2)
        yield jpeg[at + 1], jpeg[at + 4 : at + 2 + size]
        at += 2 + size


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (kind, what is in it) of each chunk of a PNG or WebP file; of any other there are none."""
    if data.startswith(b"\x89PNG"):
        at, size_form, size_at, kind_at, after = 8, ">I", 0, 4, 4
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        at, size_form, size_at, kind_at, after = 12, "<I", 4, 0, 0
    else:
        return
    while at + 8 <= len(data):
        (size,) = struct.unpack_from(size_form, data, at + size_at)
        yield data[at + kind_at : at + kind_at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + after + (size % 2 if not after else 0)
