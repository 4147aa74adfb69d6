"""What a checkpoint knows of the settings it was made with, and which others may go on from it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from safetensors.torch import save_file

from streamfx.engine.families.warp_mask import WarpMask
from tests.training import test_paired
from training.__main__ import main
from training.record import Record

SETTINGS = {"steps": 10, "tied_steps": 4, "loop.seed": 7, "factors": {"1.0": 0.5, "2.0": 0.5}, "work": "here"}
MADE = Record(SETTINGS, (0, 4))


def paired(folder: Path, *more: str, **changes: object) -> int:
    config = folder / "paired.yaml"
    config.write_text(json.dumps(test_paired.toy_values(folder, **changes)))
    return main(["paired", "--config", str(config), *more])


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pictures.SHORT_SIDES", (48,))


def test_a_finished_training_is_not_passed_off_as_one_of_other_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert paired(tmp_path) == 0
    card = (tmp_path / "toy" / "card.md").read_text()
    assert paired(tmp_path, "--set", "grid_weight=9", "loop.seed=3") == 2
    message = capsys.readouterr().err
    assert "work holds a training of 4 steps with other settings" in message
    assert "give another folder as work, or the settings it was begun with" in message
    assert "grid_weight was 5.0, is 9.0" in message
    assert "loop.seed was 7, is 3" in message
    assert (tmp_path / "toy" / "card.md").read_text() == card
    assert paired(tmp_path, "--set", "grid_weight=9", "--work", str(tmp_path / "other")) == 0


def test_a_training_is_lengthened_with_other_words_elsewhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert paired(tmp_path) == 0
    assert paired(tmp_path, "--set", "steps=6", "title=drawings", "--out", str(tmp_path / "more")) == 0
    assert "going on from step 4 of 6" in caplog.text
    assert len((tmp_path / "work" / "log.jsonl").read_text().splitlines()) == 6
    assert paired(tmp_path, "--set", "steps=6") == 0
    assert "all 6 steps are done already" in caplog.text


def test_fewer_steps_than_are_done_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert paired(tmp_path) == 0
    assert paired(tmp_path, "--set", "steps=3") == 2
    assert "a training of 4 steps, more than the 3 of these settings" in capsys.readouterr().err


def test_a_checkpoint_without_settings_is_taken_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert paired(tmp_path) == 0
    state = tmp_path / "work" / "checkpoint.json"
    old = {key: value for key, value in json.loads(state.read_text()).items() if key in ("step", "tensors")}
    state.write_text(json.dumps(old))
    assert paired(tmp_path, "--set", "steps=5") == 0
    assert "does not say which settings it was made with; taken to be these" in caplog.text
    assert json.loads(state.read_text())["settings"]["steps"] == 5


def test_a_checkpoint_of_another_network_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert paired(tmp_path) == 0
    state = tmp_path / "work" / "checkpoint.json"
    old = json.loads(state.read_text())
    del old["settings"]
    state.write_text(json.dumps(old))
    assert paired(tmp_path, network=test_paired.NETWORK | {"width": 12}) == 2
    assert "holds a training of another network (generator: size mismatch for" in capsys.readouterr().err


def test_init_weights_of_another_network_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide, broken = tmp_path / "wide.safetensors", tmp_path / "broken.safetensors"
    save_file(WarpMask(stem=4, width=12, blocks=1, norm="none").state_dict(), wide)
    broken.write_bytes(b"no weights")
    assert paired(tmp_path, init=str(wide)) == 2
    message = capsys.readouterr().err
    assert f"init {wide} does not fit the network of these settings (size mismatch for" in message
    assert paired(tmp_path, init=str(broken)) == 2
    assert f"init {broken} is no file of weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "starts", "wrong"),
    [
        ({"work": "there", "steps": 20}, (0, 4), []),
        ({"unheard_of": 1}, (0, 4), []),
        ({"tied_steps": 8}, (0, 4), ["tied_steps was 4, is 8"]),
        ({"factors": {"2.0": 0.5, "1.0": 0.5}}, (0, 4), ["factors was {"]),
        ({}, (0, 5), ["the 6 steps done had phases from steps [0, 4], now [0, 5]"]),
        ({}, (0, 4, 6), []),
    ],
)
def test_what_shaped_a_step_that_is_done_must_stay(
    changes: dict[str, object], starts: tuple[int, ...], wrong: list[str]
) -> None:
    found = MADE.differences(Record(SETTINGS | changes, starts), 6)
    assert len(found) == len(wrong)
    assert all(line.startswith(start) for line, start in zip(found, wrong, strict=True))


def test_a_switch_may_move_while_it_lies_ahead() -> None:
    assert not MADE.differences(Record(SETTINGS | {"tied_steps": 8}, (0, 4)), 4)
