"""Quantise: ranges are written where pictures made with integers stay close; harmful flows are left out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from streamfx.backends.openvino_graph import RANGES, unpack
from streamfx.engine.folder import CARD, GRAPH, WEIGHTS, read_engine
from tests.engines import make_engine
from training.__main__ import main
from training.errors import WrongOptions
from training.export import add_graph
from training.pictures import save_still
from training.quantise import Case, QuantiseOptions, Trial, psnr_db, run


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        coarse = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        save_still(folder / f"{number}.png", np.kron(coarse, np.ones((8, 8, 1), np.uint8)))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return add_graph(make_engine(tmp_path / "engines", factors=[2.0])).folder


def ranges_of(folder: Path) -> dict[str, list[float]]:
    engine = read_engine(folder)
    graph, weights = engine.file(GRAPH), engine.file(WEIGHTS)
    assert graph is not None
    assert weights is not None
    found: dict[str, list[float]] = json.loads(unpack(graph, weights).get(RANGES, b"{}"))
    return found


def test_the_command_writes_ranges_a_version_and_what_they_cost(
    folder: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ranges_of(folder) == {}
    settings = [f"content=[{pictures}]", "measured=1", "judged=1", "least_psnr_db=20", "threads=1"]
    settings.append("version='1.1'")
    assert main(["quantise", str(folder), "--set", *settings]) == 0
    engine, ranges = read_engine(folder), ranges_of(folder)
    assert engine.spec.version == "1.1"
    assert ranges
    card = (folder / CARD).read_text(encoding="utf-8")
    assert f"Pictures made with {len(ranges)} flows between layers in integers" in card
    assert "## Integers" in card
    assert "| 2 | " in capsys.readouterr().out


def test_flows_that_do_harm_are_left_out_the_worst_first(
    folder: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harm = dict.fromkeys(Trial(read_engine(folder), 1).ranges([np.zeros((64, 64, 3), np.uint8)]), 60.0)
    worst, second, *others = harm
    harm |= {worst: 30.0, second: 40.0}

    def told(
        self: Trial, ranges: Mapping[str, object], pictures: Sequence[object], wanted: object
    ) -> dict[Case, list[float]]:
        return {case: [min((harm[name] for name in ranges), default=np.inf)] for case in self.cases}

    monkeypatch.setattr(Trial, "psnr_db", told)
    run(QuantiseOptions(engine=folder, content=[pictures], measured=1, judged=1, threads=1))
    assert sorted(ranges_of(folder)) == sorted(others)


def test_where_every_flow_does_harm_the_engine_stays_as_it_is(
    folder: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(self: Trial, ranges: Mapping[str, object], *_: object) -> dict[Case, list[float]]:
        return {case: [44.9 if ranges else np.inf] for case in self.cases}

    monkeypatch.setattr(Trial, "psnr_db", told)
    before = read_engine(folder).digest
    options = QuantiseOptions(engine=folder, content=[pictures], measured=1, judged=1, threads=1)
    with pytest.raises(WrongOptions, match=r"no flow of .* can be in 8 bits within 45"):
        run(options)
    assert read_engine(folder).digest == before


def test_too_few_pictures_are_refused(folder: Path, pictures: Path) -> None:
    options = QuantiseOptions(engine=folder, content=[pictures], measured=4, judged=2)
    with pytest.raises(WrongOptions, match=r"4 pictures of .* more than 4 are needed"):
        run(options)


def test_the_distance_of_planes_is_over_all_their_samples() -> None:
    luma, chroma = np.zeros((4, 4), np.uint8), np.zeros((2, 2), np.uint8)
    brighter = luma.copy()
    brighter[0, 0] = 24  # mean square 24 over 24 samples
    assert psnr_db((brighter, chroma, chroma), (luma, chroma, chroma)) == pytest.approx(
        10 * np.log10(255**2 / 24)
    )
    assert psnr_db((luma, chroma, chroma), (luma, chroma, chroma)) == np.inf
