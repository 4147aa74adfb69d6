"""Tracks: which streams of a source an output copies, which it converts, and what must be left out."""

from __future__ import annotations

from dataclasses import dataclass

from streamfx.encode.files.covers import Cover, read_cover
from streamfx.encode.files.languages import is_held
from streamfx.encode.plan import OutputPlan
from streamfx.encode.tracks.asked import asked_encoder, refuse_beside_pictures, refuse_unless_as_it_is
from streamfx.encode.tracks.audio import is_known
from streamfx.encode.tracks.formats import TEXT_FORMATS, coding_name
from streamfx.encode.tracks.holding import encoder_problem, stream_problem
from streamfx.encode.tracks.subtitles import is_text
from streamfx.media.notes import Converted, LeftOut
from streamfx.media.track_choice import TrackChoice
from streamfx.media.tracks import OtherTrack, OtherTracks

_NAMES = {"opus": "Opus", "vorbis": "Vorbis"}


@dataclass(frozen=True, slots=True)
class Track:
    """A stream of the source in the output.

    Attributes:
        source: the stream it comes from.
        encoder: FFmpeg's name of what it is encoded with; None: it is copied.
        bits_per_second: bit rate of a sound that is encoded; None: the usual one.
    """

    source: OtherTrack
    encoder: str | None = None
    bits_per_second: int | None = None


@dataclass(frozen=True, slots=True)
class Tracks:
    """Everything beside the pictures that goes into an output."""

    streams: tuple[Track, ...] = ()
    covers: tuple[Cover, ...] = ()

    @property
    def hold_text(self) -> bool:
        """Whether there are subtitles that are text."""
        return any(track.source.kind == "subtitle" and is_text(track.source) for track in self.streams)


def plan_tracks(plan: OutputPlan, other_tracks: OtherTracks, notes: list[str], choice: TrackChoice) -> Tracks:
    """Return what goes into a file; what is converted or left out is said in ``notes``.

    A stream that the container holds is copied. Sound that it does not hold, or that few players play from
    it, and text that it does not hold, is converted.

    Args:
        plan: plan of the file.
        other_tracks: tracks of the source.
        notes: notes of the output.
        choice: form in which they are wanted.

    Raises:
        ConfigError: something was asked for that cannot be had.
    """
    ending, container = plan.ending, plan.container
    if not container.sound:
        refuse_beside_pictures(choice, plan.name)
        notes += [
            LeftOut(f"{stream} is left out: {ending} holds pictures only") for stream in other_tracks.streams
        ]
        return Tracks()
    streams, covers = [], []
    for stream in other_tracks.streams:
        if stream.kind == "video":
            cover = read_cover(stream, other_tracks) if container.covers else None
            if cover is None:
                notes.append(LeftOut(f"{stream}, a cover picture, is left out: {ending} does not hold it"))
            else:
                covers.append(cover)
            continue
        if container.muxer in ("mp4", "mov") and stream.kind in ("audio", "subtitle"):
            language = stream.template.metadata.get("language")
            if language is not None and not is_held(language):
                notes.append(LeftOut(f"the language of {stream} is left out: {ending} states three letters"))
        if (track := _form(plan, stream, other_tracks, choice, notes)) is not None:
            streams.append(track)
    return Tracks(tuple(streams), tuple(covers))


def streams_to_copy(
    plan: OutputPlan, other_tracks: OtherTracks, notes: list[str], choice: TrackChoice
) -> list[OtherTrack]:
    """Return the streams that go into a live output as they are; what is left out is said in ``notes``.

    Raises:
        ConfigError: something was asked for that cannot be had.
    """
    copied = []
    for stream in other_tracks.streams:
        problem = stream_problem(plan.container.muxer, stream, other_tracks)
        refuse_unless_as_it_is(plan.name, stream, problem, choice)
        if problem is None:
            copied.append(stream)
        else:
            notes.append(LeftOut(f"{stream} is left out: {problem}"))
    return copied


def _unplayed(plan: OutputPlan, stream: OtherTrack) -> str | None:
    """Return why few players would play a sound from a container that holds it; None where many do."""
    if plan.container.muxer == "mp4" and stream.codec.startswith("pcm_"):
        return f"few players play uncompressed sound from {plan.ending}"
    return None


def _form(
    plan: OutputPlan, stream: OtherTrack, other_tracks: OtherTracks, choice: TrackChoice, notes: list[str]
) -> Track | None:
    """Return a stream as it goes into the output; None where it does not. What is to be said is noted."""
    asked = {"audio": choice.audio, "subtitle": choice.subtitles}.get(stream.kind, "auto")
    bits = choice.audio_bits_per_second if stream.kind == "audio" else None
    if asked not in ("auto", "convert"):
        encoder = asked_encoder(plan.name, plan.container, stream, other_tracks, choice)
        if encoder is not None:
            notes.append(Converted(f"{stream} is converted to {_shown(encoder)}, as asked{_less(stream)}"))
        return Track(stream, encoder, bits)
    problem = stream_problem(plan.container.muxer, stream, other_tracks) or _unplayed(plan, stream)
    usual = asked == "convert" and is_text(stream) and plan.container.text_encoder
    if usual and coding_name(stream.codec) != coding_name(usual):
        problem = problem or "as asked"
    if problem is None:
        return Track(stream)
    encoder = _encoder_for(plan, stream)
    if encoder is not None:
        notes.append(Converted(f"{stream} is converted to {_shown(encoder)}: {problem}{_less(stream)}"))
        return Track(stream, encoder)
    if not _is_timecode(plan, stream):
        notes.append(LeftOut(f"{stream} is left out: {problem}"))
    return None


def _less(stream: OtherTrack) -> str:
    """Return what is said of that a subtitle loses with its format."""
    styled = stream.kind == "subtitle" and coding_name(stream.codec) == "ass"
    return "; fonts, colours and places of its styles are not kept" if styled else ""


def _shown(encoder: str) -> str:
    """Return what a message calls what an encoder makes."""
    name = coding_name(encoder)
    return TEXT_FORMATS[name].shown if name in TEXT_FORMATS else _NAMES.get(name, name.upper())


def _encoder_for(plan: OutputPlan, stream: OtherTrack) -> str | None:
    """Return FFmpeg's name of an encoder with which the stream fits into the output; None without one."""
    container, encoder = plan.container, None
    if stream.kind == "audio" and is_known(stream):
        encoder = container.sound_encoder
    elif stream.kind == "subtitle" and is_text(stream):
        encoder = container.text_encoder
    if encoder is None or encoder_problem(container.muxer, stream, encoder) is not None:
        return None
    return encoder


def _is_timecode(plan: OutputPlan, stream: OtherTrack) -> bool:
    """Return whether a stream is a timecode that the output gets anyhow: its muxer makes it from the tag."""
    return plan.container.muxer in ("mp4", "mov") and "timecode" in stream.template.metadata
