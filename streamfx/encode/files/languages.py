"""Languages of tracks, as MP4 and MOV hold them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from streamfx.encode.files.boxes import children, find, track_kind
from streamfx.media.languages import OLDER

_UNSTATED = 0x7FFF
_KINDS = (b"vide", b"soun", b"sbtl", b"text", b"subt", b"clcp")


def older_code(language: str) -> str:
    """Return a language by the code under which QuickTime's numbered list knows it: the older of two.

    Example:
        >>> older_code("deu"), older_code("eng")
        ('ger', 'eng')
    """
    return OLDER.get(language, language)


def is_held(language: str) -> bool:
    """Return whether MP4 and MOV can state a language: by three letters."""
    return len(language) == 3 and language.isascii() and language.isalpha() and language.islower()


def state_languages(index: bytearray, languages: Sequence[str | None]) -> None:
    """State the languages that FFmpeg could not, because QuickTime's list lacks them, in place.

    The files may hold any language of three letters besides the list, in five bits each.

    Args:
        index: the box ``moov``.
        languages: languages of the streams, in the order they were added; None for one that is not stated.
    """
    tracks = [start for kind, start in children(index, 0) if kind == b"trak"]
    tracks = [track for track in tracks if track_kind(index, track) in _KINDS]
    for track, language in zip(tracks, languages, strict=False):
        header = find(index, track, b"mdia", b"mdhd")[-1]
        at = header + (40 if index[header + 8] else 28)
        (found,) = struct.unpack_from(">H", index, at)
        if found == _UNSTATED and language is not None and is_held(language) and language != "und":
            packed = 0
            for letter in language:
                packed = packed << 5 | ord(letter) - 0x60
            struct.pack_into(">H", index, at, packed)
