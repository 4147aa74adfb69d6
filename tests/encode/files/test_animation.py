"""Animated WebP and APNG: every picture with its time and alpha, for ever, and compared when finished."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamfx.capture.files.preparation import Preparation
from streamfx.capture.opening import open_source
from streamfx.capture.pattern import read_stamp
from streamfx.encode.encoding import Encoding
from streamfx.encode.files.file import FileSink
from streamfx.encode.files.pictures import PictureSink
from streamfx.encode.files.verify import verify_output
from streamfx.encode.opening import holds_alpha, open_sink
from streamfx.errors import ConfigError
from streamfx.media.frame import Frame
from streamfx.media.notes import left_out
from streamfx.media.photo_metadata import chunks
from tests.media import make_clip
from tests.passing import pass_file

ENDINGS = (".webp", ".apng")
KEPT = Preparation(alpha=True)
SIZE = (32, 64)


def frames_of(path: Path) -> list[Frame]:
    source = open_source(str(path), preparation=KEPT)
    frames = list(iter(source.read, None))
    source.close()
    return frames


def moving_alpha(path: Path) -> FileSink:
    """Write three pictures of which each shows another square, and nothing else."""
    video = replace(open_source("test:bars?size=64x32&fps=25&frames=3").format, alpha=True)
    sink = open_sink(str(path), format=video)
    assert isinstance(sink, FileSink)
    source = open_source("test:bars?size=64x32&fps=25&frames=3")
    for number, frame in enumerate(iter(source.read, None)):
        alpha = np.zeros(SIZE, np.uint8)
        alpha[8:24, 16 * number : 16 * number + 16] = 255
        sink.write(replace(frame, alpha=alpha))
    sink.finish()
    return sink


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("times", [[0, 40, 80, 120], [0, 33, 133, 150, 900]])
def test_an_animation_has_all_pictures_at_their_times(tmp_path: Path, ending: str, times: list[int]) -> None:
    clip = make_clip(tmp_path / "in.mkv", times=times, audio=False)
    sink = pass_file(clip, tmp_path / f"out{ending}")
    assert verify_output(sink.path, sink.expected()) == []
    assert left_out(sink.notes) == []
    frames = frames_of(sink.path)
    assert [float(frame.time_seconds * 1000) for frame in frames] == times
    assert [read_stamp(frame.planes[0]) for frame in frames] == list(range(len(times)))
    assert not any(frame.alpha is not None for frame in frames)


@pytest.mark.parametrize(("ending", "last"), [(".webp", 480), (".apng", Fraction(12, 25))])
def test_the_last_picture_lasts_as_long_as_it_did(tmp_path: Path, ending: str, last: Fraction | int) -> None:
    source = open_source("test:bars?size=64x32&fps=25&frames=3")
    sink = open_sink(str(tmp_path / f"out{ending}"), format=source.format)
    for frame in iter(source.read, None):
        sink.write(replace(frame, duration=12 if frame.index == 2 else 1))
    sink.finish()
    if ending == ".webp":
        parts = [inner for kind, inner in chunks((tmp_path / "out.webp").read_bytes()) if kind == b"ANMF"]
        assert int.from_bytes(parts[-1][12:15], "little") == last
    else:
        found = [inner for kind, inner in chunks((tmp_path / "out.apng").read_bytes()) if kind == b"fcTL"]
        assert Fraction(*struct.unpack(">HH", found[-1][20:24])) == last
        assert len(frames_of(tmp_path / "out.apng")) == 3  # its checksum is right


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_showed_in_one_picture_does_not_stay_in_the_next(tmp_path: Path, ending: str) -> None:
    assert holds_alpha(f"out{ending}", None)
    sink = moving_alpha(tmp_path / f"out{ending}")
    assert verify_output(sink.path, sink.expected()) == []
    for number, frame in enumerate(frames_of(sink.path)):
        assert frame.alpha is not None
        assert [int(frame.alpha[16, 16 * x + 8]) for x in range(3)] == [255 * (x == number) for x in range(3)]


def test_animations_are_repeated_for_ever(tmp_path: Path) -> None:
    for ending, kind, count in ((".webp", b"ANIM", slice(4, 6)), (".apng", b"acTL", slice(4, 8))):
        sink = pass_file("test:bars?size=64x32&frames=3", tmp_path / f"out{ending}")
        assert not any(dict(chunks(sink.path.read_bytes()))[kind][count])


def test_times_of_an_apng_are_exact_and_those_of_webp_are_rounded_and_said(tmp_path: Path) -> None:
    text = "test:bars?size=64x32&fps=30000/1001&frames=4"
    webp, apng = (pass_file(text, tmp_path / f"out{ending}") for ending in ENDINGS)
    delays = [inner[20:24] for kind, inner in chunks(apng.path.read_bytes()) if kind == b"fcTL"]
    assert {Fraction(*struct.unpack(">HH", delay)) for delay in delays} == {Fraction(1001, 30000)}
    assert "3 times are rounded to the 1 ms of .webp" in webp.notes


@pytest.mark.parametrize(("ending", "name"), [(".webp", "WebP"), (".apng", "APNG")])
def test_pictures_that_browsers_would_slow_down_are_left_out_and_said(
    tmp_path: Path, ending: str, name: str
) -> None:
    source = open_source("test:bars?size=64x32&fps=120&frames=12")
    sink = open_sink(str(tmp_path / f"out{ending}"), format=source.format)
    causes = [sink.write(frame) for frame in iter(source.read, None)]
    sink.finish()
    assert isinstance(sink, FileSink)
    assert causes.count(f"faster than {name} shows") == 12 - sink.packets_written
    assert 6 <= sink.packets_written <= 7
    assert f"pictures beyond 90.9 a second are left out: {name} shows no more of them" in sink.notes
    assert verify_output(sink.path, sink.expected()) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_sound_is_said_to_be_left_out(tmp_path: Path, ending: str) -> None:
    sink = pass_file(make_clip(tmp_path / "in.mp4", frames=2), tmp_path / f"out{ending}")
    assert left_out(sink.notes) == [f"stream 1 (audio, aac) is left out: {ending} holds pictures only"]


def test_one_picture_stays_a_still_and_so_do_numbered_ones(tmp_path: Path) -> None:
    for text, frames in (("one.webp", 1), ("%03d.webp", 3)):
        form = open_source(f"test:bars?size=64x32&frames={frames}").format
        assert isinstance(open_sink(str(tmp_path / text), format=form), PictureSink)
    pass_file("test:bars?size=64x32&frames=1", tmp_path / "one.apng")
    assert not {b"acTL", b"fcTL"} & dict(chunks((tmp_path / "one.apng").read_bytes())).keys()


def test_a_film_whose_only_picture_was_not_known_to_be_one_becomes_a_still(tmp_path: Path) -> None:
    source = open_source("test:bars?size=64x32&frames=1")
    sink = open_sink(str(tmp_path / "one.webp"), format=replace(source.format, frame_count=None))
    assert isinstance(sink, FileSink)
    for frame in iter(source.read, None):
        sink.write(frame)
    sink.finish()
    assert b"ANIM" not in dict(chunks(sink.path.read_bytes()))
    assert verify_output(sink.path, sink.expected()) == []


def test_quality_is_that_of_webp_and_apng_has_none(tmp_path: Path) -> None:
    text = "test:bars?size=96x64&frames=2"
    small = pass_file(text, tmp_path / "small.webp", quality=5).path.stat().st_size
    assert small < pass_file(text, tmp_path / "large.webp", quality=100).path.stat().st_size
    with pytest.raises(ConfigError, match=r"quality for codec webp must be 100 \(best\) to 0 \(smallest\)"):
        pass_file(text, tmp_path / "out.webp", quality=101)
    with pytest.raises(ConfigError, match="codec apng has no quality setting"):
        pass_file(text, tmp_path / "out.apng", quality=5)


@pytest.mark.parametrize("frames", [1, 2])
def test_pictures_too_large_for_webp_are_refused_before_the_first(tmp_path: Path, frames: int) -> None:
    form = replace(open_source(f"test:bars?size=64x32&frames={frames}").format, size=(16, 16384))
    with pytest.raises(ConfigError, match="at most 16383 pixels a side, and these are 16384x16"):
        open_sink(str(tmp_path / "out.webp"), format=form)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_pipe_is_refused(tmp_path: Path, ending: str) -> None:
    os.mkfifo(tmp_path / f"out{ending}")
    form = open_source("test:bars?size=64x32&frames=2").format
    with pytest.raises(ConfigError, match="cannot go through a device or pipe; give a file"):
        open_sink(str(tmp_path / f"out{ending}"), format=form, encoding=Encoding(overwrite=True))


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_missing_of_an_animation_is_found(tmp_path: Path, ending: str) -> None:
    sink = pass_file("test:bars?size=64x32&frames=3", tmp_path / f"out{ending}")
    expected = sink.expected()
    for other, says in (
        (replace(expected, packets=4), "pictures: 4 sent, 3 found"),
        (replace(expected, size=(32, 66)), "size: 66x32 sent, 64x32 found"),
        (replace(expected, last_seconds=Fraction(1)), "time from first to last picture: 1.0000 s sent"),
    ):
        assert verify_output(sink.path, other)[0].startswith(says)
    with sink.path.open("ab") as file:
        file.write(bytes(20))
    assert "the file does not end where it says that it does" in verify_output(sink.path, expected)
    sink.path.write_bytes(sink.path.read_bytes()[:60])
    assert verify_output(sink.path, expected) != []
