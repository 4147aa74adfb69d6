"""What effects remember: routes and noise go on in the next segment as if there had been no end between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import streamfx
from streamfx.config.loading import load_config
from streamfx.errors import StageFailedError
from streamfx.resume.segments import Segment
from streamfx.resume.work import Work
from tests import engines
from tests.generate.test_placed_families import make_placed
from tests.resume.contents import contents
from tests.scenes import scene_frame, write_clip

BY_COLOUR = {"photo": (20, 0, -20, 0.0), "painting": (-20, 0, 20, 0.0), "drawing": (0, 0, 0, 3.0)}
SCENES = [(1, "red", 14), (2, "blue", 11), (3, "grey", 12), (4, "red", 13), (5, "blue", 10)]
EFFECTS = ("route:to=linocut", "convert_sr:noise_amplitude=0.7,seed=3", "remembers")


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A film with cuts, and the engines that a route chooses from by its colours."""
    memory: Any = {"format": 3, "memory_tolerance": 0.1}
    engines.make_engine(tmp_path, "carve", 7, source_domain="photo", target_domain="linocut", **memory)
    engines.make_engine(tmp_path, "remembers", 5, **memory)
    engines.make_engine(tmp_path, "print", 11, source_domain="painting", target_domain="linocut")
    engines.make_classifier(tmp_path, "domain", BY_COLOUR)
    make_placed(tmp_path, "convert_sr")
    monkeypatch.setenv("STREAMFX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STREAMFX_ENGINES", str(tmp_path))
    frames = [scene_frame(number, time, tint) for number, tint, count in SCENES for time in range(count)]
    return write_clip(tmp_path / "in.mkv", frames)


def run(film: Path, output: Path, rate: str) -> streamfx.Report:
    options: dict[str, Any] = {"input": str(film), "output": str(output), "effects": EFFECTS}
    how = [
        f"fps={rate}",
        "resume=true",
        "segment_seconds=0.4",
        "backend=eager",
        "factor=2",
        "threads=1",
        "device=cpu",
    ]
    return streamfx.run_config(load_config(overrides=how, options=options))


@pytest.mark.parametrize(("rate", "frames"), [("25", 60), ("60", 144)], ids=["as it is", "shown again"])
def test_a_run_broken_off_after_each_segment_gives_what_a_whole_one_gives(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: str, frames: int
) -> None:
    whole, broken = tmp_path / "whole.mkv", tmp_path / "broken.mkv"
    expected = run(film, whole, rate)
    add = Work.add

    def add_and_break(work: Work, segment: Segment) -> None:
        add(work, segment)
        if segment.checkpoint.frames < frames:
            raise OSError("the power went")

    monkeypatch.setattr(Work, "add", add_and_break)
    breaks = 0
    while not broken.exists():
        try:
            report = run(film, broken, rate)
        except StageFailedError:
            breaks += 1
    assert breaks >= 4
    assert contents(broken) == contents(whole)
    assert report.routing[0].choices == expected.routing[0].choices
    assert len(report.routing[0].choices) == 5
    assert report.result.account.encoded == expected.result.account.encoded == frames
