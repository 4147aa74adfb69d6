"""The command `streamfx preview` and `streamfx.preview`: what the sheet shows, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import av
import numpy as np
import pytest

import streamfx
from streamfx.cli import main
from streamfx.errors import ConfigError
from streamfx.sheets.drawing import Cell, drawn, room_for
from streamfx.sheets.pixels import picture_file
from tests import media

Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="session")
def made_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.make_clip(tmp_path_factory.mktemp("clip") / "in.mp4", frames=20)


@pytest.fixture
def run(at_home: Path, made_clip: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in a folder of its own, with a clip in it."""
    shutil.copy(made_clip, at_home / "in.mp4")

    def run(*arguments: str) -> CompletedProcess[str]:
        code = main(["preview", *arguments])
        return CompletedProcess(arguments, code, *capsys.readouterr())

    return run


def pixels(path: Path | str) -> Any:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)


def test_a_sheet_has_a_row_for_each_effect_and_moment_and_a_column_for_each_factor(run: Run) -> None:
    done = run("in.mp4", "--at", "0.12,0.4", "--effect", "tiny", "--effect", "tiny:strength=0",
               "--factor", "2,4", "-o", "sheet.png")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "moments 0:00.12, 0:00.4; tiny at factor 2, 4; tiny:strength=0 at factor 2, 4" in done.stdout
    sheet = pixels("sheet.png")
    assert sheet.shape[1] == 3 * 128 + 4 * 10
    strip = (sheet.shape[0] - 10) // 4 - 72 - 10
    places = [
        [sheet[10 + row * (82 + strip) + strip :][:72, 10 + column * 138 :][:, :128] for column in range(3)]
        for row in range(4)
    ]
    for row, changed in zip(places, (True, False, True, False), strict=True):
        for made in row[1:]:
            assert (np.abs(made - row[0]).mean() > 5) == changed
    assert np.abs(places[0][1] - places[0][2]).mean() > 0.5  # the factors differ
    assert np.abs(places[0][0] - places[2][0]).mean() > 0.5  # and so do the moments
    for number in range(4):
        label = sheet[10 + number * (82 + strip) :][:strip]
        assert all(label[:, 10 + column * 138 :][:, :128].max() > 150 for column in range(3))


def test_the_source_is_shown_as_it_is_and_the_effect_as_a_transcode_gives_it(run: Run) -> None:
    assert (
        run("in.mp4", "--at", "0.2", "--effect", "tiny", "--factor", "4", "-o", "sheet.png").returncode == 0
    )
    assert main(["transcode", "in.mp4", "out/%d.png", "--effect", "tiny", "--factor", "4"]) == 0
    assert main(["transcode", "in.mp4", "as_it_is/%d.png", "--effect", "tiny:strength=0"]) == 0
    sheet = pixels("sheet.png")
    for column, exact in enumerate((pixels("as_it_is/6.png"), pixels("out/6.png"))):
        shown = sheet[-82:-10, 10 + column * 138 :][:, :128]
        assert np.abs(shown - exact).max() <= 1


def test_without_moments_and_factors_some_are_shown_of_those_that_the_effect_offers(run: Run) -> None:
    done = run("in.mp4", "--effect", "tiny", "-o", "sheet.jpg")
    assert done.returncode == 0, done.stderr
    assert "moments 0:00.08, 0:00.28, 0:00.48, 0:00.68; tiny at factor 1, 2, 4" in done.stdout
    assert Path("sheet.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_a_sheet_is_as_wide_as_asked_for_at_most(run: Run) -> None:
    done = run("in.mp4", "--at", "0", "--effect", "tiny", "--width", "330", "-o", "sheet.png")
    assert done.returncode == 0, done.stderr
    assert 320 <= pixels("sheet.png").shape[1] <= 330


def test_a_film_that_is_to_be_turned_is_shown_upright(run: Run) -> None:
    media.make_clip("turned.mp4", frames=2, rotation_degrees=90)
    assert run("turned.mp4", "--at", "0", "--effect", "tiny", "--factor", "4", "-o", "s.png").returncode == 0
    height, width, _ = pixels("s.png").shape
    assert width == 2 * 72 + 3 * 10
    assert height > 128


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("in.mp4", "--at", "0.8", "-o", "s.png"), "--at 0.8: in.mp4 ends at 0.800 s"),
        (("in.mp4", "--at", "soon", "-o", "s.png"), "at: must be seconds or a timecode"),
        (("in.mp4", "--at", "-1", "-o", "s.png"), "at: must be seconds or a timecode"),
        (("in.mp4", "--effect", "tini", "-o", "s.png"), "tini"),
        (("in.mp4", "--factor", "5", "-o", "s.png"), "must be one of 1, 1.5, 2"),
        (("in.mp4", "--effect", "tiny:factor=2", "--effect", "tiny:power=1", "-o", "s.png"), "unknown key"),
        (("in.mp4", "-o", "s.gif"), "s.gif: a sheet is a picture; end its name with one of .png"),
        (("in.mp4", "-o", "old.png"), "old.png: exists already; allow overwriting (--overwrite)"),
        (("missing.mp4", "-o", "s.png"), "missing.mp4: no such file"),
        (("test:bars?live=1", "-o", "s.png"), "is live, and a preview shows moments of a film"),
        (("picture.png", "-o", "picture.png", "--overwrite"), "is the source itself"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_nothing_written(
    run: Run, asked: tuple[str, ...], said: str
) -> None:
    Path("old.png").write_bytes(b"old")
    Path("picture.png").write_bytes(picture_file(np.zeros((32, 64, 3), np.uint8), ".png"))
    before = {path: path.read_bytes() for path in Path().iterdir()}
    effects = () if "--effect" in asked else ("--effect", "tiny")
    done = run(*asked, *effects)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


def test_without_an_effect_the_refusal_lists_those_there_are(run: Run) -> None:
    done = run("in.mp4", "-o", "s.png")
    assert done.returncode == 2
    assert "no effect given: add --effect NAME, one of: " in done.stderr


def test_a_sheet_that_is_there_is_replaced_when_asked_for(run: Run) -> None:
    Path("old.png").write_bytes(b"old")
    assert run("in.mp4", "--at", "0", "--effect", "tiny", "-o", "old.png", "--overwrite").returncode == 0
    assert pixels("old.png").shape[1] > 0


@pytest.mark.usefixtures("run")
def test_from_python_times_may_be_numbers_or_clocks_and_progress_is_told() -> None:
    told = []
    made = streamfx.preview(
        "in.mp4", "s.png", effects=["tiny"], at=[0.4, "0:00.6"], factors=[4],
        progress=lambda *step: told.append(step),
    )  # fmt: skip
    assert made.moments == pytest.approx((0.4, 0.6))
    assert made.factors == {"tiny": (4.0,)}
    assert [(done, total) for done, total, _ in told] == [(0, 2), (1, 2)]
    with pytest.raises(ConfigError, match="effects: none given"):
        streamfx.preview("in.mp4", "t.png", effects=[])


@pytest.mark.usefixtures("at_home")
def test_effects_that_offer_other_factors_show_those_that_they_offer(caplog: Any) -> None:
    from tests import engines

    engines.make_engine(Path(), "narrow", factors=[1.0, 2.0])
    shown = streamfx.preview("test:bars?size=64x48&frames=2", "s.png", effects=["./narrow"], at=[0])
    assert shown.factors == {"./narrow": (1.0, 2.0)}
    shown = streamfx.preview(
        "test:bars?size=64x48&frames=2", "t.png", effects=["./narrow"], factors=[2, 8], at=[0]
    )
    assert shown.factors == {"./narrow": (2.0,)}
    assert "narrow takes factors from 1 to 2; 8 is not shown" in caplog.text
    with pytest.raises(ConfigError, match=r"--factor 8: effect './narrow' takes factors from 1 to 2"):
        streamfx.preview("test:bars?size=64x48&frames=2", "u.png", effects=["./narrow"], factors=[8])


def test_rows_of_unequal_length_and_cells_of_unequal_size_keep_to_their_places() -> None:
    grey = [np.full((20 + n, 40, 3), 100 + n, np.uint8) for n in range(3)]
    sheet = drawn(
        [[Cell(grey[0], "a"), Cell(grey[1], "b", "c")], [Cell(grey[2], "a very long title indeed")]]
    )
    assert sheet.shape[1] == 2 * 40 + 3 * 10
    assert [int((sheet == 100 + n).all(-1).sum()) for n in range(3)] == [20 * 40, 21 * 40, 22 * 40]
    height, width = room_for(3, 4, 1920)
    assert width * 4 + 5 * 10 <= 1920
    assert height * 3 < 1920 * 1.25
