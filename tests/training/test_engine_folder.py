"""Where trainings write their engines."""

from __future__ import annotations

import pytest

from training.__main__ import COMMANDS, main


@pytest.mark.parametrize(
    "command", [name for name in COMMANDS if name not in ("evaluate", "compare", "graph", "quantise")]
)
def test_a_folder_that_cannot_name_an_engine_is_refused_before_any_step(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--out", "engines/night.2", "--work", "work"]) == 2
    error = capsys.readouterr().err
    assert "out: " in error
    assert "the folder gives the engine its name, and 'night.2' cannot be one; use at most 64 small" in error
