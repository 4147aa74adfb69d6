"""Tracks: which streams of a source an output copies, which it converts, and what must be left out."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

import av
from av.audio.codeccontext import AudioCodecContext
from av.stream import Stream

from streamfx.encode.files.covers import Cover, read_cover
from streamfx.encode.files.languages import is_held
from streamfx.encode.plan import OutputPlan
from streamfx.encode.tracks.audio import SoundConverter, is_known, layout_of
from streamfx.encode.tracks.subtitles import TextConverter, is_text
from streamfx.media.notes import Converted, LeftOut
from streamfx.media.tracks import Extras, ExtraStream

# FFmpeg writes any sound into MPEG-TS as private data that no player finds; these it can carry for real.
_MPEGTS_CODECS = {
    *(
        "mp2",
        "mp2float",
        "mp3",
        "mp3float",
        "aac",
        "aac_latm",
        "ac3",
        "eac3",
        "dca",
        "truehd",
        "opus",
        "libopus",
    ),
    *("dvbsub", "dvb_subtitle", "klv", "scte_35"),
}
# Muxers that cannot be tried out without writing somewhere, and what they carry for real.
_KNOWN_CODECS = {
    "mpegts": _MPEGTS_CODECS,
    "hls": _MPEGTS_CODECS,
    "rtsp": {"aac", "opus", "libopus", "mp2", "mp2float", "mp3", "mp3float", "pcm_alaw", "pcm_mulaw", "ac3"},
}
_UNTRIED = {"hls", "rtsp"}
_TRIED_PACKETS = 3
_NAMES = {"libopus": "Opus", "mov_text": "MP4's own subtitles", "subrip": "SRT", "webvtt": "WebVTT"}


@dataclass(frozen=True, slots=True)
class Track:
    """A stream of the source in the output.

    Attributes:
        source: the stream it comes from.
        encoder: FFmpeg's name of what it is encoded with; None: it is copied.
    """

    source: ExtraStream
    encoder: str | None = None


@dataclass(frozen=True, slots=True)
class Tracks:
    """Everything beside the pictures that goes into an output."""

    streams: tuple[Track, ...] = ()
    covers: tuple[Cover, ...] = ()


def plan_tracks(plan: OutputPlan, extras: Extras, notes: list[str]) -> Tracks:
    """Return what goes into a file; what is converted or left out is said in ``notes``.

    A stream that the container holds is copied. Sound that it does not hold, or that few players play from
    it, and text that it does not hold, is converted.
    """
    ending, container = plan.ending, plan.container
    if not container.sound:
        notes += [LeftOut(f"{stream} is left out: {ending} holds pictures only") for stream in extras.streams]
        return Tracks()
    streams, covers = [], []
    for stream in extras.streams:
        if stream.kind == "video":
            cover = read_cover(stream, extras) if container.covers else None
            if cover is None:
                notes.append(LeftOut(f"{stream}, a cover picture, is left out: {ending} does not hold it"))
            else:
                covers.append(cover)
            continue
        problem = stream_problem(container.muxer, stream, extras) or _unplayed(plan, stream)
        if container.muxer in ("mp4", "mov") and stream.kind in ("audio", "subtitle"):
            language = stream.template.metadata.get("language")
            if language is not None and not is_held(language):
                notes.append(LeftOut(f"the language of {stream} is left out: {ending} states three letters"))
        if problem is None:
            streams.append(Track(stream))
        elif (encoder := _encoder_for(plan, stream)) is not None:
            streams.append(Track(stream, encoder))
            name = _NAMES.get(encoder, encoder.upper())
            notes.append(Converted(f"{stream} is converted to {name}: {problem}"))
        elif not _is_timecode(plan, stream):
            notes.append(LeftOut(f"{stream} is left out: {problem}"))
    return Tracks(tuple(streams), tuple(covers))


def streams_to_copy(plan: OutputPlan, extras: Extras, notes: list[str]) -> list[ExtraStream]:
    """Return the streams that go into a live output as they are; what is left out is said in ``notes``."""
    copied = []
    for stream in extras.streams:
        problem = stream_problem(plan.container.muxer, stream, extras)
        if problem is None:
            copied.append(stream)
        else:
            notes.append(LeftOut(f"{stream} is left out: {problem}"))
    return copied


def stream_problem(muxer: str, stream: ExtraStream, extras: Extras) -> str | None:
    """Return why a container of FFmpeg's ``muxer`` cannot hold the stream, or None when it can.

    It is tried out in memory, up to the end of a file, with the first packets that have come.
    """
    if stream.kind == "unknown" or (stream.kind == "data" and stream.codec == "unknown"):
        return "of an unknown kind"
    if stream.kind == "video":
        return "a cover picture"
    if stream.kind == "attachment" and muxer != "matroska":
        return f"{muxer} holds no attachments"  # WebM takes one, and does not write it
    if stream.kind == "audio" and not is_known(stream):
        return "its sample rate or its channels are not stated"
    if muxer in _KNOWN_CODECS and stream.codec not in _KNOWN_CODECS[muxer]:
        return f"{'MPEG-TS' if muxer == 'mpegts' else muxer.upper()} does not carry such"
    if muxer in _UNTRIED:
        return None
    out = av.open(io.BytesIO(), "w", format=muxer, metadata_errors="surrogateescape")
    try:
        target = copied_stream(out, stream)
        out.start_encoding()
        for packet in extras.waiting(stream.index)[:_TRIED_PACKETS]:
            packet.stream = target
            packet.dts = packet.pts if packet.dts is None else packet.dts
            packet.pts = packet.dts if packet.pts is None else packet.pts
            out.mux_one(packet)
        out.close()
    except (av.FFmpegError, ValueError):
        return f"{muxer} does not hold such"
    finally:
        with contextlib.suppress(av.FFmpegError, ValueError):
            out.close()
    return None


def copied_stream(out: av.container.OutputContainer, stream: ExtraStream) -> Stream:
    """Add a stream to an output that is a copy of one of the source; channels that are only counted there
    get their usual places."""
    target = out.add_stream_from_template(stream.template, opaque=True)
    context: object = target.codec_context
    if isinstance(context, AudioCodecContext) and context.layout.name.endswith(" channels"):
        context.layout = layout_of(context) or context.layout
    return target


def _unplayed(plan: OutputPlan, stream: ExtraStream) -> str | None:
    """Return why few players would play a sound from a container that holds it; None where many do."""
    if plan.container.muxer == "mp4" and stream.codec.startswith("pcm_"):
        return f"few players play uncompressed sound from {plan.ending}"
    return None


def _encoder_for(plan: OutputPlan, stream: ExtraStream) -> str | None:
    """Return FFmpeg's name of an encoder with which the stream fits into the output; None without one."""
    container, encoder = plan.container, None
    converter: type[SoundConverter] | type[TextConverter] = SoundConverter
    if stream.kind == "audio" and is_known(stream):
        encoder = container.sound_encoder
    elif stream.kind == "subtitle" and is_text(stream):
        encoder, converter = container.text_encoder, TextConverter
    if encoder is None:
        return None
    out = av.open(io.BytesIO(), "w", format=container.muxer)
    try:
        converter(stream, out, encoder)
        out.start_encoding()
    except (av.FFmpegError, ValueError):
        return None
    finally:
        with contextlib.suppress(av.FFmpegError, ValueError):
            out.close()
    return encoder


def _is_timecode(plan: OutputPlan, stream: ExtraStream) -> bool:
    """Return whether a stream is a timecode that the output gets anyhow: its muxer makes it from the tag."""
    return plan.container.muxer in ("mp4", "mov") and "timecode" in stream.template.metadata
