"""Beside tracks: sound and subtitles of a run for recordings that begin while it goes on."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from streamfx.media.tracks import OtherTracks, Span

if TYPE_CHECKING:
    from streamfx.media.tracks import TrackPacket


class BesideTracks:
    """Hands the packets that belong to the frames of a recording to its tracks, and lets go of the others.

    A frame comes out later than the sound of its time came in, so packets wait here until frames have come as
    far. `begin` may be called from any thread, `go_on` from the one that writes.

    Args:
        other_tracks: the streams, with a queue of their own; claimed here, before they are read.
    """

    def __init__(self, other_tracks: OtherTracks) -> None:
        self._source = other_tracks
        self._source.claim()
        self._waiting: deque[tuple[int, TrackPacket]] = deque(maxlen=other_tracks.most_waiting)
        self._into: OtherTracks | None = None

    @property
    def sound(self) -> bool:
        """Whether there is any sound."""
        return any(stream.kind == "audio" for stream in self._source.streams)

    def begin(self) -> OtherTracks:
        """Return the tracks of a recording that begins with the next frame."""
        self._into = replace(
            self._source,
            metadata={},
            chapters=[],
            shift_seconds=Fraction(0),
            _waiting=deque(),
            _branches=[],
            _claimed=False,
            _started=False,
        )
        return self._into

    def go_on(self, frame_seconds: Fraction, *, begins: bool, recorded: bool) -> None:
        """Take in what has come; called with each frame, before it is written.

        Args:
            frame_seconds: time of the frame.
            begins: whether it is the first of a recording.
            recorded: whether it is recorded.
        """
        self._waiting.extend(self._source.take())
        into = self._into if recorded else None
        if into is None:
            while self._waiting and _end_seconds(self._waiting[0][1]) <= frame_seconds:
                self._waiting.popleft()
            return
        if begins:
            into.cut(Span(frame_seconds, None))
        while self._waiting:
            index, packet = self._waiting.popleft()
            into.put(packet, index)


def _end_seconds(packet: TrackPacket) -> Fraction:
    at = packet.pts if packet.pts is not None else packet.dts
    base = packet.time_base
    return Fraction(0) if at is None or base is None else (at + (packet.duration or 0)) * Fraction(base)
