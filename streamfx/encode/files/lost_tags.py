"""Tags, flags and chapters that a container does not hold: found by reading again what it would be."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition, Stream

from streamfx.media.notes import LeftOut
from streamfx.media.tracks import OtherTracks

# Made by FFmpeg and by other programs about the file they wrote; and names of handlers, which mean nothing.
_ABOUT_THE_FILE = {
    *(
        "major_brand",
        "minor_version",
        "compatible_brands",
        "encoder",
        "duration",
        "software",
        "creation_time",
    ),
    *("handler_name", "vendor_id", "rotate", "alpha_mode", "bps", "number_of_frames", "number_of_bytes"),
    *("variant_bitrate", "filename", "mimetype"),
}


def lost_tags(data: bytes, out: OutputContainer, other_tracks: OtherTracks, ending: str) -> list[str]:
    """Return what is to be said of tags, flags and chapters that a file like ``out`` has not.

    Args:
        data: bytes of such a file, complete but for most of the pictures and sound.
        out: the output, with everything that is to be in it.
        other_tracks: other_tracks of the source.
        ending: ending of the file, for the text.
    """
    try:
        file = av.open(io.BytesIO(data), "r", metadata_errors="surrogateescape")
    except (av.FFmpegError, OSError, ValueError):
        return []  # too little is in it to be read; what is written is read again at the end
    with file:
        return list(_differences(file, out, other_tracks, ending))


def tags_without_a_place(other_tracks: OtherTracks, streams: Iterable[Stream], ending: str) -> list[str]:
    """Return what is to be said where a file holds no tags at all: transport streams, GIF, pictures.

    Args:
        other_tracks: other_tracks of the source.
        streams: streams of the output, beside the pictures.
        ending: ending of the file, for the text.
    """
    names = [key for key in other_tracks.metadata if _matters(key)]
    names += [
        f"{key} of stream {stream.index}" for stream in streams for key in _own(stream.metadata, "language")
    ]
    notes = [LeftOut(f"tags are left out, as {ending} holds none: {_listed(names)}")] if names else []
    if other_tracks.chapters:
        notes.append(LeftOut(f"chapters are left out, as {ending} holds none"))
    return list(notes)


def _differences(
    file: InputContainer, out: OutputContainer, other_tracks: OtherTracks, ending: str
) -> Iterable[str]:
    lost = list(_lost(out.metadata, file.metadata))
    flags = []
    for sent, found in zip(out.streams, file.streams, strict=False):
        if sent.type != found.type or sent.type == "attachment":
            continue
        lost += [f"{key} of stream {sent.index}" for key in _lost(sent.metadata, found.metadata)]
        missing = Disposition(sent.disposition & ~found.disposition)
        flags += [
            f"{flag.name} of stream {sent.index}" for flag in missing if flag is not Disposition.default
        ]
    if lost:
        yield LeftOut(f"tags are left out, as {ending} does not hold them: {_listed(lost)}")
    if flags:
        yield LeftOut(f"flags are left out, as {ending} does not hold them: {', '.join(flags)}")
    if len(file.chapters()) < len(other_tracks.chapters):
        yield LeftOut(f"chapters are left out, as {ending} holds none")


def _lost(sent: Mapping[str, str], found: Mapping[str, str]) -> Iterable[str]:
    """Yield the names of tags whose text is nowhere among what was found: containers change names.

    Languages are told of elsewhere, for containers change them too.
    """
    texts = {text.strip() for text in found.values()}
    for key, text in sent.items():
        if _matters(key) and key != "language" and text.strip() and text.strip() not in texts:
            yield key


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names, key=str.lower))


def _own(tags: Mapping[str, str], *but: str) -> list[str]:
    return [key for key in tags if _matters(key) and key.lower() not in but]


def _matters(key: str) -> bool:
    plain = key.lower().split("-")[0]
    return plain not in _ABOUT_THE_FILE and not key.startswith("_STATISTICS")
