"""A film read from end to end, for comparison: its pictures and when they are shown, and every track."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from streamfx.capture.cuts import Thumbnail, thumbnail
from streamfx.capture.files.preparation import Preparation
from streamfx.capture.opening import open_source
from streamfx.encode.tracks.subtitles import is_text
from streamfx.errors import DecodeError
from streamfx.media.frame import CodeRange, VideoFormat
from streamfx.media.track_choice import TrackChoice, keep_wanted
from streamfx.media.tracks import OtherTrack, OtherTracks

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

_LEVELS = 10  # levels of loudness for each


@dataclass(slots=True)
class Pictures:
    """What is known of each picture of a film, in order.

    Attributes:
        seconds: time when it is shown.
        brightness: mean luma, 0 to 1 from black to white.
        contrast: standard deviation of the luma, likewise.
        change: mean difference to the picture before, in code values of 8 bits; of the first, infinite.
        broken: pictures that could not be decoded.
    """

    seconds: list[float] = field(default_factory=list)
    brightness: list[float] = field(default_factory=list)
    contrast: list[float] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    broken: int = 0


@dataclass(slots=True)
class Sound:
    """Decoded sound.

    Attributes:
        rate_hz: samples a second and channel.
        layout: FFmpeg's name of the channels.
        first_seconds: time of the first sample; None without any.
        end_seconds: time when the last one ends.
        samples: number of samples of each channel.
        digests: digests of the samples of each second, counted from the first sample on.
        levels: loudness (root mean square, 0 to 1) of each tenth of a second, by its number.
        gaps: (start, end) of each stretch without samples, in seconds.
    """

    rate_hz: int = 0
    layout: str = ""
    first_seconds: float | None = None
    end_seconds: float = 0.0
    samples: int = 0
    digests: dict[int, hashlib.blake2b] = field(default_factory=dict)
    levels: dict[int, list[float]] = field(default_factory=dict)
    gaps: list[tuple[float, float]] = field(default_factory=list)


@dataclass(slots=True)
class Track:
    """A stream beside the pictures, read to its end.

    Attributes:
        stream: stream of the file.
        name: name for messages.
        tags: tags of the stream.
        disposition: FFmpeg's flags.
        packets: number of packets.
        broken: number of packets that could not be decoded.
        sound: decoded sound, if there is any in it.
        converted: whether it is known to be coded anew in the output.
        texts: (start, end, text) of each, if it is text; else start and end and digest of each packet.
    """

    stream: OtherTrack
    name: str
    tags: dict[str, str]
    disposition: int
    packets: int = 0
    broken: int = 0
    converted: bool = False
    sound: Sound = field(default_factory=Sound)
    texts: list[tuple[float, float, str]] = field(default_factory=list)


@dataclass(slots=True)
class Film:
    """A film as it was read.

    Attributes:
        name: name of the file.
        format: format of the pictures.
        pictures: each of them.
        tracks: all other streams.
        tags: tags of the file.
        video_tags: tags of the stream of pictures.
        chapters: (start, end, title) of each, in seconds.
    """

    name: str
    format: VideoFormat
    pictures: Pictures
    tracks: list[Track]
    tags: dict[str, str]
    video_tags: dict[str, str]
    chapters: list[tuple[float, float, str]]


def read_film(
    text: str,
    *,
    frames: int | None = None,
    preparation: Preparation | None = None,
    choice: TrackChoice | None = None,
) -> Film:
    """Return a film, read to its end.

    Args:
        text: the file.
        frames: number of pictures to read at most; None for all.
        preparation: part to read, and changes made to its pictures first; None: all, as it is.
        choice: tracks that are wanted; None: all of them.

    Raises:
        SourceOpenError: it cannot be read.
        ConfigError: a track that is wanted is not there.
    """
    source = open_source(text, preparation=preparation)
    try:
        other_tracks = source.other_tracks or OtherTracks()
        other_tracks.claim()
        keep_wanted(choice or TrackChoice(), other_tracks, source.name)
        tracks = {stream.index: _track(stream) for stream in other_tracks.streams}
        pictures = Pictures()
        before: Thumbnail | None = None
        while frames is None or len(pictures.seconds) < frames:
            try:
                frame = source.read()
            except DecodeError:
                pictures.broken += 1
                continue
            if frame is None:
                break
            small = thumbnail(frame)
            _add_picture(pictures, small, before, float(frame.time_seconds), source.format)
            before = small
            _add_packets(tracks, other_tracks)
        _add_packets(tracks, other_tracks)
        for track in tracks.values():
            _end(track)
        return Film(
            name=source.name,
            format=source.format,
            pictures=pictures,
            tracks=list(tracks.values()),
            tags=dict(other_tracks.metadata),
            video_tags=dict(other_tracks.video_metadata),
            chapters=[
                (
                    float(each["start"] * (each["time_base"] or 0) - other_tracks.shift_seconds),
                    float(each["end"] * (each["time_base"] or 0) - other_tracks.shift_seconds),
                    each["metadata"].get("title", ""),
                )
                for each in other_tracks.chapters
            ],
        )
    finally:
        source.close()


def _track(stream: OtherTrack) -> Track:
    template = stream.template
    return Track(stream, str(stream), dict(template.metadata), stream.disposition)


def _add_picture(
    pictures: Pictures, small: Thumbnail, before: Thumbnail | None, seconds: float, video: VideoFormat
) -> None:
    black, white = (0.0, 255.0) if video.colour.code_range is CodeRange.FULL else (16.0, 235.0)
    pictures.seconds.append(seconds)
    pictures.brightness.append((float(small[0].mean()) - black) / (white - black))
    pictures.contrast.append(float(small[0].std()) / (white - black))
    pictures.change.append(float("inf") if before is None else float(np.abs(small - before).mean()))


def _add_packets(tracks: dict[int, Track], other_tracks: OtherTracks) -> None:
    for index, packet in other_tracks.take():
        track = tracks[index]
        track.packets += 1
        try:
            if track.stream.kind == "audio":
                _add_sound(track.sound, packet)
            elif track.stream.kind == "subtitle" and is_text(track.stream):
                _add_text(track, packet)
            else:
                _add_bytes(track, packet)
        except (av.FFmpegError, ValueError):
            track.broken += 1


def _end(track: Track) -> None:
    if track.stream.kind == "audio":
        context: Any = track.stream.template.codec_context
        try:
            for frame in context.decode(None):
                _add_samples(track.sound, frame)
        except (av.FFmpegError, ValueError):
            track.broken += 1


def _add_sound(sound: Sound, packet: Packet[Stream]) -> None:
    for frame in packet.decode():
        if isinstance(frame, AudioFrame):
            _add_samples(sound, frame)


def _add_samples(sound: Sound, frame: AudioFrame) -> None:
    """Add decoded samples, each to the second and the tenth it is heard in."""
    rate_hz = sound.rate_hz = frame.sample_rate
    sound.layout = frame.layout.name
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    if frame.pts is None or frame.time_base is None:
        start = round(sound.end_seconds * rate_hz)
    else:
        start = round(frame.pts * frame.time_base * rate_hz)
    starts_at = start / rate_hz
    if sound.first_seconds is None:
        sound.first_seconds = starts_at
    elif starts_at - sound.end_seconds > 0.05:
        sound.gaps.append((sound.end_seconds, starts_at))
    sound.end_seconds = (start + samples.shape[1]) / rate_hz
    _digest(sound, samples)
    at = 0
    while at < samples.shape[1]:
        tenth = (start + at) * _LEVELS // rate_hz
        end = min(-(-(tenth + 1) * rate_hz // _LEVELS) - start, samples.shape[1])
        total = sound.levels.setdefault(tenth, [0.0, 0.0])
        values = _as_float(samples[:, at:end])
        total[0] += float((values**2).sum())
        total[1] += values.size
        at = end


def _digest(sound: Sound, samples: NDArray[Any]) -> None:
    """Add samples to the digests; counted, because containers round the times of packets."""
    at = 0
    while at < samples.shape[1]:
        second, within = divmod(sound.samples, sound.rate_hz)
        piece = samples[:, at : at + sound.rate_hz - within]
        sound.digests.setdefault(second, hashlib.blake2b(digest_size=8)).update(piece.T.tobytes())
        sound.samples += piece.shape[1]
        at += piece.shape[1]


def _as_float(samples: NDArray[Any]) -> NDArray[np.float64]:
    """Return samples in -1..1, whatever they were."""
    if samples.dtype.kind == "f":
        return samples.astype(np.float64)
    if samples.dtype == np.uint8:
        return (samples.astype(np.float64) - 128) / 128
    return samples.astype(np.float64) / -float(np.iinfo(samples.dtype).min)


def _add_text(track: Track, packet: Packet[Any]) -> None:
    text = " ".join(
        said.dialogue.decode("utf-8", "replace").replace("\\N", "\n").strip()
        for said in packet.decode()
        if hasattr(said, "dialogue")
    )
    if text:
        track.texts.append((*_times(packet), text))


def _add_bytes(track: Track, packet: Packet[Any]) -> None:
    track.texts.append((*_times(packet), hashlib.blake2b(bytes(packet), digest_size=8).hexdigest()))


def _times(packet: Packet[Any]) -> tuple[float, float]:
    at = packet.pts if packet.pts is not None else packet.dts
    start = float((at or 0) * packet.time_base)
    return start, start + float((packet.duration or 0) * packet.time_base)
