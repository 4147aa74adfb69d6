"""The frame of a moment is the one that a player shows then, whatever the file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from streamfx.capture.opening import open_source
from streamfx.capture.pattern import read_stamp
from streamfx.errors import ConfigError
from streamfx.media.frame import Frame
from streamfx.sheets.moments import frames_at, spread_frames
from tests import media


def stamps(path: Path | str, moments: Sequence[float]) -> list[int | None]:
    with closing(open_source(str(path))) as source:
        return [read_stamp(frame.planes[0]) for frame in frames_at(source, moments)]


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds with a key frame every two, so that moments are sought."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return media.make_clip(path, frames=200, rate=10, audio=False, options={"g": "20"})


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_a_moment_shows_the_frame_that_has_begun(tmp_path: Path, ending: str) -> None:
    clip = media.make_clip(tmp_path / f"in.{ending}", frames=12, audio=False, b_frames=0)
    assert stamps(clip, [0.2, 0.0, 0.12, 0.119, 0.159, 0.44]) == [5, 0, 3, 2, 3, 11]


def test_a_moment_far_into_a_film_is_found_without_reading_all_before_it(
    long_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamfx.capture.files.file import FileSource

    read, inner = list[int](), FileSource.read

    def counted(source: FileSource) -> Frame | None:
        read.append(1)
        return inner(source)

    monkeypatch.setattr(FileSource, "read", counted)
    assert stamps(long_clip, [17.35, 6.0, 6.1]) == [173, 60, 61]
    assert len(read) < 100


def test_frames_of_unequal_length_are_shown_until_the_next_begins(tmp_path: Path) -> None:
    clip = media.make_clip(tmp_path / "in.mkv", times=[0, 40, 500, 520, 900], audio=False)
    assert stamps(clip, [0.499, 0.5, 0.51, 0.6, 0.899]) == [1, 2, 2, 3, 3]


@pytest.mark.parametrize("source", ["clip", "test:bars?size=128x72&frames=20&fps=25"])
def test_a_moment_past_the_end_is_refused_with_one_that_is_not(tmp_path: Path, source: str) -> None:
    clip = media.make_clip(tmp_path / "in.mp4", frames=20) if source == "clip" else source
    with pytest.raises(ConfigError, match=r"--at 0\.8: .* ends at 0\.800 s.*--at 0\.760 for its last frame"):
        stamps(clip, [0.1, 0.8])
    assert stamps(clip, [0.76, 0.799]) == [19, 19]


def test_moments_are_spread_over_the_film_and_no_frame_comes_twice(long_clip: Path, tmp_path: Path) -> None:
    def spread(path: Path | str, count: int) -> list[int | None]:
        with closing(open_source(str(path))) as source:
            return [read_stamp(frame.planes[0]) for frame in spread_frames(source, count)]

    assert spread(long_clip, 4) == [25, 75, 125, 175]
    assert spread("test:bars?size=128x72&frames=40", 2) == [10, 30]
    assert spread(media.make_clip(tmp_path / "two.mp4", frames=2), 4) == [0, 1]


def test_a_film_that_does_not_say_how_long_it_is_is_read_to_its_end(tmp_path: Path) -> None:
    from dataclasses import replace

    with closing(open_source(str(media.make_clip(tmp_path / "in.mp4", frames=60, audio=False)))) as source:
        source.format = replace(source.format, duration_seconds=None, frame_count=None)
        found = [read_stamp(frame.planes[0]) for frame in spread_frames(source, 3)]
    assert found == pytest.approx([10, 30, 50], abs=4)
