"""Brings sound, subtitles, covers, chapters and tags of the source into the output container."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from streamfx.encode.files.languages import older_code
from streamfx.encode.tracks.audio import SoundConverter
from streamfx.encode.tracks.holding import copied_stream
from streamfx.encode.tracks.selection import Track
from streamfx.encode.tracks.subtitles import END_OF_TEXT, TextConverter, says_something
from streamfx.media.tracks import OtherTrack, OtherTracks

if TYPE_CHECKING:
    from av.packet import Packet

_BARE_AAC = {"mp4", "mov", "ipod"}  # containers that hold AAC without ADTS headers
_LEAST_TICKS, _MOST_TICKS = 10_000, 1_000_000  # with more, a pause of half an hour between texts is too long
_STALE_FILE_TAGS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}
_STALE_VIDEO_TAGS = {
    "encoder",
    "duration",
    "alpha_mode",
    "rotate",
    "bps",
    "number_of_frames",
    "number_of_bytes",
}


@dataclass(slots=True)
class CopiedStream:
    """A stream being copied or converted, and the account of it.

    Attributes:
        source: the stream it comes from.
        target: the stream it goes to.
        converter: turns its packets into another coding; None: they are copied.
        bare: takes the ADTS headers off AAC packets; packets without them pass through. None elsewhere.
        packets: packets written so far.
        size_bytes: bytes in them.
        first_seconds: time of the first packet written; None before.
        moved: packets whose time had to be moved because it did not come after the one before.
        dropped: packets without any time, which no container can hold.
        broken: packets with damaged ADTS headers, or that cannot be converted.
        shown_until_seconds: end of the last text in MP4; None before.
    """

    source: OtherTrack
    target: Stream
    converter: SoundConverter | TextConverter | None = None
    bare: BitStreamFilterContext | None = None
    packets: int = 0
    size_bytes: int = 0
    first_seconds: Fraction | None = None
    moved: int = 0
    dropped: int = 0
    broken: int = 0
    shown_until_seconds: Fraction | None = None
    last_dts: int | None = None

    @property
    def coding(self) -> str:
        """FFmpeg's name of the coding it has in the output; "unknown" where there is none."""
        context: object = self.target.codec_context  # None for attachments and some data
        return "unknown" if context is None else self.target.codec_context.name


class StreamCopier:
    """Adds the source's streams to an output and brings their packets into it.

    Args:
        out: the output, before its header is written.
        tracks: tracks to copy or convert; their source must still be open.
        other_tracks: place where the packets come from; claimed here.
        equal_times: whether the container lets two packets of a stream have the same time.
    """

    def __init__(
        self, out: OutputContainer, tracks: Iterable[Track], other_tracks: OtherTracks, *, equal_times: bool
    ) -> None:
        self._other_tracks, self._equal_times = other_tracks, equal_times
        self.streams: dict[int, CopiedStream] = {}
        for track in tracks:
            copied = _converted(track, out) if track.encoder else _copied(track.source, out)
            copied.target.metadata.update(_tags(copied, out.format.name))
            copied.target.disposition = Disposition(track.source.disposition)
            self.streams[track.source.index] = copied
        for copied in self.streams.values():
            if copied.coding == "mov_text":
                copied.target.time_base = Fraction(1, _finest_ticks(out))
        other_tracks.claim()

    def packets(self) -> Iterator[Packet[Stream]]:
        """Yield the packets that have come in, ready to be muxed."""
        for index, packet in self._other_tracks.take():
            copied = self.streams.get(index)
            # The end of a text in MP4 is written anew where it is needed, from how long the text is shown.
            if copied is None or not says_something(copied.source.codec, packet.size):
                continue
            if not self._set_times(packet, copied):
                copied.dropped += 1
                continue
            yield from _counted(_with_ends(_written(packet, copied), copied), copied)

    def rest(self) -> Iterator[Packet[Stream]]:
        """Yield the packets that were still being made, at the end."""
        for copied in self.streams.values():
            if copied.converter is not None:
                yield from _counted(copied.converter.rest(), copied)

    def _set_times(self, packet: Packet[Stream], copied: CopiedStream) -> bool:
        dts = packet.pts if packet.dts is None else packet.dts
        if dts is None:
            return False
        pts = dts if packet.pts is None else packet.pts
        earliest = None if copied.last_dts is None else copied.last_dts + (0 if self._equal_times else 1)
        if earliest is not None and dts < earliest:
            copied.moved += 1
            pts, dts = max(pts, earliest), earliest
        packet.pts, packet.dts = pts, dts
        copied.last_dts = dts
        return True

    def notes(self) -> Iterator[str]:
        """Yield what could not be copied as it was, for the report."""
        for copied in self.streams.values():
            if copied.moved:
                yield f"{copied.source}: {copied.moved} packets had times that go backwards; they were moved"
            if copied.dropped:
                yield f"{copied.source}: {copied.dropped} packets without a time were left out"
            if copied.broken:
                yield f"{copied.source}: {copied.broken} damaged packets were left out"


def _finest_ticks(out: OutputContainer) -> int:
    """Return how many ticks a second the track of an MP4 or MOV has that has most.

    FFmpeg 8.1 compares when a text ends with the times of other tracks as bare numbers, whatever their ticks.
    If the text has the finest, no end comes too early; else pictures get wrong times, or it aborts.
    """
    most = _LEAST_TICKS
    for stream in out.streams:
        if isinstance(stream, AudioStream):
            most = max(most, stream.codec_context.sample_rate)
        elif isinstance(stream, VideoStream):
            ticks = (stream.time_base or Fraction(1)).denominator
            while ticks < _LEAST_TICKS:  # as FFmpeg does
                ticks *= 2
            most = max(most, ticks)
    return min(most, _MOST_TICKS)


def _copied(stream: OtherTrack, out: OutputContainer) -> CopiedStream:
    target = copied_stream(out, stream)
    # FFmpeg would do this by itself, but not where the header waits for the first packets (8.1).
    adts = stream.codec == "aac" and out.format.name in _BARE_AAC
    bare = BitStreamFilterContext("aac_adtstoasc", stream.template) if adts else None
    return CopiedStream(stream, target, bare=bare)


def _converted(track: Track, out: OutputContainer) -> CopiedStream:
    assert track.encoder is not None
    converter: SoundConverter | TextConverter
    if track.source.kind == "audio":
        converter = SoundConverter(track.source, out, track.encoder, track.bits_per_second)
    else:
        converter = TextConverter(track.source, out, track.encoder)
    return CopiedStream(track.source, converter.target, converter)


def _tags(copied: CopiedStream, muxer: str) -> dict[str, str]:
    """Return the tags of a stream that are still true of the new one, as FFmpeg's ``muxer`` knows them."""
    stale = _STALE_VIDEO_TAGS if copied.converter is not None else {"duration"}
    return {
        key: older_code(value) if key == "language" and muxer == "mov" else value
        for key, value in copied.source.template.metadata.items()
        if key.lower().split("-")[0] not in stale
        and not (copied.converter is not None and key.startswith("_STATISTICS"))
    }


def _written(packet: Packet[Any], copied: CopiedStream) -> list[Packet[Any]]:
    """Return what a packet of the source becomes in the output."""
    try:
        if copied.converter is not None:
            return copied.converter.convert(packet)
        return [packet] if copied.bare is None else copied.bare.filter(packet)
    except av.FFmpegError:
        copied.broken += 1
        return []


def _with_ends(packets: Iterable[Packet[Any]], copied: CopiedStream) -> Iterator[Packet[Any]]:
    """Yield packets, and before a text in MP4 the end of the one before, where there is a pause.

    FFmpeg writes ends by itself, but not where the next text is there already when a fragment ends (8.1).
    """
    for packet in packets:
        if copied.coding == "mov_text" and packet.pts is not None:
            begin, base = packet.pts * packet.time_base, packet.time_base
            until = copied.shown_until_seconds
            if until is not None and until < begin:
                end = av.Packet(END_OF_TEXT)
                end.time_base, end.pts = base, round(until / base)
                end.dts, end.duration = end.pts, packet.pts - end.pts
                yield end
            copied.shown_until_seconds = begin + (packet.duration or 0) * base
        yield packet


def _counted(packets: Iterable[Packet[Any]], copied: CopiedStream) -> Iterator[Packet[Any]]:
    """Yield packets as those of the output, and keep the account of them."""
    for packet in packets:
        packet.stream = copied.target
        # FLAC's encoder ends with a packet that holds nothing but parameters.
        if packet.size and says_something(copied.coding, packet.size):
            copied.packets += 1
            copied.size_bytes += packet.size
            if copied.first_seconds is None and packet.pts is not None:
                copied.first_seconds = packet.pts * packet.time_base
        yield packet


def copy_tags(out: OutputContainer, other_tracks: OtherTracks) -> None:
    """Copy tags of the file and chapters into ``out``, times shifted as those of the pictures are."""
    tags = {k: v for k, v in other_tracks.metadata.items() if k.lower() not in _STALE_FILE_TAGS}
    out.metadata.update(tags)
    chapters = []
    for chapter in other_tracks.chapters:
        base = chapter["time_base"] or Fraction(1, 1000)
        ticks = round(other_tracks.shift_seconds / base)
        chapters.append({**chapter, "start": max(chapter["start"] - ticks, 0), "end": chapter["end"] - ticks})
    if chapters:
        out.set_chapters(chapters)  # type: ignore[arg-type]


def video_tags(other_tracks: OtherTracks) -> dict[str, str]:
    """Return the tags of the source's video stream that are still true of the new one."""
    return {
        key: value
        for key, value in other_tracks.video_metadata.items()
        if key.lower().split("-")[0] not in _STALE_VIDEO_TAGS and not key.startswith("_STATISTICS")
    }


def needs_free_tags(other_tracks: OtherTracks | None) -> bool:
    """Return whether there are tags that MP4 and MOV keep only in their free-form list (a phone's make and
    model)."""
    return other_tracks is not None and any(key.startswith("com.") for key in other_tracks.metadata)
