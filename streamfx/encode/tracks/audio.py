"""Sound in another coding: decoded, resampled where the encoder needs it, encoded; its times are kept."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av import AudioFrame, AudioResampler
from av.audio.codeccontext import AudioCodecContext
from av.audio.stream import AudioStream

from streamfx.encode.tracks.formats import SOUND_CODECS, coding_name
from streamfx.media.tracks import OtherTrack

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet

_TOLERANCE_SECONDS = Fraction(50, 1000)  # containers round times; what is further off is a gap or an overlap
_NARROW_BYTES = 2  # of a sample
_LONGEST_GAP_SECONDS = 3600  # a longer one is no pause but a wrong time
# Channels at the sides are those at the back in the usual layouts of these encoders. FFmpeg's AAC would
# describe the others in a way that few players read; Opus and ALAC do not take them.
_USUAL_LAYOUTS = {"5.1(side)": "5.1", "5.0(side)": "5.0", "quad(side)": "quad"}
_USUAL_ONLY = {"aac", "libopus", "alac"}
_DEFAULT_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


def layout_of(context: AudioCodecContext) -> str | None:
    """Return FFmpeg's name of the channel layout; where only a count is stated, the usual one of so many.

    None where there is none: no channels are stated, or more than have a usual layout.
    """
    layout = context.layout
    if not layout.nb_channels:
        return None
    if layout.name.endswith(" channels"):
        return _DEFAULT_LAYOUTS.get(layout.nb_channels)
    return layout.name


def is_known(stream: OtherTrack) -> bool:
    """Return whether enough is known of a sound to decode or to copy it: rate and channels."""
    context = stream.template.codec_context
    return isinstance(context, AudioCodecContext) and bool(context.sample_rate and context.layout.nb_channels)


class SoundConverter:
    """Turns packets of one sound into packets in another coding.

    Gaps are filled with silence and overlaps cut, so that sound and pictures stay together.

    Args:
        source: the sound as it comes; its source must still be open.
        out: the output, before its header is written.
        encoder: FFmpeg's name of the encoder.
        bits_per_second: bit rate; None: what suits codec and channels.

    Attributes:
        target: the stream of the output.

    Raises:
        ValueError, FFmpegError: the encoder does not take such a sound, or the container not such a coding.
    """

    def __init__(
        self, source: OtherTrack, out: OutputContainer, encoder: str, bits_per_second: int | None = None
    ) -> None:
        decoder = source.template.codec_context
        assert isinstance(decoder, AudioCodecContext)
        layout = layout_of(decoder)
        if layout is None:
            raise ValueError(f"{decoder.layout.nb_channels} channels have no usual places")
        if not decoder.is_open:
            decoder.layout = layout
        form = getattr(decoder, "format", None)  # None where damage left none
        if form is None:
            raise ValueError("the format of its samples is unknown")
        self._decoder = decoder
        rate = _nearest_rate(encoder, decoder.sample_rate)
        target = out.add_stream(encoder, rate=rate)
        assert isinstance(target, AudioStream)
        self.target: AudioStream = target
        context = target.codec_context
        context.layout = _USUAL_LAYOUTS.get(layout, layout) if encoder in _USUAL_ONLY else layout
        context.time_base = Fraction(1, rate)
        per_channel = SOUND_CODECS[coding_name(encoder)].bits_per_channel
        if per_channel is not None:
            context.bit_rate = bits_per_second or per_channel * decoder.layout.nb_channels
        else:  # without loss: as many bits as there are
            context.format = _sample_format(encoder, wide=form.bytes > _NARROW_BYTES)
        try:
            context.open()
        except av.ArgumentError as error:  # says no more than "Invalid argument"
            raise ValueError(f"{encoder} does not take {rate} Hz {context.layout.name}") from error
        self._resampler: AudioResampler | None = None
        self._form: tuple[object, ...] = ()
        self._due_seconds: Fraction | None = None  # when the next sample should come

    def convert(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """Return the packets that a packet of the source completes.

        Raises:
            FFmpegError: it is damaged.
        """
        return [coded for frame in self._decoder.decode(packet) for coded in self._encoded(frame)]

    def rest(self) -> list[Packet[Any]]:
        """Return the packets that were still being made, at the end."""
        frames = [frame for rest in self._decoder.decode(None) for frame in self._resampled(rest)]
        if self._resampler is not None:
            frames += self._resampler.resample(None)
        coded = [packet for frame in frames for packet in self.target.encode(frame)]
        return coded + self.target.encode(None)

    def _encoded(self, frame: AudioFrame) -> Iterator[Packet[Any]]:
        for ready in self._resampled(frame):
            yield from self.target.encode(ready)

    def _resampled(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Yield what goes to the encoder: the frame in its place, and silence before it where there was a
        gap."""
        for piece in self._in_place(frame):
            form = (piece.format.name, piece.layout.name, piece.sample_rate)
            if form != self._form:
                if self._resampler is not None:
                    yield from self._resampler.resample(None)
                self._form, self._resampler = form, self._new_resampler()
            assert self._resampler is not None
            yield from self._resampler.resample(piece)

    def _in_place(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        rate = frame.sample_rate
        time = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        due = time if self._due_seconds is None else self._due_seconds
        due = Fraction(0) if due is None else due
        off = Fraction(0) if time is None else time - due
        if off > _LONGEST_GAP_SECONDS:
            due += off
        elif off > _TOLERANCE_SECONDS:
            for silence in _silence(frame, round(off * rate)):
                yield _at(silence, due)
                due += Fraction(silence.samples, rate)
        elif off < -_TOLERANCE_SECONDS:
            early = round(-off * rate)
            if early >= frame.samples:
                return
            frame = _without_start(frame, early)
        self._due_seconds = due + Fraction(frame.samples, rate)
        yield _at(frame, due)

    def _new_resampler(self) -> AudioResampler:
        context = self.target.codec_context
        return AudioResampler(
            context.format, context.layout, context.sample_rate, frame_size=context.frame_size or None
        )


def _at(frame: AudioFrame, seconds: Fraction) -> AudioFrame:
    frame.time_base = Fraction(1, frame.sample_rate)
    frame.pts = round(seconds * frame.sample_rate)
    return frame


def _silence(like: AudioFrame, samples: int) -> Iterator[AudioFrame]:
    """Yield so many samples of nothing, a second at a time."""
    while samples > 0:
        count = min(samples, like.sample_rate)
        frame = AudioFrame(like.format.name, like.layout.name, count)
        frame.sample_rate = like.sample_rate
        nothing = b"\x80" if like.format.name.startswith("u8") else b"\0"
        for plane in frame.planes:
            plane.update(nothing * plane.buffer_size)
        samples -= count
        yield frame


def _without_start(frame: AudioFrame, samples: int) -> AudioFrame:
    values = frame.to_ndarray()
    width = 1 if frame.format.is_planar else frame.layout.nb_channels
    rest = AudioFrame.from_ndarray(values[:, samples * width :].copy(), frame.format.name, frame.layout.name)
    rest.sample_rate = frame.sample_rate
    return rest


def _sample_format(encoder: str, *, wide: bool) -> str:
    """Return FFmpeg's name of the sample format of 16 bits, or of more, that an encoder takes."""
    known = [form.name for form in av.Codec(encoder, "w").audio_formats or ()]
    names = ("s32", "s32p") if wide else ("s16", "s16p")
    return next((name for name in names if name in known), names[0])


def _nearest_rate(encoder: str, rate: int) -> int:
    """Return the sample rate of the encoder that loses nothing of ``rate``, or its highest."""
    rates = av.Codec(encoder, "w").audio_rates
    if not rates or rate in rates:
        return rate
    return min((other for other in rates if other > rate), default=max(rates))
