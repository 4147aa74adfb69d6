"""Re-reads a finished video file, without decoding it, and compares it with what was sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from streamfx.encode.files.animation import animation_differences
from streamfx.encode.files.expected import Expected, ExpectedStream
from streamfx.encode.tracks.subtitles import says_something
from streamfx.media.frame import CodeRange, Colour, Matrix

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_SHAPE_TOLERANCE = Fraction(5, 1000)  # Matroska states it in whole pixels
_OFFSET_SECONDS = Fraction(2, 1000)  # containers round times of sound to their own unit too
_AV_RANGES = {0: CodeRange.UNKNOWN, 1: CodeRange.LIMITED, 2: CodeRange.FULL}


@dataclass(slots=True)
class _Found:
    """What one stream of the file holds."""

    packets: int = 0
    size_bytes: int = 0
    first_seconds: Fraction | None = None
    last_seconds: Fraction | None = None

    def add(self, seconds: Fraction, size_bytes: int) -> None:
        self.packets += 1
        self.size_bytes += size_bytes
        self.first_seconds = seconds if self.first_seconds is None else min(self.first_seconds, seconds)
        self.last_seconds = seconds if self.last_seconds is None else max(self.last_seconds, seconds)


def verify_output(path: Path | str, expected: Expected) -> list[str]:
    """Return every difference between a finished file and what was sent to it, one sentence each; empty when
    none.

    Compared are video packets, first and last time, colour tags, size, and for each other stream the packets
    and the distance to the first picture. Times may differ by what the container rounds to; all may be
    shifted alike.
    """
    import av

    try:
        if expected.animation is not None:  # FFmpeg reads no animated WebP, and rounds the times of APNG
            return list(animation_differences(Path(path), expected))
        with av.open(f"file:{Path(path).absolute()}", "r", metadata_errors="surrogateescape") as file:
            found: dict[int, _Found] = {stream.index: _Found() for stream in file.streams}
            for packet in file.demux():
                if not packet.size and packet.dts is None and packet.pts is None:
                    break  # PyAV's flush packets: the end of the data
                if packet.is_discard and packet.stream.type == "video":
                    continue  # an edit list hides it: no player shows it
                time = packet.pts if packet.pts is not None else packet.dts
                if packet.size and time is not None and _counts(packet):
                    found[packet.stream_index].add(time * packet.time_base, packet.size)
            if not file.streams.video:
                return ["the file holds no video"]
            video = file.streams.video[0]
            differences = list(_compare_video(video, found[video.index], expected))
            others = [s for s in file.streams if s is not video and s.type in ("audio", "subtitle")]
            sent = [s for s in expected.streams if s.kind in ("audio", "subtitle")]
            if len(others) != len(sent):
                differences.append(f"streams beside the video: {len(sent)} sent, {len(others)} found")
            shift = (found[video.index].first_seconds or Fraction(0)) - expected.first_seconds
            for stream, each in zip(others, sent, strict=False):
                differences.extend(_compare_copied(found[stream.index], each, shift, expected.tick_seconds))
            return differences
    except (av.FFmpegError, OSError, IndexError) as error:
        return [f"the file cannot be read again: {error}"]


def _counts(packet: Packet[Stream]) -> bool:
    context: object = packet.stream.codec_context  # None where FFmpeg does not know the coding
    return context is None or says_something(packet.stream.codec_context.name, packet.size)


def _compare_video(video: VideoStream, found: _Found, expected: Expected) -> Iterator[str]:
    if found.packets != expected.packets:
        yield f"video packets: {expected.packets} sent, {found.packets} found"
    if found.first_seconds is not None and found.last_seconds is not None:
        sent, got = expected.last_seconds - expected.first_seconds, found.last_seconds - found.first_seconds
        # Where all pictures have one time, FFmpeg makes others up; that they coincide was said before.
        coincide = expected.packets > 1 and sent < expected.tick_seconds
        if abs(sent - got) > 2 * expected.tick_seconds and not coincide:
            yield f"time from first to last picture: {float(sent):.4f} s sent, {float(got):.4f} s found"
    size = (video.codec_context.height, video.codec_context.width)
    if size != expected.size:
        yield f"size: {expected.size[1]}x{expected.size[0]} sent, {size[1]}x{size[0]} found"
    yield from _compare_colour(video, expected.colour)
    aspect = video.sample_aspect_ratio or Fraction(1)
    sent_shape = expected.sample_aspect_ratio
    if sent_shape is not None and abs(aspect / sent_shape - 1) > _SHAPE_TOLERANCE:
        yield f"sample aspect ratio: {expected.sample_aspect_ratio} sent, {aspect} found"


def _compare_colour(video: VideoStream, colour: Colour) -> Iterator[str]:
    """Yield tags that differ. What was unknown may have been filled in by the encoder: that is no
    difference."""
    context = video.codec_context
    code_range = _AV_RANGES.get(context.color_range, CodeRange.UNKNOWN)
    pairs = (
        ("colour matrix", int(colour.matrix), context.colorspace, int(Matrix.UNKNOWN)),
        ("code range", colour.code_range, code_range, CodeRange.UNKNOWN),
        ("colour primaries", colour.primaries, context.color_primaries, 2),
        ("transfer characteristic", colour.transfer, context.color_trc, 2),
    )
    for name, sent, got, unknown in pairs:
        stands_for_limited = (
            got is CodeRange.UNKNOWN and sent is CodeRange.LIMITED
        )  # H.264 and HEVC leave it out
        if sent not in (unknown, got) and not stands_for_limited:
            yield f"{name}: {sent} sent, {got} found"


def _compare_copied(
    found: _Found, sent: ExpectedStream, shift: Fraction, tick_seconds: Fraction
) -> Iterator[str]:
    if sent.size_bytes not in (None, found.size_bytes):
        yield f"{sent.name}: {sent.size_bytes} bytes sent, {found.size_bytes} found"
    if sent.size_bytes is None and found.packets != sent.packets:
        yield f"{sent.name}: {sent.packets} packets sent, {found.packets} found"
    if sent.first_seconds is not None and found.first_seconds is not None:
        late = found.first_seconds - sent.first_seconds - shift
        if abs(late) > max(2 * tick_seconds, _OFFSET_SECONDS):
            yield f"{sent.name}: starts {float(late * 1000):+.1f} ms off against the pictures"
