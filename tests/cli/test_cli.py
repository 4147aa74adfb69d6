"""The command line as a user meets it: what it prints, what it refuses and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from streamfx.cli import main
from streamfx.version import __version__

ROOT = Path(__file__).parents[2]


def run(
    *arguments: object, cwd: Path | None = None, timeout_seconds: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run the real command in its own process, without standard input."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "streamfx", *map(str, arguments)],
        cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=timeout_seconds,
    )  # fmt: skip


def refused(ran: subprocess.CompletedProcess[str]) -> str:
    """Return the error of a run that must have been refused with one line."""
    assert ran.returncode == 2, (ran.returncode, ran.stdout, ran.stderr)
    lines = ran.stderr.splitlines()
    assert len(lines) == 1, ran.stderr
    assert lines[0].startswith("streamfx: error: ")
    assert ran.stdout == ""
    return lines[0].removeprefix("streamfx: error: ")


# ---------------------------------------------------------------- arguments


def test_help_shows_the_commands_and_exit_codes() -> None:
    ran = run("--help")
    assert ran.returncode == 0
    assert ran.stderr == ""
    for word in ("transcode", "train", "effects", "devices", "schema", "compile", "exit codes", "130"):
        assert word in ran.stdout


def test_version_is_the_packages_and_those_of_the_libraries_follow() -> None:
    first, *others = run("--version").stdout.splitlines()
    assert first == f"streamfx {__version__}"
    assert f"av {version('av')}" in others
    assert f"openvino {version('openvino')}" in others


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["COMMAND", "streamfx --help"]),
        (["trancode"], ["'trancode'", "did you mean 'transcode'?"]),
        (["transcode", "a.mp4", "b.mp4", "--efect", "wave"], ["'--efect'", "did you mean '--effect'?"]),
        (["transcode", "a.mp4", "b.mp4", "c.mp4"], ["'c.mp4'", "'streamfx transcode --help'"]),
        (["transcode", "a.mp4", "b.mp4", "--effect"], ["--effect", "expected one argument"]),
        (["transcode", "a.mp4", "b.mp4", "--eff", "wave"], ["'--eff'"]),
        (["compile"], ["--list", "--clear"]),
    ],
)
def test_a_usage_error_is_one_line_that_says_what_to_do(
    arguments: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("streamfx: error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


def test_debug_shows_the_traceback_before_the_line() -> None:
    ran = run("--debug", "transcode", "--bogus")
    assert ran.returncode == 2
    assert "Traceback" in ran.stderr
    assert ran.stderr.splitlines()[-1].startswith("streamfx: error: ")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    shell = f"'{sys.executable}' -m streamfx schema | true; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert ran.stdout.splitlines()[-1] == "0"
    assert ran.stderr == ""


def test_the_end_of_a_process_does_not_search_what_it_gives_up_anyway() -> None:
    program = (
        "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count()))\n"
        "from streamfx.cli import main; main(['--version']); main(['--version'])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert int(ran.stdout.splitlines()[-1]) > 1000
