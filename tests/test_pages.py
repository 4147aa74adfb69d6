"""What README.md and the pages of the documentation tell the reader to type works as it stands there."""

from __future__ import annotations

import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import reference_pages
from streamfx.cli import main
from streamfx.cli.parser import parse
from tests import media

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = (README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
EXEMPT = "# not run by the tests: "
CELL = re.compile(r"\| `(streamfx [^`]*)` \|$", re.MULTILINE)
"""A command in the last column of a table."""
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    """What stands between fences of a language, without the indentation of the list or tab it is in."""
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [textwrap.dedent(content) for _, name, content in found if name == language]


def commands() -> Iterator[tuple[str, bool]]:
    """Every command of every page, in a block or a table, once, and whether a test runs it."""
    seen = set()
    for page in PAGES:
        lines = [line for block in blocks(page, "sh") for line in block.splitlines() if line.strip()]
        for line in (*lines, *CELL.findall(page.read_text(encoding="utf-8"))):
            command = " ".join(shlex.split(line, comments=True))
            if command not in seen:
                seen.add(command)
                yield line, EXEMPT not in line


RUN = [line for line, runs in commands() if runs]
NOT_RUN = [line for line, runs in commands() if not runs]
EXAMPLES = [(page, example) for page in PAGES for example in blocks(page, "python")]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reader") / "in.mp4"
    media.make_clip(path)
    return path


@pytest.fixture
def reader(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder as a reader would have it: a video, and the configurations of the checkout."""
    (tmp_path / "in.mp4").symlink_to(clip)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)


def test_the_pages_have_commands_and_examples() -> None:
    assert len(RUN) >= 20
    assert len(EXAMPLES) >= 6


def test_every_shell_block_is_marked_as_one_that_the_tests_read() -> None:
    known = {"sh", "python", "yaml", "text"}
    for page in PAGES:
        found = {language for _, language, _ in FENCE.findall(page.read_text(encoding="utf-8"))}
        assert found <= known, page


@pytest.mark.parametrize("command", RUN)
@pytest.mark.usefixtures("reader")
def test_a_command_of_a_page_works(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    for one in command.split(" && "):
        program, *arguments = shlex.split(one, comments=True)
        assert program == "streamfx", f"mark '{command}' with '{EXEMPT}why' or make it testable"
        code = main(arguments)
        said = capfd.readouterr()
        assert code == 0, said.out + said.err
        assert "Traceback" not in said.err


@pytest.mark.parametrize("command", NOT_RUN)
def test_a_command_that_is_not_run_says_why_and_names_what_exists(command: str) -> None:
    assert command.partition(EXEMPT)[2].strip()
    program, *arguments = shlex.split(command.partition(" | ")[0], comments=True)
    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif program == "streamfx":
        parse(arguments)  # refuses what is no command or option
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        named = re.fullmatch(r"streamfx\[([\w,-]+)\]", arguments[-1])
        assert named
        assert set(named[1].split(",")) <= set(extras)
    elif program == "python":
        assert arguments[0] == "-m"
        module = ROOT / arguments[1].replace(".", "/")
        assert module.with_suffix(".py").exists() or (module / "__main__.py").exists()
        assert all((ROOT / word).exists() for word in arguments if "/" in word)
    else:
        assert program in ("apt-get", "export", "ray", "sudo"), f"what is '{program}'?"


@pytest.mark.parametrize(("page", "example"), EXAMPLES)
@pytest.mark.usefixtures("reader")
def test_a_python_example_of_a_page_runs(page: Path, example: str) -> None:
    exec(compile(example, str(page), "exec"), {"__name__": "__main__"})


def test_the_page_of_effects_lists_exactly_those_that_are_shipped() -> None:
    text = (ROOT / "docs/effects.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z0-9_-]+)` \|", text, re.MULTILINE)
    shipped = {path.parent.name for path in (ROOT / "engines").glob("*/engine.yaml")}
    assert len(listed) == len(set(listed))
    assert set(listed) == shipped


def test_readme_and_contributing_are_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 200
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 90


def test_the_page_of_commands_has_every_command_with_every_option() -> None:
    page = reference_pages.commands_page()
    assert "## streamfx transcode" in page
    for name, command in reference_pages.commands().items():
        part = page.partition(f"## streamfx {name}\n")[2].partition("\n## ")[0]
        for option in (option for action in command._actions for option in action.option_strings):
            assert option in ("-h", "--help", "--debug") or f"`{option}" in part, f"{name} {option}"


def test_the_page_of_settings_has_every_setting_of_every_command() -> None:
    page = reference_pages.configuration_page()
    assert {"transcode", "live", "serve"} <= set(reference_pages.configured_commands())
    for command in reference_pages.configured_commands():
        part = page.partition(f"## streamfx {command}\n")[2].partition("\n## ")[0]
        schema = reference_pages.schema_of(command)
        models = [schema, *schema.get("$defs", {}).values()]
        for setting in (setting for model in models for setting in model.get("properties", {})):
            assert f"| `{setting}` |" in part, f"{command}: {setting}"


def test_the_page_of_training_settings_has_every_command() -> None:
    from training.__main__ import COMMANDS

    page = reference_pages.training_page()
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == list(COMMANDS)


def test_the_page_of_the_engine_format_has_every_key_family_and_array() -> None:
    from streamfx.engine.families.build import NETWORKS
    from streamfx.engine.spec import FORMATS, EngineSpec

    text = (ROOT / "docs/engine-format.md").read_text(encoding="utf-8")
    table = set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE))
    assert set(EngineSpec.model_fields) <= table
    shipped = {name for name, family in NETWORKS.items() if family.__module__.startswith("streamfx.")}
    assert shipped <= table
    assert [int(found) for found in re.findall(r"^\| (\d) \|", text, re.MULTILINE)] == list(FORMATS)


def test_a_page_that_would_fetch_from_elsewhere_is_noticed() -> None:
    found = reference_pages.fetched_from_elsewhere
    assert found('<script src="https://cdn.example/x.js"></script>')
    assert found('<link rel="stylesheet" href="https://fonts.example/css">')
    assert found("@font-face { src: url(https://fonts.example/a.woff2) }")
    assert not found('<a href="https://example.org">a link</a> <img src="pictures/a.png">')


def test_the_navigation_names_every_page_once() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    named = re.findall(r"([\w/-]+\.md)$", text, re.MULTILINE)
    written = {str(page.relative_to(ROOT / "docs")) for page in PAGES if ROOT / "docs" in page.parents}
    assert len(named) == len(set(named))
    assert {name for name in named if not name.startswith("reference/")} == written
