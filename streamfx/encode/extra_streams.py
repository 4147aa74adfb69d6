"""Copies sound, subtitles, chapters and tags of the source into the output container."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.stream import Stream

from streamfx.encode.codecs import Codec
from streamfx.encode.containers import CONTAINERS
from streamfx.encode.plan import OutputPlan
from streamfx.errors import ConfigError
from streamfx.extras import Extras, ExtraStream

if TYPE_CHECKING:
    from av.packet import Packet

_SUGGESTED = (".mkv", ".mp4", ".mov", ".webm", ".ts")
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
_BARE_AAC = {"mp4", "mov", "ipod"}  # containers that hold AAC without ADTS headers
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
    """A stream being copied, and the account of it.

    Attributes:
        source: the stream it comes from.
        target: the stream it goes to.
        bare: takes the ADTS headers off AAC packets; packets without them pass through. None elsewhere.
        packets: packets copied so far.
        first_seconds: time of the first packet copied; None before.
        moved: packets whose time had to be moved because it did not come after the one before.
        dropped: packets without any time, which no container can hold.
        broken: packets with damaged ADTS headers.
    """

    source: ExtraStream
    target: Stream
    bare: BitStreamFilterContext | None = None
    packets: int = 0
    first_seconds: Fraction | None = None
    moved: int = 0
    dropped: int = 0
    broken: int = 0
    last_dts: int | None = None


def stream_problem(muxer: str, stream: ExtraStream) -> str | None:
    """Return why a container of FFmpeg's ``muxer`` cannot hold the stream, or None when it can: it is tried
    out."""
    if stream.kind == "unknown" or (stream.kind == "data" and stream.codec == "unknown"):
        return "of an unknown kind"  # a QuickTime timecode track among them: its muxer makes it from the tag
    if stream.kind == "video":
        return "a cover picture"  # FFmpeg adds an empty track for it to an MP4 written in fragments
    if muxer in _KNOWN_CODECS and stream.codec not in _KNOWN_CODECS[muxer]:
        return f"not a coding that {'MPEG-TS' if muxer == 'mpegts' else muxer.upper()} carries"
    if muxer in _UNTRIED:
        return None
    out = av.open(io.BytesIO(), "w", format=muxer)
    try:
        out.add_stream_from_template(stream.template, opaque=True)
        out.start_encoding()
    except (av.FFmpegError, ValueError):
        return f"not taken by {muxer}"
    finally:
        with contextlib.suppress(av.FFmpegError, ValueError):
            out.close()
    return None


def streams_to_copy(
    plan: OutputPlan, extras: Extras, notes: list[str], *, must_hold: bool = True
) -> list[ExtraStream]:
    """Return the streams that go into the output; what is left out without harm goes into ``notes``.

    Args:
        plan: of the output.
        extras: of the source.
        notes: where to say what is left out.
        must_hold: refuse an output that cannot hold sound or subtitles; else they are left out too.

    Raises:
        ConfigError: sound or subtitles that the container cannot hold; the message names a container that
            can.
    """
    ending = plan.ending
    if not plan.container.sound:
        if extras.streams:
            notes.append(f"{ending} holds pictures only; left out: {', '.join(map(str, extras.streams))}")
        return []
    copied = []
    for stream in extras.streams:
        problem = stream_problem(plan.container.muxer, stream)
        if problem is None:
            copied.append(stream)
        elif must_hold and _is_vital(stream):
            better = _better_container(plan.codec, extras)
            raise ConfigError(f"{plan.name}: {ending} cannot hold {stream} of the source; {better}")
        else:
            notes.append(f"{stream} is left out: {problem}")
    return copied


def _is_vital(stream: ExtraStream) -> bool:
    context: object = stream.template.codec_context  # None where FFmpeg does not know the coding
    return stream.kind in ("audio", "subtitle") and context is not None


def _better_container(codec: Codec, extras: Extras) -> str:
    vital = list(filter(_is_vital, extras.streams))
    for ending in _SUGGESTED:
        other = CONTAINERS[ending]
        problems = (stream_problem(other.muxer, stream) for stream in vital)
        if codec.name in other.codecs and not any(problems):
            return f"{ending} holds all of it"
    return f"no container here holds all of it together with {codec.name} video; leave the source's sound out"


class StreamCopier:
    """Adds the source's streams to an output and brings their packets into it.

    Args:
        out: the output, before its header is written.
        streams: what to copy; their source must still be open.
        extras: where the packets come from; claimed here.
        equal_times: whether the container lets two packets of a stream have the same time.
    """

    def __init__(
        self, out: OutputContainer, streams: Iterable[ExtraStream], extras: Extras, *, equal_times: bool
    ) -> None:
        self._extras, self._equal_times = extras, equal_times
        self.streams: dict[int, CopiedStream] = {}
        for stream in streams:
            target = out.add_stream_from_template(stream.template, opaque=True)
            tags = {k: v for k, v in stream.template.metadata.items() if not k.upper().startswith("DURATION")}
            target.metadata.update(tags)
            target.disposition = stream.template.disposition
            # FFmpeg would do this by itself, but not where the header waits for the first packets (8.1).
            adts = stream.codec == "aac" and out.format.name in _BARE_AAC
            bare = BitStreamFilterContext("aac_adtstoasc", stream.template) if adts else None
            self.streams[stream.index] = CopiedStream(stream, target, bare)
        extras.claim()

    def packets(self) -> Iterator[Packet[Stream]]:
        """Yield the packets that have come in, ready to be muxed."""
        for index, packet in self._extras.take():
            copied = self.streams.get(index)
            if copied is None:
                continue
            if not self._set_times(packet, copied):
                copied.dropped += 1
                continue
            try:
                ready = [packet] if copied.bare is None else copied.bare.filter(packet)
            except av.FFmpegError:
                copied.broken += 1
                continue
            for bare in ready:
                bare.stream = copied.target
                copied.packets += 1
                yield bare

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
        if copied.first_seconds is None:
            copied.first_seconds = pts * packet.time_base
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


def copy_tags(out: OutputContainer, extras: Extras) -> None:
    """Copy tags of the file and chapters into ``out``, times shifted as those of the pictures are."""
    tags = {k: v for k, v in extras.metadata.items() if k.lower() not in _STALE_FILE_TAGS}
    out.metadata.update(tags)
    chapters = []
    for chapter in extras.chapters:
        base = chapter["time_base"] or Fraction(1, 1000)
        ticks = round(extras.shift_seconds / base)
        chapters.append({**chapter, "start": max(chapter["start"] - ticks, 0), "end": chapter["end"] - ticks})
    if chapters:
        out.set_chapters(chapters)  # type: ignore[arg-type]


def video_tags(extras: Extras) -> dict[str, str]:
    """Return the tags of the source's video stream that are still true of the new one."""
    return {
        key: value
        for key, value in extras.video_metadata.items()
        if key.lower().split("-")[0] not in _STALE_VIDEO_TAGS and not key.startswith("_STATISTICS")
    }


def needs_free_tags(extras: Extras | None) -> bool:
    """Return whether there are tags that MP4 and MOV keep only in their free-form list (a phone's make and
    model)."""
    return extras is not None and any(key.startswith("com.") for key in extras.metadata)
