"""Pictures that a steady rate shows again: what was made of them is shown again, whatever the effects are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import av
import pytest

import streamfx
from streamfx.config.loading import load_config
from streamfx.generate.chain import open_chain
from streamfx.generate.effect import EffectSettings
from tests import engines
from tests.generate.test_placed_families import make_placed
from tests.scenes import scene_frame, write_clip

BY_COLOUR = {"photo": (20, 0, -20, 0.0), "painting": (-20, 0, 20, 0.0), "drawing": (0, 0, 0, 3.0)}
SCENES = [(1, "red", 5), (2, "blue", 4), (3, "red", 4)]
PICTURES = sum(count for _, _, count in SCENES)
MEMORY: dict[str, Any] = {"format": 3, "memory_tolerance": 0.1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of three shots, and engines: with a memory, with noise, and two for a route."""
    folder = tmp_path_factory.mktemp("again")
    engines.make_engine(folder, "remembers", 5, **MEMORY)
    engines.make_engine(folder, "carve", 7, source_domain="photo", target_domain="linocut", **MEMORY)
    engines.make_engine(folder, "print", 11, source_domain="painting", target_domain="linocut")
    engines.make_classifier(folder, "domain", BY_COLOUR)
    make_placed(folder, "convert_sr")
    frames = [scene_frame(number, time, tint) for number, tint, count in SCENES for time in range(count)]
    write_clip(folder / "in.mkv", frames)
    return folder


@pytest.fixture(autouse=True)
def _engines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMFX_CACHE", str(folder / "cache"))
    monkeypatch.setenv("STREAMFX_ENGINES", str(folder))


def run(
    folder: Path, output: Path, effects: tuple[str, ...], *more: str
) -> tuple[list[str], streamfx.Report]:
    """Return the pictures of a transcode without loss, as digests, and its report."""
    options: dict[str, Any] = {"input": str(folder / "in.mkv"), "output": str(output), "effects": effects}
    how = ["codec=ffv1", "backend=eager", "factor=2", "threads=1", "device=cpu", *more]
    report = streamfx.run_config(load_config(overrides=how, options=options))
    with av.open(str(output)) as container:
        digests = [
            hashlib.md5(frame.to_ndarray().tobytes()).hexdigest() for frame in container.decode(video=0)
        ]
    return digests, report


@pytest.mark.parametrize(
    ("effects", "more"),
    [
        (("print",), ["workers=1"]),
        (("remembers",), ["workers=3"]),
        (("route:to=linocut", "convert_sr:noise_amplitude=0.7,seed=3", "remembers"), ["workers=2"]),
        (("remembers",), ["workers=2", "compare=side"]),
    ],
    ids=["plain", "memory", "route, noise and memory", "before and after"],
)
def test_a_picture_that_is_shown_again_is_changed_once(
    folder: Path, tmp_path: Path, effects: tuple[str, ...], more: list[str]
) -> None:
    once, _ = run(folder, tmp_path / "once.mkv", effects, *more)
    shown, report = run(folder, tmp_path / "shown.mkv", effects, *more, "fps=50")
    assert len(once) == PICTURES
    assert shown == [picture for picture in once for _ in range(2)]
    assert report.result.stages["generate"].count == PICTURES
    assert (report.result.account.encoded, report.exit_code) == (2 * PICTURES, 0)
    assert report.result.account.differences(report.result.packets_written) == []


def test_what_may_move_behind_people_is_asked_for_each_time(folder: Path, tmp_path: Path) -> None:
    effects = ("remembers", "backdrop:colour=green,where=all,strength=0.5")
    shown, report = run(folder, tmp_path / "shown.mkv", effects, "fps=50")
    assert len(shown) == report.result.stages["generate"].count == 2 * PICTURES
    with_backdrop = open_chain(effects, EffectSettings(backend="eager", threads=1))
    without = open_chain(effects[:1], EffectSettings(backend="eager", threads=1))
    assert (with_backdrop.alike, without.alike) == (False, True)
    with_backdrop.close()
    without.close()
