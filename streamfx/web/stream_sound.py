"""Stream sound: the sound of a run as Opus, once for all who listen, sent with the pictures of its time."""

from __future__ import annotations

import logging
from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av import AudioResampler, CodecContext
from av.audio.codeccontext import AudioCodecContext

from streamfx.encode.tracks.audio import is_known, layout_of
from streamfx.media.tracks import OtherTracks

if TYPE_CHECKING:
    from av import AudioFrame

    from streamfx.media.tracks import TrackPacket

log = logging.getLogger(__name__)

_RATE = 48_000
_SAMPLES = 960  # of a packet: 20 ms, as usual
_BITS_PER_SECOND = 96_000
_TOLERANCE_SECONDS = Fraction(1, 20)  # what is further from where sound should go on is a gap
_FAILURES = (av.FFmpegError, ValueError)


class StreamSound:
    """Makes Opus of the first sound of a run while somebody listens. For one thread.

    Args:
        other_tracks: the streams beside the pictures, with a queue of their own; claimed here, before they
            are read.
        frame_seconds: time between two frames.
    """

    def __init__(self, other_tracks: OtherTracks, frame_seconds: Fraction) -> None:
        self._source = other_tracks
        self._source.claim()
        self._ahead_seconds = frame_seconds / 2
        self._waiting: deque[tuple[int, TrackPacket]] = deque(maxlen=other_tracks.most_waiting)
        self._converter: _Converter | None = None
        self._track = next(
            (each for each in other_tracks.streams if each.kind == "audio" and is_known(each)), None
        )

    @property
    def there(self) -> bool:
        """Whether there is any."""
        return self._track is not None

    def take(self, frame_seconds: Fraction, *, wanted: bool) -> list[av.Packet[Any]]:
        """Return the sound that belongs to a picture; called with each.

        Players bring sound and pictures together by when they were sent, so that sound is held back until the
        picture of its time comes, give or take half of the time between two.

        Args:
            frame_seconds: time of the frame.
            wanted: whether anybody listens.
        """
        self._waiting.extend(self._source.take())
        if not wanted:
            self._converter = None
        found: list[av.Packet[Any]] = []
        while self._waiting and _begin_seconds(self._waiting[0][1]) <= frame_seconds + self._ahead_seconds:
            index, packet = self._waiting.popleft()
            if wanted and self._track is not None and index == self._track.index:
                found += self._converted(packet)
        return found

    def _converted(self, packet: TrackPacket) -> list[av.Packet[Any]]:
        assert self._track is not None
        try:
            if self._converter is None:
                context = self._track.template.codec_context
                assert isinstance(context, AudioCodecContext)
                self._converter = _Converter(context)
            return self._converter.convert(packet)
        except _FAILURES as error:
            log.debug("sound cannot be made Opus: %s", error)
            self._converter = None
            return []


class _Converter:
    """Decodes with a decoder of its own, since outputs have theirs in other threads, and codes as Opus.

    Args:
        source: decoder of the source's stream, for its settings alone.
    """

    def __init__(self, source: AudioCodecContext) -> None:
        decoder = CodecContext.create(source.codec.name, "r")
        assert isinstance(decoder, AudioCodecContext)
        decoder.extradata = source.extradata
        decoder.sample_rate = source.sample_rate
        layout = layout_of(source)
        if layout is not None:
            decoder.layout = layout
        encoder = CodecContext.create("libopus", "w")
        assert isinstance(encoder, AudioCodecContext)
        encoder.bit_rate, encoder.sample_rate, encoder.layout = _BITS_PER_SECOND, _RATE, "stereo"
        encoder.format, encoder.time_base = "s16", Fraction(1, _RATE)
        encoder.options = {"application": "lowdelay", "frame_duration": "20"}
        self._decoder, self._encoder = decoder, encoder
        self._form: tuple[object, ...] = ()
        self._resampler: AudioResampler | None = None
        self._due_seconds = Fraction(0)

    def convert(self, packet: TrackPacket) -> list[av.Packet[Any]]:
        return [
            coded
            for frame in self._decoder.decode(packet)
            for ready in self._resampled(frame)
            for coded in self._encoder.encode(ready)
        ]

    def _resampled(self, frame: AudioFrame) -> list[AudioFrame]:
        begin = self._due_seconds
        if frame.pts is not None and frame.time_base is not None:
            begin = frame.pts * frame.time_base
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form or abs(begin - self._due_seconds) > _TOLERANCE_SECONDS:
            self._form = form
            self._resampler = AudioResampler("s16", "stereo", _RATE, frame_size=_SAMPLES)
            self._due_seconds = begin
        assert self._resampler is not None
        frame.pts, frame.time_base = (
            round(self._due_seconds * frame.sample_rate),
            Fraction(1, frame.sample_rate),
        )
        self._due_seconds += Fraction(frame.samples, frame.sample_rate)
        return self._resampler.resample(frame)


def _begin_seconds(packet: TrackPacket) -> Fraction:
    at = packet.pts if packet.pts is not None else packet.dts
    return Fraction(0) if at is None or packet.time_base is None else at * Fraction(packet.time_base)
