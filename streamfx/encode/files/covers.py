"""Cover pictures: attachments in Matroska, part of the index in MP4 and MOV."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from streamfx.encode.files.boxes import append, box, find
from streamfx.media.tracks import OtherTrack, OtherTracks

_INDEX_KINDS = {"image/jpeg": 13, "image/png": 14}
_KINDS = {"mjpeg": ("image/jpeg", ".jpg"), "png": ("image/png", ".png")}


@dataclass(frozen=True, slots=True)
class Cover:
    """A cover picture.

    Attributes:
        name: name of the picture as a file.
        mime_type: image/jpeg or image/png.
        data: the picture as a file.
    """

    name: str
    mime_type: str
    data: bytes


def read_cover(stream: OtherTrack, other_tracks: OtherTracks) -> Cover | None:
    """Return the cover picture that a stream of the source is; None for a kind that no player shows."""
    packets = other_tracks.waiting(stream.index)
    if stream.codec not in _KINDS or not packets:
        return None
    mime_type, ending = _KINDS[stream.codec]
    name = PurePath(stream.template.metadata.get("filename") or f"cover{ending}").name
    return Cover(name, mime_type, bytes(packets[0]))


def add_covers(index: bytearray, covers: Sequence[Cover]) -> None:
    """Put covers where players look for them in an MP4 or MOV: ``moov/udta/meta/ilst``, as iTunes does.

    Args:
        index: the box ``moov``.
        covers: the pictures; without any nothing is changed.
    """
    if not covers:
        return
    pictures = (
        box(b"data", struct.pack(">II", _INDEX_KINDS[each.mime_type], 0) + each.data) for each in covers
    )
    added = box(b"covr", b"".join(pictures))
    kinds = (b"udta", b"meta", b"ilst")
    path = find(index, 0, *kinds)
    for kind in reversed(kinds[len(path) - 1 :]):  # those that are missing
        if kind == b"meta":  # version and flags, and a handler which says that iTunes' list follows
            handler = box(b"hdlr", struct.pack(">II4s4s9x", 0, 0, b"mdir", b"appl"))
            added = struct.pack(">I", 0) + handler + added
        added = box(kind, added)
    append(index, path, added)
