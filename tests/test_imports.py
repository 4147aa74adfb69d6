"""The import rules of CONTRIBUTING.md."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "streamfx").rglob("*.py"))
HEAVY = ("torch", "triton", "cv2", "openvino", "numba", "av")
# `streamfx train` hands its process over to the training, and imports it when it runs: a boundary like that
# of a child process, without having to carry errors, Ctrl-C and progress across one.
TRAINS = ROOT / "streamfx" / "cli" / "train.py"
NAMES_THAT_SAY_NOTHING = {"utils", "helpers", "common", "misc", "manager"}


def imported(module: Path) -> set[str]:
    """Return the dotted names a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_runtime_imports_no_training(module: Path) -> None:
    outside = {"training", "benchmarks", "tests"} - ({"training"} if module == TRAINS else set())
    for name in imported(module):
        assert name.partition(".")[0] not in outside, f"{module} imports {name}"


@pytest.mark.parametrize(
    "statement",
    [
        "import streamfx",
        "import streamfx.cli",
        "import streamfx.config.transcode",
        "import streamfx.cli.train",
    ],
)
def test_importing_the_surface_imports_nothing_heavy(statement: str) -> None:
    code = f"import sys; {statement}; print(*sorted(set(sys.modules) & {{*{HEAVY}, 'training'}}))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.split() == []


def test_showing_help_imports_neither_the_configuration_nor_numpy() -> None:
    code = (
        "import sys; from streamfx.cli.parser import parse\n"
        "try: parse(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*sorted(set(sys.modules) & {'numpy', 'pydantic', 'yaml', 'rich'}), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stderr.split() == []


def test_modules_are_short_and_their_names_say_something() -> None:
    long = {str(path): lines for path in MODULES if (lines := len(path.read_text().splitlines())) > 350}
    assert long == {}
    assert {path.stem for path in MODULES} & NAMES_THAT_SAY_NOTHING == set()
