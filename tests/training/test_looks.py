"""Looks: limits and verdicts, parts taken out, prices, sheets, and the command as a whole."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfx.backends.backend import Precision
from streamfx.engine.folder import read_engine
from streamfx.engine.golden import Array
from tests.engines import make_engine
from tests.media import make_clip
from training.__main__ import main
from training.evaluation.ablation import lost
from training.evaluation.limits import LIMITS, Limit, Manner, misses
from training.evaluation.look_sheet import animation, look_sheet, moving_sheet
from training.evaluation.price import in_turns, price
from training.evaluation.runner import Part, Runner, _WithoutPart, parts_of
from training.evaluation.section import Section
from training.evaluation.verdict import engine_figures, verdict
from training.operators import OPERATORS
from training.options import NetworkOptions
from training.pictures import Picture

FACE = Path(__file__).parents[1] / "pictures" / "face.jpg"


def flat(value: int, size: tuple[int, int] = (48, 64)) -> Picture:
    return np.full((*size, 3), value, np.uint8)


def texture(seed: int = 3) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8).repeat(4, 0).repeat(4, 1)


def test_a_limit_holds_on_its_own_side_and_only_where_it_is_set() -> None:
    least, most = Limit("edges", {1.0: 0.75}, least=True), Limit("price", {4.0: 1.15})
    assert [least.holds(value, 1.0) for value in (0.74, 0.75, 0.9)] == [False, True, True]
    assert [most.holds(value, 4.0) for value in (1.1, 1.15, 1.2)] == [True, True, False]
    assert most.holds(9.0, 1.0) is None
    assert (least.words(), most.words()) == ("edges at least 0.75 at 1", "price at most 1.15 at 4")


def test_what_does_not_hold_is_told_with_its_limit() -> None:
    figures = {"found": 0.8, "edges": 0.76, "sharpness": 0.65, "unknown": 1.0}
    assert misses(figures, 2.0, Manner.PAINTERLY) == ["sharpness 0.65 (at least 0.7)"]
    assert misses(figures, 4.0, Manner.PAINTERLY) == []
    assert misses(figures, 1.0, Manner.PORTRAIT)[0] == "found 0.8 (at least 0.95)"


def test_a_painterly_look_is_held_to_no_limit_stricter_than_a_portrait_safe_one_is() -> None:
    strict = {limit.figure: limit for limit in LIMITS[Manner.PORTRAIT]}
    for limit in LIMITS[Manner.PAINTERLY]:
        for factor, value in limit.at.items():
            if limit.figure in strict and factor in strict[limit.figure].at:
                other = strict[limit.figure].at[factor]
                assert value <= other if limit.least else value >= other


def test_a_verdict_counts_the_figures_of_the_engine_in_all_sections() -> None:
    first = Section(
        "a", "", {"method": "", "factor": "g", "found": ".2f"}, [["engine", 1.0, 0.9], ["source", None, 1.0]]
    )
    other = Section(
        "b",
        "",
        {"method": "", "factor": "g", "edges": ".2f", "quartiles": ""},
        [["engine", 1.0, 0.9, "1 to 2"]],
    )
    rows = [row for section in (first, other) for row in section.facts()["rows"]]
    assert engine_figures(rows) == {1.0: {"factor": 1.0, "found": 0.9, "edges": 0.9}}
    assert verdict([first, other], [1.0], Manner.PAINTERLY).rows == [[1.0, "yes", ""]]
    assert verdict([first, other], [1.0], Manner.PORTRAIT).rows == [[1.0, "no", "found 0.9 (at least 0.95)"]]


class Heads:
    """A compiled engine whose heads are all 5."""

    backend, precision = "none", Precision.F32

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        return np.full((11, 2, 3), 5, np.float32)

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        (Part.WARP, {4: 0, 5: 0}),
        (Part.MASK, {3: 1}),
        (Part.DETAIL, {6: 0}),
        (Part.INK, {10: 0}),
        (None, {}),
    ],
)
def test_a_part_that_is_taken_out_leaves_all_other_heads_as_they_are(
    part: Part | None, changed: dict[int, float]
) -> None:
    translate = _WithoutPart(Heads())
    translate.part = part
    nothing = np.zeros((3, 4), np.float32)
    heads = translate(np.zeros((3, 2, 3), np.float32), nothing, nothing, 1.0)
    assert [float(channel.mean()) for channel in heads] == [changed.get(index, 5) for index in range(11)]


def test_an_engine_has_the_parts_that_its_heads_steer(tmp_path: Path) -> None:
    engine = read_engine(make_engine(tmp_path))
    assert parts_of(engine) == (Part.WARP, Part.MASK, Part.DETAIL)
    inked = replace(engine.golden, heads=np.zeros((11, 16, 24), np.float32))
    assert parts_of(replace(engine, golden=inked)) == tuple(Part)
    bare = engine.spec.model_copy(update={"heads": ("translated",)})
    assert parts_of(replace(engine, spec=bare)) == ()


def test_a_runner_without_a_part_gives_another_picture_and_then_the_whole_one_again(tmp_path: Path) -> None:
    with Runner(make_engine(tmp_path), "eager", video=True) as runner:
        whole = runner(texture(), 2.0)
        assert (runner.without(Part.MASK)(texture(), 2.0) != whole).any()
        assert (runner(texture(), 2.0) == whole).all()
        assert (runner.clip([flat(9), texture()], 2.0)[1] == whole).all()


def test_what_is_lost_is_the_share_of_the_difference_to_the_source() -> None:
    assert lost(flat(13), flat(20), flat(10)) == {"change": 7, "lost": pytest.approx(0.7)}


def test_calls_take_turns_and_each_begins_as_often() -> None:
    order: list[str] = []
    taken = in_turns((lambda: order.append("a"), lambda: order.append("b")), 4)
    assert [len(times) for times in taken] == [4, 4]
    assert order.count("a") == order.count("b")
    assert order[-8:] == ["b", "a", "a", "b", "b", "a", "a", "b"]


def test_a_sheet_shows_pictures_as_a_whole_and_faces_pixel_by_pixel() -> None:
    portrait = cv2.copyMakeBorder(
        np.asarray(cv2.imread(str(FACE)))[..., ::-1], 80, 80, 90, 90, cv2.BORDER_REPLICATE
    )
    columns = {"source": lambda picture: picture, "negative": lambda picture: 255 - picture}
    page = look_sheet(columns, [np.asarray(portrait, np.uint8), flat(100)], side=80)
    assert page.shape == (18 + 3 * 84 - 4, 164, 3)
    face = page[18 + 2 * 84 :, :80].astype(int)
    # Nose and mouth are in the middle of the last row.
    assert (
        min(
            np.abs(face - portrait[y : y + 80, x : x + 80]).mean()
            for y in range(90, 120)
            for x in range(130, 170)
        )
        == 0
    )
    assert (page[18 + 2 * 84 :, 84:] == 255 - page[18 + 2 * 84 :, :80]).all()


def test_a_moving_sheet_is_an_animation_of_the_versions_side_by_side() -> None:
    frames = [flat(40 * number, (60, 100)) for number in range(4)]
    shown = moving_sheet([lambda picture: picture, lambda picture: 255 - picture], frames, (40, 50))
    assert [frame.shape for frame in shown] == [(40, 104, 3)] * 4
    assert (shown[1][0, 0, 0], shown[1][0, 52, 0], shown[1][0, 103, 0]) == (40, 255, 215)
    data = animation(shown, rate_fps=12)
    assert data[:4] + data[8:12] == b"RIFFWEBP"
    assert data.count(b"ANMF") == 4
    with pytest.raises(ValueError, match="needs more than 100 bytes"):
        animation(shown, rate_fps=12, largest_bytes=100)


def test_the_command_judges_a_look_and_sets_it_beside_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.evaluation.chosen.SHORT_SIDE", 96)
    monkeypatch.setattr("training.evaluation.price.SIZE", (96, 128))
    monkeypatch.setattr("training.evaluation.price.YARDSTICK", NetworkOptions(stem=4, width=8, blocks=1))
    monkeypatch.setattr("training.evaluation.looks.price", partial(price, rounds=2))
    monkeypatch.setattr("training.evaluation.looks.look_sheet", partial(look_sheet, side=80))
    (tmp_path / "photos").mkdir()
    for number in range(8):
        cv2.imwrite(str(tmp_path / "photos" / f"{number}.png"), texture(number))
    clip = make_clip(tmp_path / "clip.mp4", size=(96, 128), frames=3)
    still = {"path": str(clip), "short_side": 96}
    frames = {**still, "count": 2}
    person = {"path": str(FACE), "short_side": 160}
    settings = {
        "engine": str(make_engine(tmp_path, factors=[1.0, 4.0])),
        "pictures": [str(tmp_path / "photos")],
        "operator": "toon",
        "look": {
            "people": [person],
            "clips": [frames],
            "still": [still],
            "shown": [person],
            "moving": frames,
        },
        "count": 1,
        "threads": 1,
        "work": str(tmp_path / "work"),
    }
    config = tmp_path / "look.yaml"
    config.write_text(json.dumps(settings))
    assert main(["evaluate", "--config", str(config)]) == 0
    facts = json.loads((tmp_path / "work" / "evaluation.json").read_text())
    assert facts["engine"] == {"name": "tiny", "version": "1.0", "manner": "portrait-safe"}
    figures = engine_figures(row for name in facts for row in facts[name].get("rows", []))
    assert list(figures) == [1.0, 4.0]
    names = {limit.figure for limit in LIMITS[Manner.PORTRAIT]}
    assert names <= set(figures[4.0])
    assert (figures[1.0]["faces"], figures[1.0]["lock ratio"]) == (1, 1)
    assert [row["without"] for row in facts["ablation"]["rows"]] == ["warp"] * 2 + ["mask"] * 2 + [
        "detail"
    ] * 2
    assert (tmp_path / "work" / "moving.webp").stat().st_size > 0
    capsys.readouterr()
    saved, table = tmp_path / "looks.json", tmp_path / "looks.md"
    first = ["--evaluations", str(tmp_path / "work" / "evaluation.json"), "--out", str(saved)]
    assert main(["compare", *first]) == 0
    printed = capsys.readouterr().out
    assert "| tiny 1.0 | 4 |" in printed
    assert "edges at least 0.85;" in printed
    assert main(["compare", "--evaluations", str(saved), "--table", str(table)]) == 0
    assert "| tiny 1.0 | 4 |" in table.read_text()
    assert main(["compare", "--evaluations", str(config)]) == 1
    assert "does not hold the figures of a look" in capsys.readouterr().err


def test_an_operator_and_factors_that_there_are_none_of_are_told_with_those_that_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    person = {"path": str(FACE), "short_side": 160}
    look = {"people": [person], "clips": [person], "still": [person], "shown": [person]}
    config = tmp_path / "look.yaml"
    config.write_text(json.dumps({"pictures": [str(tmp_path / "photos")], "look": look}))
    arguments = ["evaluate", str(make_engine(tmp_path, factors=[2.0])), "--config", str(config)]
    assert main([*arguments, "--operator", "crayon"]) == 1
    assert f"there is no operator 'crayon'; known: {', '.join(OPERATORS)}" in capsys.readouterr().err
    assert main([*arguments, "--set", "factors=[1, 4]"]) == 1
    assert "offers factors 2; give some of them" in capsys.readouterr().err
