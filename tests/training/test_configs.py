"""Configuration files of the training: those that are shipped, and wrong ones."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training.__main__ import COMMANDS, main

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
RECIPES = sorted(path.name for pattern in ("train_*", "evaluate_*") for path in CONFIGS.glob(pattern))


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_is_understood_by_the_command_that_it_is_for(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = re.search(r"python -m training (\w+) --config", (CONFIGS / name).read_text())
    command = found[1] if found else name.partition("_")[0]
    ran: list[Any] = []
    monkeypatch.setitem(COMMANDS, command, replace(COMMANDS[command], run=ran.append))
    shipped = {path.relative_to(ROOT) for path in ROOT.glob("engines/*/weights.safetensors")}
    if name.startswith("evaluate_"):  # what engines are judged on is not shipped; what they learn from is
        for question in ("exists", "is_file", "is_dir"):
            monkeypatch.setattr(Path, question, lambda _: True)
    monkeypatch.chdir(ROOT)
    status = main([command, "--config", str(CONFIGS / name)])
    assert (status, len(ran)) == (0, 1), capsys.readouterr().err
    assert getattr(ran[0], "init", None) in {None, *shipped}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "loop:\n  seed: 1\n  seed: 2\n",
            "recipe.yaml:3:3: key 'seed' is there already, on line 2",
        ),
        ("- steps\n- 3\n", "recipe.yaml:1:1: settings must be 'key: value' lines, found a list"),
        ("steps: [3\n", "recipe.yaml:2:1: not valid YAML"),
    ],
)
def test_a_file_that_holds_no_clear_settings_is_refused_with_the_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    config = tmp_path / "recipe.yaml"
    config.write_text(text)
    assert main(["paired", "--config", str(config)]) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paired", "--config", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml: cannot read the configuration: No such file" in capsys.readouterr().err


def test_a_value_that_is_no_yaml_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paired", "--set", "factors={1.0: 0.5"]) == 2
    assert "--set factors={1.0: 0.5: {1.0: 0.5 is not a value as YAML writes it" in capsys.readouterr().err
