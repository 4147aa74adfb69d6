"""Which tracks of a source are wanted in the output, and in what form: what a user may choose of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from streamfx.errors import ConfigError, did_you_mean
from streamfx.media.languages import language_code
from streamfx.media.notes import AsAsked
from streamfx.media.tracks import OtherTrack, OtherTracks

_NAMES = {"audio": "sound", "subtitle": "subtitle"}
_OPTIONS = {"audio": "--audio-tracks", "subtitle": "--subtitle-tracks"}


@dataclass(frozen=True, slots=True)
class TrackChoice:
    """What is wanted of the tracks beside the pictures.

    Attributes:
        audio: auto (copied, or converted where that is better), copy, none, or the name of a sound codec.
        audio_tracks: sounds wanted, in order: numbers, counted from 1 among the sounds, or languages; with a
            question mark at the end, only where there is one. Empty: all.
        audio_bits_per_second: bit rate of each sound that is converted; None: what suits codec and channels.
        subtitles: auto, copy, convert (text in the usual format of the container), none, or the name of a
            format.
        subtitle_tracks: likewise, of subtitles.
        attachments: whether attached files are wanted: fonts, cover pictures.
        chapters: whether chapters are wanted.
    """

    audio: str = "auto"
    audio_tracks: tuple[str, ...] = ()
    audio_bits_per_second: int | None = None
    subtitles: str = "auto"
    subtitle_tracks: tuple[str, ...] = ()
    attachments: bool = True
    chapters: bool = True

    @property
    def asks_for_sound(self) -> bool:
        """Whether sound was asked for by name, so that an output that holds none is not what is wanted."""
        return self.audio not in ("auto", "none") or bool(self.audio_tracks)

    @property
    def asks_for_subtitles(self) -> bool:
        """Whether subtitles were, likewise."""
        return self.subtitles not in ("auto", "none") or bool(self.subtitle_tracks)


def keep_wanted(choice: TrackChoice, other_tracks: OtherTracks, name: str) -> list[str]:
    """Keep of a source's tracks what is wanted; return what is to be said of the others.

    Args:
        choice: tracks that are wanted.
        other_tracks: tracks of the source, which has not been read yet.
        name: name of the source, for messages.

    Raises:
        ConfigError: a track that was asked for is not there; the message lists those that are.
    """
    wanted = wanted_streams(choice, other_tracks.streams, name)
    kept = {stream.index for stream in wanted}
    gone = [str(stream) for stream in other_tracks.streams if stream.index not in kept]
    gone += ["chapters"] if other_tracks.chapters and not choice.chapters else []
    other_tracks.keep(wanted, chapters=choice.chapters)
    return [AsAsked(f"left out, as asked: {', '.join(gone)}")] if gone else []


def wanted_streams(choice: TrackChoice, streams: Sequence[OtherTrack], name: str) -> tuple[OtherTrack, ...]:
    """Return the streams that are wanted, sounds and subtitles in the order that was asked for.

    Where sounds are chosen, the first of them is flagged as the one to play, and no other.

    Raises:
        ConfigError: see ``keep_wanted``.
    """
    sounds, texts = _of_kind(streams, "audio"), _of_kind(streams, "subtitle")
    if choice.audio_tracks:
        found = _picked(choice.audio_tracks, sounds, "audio", name)
        sounds = [replace(stream, default=place == 0) for place, stream in enumerate(found)]
    if choice.subtitle_tracks:
        texts = _picked(choice.subtitle_tracks, texts, "subtitle", name)
    left = {
        "audio": iter(() if choice.audio == "none" else sounds),
        "subtitle": iter(() if choice.subtitles == "none" else texts),
    }
    wanted = list[OtherTrack]()
    for stream in streams:  # each kind keeps the places that it has among the others
        if stream.kind in left:
            wanted.extend(each for each in [next(left[stream.kind], None)] if each is not None)
        elif choice.attachments or stream.kind not in ("attachment", "video"):
            wanted.append(stream)
    return tuple(wanted)


def listed(streams: Iterable[OtherTrack]) -> str:
    """Return tracks of a kind with their numbers, languages and codecs, as a message shows them."""
    return ", ".join(
        f"{number} ({language_of(stream)}, {stream.codec})" for number, stream in enumerate(streams, 1)
    )


def language_of(stream: OtherTrack) -> str:
    """Return the language of a track as it is stated; und where none is."""
    return stream.template.metadata.get("language") or "und"


def _of_kind(streams: Iterable[OtherTrack], kind: str) -> list[OtherTrack]:
    return [stream for stream in streams if stream.kind == kind]


def _picked(asked: Iterable[str], streams: Sequence[OtherTrack], kind: str, name: str) -> list[OtherTrack]:
    found: dict[int, OtherTrack] = {}
    for each in asked:
        wanted = each.removesuffix("?")
        hits = _matching(wanted, streams)
        if not hits and wanted == each:
            raise ConfigError(f"{name}: {_missing(each, streams, kind)}")
        for stream in hits:
            found.setdefault(stream.index, stream)
    return list(found.values())


def _matching(wanted: str, streams: Sequence[OtherTrack]) -> Sequence[OtherTrack]:
    if wanted.isdecimal():
        return streams[int(wanted) - 1 : int(wanted)]
    code = language_code(wanted)
    return [stream for stream in streams if language_code(language_of(stream)) == code]


def _missing(asked: str, streams: Sequence[OtherTrack], kind: str) -> str:
    where_there = f"{asked}? asks for it only where there is one"
    if not streams:
        return f"has no {_NAMES[kind]} track, and {_OPTIONS[kind]} asks for {asked}; {where_there}"
    meant = did_you_mean(asked, {language_of(stream) for stream in streams} - {"und"})
    hint = meant and f"{meant} "
    return (
        f"has no {_NAMES[kind]} track {asked}, which {_OPTIONS[kind]} asks for; {hint}there are: "
        f"{listed(streams)}; {where_there}"
    )
