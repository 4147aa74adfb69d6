"""Sound codecs and subtitle formats by the names users know."""

from __future__ import annotations

from dataclasses import dataclass

from streamfx.errors import did_you_mean


@dataclass(frozen=True, slots=True)
class SoundCodec:
    """One way to code sound.

    Attributes:
        name: name that a user writes.
        encoder: FFmpeg's name of the encoder.
        wide_encoder: encoder for samples of more than 16 bits; empty where it is the same.
        bits_per_channel: bit rate of each channel where none is asked for; None: coded without loss.
    """

    name: str
    encoder: str
    wide_encoder: str = ""
    bits_per_channel: int | None = None


@dataclass(frozen=True, slots=True)
class TextFormat:
    """One format of subtitles that are text.

    Attributes:
        name: name that a user writes.
        encoder: FFmpeg's name of the encoder.
        shown: name in messages.
    """

    name: str
    encoder: str
    shown: str


SOUND_CODECS = {
    codec.name: codec
    for codec in (
        SoundCodec("aac", "aac", bits_per_channel=96_000),
        SoundCodec("opus", "libopus", bits_per_channel=80_000),
        SoundCodec("mp3", "libmp3lame", bits_per_channel=96_000),
        SoundCodec("ac3", "ac3", bits_per_channel=96_000),
        SoundCodec("eac3", "eac3", bits_per_channel=96_000),
        SoundCodec("vorbis", "libvorbis", bits_per_channel=80_000),
        SoundCodec("flac", "flac"),
        SoundCodec("alac", "alac"),
        SoundCodec("pcm", "pcm_s16le", "pcm_s24le"),
    )
}
TEXT_FORMATS = {
    form.name: form
    for form in (
        TextFormat("srt", "subrip", "SRT"),
        TextFormat("ass", "ass", "ASS"),
        TextFormat("webvtt", "webvtt", "WebVTT"),
        TextFormat("mov_text", "mov_text", "MP4's own subtitles"),
    )
}
_OTHER_NAMES = {"ac-3": "ac3", "e-ac-3": "eac3", "lame": "mp3", "wav": "pcm", "subrip": "srt", "ssa": "ass"}
_OTHER_NAMES |= {"vtt": "webvtt", "tx3g": "mov_text", "mov-text": "mov_text"}
_OTHER_NAMES |= {codec.encoder: codec.name for codec in SOUND_CODECS.values()}


def named(value: object, known: tuple[str, ...]) -> str:
    """Return which of the known names a user means.

    Args:
        value: name that the user wrote.
        known: names that are understood.

    Raises:
        ValueError: none; the message lists them.

    Example:
        >>> named("VTT", ("auto", "webvtt"))
        'webvtt'
    """
    name = value.lower() if isinstance(value, str) else ""
    name = _OTHER_NAMES.get(name, name)
    if name not in known:
        # YAML takes no and off for false.
        meant = "did you mean 'none'?" if value is False else did_you_mean(name, known)
        raise ValueError(f"must be one of {', '.join(known)}{meant and f' ({meant})'}")
    return name


def coding_name(codec: str) -> str:
    """Return a sound codec or subtitle format by the name a user knows, from FFmpeg's of a de- or encoder.

    Example:
        >>> [coding_name(codec) for codec in ("mp3float", "libopus", "subrip", "pcm_s24be", "wmav2")]
        ['mp3', 'opus', 'srt', 'pcm', 'wmav2']
    """
    if codec.startswith("pcm_"):
        return "pcm"
    plain = codec.removeprefix("lib").removesuffix("float")
    return _OTHER_NAMES.get(codec, _OTHER_NAMES.get(plain, plain))


def lossy(name: str) -> bool:
    """Return whether a name is that of a sound codec with loss, which a bit rate can be asked of."""
    codec = SOUND_CODECS.get(name)
    return codec is not None and codec.bits_per_channel is not None
