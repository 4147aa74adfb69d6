"""Figures of engines that were trained on pairs and on two domains."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfx.engine.folder import read_engine
from tests.engines import make_classifier, make_engine
from training.__main__ import main
from training.evaluation.chosen import picture_sheet
from training.evaluation.domain import content_distance, domain
from training.evaluation.partner import distances, drawn_pairs, partner, untrained
from training.evaluation.runner import Runner
from training.features import Encoder
from training.pictures import Picture, Still


def texture(seed: int = 3) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8).repeat(4, 0).repeat(4, 1)


def held_out(folder: Path, count: int = 2) -> list[Still]:
    """Pictures in files whose names keep them from training."""
    stills: list[Still] = []
    number = 0
    while len(stills) < count:
        path = folder / f"{number}.png"
        if Still(path, path.name).held_out:
            cv2.imwrite(str(path), texture(number)[..., ::-1])
            stills.append(Still(path, path.name))
        number += 1
    return stills


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.evaluation.chosen.SHORT_SIDE", 48)


def test_a_picture_is_at_no_distance_from_itself_and_at_a_known_one_from_a_lighter_one() -> None:
    encoder, picture = Encoder(), np.full((32, 32, 3), 100, np.uint8)
    assert distances(picture, picture, encoder) == [0.0, float("inf"), 0.0, 0.0]
    difference, psnr, _, style = distances(picture + np.uint8(51), picture, encoder)
    assert difference == pytest.approx(51, abs=1e-3)
    assert psnr == pytest.approx(-20 * np.log10(51 / 255), abs=1e-3)
    assert style > 0.01


def test_an_engine_is_set_beside_doing_nothing_at_every_factor(tmp_path: Path) -> None:
    stills = held_out(tmp_path)
    with Runner(make_engine(tmp_path), "eager") as runner:
        section = partner({"engine": runner}, drawn_pairs(stills, lambda picture, _: picture), Encoder())
    rows = {(row[0], row[1]): row for row in section.rows}
    assert {name for name, _ in rows} == {"engine", "untouched"}
    assert [factor for name, factor in rows if name == "engine"] == [1.0, 2.0, 4.0]
    assert rows["untouched", 2.0][2] == 0.0
    assert float(str(rows["engine", 2.0][2])) > 1


def test_the_operator_is_asked_for_the_partner_of_each_factor(tmp_path: Path) -> None:
    asked: list[float] = []

    def operator(picture: Picture, factor: float) -> Picture:
        asked.append(factor)
        return picture

    with Runner(make_engine(tmp_path), "eager") as runner:
        partner({"engine": runner}, drawn_pairs(held_out(tmp_path, 1), operator), Encoder())
    assert asked == [1.0, 2.0, 4.0]


def test_an_untrained_engine_has_the_sizes_but_not_the_weights_of_the_trained_one(tmp_path: Path) -> None:
    engine = read_engine(make_engine(tmp_path))
    start = read_engine(untrained(engine, tmp_path / "untrained"))
    assert start.spec.options == engine.spec.options
    assert start.spec.files["weights.safetensors"] != engine.spec.files["weights.safetensors"]


def test_a_classifier_says_how_often_outputs_are_taken_for_the_target(tmp_path: Path) -> None:
    def belief(picture: Picture) -> dict[str, float]:
        """Dark pictures are paintings."""
        dark = 1 - float(picture.mean()) / 255
        return {"painting": dark, "photo": 1 - dark}

    with Runner(make_engine(tmp_path), "eager") as runner:
        stills = held_out(tmp_path)
        section = domain({"engine": runner}, belief, "painting", stills, Encoder())
        outputs = [runner(texture(int(still.path.stem)), 4.0) for still in stills]
    scores = [belief(output)["painting"] for output in outputs]
    row = next(row for row in section.rows if row[:2] == ["engine", 4.0])
    assert row[2] == pytest.approx(np.mean(scores))
    assert row[3] == pytest.approx(np.mean([score > 0.5 for score in scores]))
    nothing = next(row for row in section.rows if row[0] == "untouched")
    assert nothing[4] == 0.0


def test_content_is_far_from_another_picture() -> None:
    encoder = Encoder()
    assert content_distance(texture(1), texture(1), encoder) == 0.0
    assert content_distance(texture(1), texture(2), encoder) > 0.5


def test_the_command_judges_pairs_and_domains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.evaluate.picture_sheet", partial(picture_sheet, side=48))
    engine = make_engine(tmp_path)
    tells = {"photo": (1.0, 0.0, 0.0, 0.0), read_engine(engine).spec.target_domain: (0.0, 1.0, 1.0, 0.0)}
    classifier = make_classifier(tmp_path, "domains", tells)
    (tmp_path / "pictures").mkdir()
    for name in ("kept_a", "other"):
        cv2.imwrite(str(tmp_path / "pictures" / f"{name}.png"), texture(5))
    settings = [f"classifier={classifier}", "kept=[kept_]", "operator=toon", "threads=1"]
    arguments = ["--pictures", str(tmp_path / "pictures"), "--work", str(tmp_path / "work")]
    assert main(["evaluate", str(engine), *arguments, "--set", *settings]) == 0
    facts = json.loads((tmp_path / "work" / "evaluation.json").read_text())
    assert {row["method"] for row in facts["partner"]["rows"]} == {"engine", "untrained", "untouched"}
    assert {row["method"] for row in facts["domain"]["rows"]} == {"engine", "untouched"}
    assert "Held-out pictures (1)" in facts["domain"]["note"]
    printed = capsys.readouterr().out
    assert "| engine | 4 |" in printed
    assert "at most 50 pictures of pictures, those of kept_; seed 1009." in printed


def test_the_command_judges_an_engine_by_partners_in_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.evaluate.picture_sheet", partial(picture_sheet, side=48))
    engine = make_engine(tmp_path)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "partners").mkdir()
    for still in held_out(tmp_path / "pictures"):
        lighter = texture(int(still.path.stem)) // 2 + 100
        cv2.imwrite(str(tmp_path / "partners" / still.path.name), lighter[..., ::-1])
    arguments = ["--pictures", str(tmp_path / "pictures"), "--work", str(tmp_path / "work")]
    settings = [f"partners={tmp_path / 'partners'}", "threads=1"]
    assert main(["evaluate", str(engine), *arguments, "--set", *settings]) == 0
    rows = json.loads((tmp_path / "work" / "evaluation.json").read_text())["partner"]["rows"]
    untouched = [row["difference"] for row in rows if row["method"] == "untouched"]
    lost = [np.abs(texture(n) // 2 + 100.0 - texture(n)).mean() for n in numbers(tmp_path / "partners")]
    assert untouched == pytest.approx([np.mean(lost)] * 3, abs=0.1)


def numbers(folder: Path) -> list[int]:
    return [int(path.stem) for path in folder.iterdir()]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["partners=."], "are not two readable pictures of one size"),
        (["partners=.", "operator=toon"], "give either operator, which draws partners, or partners"),
        (["partners=nowhere"], "do not exist: nowhere"),
        (["partners=.", "pictures=[., .]"], "with partners, pictures is one folder"),
    ],
)
def test_wrong_partners_are_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    settings: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = make_engine(tmp_path)
    Path("pictures").mkdir()
    held_out(Path("pictures"))
    assert main(["evaluate", str(engine), "--set", "pictures=[pictures]", *settings]) in (1, 2)
    assert said in capsys.readouterr().err
