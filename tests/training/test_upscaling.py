"""Figures of super-resolution: along the dial, through the runtime, into the card."""

from __future__ import annotations

import json
from functools import partial
from itertools import cycle, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

import training.evaluate
from streamfx.engine.folder import read_engine
from tests.media import make_clip
from tests.training.test_super_resolution import toy_options
from training.__main__ import main
from training.evaluation.flicker import enlarged_errors
from training.evaluation.runner import Runner
from training.evaluation.section import Cell, Section
from training.evaluation.upscaling import (
    AMPLITUDES,
    BOUNDS_DB,
    amplitude_within,
    bounded,
    enlarged_bicubic,
    reduced,
    true_pictures,
    upscaling,
    upscaling_sheet,
)
from training.pictures import Picture, Still, find_stills
from training.super_resolution import run


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures and an engine that is hardly trained."""
    folder = tmp_path_factory.mktemp("toy")
    run(toy_options(folder, distortion_steps=1, perception_steps=0))
    return folder


def test_figures_cover_the_dial_at_every_enlargement(toy: Path) -> None:
    stills = find_stills([toy / "photos"])[:2]
    with Runner(toy / "toy", "eager") as twice, Runner(toy / "toy", "eager", scale=4) as fourfold:
        section = upscaling({2: twice, 4: fourfold}, stills, short_side=64)
    dial = [("bicubic", None), *(("engine", amplitude) for amplitude in AMPLITUDES)]
    expected = [
        (times, reduced_by, *row)
        for times in ("x2", "x4")
        for reduced_by, rows in (("bicubic", dial), ("area", dial[:2]))
        for row in rows
    ]
    assert [tuple(row[:4]) for row in section.rows] == expected
    psnr_db = {tuple(row[:3]): float(str(row[4])) for row in section.rows}
    assert psnr_db["x2", "bicubic", "bicubic"] > psnr_db["x4", "bicubic", "bicubic"]
    assert "photographs (2)" in section.note


@pytest.mark.parametrize(
    ("bound", "expected"),
    [(0.0, 0.0), (0.1, 0.25), (0.2, 0.5), (0.35, 0.75), (0.5, 1.0), (9.0, 1.0)],
)
def test_the_amplitude_within_a_bound_lies_where_the_curve_crosses_it(bound: float, expected: float) -> None:
    curve = {0.0: 30.0, 0.5: 29.8, 1.0: 29.5}
    assert amplitude_within(curve, bound) == pytest.approx(expected)


def test_an_amplitude_is_within_a_bound_only_if_all_below_it_are() -> None:
    assert amplitude_within({0.0: 30.0, 0.5: 29.0, 1.0: 30.0}, 0.5) == pytest.approx(0.25)


def test_amplitudes_for_bounds_are_those_of_each_enlargement() -> None:
    rows: list[list[Cell]] = [
        ["x2", "bicubic", "bicubic", None, 20.0, 0.9, 0.1],
        ["x2", "bicubic", "engine", 0.0, 30.0, 0.9, 0.1],
        ["x2", "bicubic", "engine", 1.0, 29.9, 0.9, 0.1],
        ["x2", "area", "engine", 0.0, 10.0, 0.9, 0.1],
        ["x4", "bicubic", "engine", 0.0, 30.0, 0.9, 0.1],
        ["x4", "bicubic", "engine", 1.0, 28.0, 0.9, 0.1],
    ]
    found = bounded(Section("upscaling", "", {}, rows))
    twice = [["x2", bound, min(1.0, bound / 0.1)] for bound in BOUNDS_DB]
    fourfold = [["x4", bound, bound / 2] for bound in BOUNDS_DB]
    assert [row[:2] for row in found.rows] == [row[:2] for row in twice + fourfold]
    assert [row[2] for row in found.rows] == pytest.approx([row[2] for row in twice + fourfold])


def test_a_runner_without_strength_gives_the_yardstick(toy: Path) -> None:
    truth = next(true_pictures(find_stills([toy / "photos"]), 64)) // 2 + 64  # no colour is ever cut off
    for times in (2, 4):
        low = reduced(truth, times)
        with Runner(toy / "toy", "eager", scale=times) as runner:
            found = runner(low, strength=0.0).astype(int)
        assert np.abs(found - enlarged_bicubic(low, times)).max() <= 1


def test_the_sheet_shows_centres_of_all_versions(toy: Path) -> None:
    truths = list(true_pictures(find_stills([toy / "photos"])[:2], 64))
    with Runner(toy / "toy", "eager") as runner:
        drawn = upscaling_sheet(runner, truths, times=2, side=40)
    assert drawn.shape == (18 + 40 + 4 + 40, 4 * 40 + 3 * 4, 3)
    assert (drawn[18:58, -40:] == truths[0][12:52, 12:52]).all()


def test_pictures_that_are_too_small_are_left_out_and_none_at_all_is_an_error(toy: Path) -> None:
    stills = find_stills([toy / "photos"])
    assert list(true_pictures(stills, 80)) == []
    with (
        Runner(toy / "toy", "eager") as runner,
        pytest.raises(ValueError, match="no readable held-out picture with a short side of 80 pixels"),
    ):
        upscaling({2: runner}, stills, short_side=80)


def test_an_enlarged_clip_that_moves_is_as_steady_as_the_true_one_and_flicker_is_seen() -> None:
    coarse = cv2.GaussianBlur(np.random.default_rng(3).normal(0, 900, (96, 192, 3)), (0, 0), 6)
    wide = np.clip(128 + coarse, 40, 215).astype(np.uint8)
    truths = [np.ascontiguousarray(wide[:, 4 * step : 4 * step + 128]) for step in range(4)]
    light = cycle((10, -10))

    def restless(low: Picture, times: int, noise_amplitude: float) -> Picture:
        found = enlarged_bicubic(low, times) + next(light) * noise_amplitude
        return np.asarray(np.clip(np.rint(found), 0, 255), np.uint8)

    runners = {times: partial(restless, times=times) for times in (2, 4)}
    rows = {tuple(row[:3]): row[3:] for row in enlarged_errors(runners, truths)}
    own, *_ = errors = [float(str(row[0])) for (*_, amplitude), row in rows.items() if amplitude != 1]
    # A step of the clip moves it by 4 pixels, whole ones even when reduced by 4.
    still = [float(np.abs(now.astype(float) - then).mean()) for then, now in pairwise(truths)]
    assert max(errors) < 1 < 5 < min(still)
    for times in ("x2", "x4"):
        bicubic = float(str(rows[times, "bicubic", None][0]))
        assert rows[times, "engine", 0] == [bicubic, bicubic - own, 0]
        # By turns 10 lighter and 10 darker.
        assert rows[times, "engine", 1] == pytest.approx([20, 20 - own, 20 - bicubic], abs=0.5)


def test_the_evaluate_command_puts_figures_into_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("upscaling", "true_pictures"):
        function = getattr(training.evaluate, name)
        monkeypatch.setattr(training.evaluate, name, partial(function, short_side=64))
    monkeypatch.setattr("training.evaluate.upscaling_sheet", partial(upscaling_sheet, side=40))
    options = toy_options(tmp_path, distortion_steps=1, perception_steps=0)
    run(options)
    names = (Path(f"{number}.png") for number in range(6, 99))
    held_out = next(name for name in names if Still(name, name.name).held_out)
    picture = np.random.default_rng(9).integers(0, 256, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    cv2.imwrite(str(tmp_path / "photos" / held_out), picture)
    clip = make_clip(tmp_path / "clip.mp4", size=(80, 96), frames=3)
    given = ["evaluate", str(options.out), "--pictures", str(tmp_path / "photos"), "--videos", str(clip)]
    given += ["--document", "--work", str(tmp_path / "judged"), "--set", "threads=1", "count=9", "frames=2"]
    assert main(given) == 0
    engine = read_engine(options.out)
    card = (engine.folder / "card.md").read_text()
    assert "| x4 | bicubic | engine | 1 |" in card
    assert "| clip | x4 | engine | 1 |" in card
    assert "| x4 | 0.5 | " in card
    assert "sheet.jpg" in engine.spec.files
    facts = json.loads((tmp_path / "judged" / "evaluation.json").read_text())
    assert len(facts["upscaling"]["rows"]) == 2 * (1 + 5 + 1 + 1)
    assert len(facts["flicker"]["rows"]) == 1 + 2 * (1 + 2)
