"""Subtitles in another text format, by FFmpeg's decoders and encoders; those that are pictures stay so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from av.subtitles.codeccontext import SubtitleCodecContext
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from streamfx.media.tracks import OtherTrack

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet

_PICTURES = {"pgssub", "hdmv_pgs_subtitle", "dvdsub", "dvd_subtitle", "dvbsub", "dvb_subtitle", "xsub"}
_MARKS = {b"&": b"&amp;", b"<": b"&lt;", b">": b"&gt;"}  # the ampersand first, for it is in the others
_STYLES = re.compile(rb"(\{\\[^}]*\})")
_ASS_FIELDS = 8  # before the text
END_OF_TEXT = b"\0\0"
"""In MP4 a text that ends is a sample of its own: a text with a length of nothing."""


def is_text(stream: OtherTrack) -> bool:
    """Return whether a subtitle is text that can be read here."""
    context: object = stream.template.codec_context
    return isinstance(context, SubtitleCodecContext) and stream.codec not in _PICTURES


def says_something(codec: str, size_bytes: int) -> bool:
    """Return whether a packet of a subtitle holds a text, and not the end of the one before."""
    return codec != "mov_text" or size_bytes > len(END_OF_TEXT)


class TextConverter:
    """Turns packets of one text subtitle into packets of another format.

    Args:
        source: the subtitle as it comes; its source must still be open.
        out: the output, before its header is written.
        encoder: FFmpeg's name of the encoder.

    Attributes:
        target: the stream of the output.

    Raises:
        ValueError, FFmpegError: the subtitle cannot be read, or the container does not take the format.
    """

    def __init__(self, source: OtherTrack, out: OutputContainer, encoder: str) -> None:
        decoder = source.template.codec_context
        assert isinstance(decoder, SubtitleCodecContext)
        self._decoder = decoder
        decoder.open(strict=False)
        target = out.add_stream(encoder)
        assert isinstance(target, SubtitleStream)
        self.target: SubtitleStream = target
        target.codec_context.subtitle_header = decoder.subtitle_header  # styles, which encoders insist on
        target.time_base = source.template.time_base

    def convert(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """Return the text of a packet in the other format: one packet, or none where it says nothing.

        Raises:
            FFmpegError: it is damaged.
        """
        said = self._decoder.decode2(packet)
        if said is None or not len(said):
            return []
        if self.target.codec_context.name == "webvtt":
            said = _escaped(said)
        coded = self.target.codec_context.encode_subtitle(said)
        coded.stream, coded.time_base = self.target, packet.time_base
        coded.pts, coded.dts = packet.pts, packet.dts
        shown_ticks = round(said.end_display_time / 1000 / packet.time_base)
        coded.duration = packet.duration or shown_ticks
        return [coded]

    def rest(self) -> list[Packet[Any]]:
        """Return nothing: no text is held back."""
        return []


def _escaped(said: SubtitleSet) -> SubtitleSet:
    """Return the same text, what WebVTT would take for markup spelled out: FFmpeg 8.1 does not do that."""
    if not any(mark in bytes(part.ass) for part in said if isinstance(part, AssSubtitle) for mark in _MARKS):
        return said
    lines = [bytes(part.ass).split(b",", _ASS_FIELDS) for part in said if isinstance(part, AssSubtitle)]
    text = b"\\N".join(line[-1] for line in lines)
    pieces = _STYLES.split(text)  # every other one is a style, in which these characters mean something else
    for place in range(0, len(pieces), 2):
        for mark, spelled in _MARKS.items():
            pieces[place] = pieces[place].replace(mark, spelled)
    whole = b",".join([*lines[0][:-1], b"".join(pieces)])
    return SubtitleSet.create(whole, said.start_display_time, said.end_display_time)
