"""Settings of the tracks beside the pictures, and what a wrong one is told."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema

from streamfx.config.option import Option
from streamfx.config.sizes import number_of
from streamfx.encode.tracks.formats import SOUND_CODECS, TEXT_FORMATS, lossy, named

_AUDIO = ("auto", "copy", "none", *SOUND_CODECS)
_SUBTITLES = ("auto", "copy", "convert", "none", *TEXT_FORMATS)
_TRACK = re.compile(r"(?:[1-9]\d{0,3}|[a-z]{2,3}(?:-[a-z0-9]{1,8})*)\??", re.IGNORECASE | re.ASCII)
_LEAST_BITS, _MOST_BITS = 6_000, 4_000_000


def _check_audio(value: object) -> str:
    return named(value, _AUDIO)


def _check_subtitles(value: object) -> str:
    return named(value, _SUBTITLES)


def check_tracks(value: object) -> tuple[str, ...]:
    """Return the tracks that ``"eng,2"``, ``["eng", 2]`` or ``2`` name.

    Raises:
        ValueError: it names none.

    Example:
        >>> check_tracks("eng, jpn?"), check_tracks(2)
        (('eng', 'jpn?'), ('2',))
    """
    given = value.split(",") if isinstance(value, str) else value
    each = list(given) if isinstance(given, list | tuple) else [given]
    each = ["no" if one is False else one for one in each]  # in YAML, Norwegian stands for false
    if all(isinstance(one, str | int) and not isinstance(one, bool) for one in each):
        texts = tuple(str(one).strip() for one in each)
        if all(map(_TRACK.fullmatch, texts)):
            return texts
    raise ValueError("must be numbers, from 1 on, or languages of tracks, such as 1 or eng,ja")


def _check_bit_rate(value: object) -> int | None:
    """Return the bits a second that ``128k`` or ``128000`` are."""
    bits = number_of(value)
    if value is not None and (bits is None or not _LEAST_BITS <= bits <= _MOST_BITS):
        raise ValueError("must be bits a second, such as 128k, from 6k to 4000k")
    return bits


def _unless_none(tracks: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    what = "audio" if info.field_name == "audio_tracks" else "subtitles"
    if tracks and info.data.get(what) == "none":
        raise ValueError(f"cannot be given together with {what} none; leave one of them out")
    return tracks


def _of_a_codec(bits: int | None, info: ValidationInfo) -> int | None:
    if bits is not None and not lossy(audio := info.data.get("audio", "auto")):
        codecs = ", ".join(name for name in SOUND_CODECS if lossy(name))
        raise ValueError(f"needs audio with the name of a codec with loss ({codecs}), not {audio}")
    return bits


_TRACKS_SCHEMA = {"type": ["string", "integer", "array"], "items": {"type": ["string", "integer"]}}
_Tracks = Annotated[
    tuple[str, ...],
    BeforeValidator(check_tracks),
    AfterValidator(_unless_none),
    WithJsonSchema(_TRACKS_SCHEMA),
    Option("tracks", "TRACKS"),
]
AudioSetting = Annotated[
    str,
    PlainValidator(_check_audio),
    WithJsonSchema({"enum": [*_AUDIO]}),
    Option("tracks", "HOW"),
    Field(
        description="sound: auto (copied, or converted where the output needs it), copy, none, or a codec "
        f"for all of it: {', '.join(SOUND_CODECS)}"
    ),
]
AudioTracksSetting = Annotated[
    _Tracks,
    Field(
        description="sound tracks, in order, by language or by number from 1 on: eng,jpn or 2,1; jpn? is one "
        "that may be missing; all by default"
    ),
]
AudioBitrateSetting = Annotated[
    int | None,
    PlainValidator(_check_bit_rate),
    AfterValidator(_of_a_codec),
    WithJsonSchema({"type": ["string", "integer", "null"]}),
    Option("tracks", "RATE"),
    Field(description="bits a second of each sound that is converted to the codec named, 128k for instance"),
]
SubtitlesSetting = Annotated[
    str,
    PlainValidator(_check_subtitles),
    WithJsonSchema({"enum": [*_SUBTITLES]}),
    Option("tracks", "HOW"),
    Field(
        description="subtitles: auto (copied, or converted where the output needs it), copy, convert (text "
        f"to what the container usually has), none, or a format: {', '.join(TEXT_FORMATS)}"
    ),
]
SubtitleTracksSetting = Annotated[
    _Tracks, Field(description="subtitle tracks, by language or number as for sound; all by default")
]
_Kept = Literal["keep", "none"]
AttachmentsSetting = Annotated[
    _Kept,
    Option("tracks", "HOW"),
    Field(description="attached files, such as fonts, and cover pictures: keep or none"),
]
ChaptersSetting = Annotated[_Kept, Option("tracks", "HOW"), Field(description="chapters: keep or none")]
