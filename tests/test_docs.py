"""Every example in a docstring runs, and what the documents point to exists."""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import streamfx
from streamfx.cli.live import live_config
from streamfx.cli.parser import parse
from streamfx.config.live import LiveConfig
from streamfx.config.loading import load_config
from streamfx.config.serve import ServeConfig
from streamfx.generate.request import parse_effect
from streamfx.jobs.settings import load_batch
from tests import media

ROOT = Path(__file__).parent.parent
PAGES = tuple(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", *PAGES)
GENERATED = ("docs/reference/", "docs/pictures/bench.png", "docs/pictures/sheets/")
"""What there is only when the site is built, see `docs/reference_pages.py`; that build checks links to it."""
MODULES = ["streamfx", *(found.name for found in pkgutil.walk_packages(streamfx.__path__, "streamfx."))]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_every_example_in_a_docstring_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(name)
    tests = [test for test in doctest.DocTestFinder().find(module, name) if test.examples]
    if any(".mp4" in test.docstring for test in tests if test.docstring):
        media.make_clip(tmp_path / "in.mp4")
    monkeypatch.chdir(tmp_path)
    output: list[str] = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in tests:
        runner.run(test, out=output.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(output)


def slugs(path: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_points_only_to_what_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    folders = r"`((?:streamfx|training|tests|benchmarks|configs|engines|\.ci)/[\w./-]*)`"
    missing = [found for found in re.findall(folders, text) if not (ROOT / found).exists()]
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", text):
        target = (ROOT / name).parent / link if link else ROOT / name
        place = os.path.relpath(os.path.normpath(target), ROOT)
        if "://" in link or place.startswith(GENERATED):
            continue
        if not target.exists() or (anchor and anchor not in slugs(target)):
            missing.append(f"{link}#{anchor}")
    assert missing == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_keeps_its_lines_and_tables_whole(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text.count("```") % 2 == 0
    assert not [line for line in text.splitlines() if line != line.rstrip()]


CONFIGS = sorted(
    path for path in (ROOT / "configs").glob("*.yaml") if not path.name.startswith(("train_", "evaluate_"))
)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_configuration_is_ready_to_run_and_says_how(path: Path) -> None:
    if path.name.startswith("live"):
        load_config(path, options={"input": "test:bars", "outputs": ("out.mp4",)}, model=LiveConfig)
    elif path.name.startswith("serve"):
        load_config(path, model=ServeConfig)
    elif path.name.startswith("batch"):
        load_batch(path)
    else:
        load_config(path, options={"input": "in.mp4", "output": "out.mp4"})
    assert f"--config configs/{path.name}" in path.read_text(encoding="utf-8")


SCENES = sorted((ROOT / "configs").glob("live_*.yaml"))


@pytest.mark.parametrize("path", SCENES, ids=lambda path: path.name)
def test_a_scene_says_all_by_itself_and_its_effects_exist(path: Path) -> None:
    options = parse(["live", "--config", str(path)])
    config = live_config(options)
    assert config.input.startswith(("camera:", "rtsp://"))
    assert config.outputs
    for effect in config.effects:
        name = parse_effect(effect).engine
        assert (ROOT / "engines" / name / "engine.yaml").exists(), f"there is no effect {name}"
    needed = re.findall(r"streamfx\[([\w,-]+)\]", path.read_text(encoding="utf-8"))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert all(extra in extras for names in needed for extra in names.split(","))


def test_every_scene_is_in_the_guide_on_live() -> None:
    text = (ROOT / "docs/live.md").read_text(encoding="utf-8")
    assert len(SCENES) >= 3
    assert [path.name for path in SCENES if f"configs/{path.name}" not in text] == []


def test_the_live_configuration_shows_every_setting_with_its_default() -> None:
    files: dict[str, object] = {"input": "test:bars", "outputs": ("out.mp4",)}
    path = ROOT / "configs" / "live.yaml"
    shown = load_config(path, options=files, model=LiveConfig).model_dump()
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    defaults = load_config(options=files, model=LiveConfig).model_dump()
    assert shown | {"effects": ()} == defaults
    assert written.keys() | files.keys() == defaults.keys()
    for section in ("source", "sink", "queue", "limits"):
        assert written[section].keys() == defaults[section].keys()


def test_the_serve_configuration_shows_every_setting_with_its_default() -> None:
    path = ROOT / "configs" / "serve.yaml"
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    defaults = load_config(model=ServeConfig).model_dump()
    assert load_config(path, model=ServeConfig).model_dump() | {"effect": None} == defaults
    assert written.keys() == defaults.keys()
    assert written["visitors"].keys() == defaults["visitors"].keys()


def test_the_full_configuration_shows_every_setting_with_its_default() -> None:
    files: dict[str, object] = {"input": "in.mp4", "output": "out.mp4"}
    shown = load_config(ROOT / "configs" / "transcode.yaml", options=files).model_dump()
    written = yaml.safe_load((ROOT / "configs" / "transcode.yaml").read_text(encoding="utf-8"))
    defaults = load_config(options=files).model_dump()
    assert shown | {"effects": ()} == defaults
    assert written.keys() | files.keys() == defaults.keys()
    assert all(written[section].keys() == defaults[section].keys() for section in ("queue", "limits"))
