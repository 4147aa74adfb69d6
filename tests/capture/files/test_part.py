"""A part of a film: exact to the frame, with the sound, the subtitles and the chapters that go with it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamfx.capture.files.decoding import Decoding
from streamfx.capture.files.file import FileSource
from streamfx.capture.files.preparation import Preparation
from streamfx.capture.files.timed import TimedPictures
from streamfx.capture.opening import open_source
from streamfx.errors import ConfigError, SourceOpenError
from streamfx.media.frame import Frame
from streamfx.media.part import Part, part_of
from streamfx.media.tracks import OtherTrack, Span
from tests.media import make_clip

SECONDS = Fraction(1)
CODECS = [
    (".mp4", "libx264"),
    (".mkv", "libx265"),
    (".ts", "libx264"),
    (".webm", "libvpx-vp9"),
    (".mov", "mjpeg"),
    (".avi", "mpeg4"),
    (".gif", "gif"),
]


def film(path: Path, codec: str = "libx264", **settings: Any) -> Path:
    """Write a film of three seconds with a key frame every half second."""
    formats = {"mjpeg": "yuvj420p", "gif": "rgb8"}
    options = {"g": "12"} if codec in ("libx264", "mpeg4") else None
    if codec == "libx265":
        options = {"x265-params": "keyint=12:log-level=error"}
    return make_clip(
        path,
        **{
            "frames": 75,
            "codec": codec,
            "pix_fmt": formats.get(codec, "yuv420p"),
            "audio": path.suffix != ".gif",
            "options": options,
            **settings,
        },
    )


def read(path: Path | str, part: Part | None = None) -> tuple[list[Frame], FileSource]:
    source = FileSource(str(path), preparation=Preparation(part=part))
    assert source.other_tracks is not None
    source.other_tracks.claim()
    return list(iter(source.read, None)), source


def packets(source: FileSource, kind: str) -> list[tuple[float, float]]:
    """Return begin and end of the packets that travel along."""
    assert source.other_tracks is not None
    kinds = {stream.index: stream.kind for stream in source.other_tracks.streams}
    return [
        (float(packet.pts * packet.time_base), float((packet.pts + packet.duration) * packet.time_base))
        for index, packet in source.other_tracks.take()
        if kinds[index] == kind and packet.pts is not None and packet.duration is not None
    ]


@pytest.mark.parametrize(("ending", "codec"), CODECS)
def test_the_frames_of_a_part_are_those_of_the_whole_film(tmp_path: Path, ending: str, codec: str) -> None:
    path = film(tmp_path / f"clip{ending}", codec)
    part = Part(Fraction("1.53"), Fraction("2.5"))
    whole = [frame for frame in read(path)[0] if part.has(frame.time_seconds)]
    found, source = read(path, part)
    assert [frame.index for frame in found] == list(range(len(whole)))
    assert [frame.time_seconds for frame in found] == [
        frame.time_seconds - whole[0].time_seconds for frame in whole
    ]
    for frame, expected in zip(found, whole, strict=True):
        np.testing.assert_array_equal(frame.planes[0], expected.planes[0])
    assert source.shortfall == 0
    assert source.format.frame_count is None
    assert source.format.duration_seconds == pytest.approx(0.97)
    source.close()


class Unmovable:
    """An open file in which FFmpeg cannot move to a place."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def seek(self, *_: Any, **__: Any) -> None:
        raise av.error.PermissionError(1, "Operation not permitted", "clip.mkv")


def unmovable(container: Any) -> Any:
    return Unmovable(container)


def test_a_part_is_read_from_the_beginning_where_ffmpeg_cannot_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, part = film(tmp_path / "clip.mkv"), Part(Fraction("2.1"), Fraction("2.9"))
    expected, begin = read(path, part)[0], TimedPictures.begin
    monkeypatch.setattr(
        TimedPictures,
        "begin",
        lambda self, container, part, **how: begin(self, unmovable(container), part, **how),
    )
    found = read(path, part)[0]
    assert len(found) == 20
    for frame, other in zip(found, expected, strict=True):
        assert frame.time_seconds == other.time_seconds
        np.testing.assert_array_equal(frame.planes[0], other.planes[0])


def test_where_ffmpeg_cannot_move_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, seek = FileSource(str(film(tmp_path / "clip.mkv"))), TimedPictures.seek
    monkeypatch.setattr(
        TimedPictures, "seek", lambda self, container, seconds: seek(self, unmovable(container), seconds)
    )
    with pytest.raises(SourceOpenError, match=r"cannot move to a place in it .*; write it anew"):
        source.seek(SECONDS)
    source.close()


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts"])
def test_sound_is_cut_with_the_pictures(tmp_path: Path, ending: str) -> None:
    path = film(tmp_path / f"clip{ending}")
    _, source = read(path, Part(2 * SECONDS, 3 * SECONDS))
    sound = packets(source, "audio")
    step = sound[0][1] - sound[0][0]
    assert 0 <= sound[0][0] < step + 0.001
    assert sound[-1][1] > 0.95
    assert sound[-1][0] < 1
    source.close()


def test_sound_that_comes_late_in_the_file_belongs_to_the_part_still(tmp_path: Path) -> None:
    path = film(tmp_path / "clip.mkv", frames=50)  # all sound is behind the pictures
    _, source = read(path, Part(end_seconds=SECONDS))
    sound = packets(source, "audio")
    assert sound[0][0] <= 0 < 0.95 < sound[-1][0] < 1
    source.close()


def test_two_parts_that_share_a_moment_share_no_frame_and_lose_none(tmp_path: Path) -> None:
    path = film(tmp_path / "clip.mp4", frames=60, rate=Fraction(30000, 1001))
    moment = Fraction("0.667")  # frame 20 is at 0.66733 s
    first, source = read(path, Part(end_seconds=moment))
    source.close()
    second, source = read(path, Part(moment))
    source.close()
    whole, source = read(path)
    source.close()
    together = [frame.planes[0] for frame in (*first, *second)]
    assert len(first) == 20
    assert len(together) == len(whole)
    for found, expected in zip(together, whole, strict=True):
        np.testing.assert_array_equal(found, expected.planes[0])


def test_a_part_far_into_a_film_is_sought_and_not_decoded_up_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, decoded = 0, Decoding._decoded

    def counting(self: Decoding, packet: Any) -> Any:
        nonlocal count
        count += 1
        return decoded(self, packet)

    monkeypatch.setattr(Decoding, "_decoded", counting)
    for ending in (".mp4", ".ts"):
        count, path = 0, film(tmp_path / f"clip{ending}", frames=250, audio=False)
        frames, source = read(path, Part(8 * SECONDS, 9 * SECONDS))
        source.close()
        assert len(frames) == 25
        assert count < 110, ending


def test_a_film_with_hardly_a_key_frame_is_decoded_up_to_the_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamfx.capture.files.decoding._MOST_HELD", 10)
    path = film(tmp_path / "clip.ts", options={"g": "250"})
    expected, source = read(path)
    source.close()
    found, source = read(path, Part(2 * SECONDS))
    source.close()
    assert len(found) == 25
    np.testing.assert_array_equal(found[0].planes[0], expected[50].planes[0])


def test_subtitles_are_clipped_to_the_part(tmp_path: Path) -> None:
    for ending in (".mp4", ".mkv"):
        path = film(tmp_path / f"clip{ending}", frames=100, audio=False, subtitles=["a", "b", "c", "d"])
        _, source = read(path, Part(Fraction("1.4"), Fraction("3.2")))
        said = packets(source, "subtitle")
        assert said == [pytest.approx(each) for each in [(0, 0.6), (0.6, 1.6), (1.6, 1.8)]]
        source.close()


def test_a_subtitle_that_began_long_before_the_part_is_still_shown(tmp_path: Path) -> None:
    stream: Any = OtherTrack(1, "subtitle", "subrip", None)  # type: ignore[arg-type]
    packet = _packet(pts=1000, duration=9000)
    assert Span(8 * SECONDS, 9 * SECONDS).takes(packet, stream)
    assert (packet.pts, packet.dts, packet.duration) == (8000, 8000, 1000)
    assert not Span(10 * SECONDS, None).takes(_packet(pts=1000, duration=9000), stream)


def _packet(*, pts: int, duration: int) -> Any:
    packet = av.Packet(b"text")
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = pts
    packet.duration = duration
    return packet


def test_chapters_are_clipped_to_the_part(tmp_path: Path) -> None:
    path = film(tmp_path / "clip.mkv", chapters=["one", "two", "three"], audio=False)
    _, source = read(path, Part(Fraction("1.52"), Fraction("2.5")))
    assert source.other_tracks is not None
    chapters = [
        (float(each["start"] * (each["time_base"] or 0)), each["metadata"]["title"], each["end"])
        for each in source.other_tracks.chapters
    ]
    assert [(start, title) for start, title, _ in chapters] == [(1.52, "two"), (2.0, "three")]
    assert chapters[-1][2] * float(source.other_tracks.chapters[-1]["time_base"] or 0) == pytest.approx(2.5)
    source.close()


def test_sound_goes_on_where_a_picture_stands_at_the_start(tmp_path: Path) -> None:
    path = film(tmp_path / "clip.mkv", frames=4, times=[0, 1000, 3000, 4000])
    frames, source = read(path, Part(Fraction(2), Fraction("3.5")))
    assert [frame.time_seconds for frame in frames] == [1]  # the one at 3 s, not the one on the screen at 2 s
    assert frames[0].duration is None or frames[0].duration * source.format.time_base <= Fraction("0.5")
    assert packets(source, "audio")[0][0] < 0.03
    source.close()


@pytest.mark.parametrize(
    ("open_part", "message"),
    [
        (
            lambda path: read(path, Part(60 * SECONDS)),
            "its last picture is at 2.960 s; give an earlier --start",
        ),
        (lambda path: refused("camera:0"), "camera:0: no part of it can be taken: it comes live"),
        (
            lambda path: refused("rtsp://me:secret@host/1"),
            r"rtsp://\S*host/1: no part of it .*: it comes live",
        ),
        (lambda path: refused("test:bars"), "its option frames says how long it is; leave --start"),
        (lambda path: refused(str(path.parent)), "name those that are wanted"),
    ],
)
def test_a_part_that_is_not_there_is_refused(
    tmp_path: Path, open_part: Callable[[Path], object], message: str
) -> None:
    with pytest.raises((ConfigError, SourceOpenError), match=message) as refusal:
        open_part(film(tmp_path / "clip.mp4"))
    assert "secret" not in str(refusal.value)


def refused(text: str) -> None:
    open_source(text, preparation=Preparation(part=Part(SECONDS)))


def test_settings_mean_the_time_that_is_written() -> None:
    assert part_of(0.1, None, 0.2) == Part(Fraction("0.1"), Fraction("0.3"))
    assert part_of(None, 0.7, None) == Part(Fraction(0), Fraction("0.7"))
    assert part_of(None, None, None) is None
