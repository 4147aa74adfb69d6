"""Figures of super-resolution: along the dial, through the runtime, into the card."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfx.generate.engine import read_engine
from tests.training.test_super_resolution import toy_options
from training.__main__ import main
from training.evaluation.runner import Runner
from training.evaluation.upscaling import (
    AMPLITUDES,
    enlarged_bicubic,
    reduced,
    true_pictures,
    upscaling,
    upscaling_sheet,
)
from training.pictures import Still, find_stills
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


def test_the_evaluate_command_puts_figures_into_the_card(tmp_path: Path) -> None:
    options = toy_options(tmp_path, distortion_steps=1, perception_steps=0)
    run(options)
    names = (Path(f"{number}.png") for number in range(6, 99))
    held_out = next(name for name in names if Still(name, name.name).held_out)
    picture = np.random.default_rng(9).integers(0, 256, (32, 32, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    cv2.imwrite(str(tmp_path / "photos" / held_out), picture)
    given = ["evaluate", str(options.out), "--pictures", str(tmp_path / "photos"), "--document"]
    assert main([*given, "--work", str(tmp_path / "judged"), "--set", "threads=1", "count=9"]) == 0
    engine = read_engine(options.out)
    assert "| x4 | bicubic | engine | 1 |" in (engine.folder / "card.md").read_text()
    assert "sheet.jpg" in engine.spec.files
    rows = json.loads((tmp_path / "judged" / "evaluation.json").read_text())["upscaling"]["rows"]
    assert len(rows) == 2 * (1 + 5 + 1 + 1)
