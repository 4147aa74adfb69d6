"""Joining: the segments of a film, and its sound and subtitles, into one file, nothing encoded anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from streamfx.capture.files.file import FileSource
from streamfx.capture.source import Source
from streamfx.encode.files.file import FileSink
from streamfx.errors import SinkError
from streamfx.resume.packets import Coded, read_packets
from streamfx.resume.segments import Segment, segment_path

_AHEAD_SECONDS = 1.0  # by which sound is read before the picture that it goes with


def join(sink: FileSink, source: Source, segments: Sequence[Segment], folder: Path, *, whole: bool) -> None:
    """Write all segments into an open output, with the tracks of the source, and finish it.

    Args:
        sink: the output, opened for this source.
        source: the source, opened anew: its tracks are read and its pictures passed over.
        segments: segments in order.
        folder: folder of their files.
        whole: all of the source is in them; else tracks end with them too.

    Raises:
        SinkError: a segment is damaged, or the output cannot be written.
    """
    base = source.format.time_base
    reading = _Tracks(source)
    for coded in with_decoding_times(packets_of(sink, segments, folder)):
        reading.reach(coded.dts * base + Fraction(_AHEAD_SECONDS))
        sink.write_coded(coded.packet())
    if whole:
        reading.to_the_end()
    sink.finish()


def packets_of(sink: FileSink, segments: Sequence[Segment], folder: Path) -> Iterator[list[Coded]]:
    """Yield the packets of each segment, and announce their pictures to the output."""
    for segment in segments:
        packets = list(read_packets(segment_path(folder, segment.number)))
        if len(packets) != segment.frames:
            raise SinkError(f"segment {segment.number}: {segment.frames} frames noted, {len(packets)} found")
        for packet in sorted(packets, key=lambda packet: packet.pts):
            sink.announce(packet.pts, packet.duration)
        yield packets


def with_decoding_times(segments: Iterator[list[Coded]]) -> Iterator[Coded]:
    """Yield the packets with decoding times that go on from one segment to the next.

    Each encoder began with times before its first picture, where those of the segment before still are.
    Decoding times are those of the pictures in order, late by as many as the encoder keeps back.

    Example:
        >>> coded = [Coded(pts, dts, 1, False, b"") for pts, dts in [(0, -1), (2, 0), (1, 1)]]
        >>> later = [replace(each, pts=each.pts + 3, dts=each.dts + 3) for each in coded]
        >>> [each.dts for each in with_decoding_times(iter([coded, later]))]
        [-1, 0, 1, 2, 3, 4]
    """
    before: list[int] = []  # the last times of the segment before, as many as are kept back
    kept_back = 0
    for number, packets in enumerate(segments):
        times = sorted(packet.pts for packet in packets)
        needed = (
            max(place - times.index(packet.pts) for place, packet in enumerate(packets)) if packets else 0
        )
        if number == 0:
            kept_back = max(sum(packet.dts < times[0] for packet in packets), needed)
            before = _times_before(packets, times, kept_back)
        elif needed > kept_back:
            raise SinkError(f"segment {number}: its encoder keeps {needed} pictures back, not {kept_back}")
        decoded = [*before, *times]
        for place, packet in enumerate(packets):
            yield replace(packet, dts=decoded[place])
        before = decoded[len(packets) :]


def _times_before(packets: Sequence[Coded], times: Sequence[int], count: int) -> list[int]:
    """Return so many decoding times before the first picture: the encoder's own, as far as there are."""
    own = [packet.dts for packet in packets[:count] if packet.dts < times[0]]
    while len(own) < count:
        own.insert(0, (own[0] if own else times[0]) - 1)
    return own


class _Tracks:
    """The tracks of the source, read as far as the pictures are."""

    def __init__(self, source: Source) -> None:
        self._source = source if isinstance(source, FileSource) else None
        self._shift = source.other_tracks.shift_seconds if source.other_tracks is not None else Fraction(0)
        self._reached: float | None = float("-inf")

    def reach(self, seconds: Fraction) -> None:
        limit = float(seconds + self._shift)
        while self._source is not None and self._reached is not None and self._reached < limit:
            self._reached = self._source.skip()

    def to_the_end(self) -> None:
        while self._source is not None and self._reached is not None:
            self._reached = self._source.skip()
