"""Times that a container cannot state: kept in speed, never too short for browsers, and said."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfx.capture.opening import open_source
from streamfx.encode.encoding import Encoding
from streamfx.encode.files.animation_times import PACES, AnimationTimes
from streamfx.encode.files.file import FileSink
from streamfx.encode.files.verify import verify_output
from streamfx.encode.opening import open_sink
from streamfx.media.notes import Converted, left_out
from tests.passing import pass_file


@given(st.lists(st.fractions(min_value=0, max_value=Fraction(1, 5)), min_size=1, max_size=80))
def test_delays_of_a_gif_are_never_too_short_and_no_time_is_far_off(steps: list[Fraction]) -> None:
    times, seconds, placed = AnimationTimes(PACES["gif"], Fraction(1, 90_000)), Fraction(0), []
    for step in steps:
        seconds += step
        if (ticks := times.place(seconds)) is not None:
            placed.append(ticks)
            assert abs(ticks - seconds * 100) <= 1
    assert all(late - early >= times.least_ticks for early, late in pairwise(placed))


@pytest.mark.parametrize(("fps", "shown"), [(60, 50), (120, 50), (50, 50), (30, 30)])
def test_a_gif_keeps_its_speed_and_drops_are_counted(tmp_path: Path, fps: int, shown: int) -> None:
    source = open_source(f"test:bars?size=64x36&fps={fps}&frames={fps}")
    sink = open_sink(str(tmp_path / "out.gif"), format=source.format)
    causes = [sink.write(frame) for frame in iter(source.read, None)]
    sink.finish()
    assert len(causes) - causes.count(None) == fps - sink.packets_written
    assert abs(sink.packets_written - shown) <= 1
    assert set(causes) <= {None, "faster than GIF shows"}
    assert bool(left_out(sink.notes)) == (fps > 50)
    assert verify_output(tmp_path / "out.gif", sink.expected()) == []  # type: ignore[attr-defined]
    with av.open(str(tmp_path / "out.gif")) as file:
        times = [frame.time or 0.0 for frame in file.decode(video=0)]
        assert file.duration is not None
        assert file.duration / av.time_base == pytest.approx(1.0, abs=0.05)
    assert all(late - early > 0.0199 for early, late in pairwise(times))


def test_times_that_coincide_are_said(tmp_path: Path) -> None:
    sink = pass_file("test:bars?size=64x36&fps=1000&frames=20", tmp_path / "fine.mkv")
    assert not any("coincide" in note for note in sink.notes)
    sink = pass_file("test:bars?size=64x36&fps=1000&frames=20", tmp_path / "fine.ts")
    assert not any("coincide" in note for note in sink.notes)


def test_more_pictures_than_milliseconds_are_said_before_and_counted_after(tmp_path: Path) -> None:
    source = open_source("test:bars?size=64x36&fps=1000&frames=20")
    double = source.format.__class__(
        **{
            name: getattr(source.format, name)
            for name in source.format.__dataclass_fields__
            if name not in ("time_base", "rate_fps")
        },
        time_base=Fraction(1, 2000),
        rate_fps=Fraction(2000),
    )
    sink = open_sink(str(tmp_path / "out.mkv"), format=double)
    said = "times of pictures coincide: .mkv counts in 1 ms, and there are 2000 pictures a second"
    assert said in sink.notes
    for frame in iter(source.read, None):
        sink.write(double.frame(frame.planes, index=frame.index, pts=frame.pts, duration=1))
    sink.finish()
    counted = [note for note in sink.notes if "have the time of the one before" in note]
    assert len(counted) == 1
    assert isinstance(counted[0], Converted)


def test_pictures_that_all_have_one_time_are_no_difference(tmp_path: Path) -> None:
    source = open_source("test:bars?size=64x36&fps=1000&frames=12")
    quick = replace(source.format, time_base=Fraction(1, 90_000), rate_fps=Fraction(90_000))
    sink = open_sink(str(tmp_path / "out.mkv"), format=quick, encoding=Encoding(preset="ultrafast"))
    for frame in iter(source.read, None):
        sink.write(quick.frame(frame.planes, index=frame.index, pts=frame.index, duration=3600))
    sink.finish()
    assert isinstance(sink, FileSink)
    assert "11 pictures have the time of the one before: .mkv counts in 1 ms" in sink.notes
    assert verify_output(sink.path, sink.expected()) == []
