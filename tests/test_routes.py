"""Routes in a run: what the pictures show decides at each cut, and nowhere else, which effect runs."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import streamfx
from streamfx.backends.store import CompiledStore
from streamfx.capture.shots import ShotSource
from streamfx.cli import main
from streamfx.config.live import LiveConfig
from streamfx.config.loading import load_config
from streamfx.errors import ConfigError
from streamfx.generate.chain import open_chain
from streamfx.generate.effect import EffectSettings
from streamfx.generate.routed import Routed
from streamfx.media.frame import Frame
from streamfx.pipeline.stats import Snapshot
from streamfx.run.control_state import say_kind, state_of
from streamfx.run.effects import numbered
from streamfx.run.report import Report
from streamfx.web.commands import read_command, turn
from streamfx.web.figures import Figures
from tests import engines
from tests.fakes import FakeSource
from tests.generate.test_placed_families import make_placed
from tests.run_controls import bench
from tests.scenes import FORMAT, scene_frame, write_clip
from tests.servers import wait_until

BY_COLOUR = {"photo": (20, 0, -20, 0.0), "painting": (-20, 0, 20, 0.0), "drawing": (0, 0, 0, 3.0)}
BY_LIGHT = {"poor": (0, 0, 0, 0.0), "medium": (0, 0, 0, 0.0), "good": (0, 30, 0, -15.0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("routes")
    engines.make_engine(folder, "carve", 7, source_domain="photo", target_domain="linocut")
    engines.make_engine(folder, "print", 11, source_domain="painting", target_domain="linocut")
    engines.make_engine(folder, "paint", 13, source_domain="photo", target_domain="painting")
    engines.make_engine(folder, "mend", 17, source_domain="photo", target_domain="photo")
    engines.make_classifier(folder, "domain", BY_COLOUR)
    engines.make_classifier(folder, "quality", BY_LIGHT)
    return folder


@pytest.fixture(autouse=True)
def _engines(folder: Path, compiled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMFX_CACHE", compiled)
    monkeypatch.setenv("STREAMFX_ENGINES", str(folder))
    monkeypatch.chdir(tmp_path)


def frames(*scenes: tuple[int, str, int]) -> list[Frame]:
    """Return the frames of scenes, each (number, tint, how many)."""
    return [scene_frame(number, time, tint) for number, tint, count in scenes for time in range(count)]


def pixels(path: Path | str) -> list[NDArray[Any]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


def run(clip: Path, effect: str, **options: Any) -> tuple[Report, list[NDArray[Any]]]:
    """Return the report of a run and the pictures that came of it."""
    output = f"{abs(hash((effect, str(options))))}.mkv"
    given: dict[str, Any] = {"factor": 2, "backend": "eager", "threads": 1, "codec": "ffv1", **options}
    report = streamfx.transcode(clip, output, effects=[effect], overwrite=True, **given)
    assert report.exit_code == 0
    return report, pixels(output)


def decided(report: Report) -> list[tuple[int, int, str | None]]:
    (routing,) = report.routing
    return [(choice.frame, choice.shot, choice.effect) for choice in routing.choices]


def same(found: Sequence[NDArray[Any]], *parts: Sequence[NDArray[Any]]) -> bool:
    expected = [picture for part in parts for picture in part]
    return len(found) == len(expected) and all(map(np.array_equal, found, expected))


def test_the_effect_changes_with_the_picture_that_follows_a_cut(tmp_path: Path) -> None:
    clip = write_clip(
        tmp_path / "in.mkv", frames((1, "red", 8), (2, "blue", 8), (3, "grey", 8), (4, "red", 6))
    )
    carved, printed = run(clip, "carve")[1], run(clip, "print")[1]
    report, found = run(clip, "route:to=linocut")
    assert same(found, carved[:8], printed[8:16], pixels(clip)[16:24], carved[24:])
    assert decided(report) == [(0, 0, "carve"), (8, 1, "print"), (16, 2, None), (24, 3, "carve")]
    (routing,) = report.routing
    assert routing.name == "route:to=linocut"
    assert routing.options == {"photo": "carve", "painting": "print"}
    assert routing.classifier.startswith("domain 1.0 ")
    assert routing.choices[0].probabilities["photo"] > 0.9
    assert [effect.name for effect in report.effects] == ["carve", "print"]
    assert "route:to=linocut: carve from frame 0 on (photo 1.00, " in report.summary()
    assert "; changed 3 times, at last carve from frame 24 on" in report.summary()


def test_several_workers_give_the_same_as_one(tmp_path: Path) -> None:
    clip = write_clip(
        tmp_path / "in.mkv", frames(*((number, ("red", "blue")[number % 2], 5) for number in range(8)))
    )
    one_report, one = run(clip, "route:to=linocut", workers=1)
    several_report, several = run(clip, "route:to=linocut", workers=4)
    assert same(one, several)
    assert decided(one_report) == decided(several_report)
    assert len(decided(one_report)) == 8


def test_a_flash_changes_nothing(tmp_path: Path) -> None:
    pictures = frames((1, "red", 12))
    pictures[5] = scene_frame(9, 5, "blue", glare=150)
    pictures[8] = scene_frame(1, 8, light=0, glare=219)
    report, found = run(write_clip(tmp_path / "in.mkv", pictures), "route:to=linocut")
    assert decided(report) == [(0, 0, "carve")]
    assert same(found, run(tmp_path / "in.mkv", "carve")[1])


def test_the_first_frames_are_left_alone_while_there_is_nothing_to_see(tmp_path: Path) -> None:
    dark = [scene_frame(1, time, light=0) for time in range(4)]
    clip = write_clip(tmp_path / "in.mkv", [*dark, *frames((1, "red", 6))])
    report, found = run(clip, "route:to=linocut")
    assert decided(report) == [(4, 0, "carve")]
    assert same(found, pixels(clip)[:4], run(clip, "carve")[1][4:])


def test_where_one_engine_fits_it_runs_whatever_the_pictures_show(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mkv", frames((1, "red", 3), (2, "blue", 3)))
    report, found = run(clip, "route:from=photo,to=linocut,strength=0.5")
    assert same(found, run(clip, "carve:strength=0.5")[1])
    assert report.routing == ()
    assert [effect.name for effect in report.effects] == ["carve"]


def test_strength_and_factor_of_a_route_hold_for_whatever_runs(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mkv", frames((1, "red", 3), (2, "blue", 3)))
    report, found = run(clip, "route:to=linocut,strength=0.5,factor=4")
    settings = ":strength=0.5,factor=4"
    assert same(found, run(clip, f"carve{settings}")[1][:3], run(clip, f"print{settings}")[1][3:])
    assert [(each.controls["strength"], each.controls["factor"]) for each in report.effects] == [(0.5, 4)] * 2


def test_the_same_live(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mkv", frames((1, "red", 8), (2, "blue", 8)))
    report = streamfx.live(
        clip,
        "out.mkv",
        effects=["route:to=linocut"],
        factor=2,
        backend="eager",
        codec="ffv1",
        settings=["queue.policy=wait"],
    )
    assert decided(report) == [(0, 0, "carve"), (8, 1, "print")]
    assert same(pixels("out.mkv"), run(clip, "carve")[1][:8], run(clip, "print")[1][8:])


def test_a_factor_nobody_gave_is_one_that_all_candidates_know(tmp_path: Path, folder: Path) -> None:
    engines.make_engine(
        folder, "wide", 19, source_domain="painting", target_domain="film", factors=[2.0, 4.0, 6.0]
    )
    engines.make_engine(folder, "narrow", 23, source_domain="photo", target_domain="film", factors=[1.0, 2.0])
    clip = write_clip(tmp_path / "in.mkv", frames((1, "red", 3), (2, "blue", 3)))
    report, _ = run(clip, "route:to=film", factor="auto")
    assert report.factor is not None
    assert set(report.factor.predicted_seconds) == {"2"}
    assert [effect.controls["factor"] for effect in report.effects] == [2, 2]


def test_frames_are_numbered_by_shot_only_where_an_effect_needs_it() -> None:
    with bench("carve", "route:to=linocut") as table:
        shots = numbered(table.source, table.controls.effects)
        assert isinstance(shots, ShotSource)
    with bench("carve") as table:
        assert numbered(table.source, table.controls.effects) is table.source


def test_noise_is_new_with_each_shot_and_stands_still_within_it(tmp_path: Path) -> None:
    engine = make_placed(tmp_path, "convert_sr").folder
    clip = write_clip(tmp_path / "in.mkv", [scene_frame(number) for number in (1, 2, 1) for _ in range(5)])
    found = run(clip, str(engine), workers=3)[1]
    first, second, again = (found[start : start + 5] for start in (0, 5, 10))
    assert all(same(shot, 5 * shot[:1]) for shot in (first, second, again))
    assert not same(again, first)
    assert same(run(clip, str(engine), workers=1)[1], found)
    quiet = run(clip, f"{engine}:noise_amplitude=0")[1]
    assert same(quiet[10:], quiet[:5])


# ---------------------------------------------------------------------------------------------- auto


def light(number: int, count: int, glare: int) -> list[Frame]:
    return [scene_frame(number, time, light=0.4, glare=glare) for time in range(count)]


def test_auto_leaves_good_pictures_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfx.generate.chain._LEAVES_GOOD_ALONE", "warp_mask")
    clip = write_clip(tmp_path / "in.mkv", [*light(1, 6, 0), *light(2, 6, 110)])
    report, found = run(clip, "mend:auto,strength=0.5")
    assert same(found, run(clip, "mend:strength=0.5")[1][:6], pixels(clip)[6:])
    assert decided(report) == [(0, 0, "mend"), (6, 1, None)]
    assert report.routing[0].name == "mend:auto"
    assert report.routing[0].options == {"poor": "mend", "medium": "mend"}


def test_auto_is_for_effects_that_restore() -> None:
    with pytest.raises(ConfigError, match=r"^carve:auto: 'auto' leaves good pictures alone, .* warp_mask$"):
        open_chain(["carve:auto"])


# ---------------------------------------------------------------------------------------- hysteresis


@pytest.fixture
def routed(folder: Path) -> Iterator[Routed]:
    settings = EffectSettings("eager", factor=2, threads=1, store=CompiledStore(folder / "compiled"))
    chain = open_chain(["route:to=linocut"], settings)
    (effect,) = chain.effects
    assert isinstance(effect, Routed)
    yield effect
    chain.close()


def show(routed: Routed, *probabilities: tuple[float, ...]) -> list[tuple[int, str | None]]:
    """Let a routed effect look at frames that its classifier finds so probable; return what changed."""
    answers, classes = iter(probabilities), routed.classifier.classes

    class Told:
        engine = routed.classifier.engine
        classes = routed.classifier.classes

        def probabilities(self, frame: Frame) -> dict[str, float]:
            return dict(zip(classes, next(answers), strict=True))

        def close(self) -> None: ...

    routed.classifier.close()
    routed.classifier = Told()  # type: ignore[assignment]
    for number in range(len(probabilities)):
        routed.look(scene_frame(number, number))
    return [(choice.frame, choice.effect) for choice in routed.choices]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ([(0.3, 0.3, 0.4), (0.4, 0.3, 0.3), (0.45, 0.25, 0.3)], [(0, None)]),
        ([(0.6, 0.3, 0.1), (0.4, 0.5, 0.1), (0.4, 0.55, 0.05)], [(0, "carve")]),
        ([(0.6, 0.3, 0.1), (0.3, 0.51, 0.19), (0.45, 0.5, 0.05)], [(0, "carve"), (1, "print")]),
        ([(0.6, 0.3, 0.1), (0.1, 0.2, 0.7), (0.4, 0.1, 0.5)], [(0, "carve"), (1, None)]),
    ],
    ids=["the most probable first", "not clearly more probable", "clearly, and not back", "none fits"],
)
def test_a_decision_stays_until_another_is_clearly_more_probable(
    routed: Routed, shown: list[tuple[float, float, float]], expected: list[tuple[int, str | None]]
) -> None:
    assert show(routed, *shown) == expected


def test_kinds_that_want_the_same_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfx.generate.chain._LEAVES_GOOD_ALONE", "warp_mask")
    chain = open_chain(["mend:auto"], EffectSettings("eager", factor=2, threads=1))
    (effect,) = chain.effects
    assert isinstance(effect, Routed)
    assert show(effect, (0.3, 0.3, 0.4)) == [(0, "mend")]
    chain.close()


def test_the_margin_can_be_set() -> None:
    chain = open_chain(["route:to=linocut,margin=0.05"], EffectSettings("eager", factor=2, threads=1))
    (effect,) = chain.effects
    assert isinstance(effect, Routed)
    assert show(effect, (0.6, 0.3, 0.1), (0.4, 0.5, 0.1)) == [(0, "carve"), (1, "print")]
    chain.close()


def test_every_look_is_logged(routed: Routed, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "streamfx")
    show(routed, (0.8, 0.15, 0.05), (0.55, 0.4, 0.05))
    said = [record for record in caplog.records if record.message.startswith("route")]
    assert [record.message for record in said] == [
        "route:to=linocut, frame 0, shot 0: carve (photo 0.80, painting 0.15, drawing 0.05)",
        "route:to=linocut, frame 1, shot 0: carve (photo 0.55, painting 0.40, drawing 0.05; not sure)",
    ]
    assert [record.levelno for record in said] == [logging.INFO, logging.WARNING]


def test_a_decision_is_as_sure_as_the_kinds_for_which_its_effect_runs_are_probable(routed: Routed) -> None:
    show(routed, (0.74, 0.2, 0.06), (0.1, 0.76, 0.14))
    assert [(choice.effect, choice.confidence) for choice in routed.choices] == [
        ("carve", 0.74),
        ("print", 0.76),
    ]
    assert [choice.why.endswith("; not sure") for choice in routed.choices] == [True, False]


def test_whoever_knows_better_says_what_pictures_are_until_they_decide_again(routed: Routed) -> None:
    frame = scene_frame(1, 0)
    carve, print_ = routed.parts
    show(routed, (0.6, 0.3, 0.1))
    assert state_of(routed).kinds == ("photo", "painting", "drawing")
    assert state_of(routed).decided == "carve: photo 0.60, painting 0.30, drawing 0.10; not sure"
    for kind, expected in (("painting", print_), ("drawing", None), (None, carve)):
        say_kind(routed, kind)
        assert state_of(routed).kind == kind
        wanted = frame if expected is None else expected.process(frame)
        assert np.array_equal(routed.process(frame).planes[0], wanted.planes[0])
    assert len(routed.choices) == 1


def test_what_a_page_says_pictures_are_is_shown_and_kept_in_the_account_of_changes() -> None:
    with bench("route:to=linocut") as table:
        told: list[None] = []
        table.controls.listen(lambda: told.append(None))
        asyncio.run(turn(table.controls, read_command('{"type": "kind", "effect": 0, "kind": "painting"}')))
        assert table.controls.state().effects[0].kind == "painting"
        asyncio.run(turn(table.controls, read_command('{"type": "kind", "effect": 0, "kind": null}')))
        assert table.controls.state().effects[0].kind is None
        assert [change.what for change in table.controls.changes] == [
            "route:to=linocut: pictures are painting",
            "route:to=linocut: pictures are what they show",
        ]
        assert len(told) == 2


def test_only_kinds_that_are_told_apart_can_be_said(routed: Routed) -> None:
    with pytest.raises(
        ConfigError, match=r"no kind of picture 'poster'; there are: photo, painting, drawing"
    ):
        say_kind(routed, "poster")
    with pytest.raises(ConfigError, match="effect 'carve' runs whatever the pictures show"):
        say_kind(routed.parts[0], "photo")


def test_controls_hold_for_all_candidates_or_for_none(routed: Routed) -> None:
    carve, print_ = routed.parts
    carve.controls = replace(carve.controls, strength=0.3)
    routed.controls = replace(routed.controls, factor=4)
    assert [(part.controls.strength, part.controls.factor) for part in routed.parts] == [(0.3, 4), (1, 4)]
    with pytest.raises(ConfigError, match="factor must be 1 to 8, found 9"):
        routed.controls = replace(routed.controls, factor=9)
    assert [part.controls.factor for part in (carve, print_)] == [4, 4]


def test_candidates_agree_on_a_factor_but_for_those_that_have_no_choice(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, source, factors in (
        ("wide", "photo", [3.0, 6.0]),
        ("narrow", "painting", [1.0, 3.0]),
        ("fixed", "drawing", [1.0]),
    ):
        engines.make_engine(tmp_path, name, source_domain=source, target_domain="ink", factors=factors)
    monkeypatch.setenv("STREAMFX_ENGINES", f"{tmp_path}:{folder}")
    chain = open_chain(["route:to=ink,factor=3"], EffectSettings("eager", threads=1))
    other = open_chain(["route:to=ink"], EffectSettings("eager", threads=1))
    for each in (chain, other):
        (effect,) = each.effects
        assert isinstance(effect, Routed)
        begun = {part.name: part.controls.factor for part in effect.parts}
        assert begun == {"fixed": 1, "narrow": 3, "wide": 3}
        effect.warm_up(FORMAT, 3)
    assert isinstance(effect, Routed)
    assert show(effect, (0.1, 0.1, 0.8)) == [(0, "fixed")]
    assert effect.controls.factor == 3
    effect.controls = replace(effect.controls, strength=0.5)
    assert {part.name: part.controls.factor for part in effect.parts} == begun
    assert {part.controls.strength for part in effect.parts} == {0.5}
    for each in (chain, other):
        each.close()


def test_a_closed_route_looks_no_more(routed: Routed) -> None:
    routed.close()
    routed.look(scene_frame(1))
    assert routed.looks == 0


# ---------------------------------------------------------------------------------------- asking for one


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        (
            "route",
            r"^route: several effects fit: from photo: .*carve \(to linocut\), .*\(route:among=[a-z]+\+print",
        ),
        ("route:to=film noir", "route:to=film noir: no effect fits"),
        (
            "route:from=sketch",
            r"^route:from=sketch: no effect fits\. There are: .*from photo to linocut \(carve\)",
        ),
        ("domain", "engine 'domain' is no effect: it tells pictures apart"),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_written(
    tmp_path: Path, effect: str, message: str
) -> None:
    clip = write_clip(tmp_path / "in.mkv", frames((1, "red", 2)))
    with pytest.raises(ConfigError, match=message):
        streamfx.transcode(clip, "out.mkv", effects=[effect])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv"]


def test_a_kind_of_picture_that_nothing_tells_apart_is_refused(folder: Path, tmp_path: Path) -> None:
    engines.make_engine(tmp_path, "a", source_domain="photo", target_domain="clay")
    engines.make_engine(tmp_path, "b", source_domain="sketch", target_domain="clay")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMFX_ENGINES", f"{tmp_path}:{folder}")
        with pytest.raises(
            ConfigError, match=r"^route:to=clay: .* kind sketch are not told from others, only"
        ):
            open_chain(["route:to=clay"])


def test_classifiers_are_listed_apart_from_effects(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["effects"]) == 0
    effects, _, others = capsys.readouterr().out.partition(
        "Not effects: what decides on routes, on 'auto' and where an effect acts"
    )
    assert "\ncarve 1.0\n" in f"\n{effects}"
    assert "\ndomain " not in f"\n{effects}"
    assert "domain 1.0\n  in place of the one in " in others
    assert "\n  tells apart photo, painting, drawing; licence Apache-2.0\n" in others
    assert main(["effects", "--json"]) == 0
    listed = [effect["name"] for effect in json.loads(capsys.readouterr().out)]
    assert "carve" in listed
    assert "domain" not in listed
    assert main(["effects", "quality"]) == 0
    assert "tells apart poor, medium, good" in capsys.readouterr().out


def test_a_run_without_effects_is_told_those_there_are_and_no_classifier(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["transcode", "in.mp4", "out.mp4"]) == 2
    error = capsys.readouterr().err
    assert "carve" in error
    assert "domain" not in error


# ------------------------------------------------------------------------------------------- on the page


def test_the_controls_change_a_route_and_put_another_effect_in_its_place() -> None:
    with bench("route:to=linocut") as table:
        controls = table.controls
        (routed,) = controls.effects.chain.effects
        assert isinstance(routed, Routed)
        assert "domain" not in controls.available
        source = ShotSource(
            FakeSource(16, picture=lambda index: scene_frame(index // 8, index, "red"), format=FORMAT),
            [routed.look],
        )
        first = source.read()
        assert first is not None
        assert not np.array_equal(controls.process(first).planes[0], first.planes[0])
        assert controls.state().effects[0].name == "route:to=linocut"
        figures = Figures(controls)
        controls.look(Snapshot(1, 1, 0, 0, None, 1.0, None, None, {}, {}))
        shown = figures.now()
        assert shown is not None
        assert shown["routing"].startswith("carve since frame 0: photo 1.00, painting 0.00")
        controls.set_control(0, "strength", 0.0)
        assert controls.changes[-1].what == "route:to=linocut: strength 0"
        assert controls.process(first).planes[0] is first.planes[0]
        controls.switch(0, "paint")
        wait_until(lambda: controls.state().opening is None)
        assert [each.name for each in controls.state().effects] == ["paint"]
        assert controls.changes[-1].what == "effect route:to=linocut → paint"
        now = figures.now()
        assert now is not None
        assert now["routing"] is None
        while source.read() is not None:  # cuts still come; nobody looks any more
            pass
        assert routed.looks == 1


def test_a_live_run_with_a_route_is_configured_like_any_other() -> None:
    config = load_config(
        options={"input": "in", "outputs": ("null:",), "effects": ("route",)}, model=LiveConfig
    )
    assert config.effects == ("route",)
