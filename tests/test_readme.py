"""What README.md tells the reader to type works as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from streamfx.cli.parser import parse
from tests import media

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXEMPT = "# not run by the tests"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def reader_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader would have it: a video, and the configurations of the checkout."""
    folder = tmp_path_factory.mktemp("reader")
    media.make_clip(folder / "in.mp4")
    (folder / "configs").symlink_to(ROOT / "configs")
    return folder


def test_readme_has_commands_and_examples() -> None:
    assert len(COMMANDS) >= 8
    assert len(blocks("python")) >= 1


def test_readme_lists_exactly_the_effects_that_are_shipped() -> None:
    listed = set(re.findall(r"^\| `([a-z0-9_-]+)` \|", README, re.MULTILINE))
    shipped = {path.parent.name for path in (ROOT / "engines").glob("*/engine.yaml")}
    assert listed == shipped


@pytest.mark.parametrize("command", [command for command in COMMANDS if EXEMPT not in command])
def test_a_command_of_the_readme_works(command: str, reader_folder: Path) -> None:
    program, *arguments = shlex.split(command, comments=True)
    assert program == "streamfx", f"mark '{command}' with '{EXEMPT}: why' or make it testable"
    ran = subprocess.run(
        [sys.executable, "-m", "streamfx", *arguments],
        cwd=reader_folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("command", [command for command in COMMANDS if EXEMPT in command])
def test_a_command_too_long_to_run_here_names_what_exists(command: str) -> None:
    program, *arguments = shlex.split(command, comments=True)
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program == "streamfx":
        parse(arguments)  # refuses what is no command or option
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert arguments[-1] in {f"streamfx[{extra}]" for extra in extras}
    else:
        assert program == "python"
        assert arguments[0] == "-m"
        module = ROOT / arguments[1].replace(".", "/")
        assert module.with_suffix(".py").exists() or (module / "__main__.py").exists()
        assert all((ROOT / word).exists() for word in arguments if "/" in word)


@pytest.mark.parametrize("example", blocks("python"))
def test_a_python_example_of_the_readme_runs(example: str, reader_folder: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=reader_folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
