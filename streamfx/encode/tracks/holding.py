"""What a container holds: tried out in memory, with the streams themselves and their first packets."""

from __future__ import annotations

import contextlib
import io

import av
from av.audio.codeccontext import AudioCodecContext
from av.stream import Stream

from streamfx.encode.tracks.audio import SoundConverter, is_known, layout_of
from streamfx.encode.tracks.subtitles import TextConverter
from streamfx.media.tracks import OtherTrack, OtherTracks

# FFmpeg writes any sound into MPEG-TS as private data that no player finds; these it can carry for real.
_MPEGTS_CODECS = {
    *(
        "mp2",
        "mp2float",
        "mp3",
        "mp3float",
        "libmp3lame",
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


def stream_problem(muxer: str, stream: OtherTrack, other_tracks: OtherTracks) -> str | None:
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
    if problem := _not_carried(muxer, stream.codec):
        return problem
    if muxer in _UNTRIED:
        return None
    out = av.open(io.BytesIO(), "w", format=muxer, metadata_errors="surrogateescape")
    try:
        target = copied_stream(out, stream)
        out.start_encoding()
        for packet in other_tracks.waiting(stream.index)[:_TRIED_PACKETS]:
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


def encoder_problem(
    muxer: str, stream: OtherTrack, encoder: str, bits_per_second: int | None = None
) -> str | None:
    """Return why a sound or text cannot be encoded by ``encoder`` for a container; None when it can.

    Args:
        muxer: FFmpeg's name of the container.
        stream: the sound, of which rate and channels are known, or the text.
        encoder: FFmpeg's name of the encoder.
        bits_per_second: bit rate of a sound; None: the usual one.
    """
    if problem := _not_carried(muxer, encoder):
        return problem
    out = av.open(io.BytesIO(), "w", format=muxer)
    try:
        if stream.kind == "audio":
            SoundConverter(stream, out, encoder, bits_per_second)
        else:
            TextConverter(stream, out, encoder)
        out.start_encoding()
    except (av.FFmpegError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error)
    finally:
        with contextlib.suppress(av.FFmpegError, ValueError):
            out.close()
    return None


def copied_stream(out: av.container.OutputContainer, stream: OtherTrack) -> Stream:
    """Add a stream to an output that is a copy of one of the source; channels that are only counted there
    get their usual places."""
    target = out.add_stream_from_template(stream.template, opaque=True)
    context: object = target.codec_context
    if isinstance(context, AudioCodecContext) and context.layout.name.endswith(" channels"):
        context.layout = layout_of(context) or context.layout
    return target


def _not_carried(muxer: str, codec: str) -> str | None:
    if muxer in _KNOWN_CODECS and codec not in _KNOWN_CODECS[muxer]:
        return f"{'MPEG-TS' if muxer == 'mpegts' else muxer.upper()} does not carry such"
    return None
