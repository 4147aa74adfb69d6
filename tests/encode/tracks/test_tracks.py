"""Sound, subtitles and covers: copied where the container holds them, else converted, else named."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.subtitles.subtitle import AssSubtitle

from streamfx.capture.files.file import FileSource
from streamfx.encode.files import file as file_module
from streamfx.encode.files.verify import verify_output
from streamfx.encode.opening import open_sink
from streamfx.encode.tracks.selection import Track, Tracks
from streamfx.errors import SinkError
from streamfx.media.notes import Converted, left_out
from tests.many_tracks import make_film
from tests.media import make_clip
from tests.passing import pass_file

RATE = 48_000


def kinds(path: Path) -> list[tuple[str, str]]:
    with av.open(str(path)) as file:
        return [(stream.type, stream.codec_context.name) for stream in file.streams]


def seconds_of(timed: Any) -> Fraction:
    return Fraction(timed.pts * timed.time_base)


def sound_of(path: Path) -> np.ndarray[Any, Any]:
    """Return the first channel of the first sound, as 16-bit values from the start of the pictures on."""
    resampler = av.AudioResampler("s16", "mono", RATE)
    with av.open(str(path)) as file:
        frames = [part for frame in file.decode(audio=0) for part in resampler.resample(frame)]
    with av.open(str(path)) as file:
        picture = next(file.decode(video=0))
    start = round((seconds_of(frames[0]) - seconds_of(picture)) * RATE)
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return np.concatenate([np.zeros(max(start, 0), np.int16), samples[max(-start, 0) :]])


def loud(samples: np.ndarray[Any, Any], begin: float, end: float) -> bool:
    part = samples[round(begin * RATE) : round(end * RATE)].astype(float)
    return bool(np.sqrt(np.mean(part**2)) > 1000)


@pytest.mark.parametrize(
    ("source", "sound", "target", "codec"),
    [
        ("in.avi", "pcm_s16le", "out.mp4", "aac"),
        ("in.mov", "pcm_s24le", "out.mp4", "aac"),
        ("in.mov", "pcm_s16be", "out.mkv", "pcm_s16be"),
        ("in.avi", "pcm_s16le", "out.mov", "pcm_s16le"),
        ("in.asf", "wmav2", "out.mp4", "aac"),
        ("in.asf", "wmav2", "out.webm", "opus"),
        ("in.asf", "wmav2", "out.mkv", "flac"),
        ("in.mkv", "flac", "out.ts", "aac"),
        ("in.avi", "adpcm_ms", "out.ts", "aac"),
        ("in.mp4", "aac", "out.webm", "opus"),
    ],
)
def test_sound_is_copied_or_converted_to_what_players_play(
    tmp_path: Path, source: str, sound: str, target: str, codec: str
) -> None:
    clip = make_clip(tmp_path / source, frames=25, codec="mpeg4", audio_codec=sound)
    sink = pass_file(clip, tmp_path / target)
    assert verify_output(sink.path, sink.expected()) == []
    assert kinds(sink.path)[1] == ("audio", codec)
    assert any(isinstance(note, Converted) and "stream 1" in note for note in sink.notes) == (
        codec not in sound
    )
    heard = sound_of(sink.path)
    assert abs(len(heard) / RATE - 1.0) < 0.1
    assert loud(heard, 0.1, 0.9)


@pytest.mark.parametrize("ending", [".mkv", ".avi"])
@pytest.mark.parametrize(("layout", "count"), [("mono", 1), ("stereo", 2), ("5.1", 6)])
def test_channels_that_are_only_counted_get_their_usual_places(
    tmp_path: Path, ending: str, layout: str, count: int
) -> None:
    clip = make_clip(
        tmp_path / f"in{ending}", codec="mpeg4", audio_codec="pcm_s16le", audio_layout=layout, frames=5
    )
    with av.open(str(clip)) as file:
        assert file.streams.audio[0].codec_context.layout.nb_channels == count
    for target in ("out.mp4", "out.mov"):
        sink = pass_file(clip, tmp_path / target)
        assert verify_output(sink.path, sink.expected()) == []
        with av.open(str(sink.path)) as file:
            assert file.streams.audio[0].codec_context.layout.name == layout


def gap(packet: Any) -> bool:
    """Leave out the sound between 0.4 and 0.8 s."""
    return not Fraction(2, 5) <= packet.pts * packet.time_base < Fraction(4, 5)


def remuxed(clip: Path, target: Path, keep: Callable[[Any], bool]) -> Path:
    """Copy a film, but for the packets of sound that are not to be kept."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as out:
        targets = {
            stream.index: out.add_stream_from_template(stream, opaque=True) for stream in source.streams
        }
        for packet in source.demux():
            if packet.dts is not None and (packet.stream.type == "video" or keep(packet)):
                packet.stream = targets[packet.stream_index]
                out.mux(packet)
    return target


def test_a_gap_in_converted_sound_is_silent_and_the_rest_stays_in_its_place(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=30, audio_codec="flac", codec="mpeg4")
    sink = pass_file(remuxed(clip, tmp_path / "gap.mkv", gap), tmp_path / "out.ts")
    heard = sound_of(sink.path)
    assert loud(heard, 0.1, 0.35)
    assert not loud(heard, 0.5, 0.75)
    assert loud(heard, 0.9, 1.1)


def test_sound_that_comes_late_stays_late_when_it_is_converted(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "in.mov", frames=30, audio_codec="pcm_s16le", codec="mpeg4", audio_delay_seconds=0.5
    )
    sink = pass_file(clip, tmp_path / "out.mp4")
    assert verify_output(sink.path, sink.expected()) == []
    heard = sound_of(sink.path)
    assert not loud(heard, 0.0, 0.4)
    assert loud(heard, 0.6, 1.0)


@pytest.mark.parametrize(
    ("source", "target", "codec"),
    [
        ("in.mkv", "out.mp4", "mov_text"),
        ("in.mkv", "out.webm", "webvtt"),
        ("in.mp4", "out.mkv", "srt"),
        ("in.mp4", "out.mov", "mov_text"),
    ],
)
def test_text_is_copied_or_converted_and_says_the_same_at_the_same_times(
    tmp_path: Path, source: str, target: str, codec: str
) -> None:
    clip = make_clip(tmp_path / source, frames=60, subtitles=["eins", "zwei"])
    sink = pass_file(clip, tmp_path / target)
    assert verify_output(sink.path, sink.expected()) == []
    said, seconds = [], 0.0
    with av.open(str(sink.path)) as file:
        subtitles = file.streams.subtitles[0]
        assert subtitles.codec_context.name == codec
        for packet in file.demux(subtitles):
            if packet.size and (text := subtitles.decode(packet)):
                assert isinstance(text[0], AssSubtitle)
                said.append((text[0].dialogue.decode(), float(seconds_of(packet))))
        assert file.duration is not None
        seconds = file.duration / av.time_base
    assert [text for text, _ in said] == ["eins", "zwei"]
    assert [time for _, time in said] == pytest.approx([0.0, 1.0], abs=0.05)
    assert seconds == pytest.approx(2.4, abs=0.1)  # as long as the pictures: no empty text lasts on


@pytest.mark.parametrize(
    ("ending", "held"), [(".mp4", True), (".mov", True), (".mkv", True), (".webm", False)]
)
@pytest.mark.parametrize("codec", ["mjpeg", "png"])
def test_a_cover_is_kept_or_named(tmp_path: Path, ending: str, held: bool, codec: str) -> None:
    picture = make_clip(
        tmp_path / ("cover.jpg" if codec == "mjpeg" else "cover.png"),
        frames=1,
        codec=codec,
        pix_fmt="yuvj420p" if codec == "mjpeg" else "rgb24",
        audio=False,
    ).read_bytes()
    clip, with_cover = make_clip(tmp_path / "clip.mkv", frames=5), tmp_path / "cover.mkv"
    with av.open(str(clip)) as source, av.open(str(with_cover), "w") as out:
        targets = [out.add_stream_from_template(stream, opaque=True) for stream in source.streams]
        out.add_attachment("front", "image/jpeg" if codec == "mjpeg" else "image/png", picture)
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = targets[packet.stream_index]
                out.mux(packet)
    sink = pass_file(with_cover, tmp_path / f"out{ending}")
    assert verify_output(sink.path, sink.expected()) == []
    with av.open(str(sink.path)) as file:
        covers = [
            stream for stream in file.streams.video if stream.disposition & av.stream.Disposition.attached_pic
        ]
        packets = [bytes(packet) for packet in file.demux(covers) if packet.size] if covers else []
        pictures = sum(1 for _ in file.decode(video=0)) if not covers else 5
    assert packets == ([picture] if held else [])
    assert pictures == 5
    assert bool(left_out(sink.notes)) != held


def test_a_file_that_could_not_be_completed_is_refused_before_the_first_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "in.mkv", codec="mpeg4", audio_codec="pcm_s16le", audio_layout="stereo")
    source = FileSource(str(clip))
    assert source.other_tracks is not None
    copied = Tracks(tuple(Track(stream) for stream in source.other_tracks.streams))
    monkeypatch.setattr(file_module, "plan_tracks", lambda *_: copied)
    monkeypatch.setattr("streamfx.encode.tracks.holding.layout_of", lambda _: None)
    with pytest.raises(SinkError, match=r"\.mp4 cannot be completed with what the source holds"):
        open_sink(str(tmp_path / "out.mp4"), format=source.format, other_tracks=source.other_tracks)
    source.close()
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv"}


def test_a_picture_that_stays_long_keeps_its_time_in_an_mp4(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", times=[0, 40, 80, 120, 5000], audio=False)
    sink = pass_file(clip, tmp_path / "out.mp4")
    with av.open(str(sink.path)) as file:
        assert file.duration is not None
        assert file.duration / av.time_base == pytest.approx(5.04, abs=0.05)
        times = [float(seconds_of(frame)) for frame in file.decode(video=0)]
    assert times == pytest.approx([0, 0.04, 0.08, 0.12, 5.0], abs=0.002)


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("sounds", [(), (("aac", "eng", "mono"),)])
@pytest.mark.parametrize(
    "spans_ms",
    [
        [(200, 1200), (2400, 1000), (3400, 400)],
        [(0, 1000), (1000, 1000), (2040, 1600)],
        [(1000, 2000), (3000, 1000), (4000, 900)],
    ],
)
def test_pictures_beside_text_in_an_mp4_keep_their_times_and_so_does_the_text(
    tmp_path: Path, spans_ms: list[tuple[int, int]], sounds: tuple[tuple[str, str, str], ...], b_frames: int
) -> None:
    texts = ("one", "two", "three")
    film = make_film(
        tmp_path / "in.mkv", frames=125, sounds=sounds, subtitles=[("subrip", "eng")], texts=texts,
        spans_ms=spans_ms, b_frames=b_frames, attachment=False,
    )  # fmt: skip
    first = pass_file(film, tmp_path / "converted.mp4").path
    for path in (first, pass_file(first, tmp_path / "copied.mp4").path):
        with av.open(str(path)) as file:
            times = [float(seconds_of(frame)) for frame in file.decode(video=0)]
        assert times == pytest.approx([number / 25 for number in range(125)], abs=0.001)
        with av.open(str(path)) as file:
            shown = [
                (
                    float(seconds_of(packet)),
                    float((packet.duration or 0) * packet.time_base),
                    bytes(packet)[2:],
                )
                for packet in file.demux(subtitles=0)
                if packet.size > 2
            ]
        assert [text for _, _, text in shown] == [b"one", b"two", b"three"]
        assert [value for begin, length, _ in shown for value in (begin, length)] == pytest.approx(
            [value / 1000 for span in spans_ms for value in span], abs=0.001
        )
