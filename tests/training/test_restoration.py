"""Figures of restoration: what they measure, on cases with a known answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streamfx.engine.families.restore import HEADS, STRIDE, Restore
from tests.media import make_clip
from training.__main__ import main
from training.evaluation.restoration import (
    GOOD,
    MIXED,
    Chain,
    Method,
    examples,
    perception,
    restoration,
    steadiness,
    tune,
)
from training.export import export, golden
from training.features import Encoder
from training.pictures import Picture, Still, find_stills

NETWORK: dict[str, Any] = {"near": 4, "middle": 4, "low": 4, "low_blocks": 1}


def write_scenes(folder: Path, count: int) -> list[Still]:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(4)
    for number in range(count):
        blocks = rng.integers(0, 256, (6, 7, 3), np.uint8).repeat(16, 0).repeat(16, 1)
        cv2.imwrite(str(folder / f"{number:02}.png"), blocks)
    return find_stills([folder])


def make_restore(folder: Path) -> Path:
    """A restoration engine that adds nothing."""
    network = Restore(**NETWORK)
    fields = {
        "version": "1.0",
        "family": "restore",
        "options": NETWORK,
        "stride": STRIDE,
        "heads": list(HEADS),
        "factors": [1.0, 2.0],
        "margin_pixels": network.margin_pixels,
        "source_domain": "photo",
        "target_domain": "photo",
        "licence": "Apache-2.0",
    }
    return export(
        network, folder / "mend", fields, golden(network, factor=1.0), "# mend\n", graph=False
    ).folder


def noisy(picture: Picture, deviation: float = 20) -> Picture:
    noise = np.random.default_rng(1).normal(0, deviation, picture.shape)
    return np.asarray(np.clip(picture + noise, 0, 255), np.uint8)


def test_a_chain_that_is_off_changes_nothing_and_each_part_does_its_work(tmp_path: Path) -> None:
    write_scenes(tmp_path, 1)
    clean = np.asarray(cv2.imread(str(tmp_path / "00.png")), np.uint8)
    assert (Chain()(clean) == clean).all()

    def error(picture: Picture) -> float:
        return float(np.square(picture.astype(float) - clean).mean())

    damaged = noisy(clean)
    assert error(Chain(luma=15, chroma=15)(damaged)) < 0.5 * error(damaged)
    spotted = clean.copy()
    spotted[10:80:7, 5:100:9] = 255
    assert error(Chain(median=3)(spotted)) < 0.2 * error(spotted)
    soft = np.asarray(cv2.GaussianBlur(clean, (0, 0), 1.5), np.uint8)
    assert error(Chain(sharpen=0.5)(soft)) < error(soft)


def test_tuning_finds_that_noise_needs_smoothing_and_good_pictures_nothing(tmp_path: Path) -> None:
    clean = [np.asarray(cv2.imread(str(still.path)), np.uint8) for still in write_scenes(tmp_path, 1)]
    tuned = tune([("noise", noisy(picture), picture) for picture in clean])
    assert tuned.luma > 0
    assert tune([("none", picture, picture) for picture in clean]) == Chain()


def test_examples_are_always_the_same_and_those_called_good_are_not_damaged(tmp_path: Path) -> None:
    stills = write_scenes(tmp_path, 2)
    for kind in ("jpeg", MIXED):
        one, other = list(examples(stills, kind, 3)), list(examples(stills, kind, 3))
        assert all((a[1] == b[1]).all() for a, b in zip(one, other, strict=True))
    assert all((damaged == clean).all() for _, damaged, clean in examples(stills, GOOD, 3))
    assert all((damaged != clean).any() for _, damaged, clean in examples(stills, "gaussian_noise", 3))


def test_another_seed_damages_otherwise(tmp_path: Path) -> None:
    stills = write_scenes(tmp_path, 1)
    (_, one, _), (_, other, _) = (next(examples(stills, "gaussian_noise", seed)) for seed in (3, 4))
    assert (one != other).any()


def test_gains_are_those_over_the_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.evaluation.restoration.KINDS", ("gaussian_noise", "codec"))
    stills = write_scenes(tmp_path, 2)
    section = restoration({"nothing": lambda picture: picture}, stills[:1], stills, 3)
    columns = list(section.columns)
    rows = {str(row[0]): dict(zip(columns, row, strict=True)) for row in section.rows}
    assert rows[GOOD]["PSNR of the input"] == pytest.approx(50)
    assert all(row["nothing: gain"] == 0 for row in rows.values())
    assert rows[GOOD]["chain told the kind: gain"] == 0
    alone = restoration({"nothing": lambda picture: picture}, [], stills, 3)
    assert list(alone.columns) == columns[:4]
    assert alone.rows == [row[:4] for row in section.rows]
    assert "chain" not in alone.note
    noise = rows["gaussian noise"]
    assert noise["chain told the kind: gain"] > 1  # type: ignore[operator]


def test_the_perceptual_distance_is_nothing_for_originals_and_falls_with_the_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.evaluation.restoration.KINDS", ("gaussian_noise", "codec"))
    stills = write_scenes(tmp_path, 1)
    methods: dict[str, Method] = {"nothing": lambda picture: picture, "median": Chain(median=3)}
    rows = {row[0]: row[1:] for row in perception(methods, stills, 3, Encoder()).rows}
    assert rows[GOOD] == [0, 0, rows[GOOD][2]]
    given, same, better = rows["gaussian noise"]
    assert given == same
    assert 0 < better < given  # type: ignore[operator]


def test_noise_makes_a_clip_restless_and_doing_nothing_leaves_it_so(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=4)
    section = steadiness({"nothing": lambda picture: picture}, [clip], 0, 4, 3)
    rows = {(row[1], row[2]): row for row in section.rows}
    assert rows["", "clean"][4] is None
    assert rows["gaussian noise", "damaged"][4] > 1  # type: ignore[operator]
    assert rows["gaussian noise", "nothing"][3:] == rows["gaussian noise", "damaged"][3:]


def test_the_command_judges_an_engine_that_restores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.evaluate._TUNED_ON", 1)
    monkeypatch.setattr("training.evaluation.restoration.KINDS", ("gaussian_noise", "codec"))
    monkeypatch.setattr("training.evaluation.restoration._CHOICES", {"median": (1, 3), "sharpen": (0, 0.2)})
    write_scenes(tmp_path / "photos", 20)
    engine = make_restore(tmp_path)
    clip = make_clip(tmp_path / "clip.mp4", frames=3)
    arguments = ["evaluate", str(engine), "--pictures", str(tmp_path / "photos"), "--videos", str(clip)]
    arguments += ["--work", str(tmp_path / "work"), "--document", "--set", "count=2", "frames=3", "seed=5"]
    assert main(arguments) == 0
    facts = json.loads((tmp_path / "work" / "evaluation.json").read_text())
    assert set(facts) == {"engine", "restoration", "perception", "steadiness", "options"}
    assert {key: facts["options"][key] for key in ("count", "frames", "first_frame", "seed")} == {
        "count": 2, "frames": 3, "first_frame": 0, "seed": 5,
    }  # fmt: skip
    told = "at most 2 pictures of photos; 3 frames, from frame 0 on, of clip.mp4; seed 5."
    assert told in " ".join((engine / "card.md").read_text().split())
    gains = [row["engine: gain"] for row in facts["restoration"]["rows"]]
    assert gains == pytest.approx([0] * len(gains), abs=0.1)
    assert "engine, factor 2: gain" in facts["restoration"]["rows"][0]
    assert "| random combinations |" in (engine / "card.md").read_text()
    assert (engine / "sheet.jpg").is_file()
