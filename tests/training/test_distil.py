"""Distillation: the pupil comes to give the teacher's heads, and is an engine of its own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from streamfx.engine.families.warp_mask import WarpMask
from streamfx.engine.folder import read_engine
from tests.engines import make_engine
from tests.training.interruption import Interruption, assert_same_weights, interrupt_after
from training.__main__ import main
from training.distil import distil, read_teacher
from training.options import DistilOptions

LOOP = {"learning_rate": 0.003, "warm_up_steps": 50, "tail": 0.6, "bfloat16": False, "threads": 1}
PUPIL: dict[str, bool | int | float | str] = {"stem": 4, "width": 8, "blocks": 1, "joined": 8, "norm": "none"}


def toy_options(folder: Path, **changes: object) -> DistilOptions:
    rng = np.random.default_rng(4)
    (folder / "photos").mkdir(exist_ok=True)
    for number in range(4):
        blocks = rng.integers(0, 256, (12, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        cv2.imwrite(str(folder / "photos" / f"{number}.png"), blocks)
    teacher = folder / "tiny"
    values: dict[str, object] = {
        "teacher": teacher if teacher.exists() else make_engine(folder, options={**PUPIL, "blocks": 2}),
        "content": [folder / "photos"],
        "out": folder / "pupil",
        "network": PUPIL,
        "steps": 60,
        "side": 96,
        "crops": 4,
        "work": folder / "work",
        "loop": LOOP,
    }
    return DistilOptions.model_validate(values | changes)


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pictures.SHORT_SIDES", (96,))


def test_the_pupil_comes_closer_to_the_teacher(tmp_path: Path) -> None:
    rgb = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    _, teacher = read_teacher(toy_options(tmp_path))
    begun, done = (
        distil(toy_options(tmp_path, steps=steps, work=tmp_path / str(steps)), teacher) for steps in (1, 150)
    )

    def distance(student: WarpMask, factor: float) -> float:
        with torch.no_grad():
            factor_1 = torch.tensor([factor])
            difference = student.translate(rgb, factor_1) - teacher.translate(rgb, factor_1)
        return difference[:, :3].abs().mean().item()

    for factor in (1.0, 4.0):
        assert distance(done, factor) < 0.7 * distance(begun, factor)


def test_the_same_seed_gives_the_same_pupil(tmp_path: Path) -> None:
    options = toy_options(tmp_path, steps=3)
    _, teacher = read_teacher(options)
    first, second = (
        distil(options.model_copy(update={"work": tmp_path / name}), teacher).state_dict() for name in "ab"
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    options = toy_options(tmp_path, steps=4, loop={**LOOP, "checkpoint_every": 2})
    _, teacher = read_teacher(options)
    whole = distil(options.model_copy(update={"work": tmp_path / "whole"}), teacher)
    with pytest.raises(Interruption):
        distil(options, teacher, interrupt_after(3))
    assert_same_weights({"generator": whole}, {"generator": distil(options, teacher)})


def test_the_command_writes_an_engine_with_a_card_that_names_the_teacher(tmp_path: Path) -> None:
    toy_options(tmp_path)
    config = tmp_path / "distil.yaml"
    config.write_text(
        f"teacher: {tmp_path}/tiny\ncontent: [{tmp_path}/photos]\nout: {tmp_path}/pupil\n"
        "network: {stem: 4, width: 8, blocks: 1, joined: 8, norm: none}\nversion: '2.0'\n"
        "steps: 1\nside: 96\ncrops: 4\nloop: {bfloat16: false, threads: 1}\n"
    )
    assert main(["distil", "--config", str(config), "--work", str(tmp_path / "work")]) == 0
    engine = read_engine(tmp_path / "pupil")
    assert engine.spec.version == "2.0"
    assert engine.spec.options["blocks"] == 1
    assert engine.spec.controls == read_engine(tmp_path / "tiny").spec.controls


def test_a_teacher_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["distil", "--teacher", str(tmp_path / "none"), "--content", str(tmp_path)]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert "none" in capsys.readouterr().err
