"""Sound and subtitles in the form that was asked for; refused, with what can be had, where that is not to
be had."""

from __future__ import annotations

from collections.abc import Iterable

import av

from streamfx.encode.containers import CONTAINERS, Container
from streamfx.encode.tracks.audio import is_known
from streamfx.encode.tracks.formats import SOUND_CODECS, TEXT_FORMATS, SoundCodec, coding_name
from streamfx.encode.tracks.holding import encoder_problem, stream_problem
from streamfx.encode.tracks.subtitles import is_text
from streamfx.errors import ConfigError
from streamfx.media.track_choice import TrackChoice
from streamfx.media.tracks import OtherTrack, OtherTracks

_NARROW_BITS = 16  # of a sample
_WAY_OUT = {
    "audio": "choose among the tracks with --audio-tracks, or leave --audio out",
    "subtitle": "choose among the tracks with --subtitle-tracks, or leave --subtitles out",
}


def refuse_beside_pictures(choice: TrackChoice, output: str) -> None:
    """Refuse sound and subtitles that were asked for by name, for an output that holds pictures only.

    Raises:
        ConfigError: some were.
    """
    for asks, what, option in (
        (choice.asks_for_sound, "sound", "--audio"),
        (choice.asks_for_subtitles, "subtitles", "--subtitles"),
    ):
        if asks:
            raise ConfigError(
                f"{output}: holds pictures only, and {what} is asked for; write {option} none, or a video "
                "file that holds it: .mkv, .mp4"
            )


def refuse_unless_as_it_is(output: str, stream: OtherTrack, problem: str | None, choice: TrackChoice) -> None:
    """Refuse a form that was asked for and that an output, into which all goes as it is, cannot have.

    Args:
        output: name of the output.
        stream: any stream of the source.
        problem: reason why it cannot go there; None where it can.
        choice: tracks and forms that are wanted.

    Raises:
        ConfigError: the stream would have another form, or be left out.
    """
    option, asked = _asked(stream, choice)
    if asked != "auto" and (problem or asked not in ("copy", coding_name(stream.codec))):
        raise ConfigError(
            f"{output}: {stream} goes there as it is or not at all, and {option} {asked} is asked for"
            f"{f': {problem}' if problem else ''}; {_WAY_OUT[stream.kind]}"
        )


def asked_encoder(
    output: str, container: Container, stream: OtherTrack, other_tracks: OtherTracks, choice: TrackChoice
) -> str | None:
    """Return the encoder with which a sound or subtitle gets the form that was asked for; None: it is copied.

    Args:
        output: name of the output, for messages.
        container: container of the output.
        stream: the sound or subtitle.
        other_tracks: tracks of the source.
        choice: form that is wanted, other than auto for this kind.

    Raises:
        ConfigError: it cannot get it; the message says why and what can be had.
    """
    _, asked = _asked(stream, choice)
    held = stream_problem(container.muxer, stream, other_tracks)
    if asked == "copy":
        if held is not None:
            raise ConfigError(_not_copied(output, stream, other_tracks, held))
        return None
    if stream.kind == "audio":
        if held is None and coding_name(stream.codec) == asked and choice.audio_bits_per_second is None:
            return None
        return _sound_encoder(output, container, stream, SOUND_CODECS[asked], choice.audio_bits_per_second)
    if not is_text(stream):
        raise ConfigError(
            f"{output}: {stream} is pictures, and cannot be made into {TEXT_FORMATS[asked].shown}, which "
            f"--subtitles {asked} asks for; {_WAY_OUT['subtitle']}"
        )
    if held is None and coding_name(stream.codec) == asked:
        return None
    encoder = TEXT_FORMATS[asked].encoder
    if (problem := encoder_problem(container.muxer, stream, encoder)) is not None:
        there = [name for name, form in TEXT_FORMATS.items() if _fits(container, stream, form.encoder)]
        raise ConfigError(_not_encoded(output, stream, f"--subtitles {asked}", problem, there))
    return encoder


def _asked(stream: OtherTrack, choice: TrackChoice) -> tuple[str, str]:
    forms = {"audio": ("--audio", choice.audio), "subtitle": ("--subtitles", choice.subtitles)}
    return forms.get(stream.kind, ("", "auto"))


def _sound_encoder(
    output: str, container: Container, stream: OtherTrack, codec: SoundCodec, bits_per_second: int | None
) -> str:
    option = f"--audio {codec.name}"
    if not is_known(stream):
        raise ConfigError(
            f"{output}: {stream} cannot be converted, as {option} asks: its sample rate or its channels are "
            f"not stated; {_WAY_OUT['audio']}"
        )
    encoder = _encoder_of(codec, stream)
    usable = [each for each in SOUND_CODECS.values() if _exists(_encoder_of(each, stream))]
    if codec not in usable:
        names = ", ".join(each.name for each in usable)
        raise ConfigError(f"{option}: this FFmpeg has no encoder for it ({encoder}); there are: {names}")
    if (problem := encoder_problem(container.muxer, stream, encoder, bits_per_second)) is not None:
        there = [each.name for each in usable if _fits(container, stream, _encoder_of(each, stream))]
        raise ConfigError(_not_encoded(output, stream, option, problem, there))
    return encoder


def _encoder_of(codec: SoundCodec, stream: OtherTrack) -> str:
    form = getattr(stream.template.codec_context, "format", None)
    wide = form is not None and form.bits > _NARROW_BITS
    return codec.wide_encoder if wide and codec.wide_encoder else codec.encoder


def _exists(encoder: str) -> bool:
    try:
        av.Codec(encoder, "w")
    except ValueError:
        return False
    return True


def _fits(container: Container, stream: OtherTrack, encoder: str) -> bool:
    return encoder_problem(container.muxer, stream, encoder) is None


def _not_copied(output: str, stream: OtherTrack, other_tracks: OtherTracks, problem: str) -> str:
    option = "--audio" if stream.kind == "audio" else "--subtitles"
    endings = [
        ending
        for ending, other in CONTAINERS.items()
        if other.sound and stream_problem(other.muxer, stream, other_tracks) is None
    ]
    held = f"; {', '.join(endings)} can" if endings else ""
    return (
        f"{output}: cannot hold {stream} as it is, which {option} copy asks for: {problem}{held}; or "
        f"{_WAY_OUT[stream.kind]}"
    )


def _not_encoded(output: str, stream: OtherTrack, option: str, problem: str, there: Iterable[str]) -> str:
    can = ", ".join(there)
    what = f"of it, this output takes: {can}" if can else _WAY_OUT[stream.kind]
    return f"{output}: {stream} does not go into it as {option} asks: {problem}; {what}"
