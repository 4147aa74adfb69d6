"""Weights that a training starts from."""

from __future__ import annotations

import pytest

from training.__main__ import COMMANDS, main


@pytest.mark.parametrize(
    "command", [name for name in COMMANDS if "init" in COMMANDS[name].options.model_fields]
)
def test_weights_that_are_not_there_are_refused_before_any_step(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--set", "init=nowhere/weights.safetensors", "--work", "work"]) == 2
    error = capsys.readouterr().err
    assert "init: Value error, nowhere/weights.safetensors does not exist; give the engine's weights" in error
