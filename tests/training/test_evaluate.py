"""Figures: what they measure, on cases with a known answer."""

from __future__ import annotations

import json
from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfx.engine.folder import read_engine
from tests.engines import make_engine
from tests.media import make_clip
from training.__main__ import main
from training.evaluation.chosen import choose, picture_sheet, to_whole_strides
from training.evaluation.gradients import gradient_energy
from training.evaluation.runner import Runner, to_frame, to_rgb
from training.evaluation.section import Section
from training.evaluation.style import Judge, style_itself
from training.features import Encoder
from training.pictures import Still, to_tensor
from training.sheet import jpeg, sheet
from training.temporal import motion, warping_error


def texture(seed: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    coarse = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    return coarse.repeat(4, 0).repeat(4, 1)


def test_a_clip_that_only_moves_has_little_warping_error_and_a_flickering_one_has_much() -> None:
    wide = texture()
    frames = [np.ascontiguousarray(wide[:, 2 * step : 2 * step + 96]) for step in range(4)]
    motions = [motion(before, now) for before, now in pairwise(frames)]
    assert warping_error(frames, motions) < 2
    flicker = [np.clip(frame.astype(int) + 20 * (-1) ** n, 0, 255) for n, frame in enumerate(frames)]
    assert warping_error([frame.astype(np.uint8) for frame in flicker], motions) > 20


def test_held_out_pictures_are_spread_over_sources() -> None:
    stills = [Still(Path(f"{source}-{n}.png"), f"source {source}") for source in range(60) for n in range(5)]
    chosen = choose(stills, 8)
    assert all(still.held_out for still in chosen)
    assert len({still.source for still in chosen}) == 8


def test_gradient_energy_of_a_ramp() -> None:
    ramp = np.repeat(np.arange(0, 40, 2, dtype=np.uint8)[None, :, None], 5, axis=0).repeat(3, axis=2)
    assert gradient_energy(ramp) == pytest.approx(4.0, rel=1e-4)


def test_pictures_become_frames_and_come_back() -> None:
    picture = np.random.default_rng(2).integers(0, 256, (24, 40, 3), np.uint8)
    assert (to_rgb(to_frame(picture).planes) == picture).all()


def test_a_runner_gives_what_the_runtime_gives(tmp_path: Path) -> None:
    picture = to_whole_strides(texture()[:, :100])
    assert picture.shape == (96, 96, 3)
    with Runner(make_engine(tmp_path), "eager") as runner:
        assert runner.factors == (1.0, 2.0, 4.0)
        assert (runner(picture, 2.0, strength=0.0) == picture).all()
        assert np.abs(runner(picture, 2.0).astype(int) - picture).mean() > 5


def test_reducing_costs_a_fine_style_much_and_a_coarse_one_little() -> None:
    encoder = Encoder()

    def costs(style: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[float]:
        style_13HW = to_tensor(style)[None]
        return [float(str(row[2])) for row in style_itself(Judge(style_13HW, encoder))]

    fine = np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8)
    coarse = cv2.GaussianBlur(fine, (0, 0), 10).astype(np.uint8)
    (fine_at_2, fine_at_4), (coarse_at_2, coarse_at_4) = costs(fine), costs(coarse)
    assert max(coarse_at_2, coarse_at_4) < 0.05 < 0.2 < fine_at_2 < fine_at_4


def test_tables_and_sheets_hold_what_they_are_given() -> None:
    section = Section("flicker", "Fast.", {"clip": "", "factor": "g", "error": ".2f"}, [["fox", 4.0, 3.0]])
    assert section.markdown() == "Fast.\n\n| clip | factor | error |\n| --- | --- | --- |\n| fox | 4 | 3.00 |"
    assert section.facts()["rows"] == [{"clip": "fox", "factor": 4.0, "error": 3.0}]
    tile = texture()[:64, :64]
    page = sheet([[tile, tile], [tile, tile]], ["before", "after"])
    assert page.shape[1] == 132
    assert len(jpeg(page, 30_000)) < 30_000
    with pytest.raises(ValueError, match="needs more than"):
        jpeg(page, 500)


def test_the_command_writes_figures_and_sheet_and_documents_the_engine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.evaluation.chosen.SHORT_SIDE", 96)
    monkeypatch.setattr("training.evaluate.picture_sheet", partial(picture_sheet, side=80))
    monkeypatch.setattr("training.style.STYLE_SHORT_SIDE", 96)
    (tmp_path / "photos").mkdir()
    for number in range(8):
        cv2.imwrite(str(tmp_path / "photos" / f"{number}.png"), texture(number)[:64, :64])
    cv2.imwrite(str(tmp_path / "style.png"), texture(9))
    engine = make_engine(tmp_path)
    clip = make_clip(tmp_path / "clip.mp4", size=(96, 128), frames=3)
    arguments = ["evaluate", str(engine), "--pictures", str(tmp_path / "photos"), "--videos", str(clip)]
    arguments += ["--style", str(tmp_path / "style.png"), "--work", str(tmp_path / "work"), "--document"]
    assert main([*arguments, "--set", "frames=2", "count=1", "threads=1"]) == 0
    facts = json.loads((tmp_path / "work" / "evaluation.json").read_text())
    assert {row["method"] for row in facts["style"]["rows"]} == {
        "engine", "engine without detail", "AdaIN", "untouched", "the style itself",
    }  # fmt: skip
    assert [row["factor"] for row in facts["flicker"]["rows"]] == [None, 1.0, 2.0, 4.0]
    assert "| clip | engine | 4 |" in capsys.readouterr().out
    engine_now = read_engine(engine)
    assert "| AdaIN |" in (engine / "card.md").read_text()
    assert (engine / "sheet.jpg").is_file()
    assert engine_now.golden.heads.any()
