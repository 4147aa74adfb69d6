"""A look of one's own from the command line to the effect, on networks and pictures of toy size."""

from __future__ import annotations

import doctest
import io
import json
import os
import pty
import re
import select
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from streamfx.cli import main
from streamfx.cli.parser import parse
from streamfx.cli.progress import steps_shown
from streamfx.cli.train import _Listener
from streamfx.engine.folder import WEIGHTS, read_engine, read_spec
from streamfx.engine.library import load_engine
from training.errors import WrongOptions
from training.operators import OPERATORS
from training.own_look import course, plan, words
from training.own_look.course import Progress
from training.own_look.job import Job, _bfloat16_is_quick, _validated, begin, resume
from training.own_look.plan import lengths
from training.own_look.preview import SHOWN
from training.own_look.recipe import FOLDER, TRAININGS, Recipe, read_recipe, started
from training.own_look.request import STARTER, Request
from training.pictures import Picture, find_stills

NETWORK = {"stem": 4, "width": 8, "blocks": 1, "norm": "none", "ink": True, "fine": True}
SMALL: dict[str, Any] = {"batch": 2, "crop": 32, "temporal_shift": 2, "factors": {1.0: 0.5, 2.0: 0.5}}
LOOP = {"bfloat16": False}
RECIPES: dict[str, dict[str, Any]] = {
    "pairs": {
        "command": "paired",
        "phases": {"steps": 6},
        "along": {"tied_steps": 2},
        "settings": {
            **SMALL,
            "network": NETWORK,
            "square": 40,
            "squares": 6,
            "adversarial_weight": 0,
            "loop": LOOP,
        },
    },
    "style": {
        "command": "style",
        "phases": {"teacher_steps": 1, "translation_steps": 1, "released_steps": 2},
        "settings": {**SMALL, "network": {"stem": 4, "width": 8, "blocks": 1}, "crops": 4, "loop": LOOP},
    },
}
RECIPES["operator"] = RECIPES["pairs"]


@pytest.fixture(autouse=True)
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes of toy size, steps that cost a second each by what is said of them, a home of one's own."""
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    for name, recipe in RECIPES.items():
        (recipes / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.setattr("training.own_look.recipe.FOLDER", recipes)
    monkeypatch.setattr("training.own_look.plan.LEAST_STEPS", 1)
    monkeypatch.setattr("training.own_look.plan.paces", paces)
    monkeypatch.setattr("training.own_look.job.LEAST_PAIRS", 2)
    monkeypatch.setattr("training.own_look.job.LEAST_PICTURES", 2)
    monkeypatch.setattr("training.own_look.job._LEAST_SIDE", 40)
    monkeypatch.setattr("training.own_look.job._CHECKPOINT_SECONDS", 2.0)
    monkeypatch.setattr("training.own_look.preview._SIDE", 64)
    monkeypatch.setattr("training.pictures.SHORT_SIDES", (48,))
    monkeypatch.setattr("training.style.STYLE_SHORT_SIDE", 40)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def paces(recipe: Recipe, _training: object, _settings: object) -> dict[str, float]:
    return dict.fromkeys(recipe.phases, 1.0)


def minutes(steps: int) -> str:
    """What `--minutes` must be for so many steps of a second each."""
    return repr(steps / 0.94 / 60)


def write_pictures(folder: Path, count: int = 6) -> Path:
    folder.mkdir()
    for number in range(count):
        blocks = np.random.default_rng(number).integers(0, 256, (12, 14, 3), np.uint8)
        cv2.imwrite(str(folder / f"{'abcdefgh'[number]}.png"), blocks.repeat(4, 0).repeat(4, 1))
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> list[str]:
    """Arguments for pairs: pictures, and the same again as their partners."""
    sources, partners = write_pictures(tmp_path / "sources"), write_pictures(tmp_path / "partners")
    return ["--pairs", str(sources), str(partners), "--threads", "1", "--minutes", minutes(6)]


@dataclass
class Told:
    """A listener that keeps what it is told, and may break a training off."""

    break_off_after: int | None = None
    steps: list[Progress] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def progress(self, progress: Progress) -> None:
        self.steps.append(progress)
        if progress.done == self.break_off_after:
            raise KeyboardInterrupt

    def say(self, text: str) -> None:
        self.lines.append(text)


def request_for(pairs: Sequence[str], out: Path, **changes: Any) -> Request:
    sources, partners = Path(pairs[1]), Path(pairs[2])
    values = {"minutes": float(pairs[-1]), "pairs": (sources, partners), "installed": False}
    return Request(name="mine", out=out, work=out / "work", **{**values, **changes})


def test_pairs_become_an_effect_that_is_found_by_its_name(
    pairs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *pairs, "--name", "mine"]) == 0
    out, err = capsys.readouterr()
    folder = tmp_path / "data" / "streamfx" / "engines" / "mine"
    assert out.splitlines() == [
        f"mine is ready, in {folder}",
        "use it: streamfx transcode in.mp4 out.mp4 --effect mine",
    ]
    work = tmp_path / "data" / "streamfx" / "trainings" / "mine"
    assert f"trains mine: 6 steps, about 0:06; a sheet every few minutes: {work / 'sheet.jpg'}" in err
    engine = load_engine("mine")
    assert engine.folder == folder
    assert (engine.spec.factors, engine.spec.target_domain) == ((1.0, 2.0), "mine")
    assert (folder / "sheet.jpg").read_bytes() == (work / "sheet.jpg").read_bytes()
    assert sorted(path.name for path in work.iterdir()) == ["log.jsonl", "sheet.jpg"]


def test_a_style_picture_becomes_an_effect_in_a_folder_that_was_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = write_pictures(tmp_path / "photos")
    shutil.copy(photos / "a.png", tmp_path / "my.png")
    given = ["--pictures", "photos", "--out", "looks", "--threads", "1", "--minutes", minutes(4)]
    assert main(["train", "my.png", "--name", "mine", *given]) == 0
    assert "use it: streamfx transcode in.mp4 out.mp4 --effect looks/mine\n" in capsys.readouterr().out
    engine = read_engine(tmp_path / "looks" / "mine")
    assert "openvino.zip" in engine.spec.files
    assert engine.spec.version == "1.0.0"
    assert "in the manner of my." in (engine.folder / "card.md").read_text()
    log = (tmp_path / "looks" / "mine.training" / "log.jsonl").read_text().splitlines()
    assert ["imitation" in json.loads(line) for line in log] == [True, False, False, False]


def test_what_an_operator_draws_becomes_an_effect(tmp_path: Path) -> None:
    write_pictures(tmp_path / "photos")
    given = ["--pictures", "photos", "--threads", "1", "--minutes", minutes(9)]
    assert main(["train", "--operator", "toon", "--name", "comic", *given]) == 0
    engine = load_engine("comic")
    assert "drawn by the operator `toon`" in " ".join((engine.folder / "card.md").read_text().split())


def test_a_training_that_is_stopped_says_how_to_go_on_and_then_equals_one_that_was_not(
    pairs: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert main(["train", *pairs, "--name", "mine", "--out", "whole"]) == 0
    with monkeypatch.context() as patched:
        patched.setattr(_Listener, "progress", lambda _, progress: Told(5).progress(progress))
        assert main(["train", *pairs, "--name", "mine", "--out", "broken"]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == (
        "streamfx: error: stopped; 4 of 6 steps are kept; go on with: streamfx train --name mine --out "
        "broken --resume"
    )
    assert main(["train", *pairs, "--name", "mine", "--out", "broken"]) == 2
    assert "was broken off, see broken/mine.training; go on with --resume" in capsys.readouterr().err
    assert main(["train", "--name", "mine", "--out", "broken", "--threads", "1", "--resume"]) == 0
    assert "goes on with mine: 6 steps, about 0:02;" in capsys.readouterr().err
    one, other = (load_file(tmp_path / out / "mine" / WEIGHTS) for out in ("whole", "broken"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_there_is_a_first_engine_long_before_the_end_and_sheets_on_the_way(
    pairs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.own_look.course.SHEET_SECONDS", 2.0)
    monkeypatch.setattr("training.own_look.course.EARLY_SECONDS", 3.0)
    request = request_for(pairs, tmp_path / "out")
    told, seconds = Told(break_off_after=5), iter(range(100))
    with pytest.raises(KeyboardInterrupt):
        course.run(begin(request, told.say), told, clock=lambda: next(seconds))
    sheets = [line for line in told.lines if line.endswith(f"is in {request.work / 'sheet.jpg'}")]
    assert len(sheets) >= 1
    early = [line for line in told.lines if line.startswith("a first engine is ready")]
    assert early == [
        f"a first engine is ready, and gets better until the end; try it with --effect {request.folder}"
    ]
    spec = read_spec(request.folder)
    assert re.fullmatch(r"0\.[24]\.0", spec.version)
    assert "of 6 steps were done." in (request.folder / "card.md").read_text()
    again = Told()
    course.run(resume(request), again, clock=lambda: next(seconds))
    assert not [line for line in again.lines if line.startswith("a first engine")], "once is enough"
    assert read_spec(request.folder).version == "1.0.0"


def test_a_picture_becomes_an_effect_that_paints_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.operators.after._SHORT_SIDE", 64)
    toy, after_a_picture = RECIPES["pairs"], tmp_path / "recipes" / "style.yaml"
    after_a_picture.write_text(yaml.safe_dump(toy))
    style = write_pictures(tmp_path / "styles") / "a.png"
    content = str(write_pictures(tmp_path / "content"))
    few = ["--pictures", content, "--threads", "1", "--minutes", minutes(8)]
    assert main(["train", str(style), "--name", "mine", *few]) == 0
    assert "mine is ready" in capsys.readouterr().out
    folder = tmp_path / "data" / "streamfx" / "engines" / "mine"
    card = " ".join((folder / "card.md").read_text().split())
    assert "painted in the colours and strokes of `style-picture.png`" in card


def test_progress_tells_steps_terms_in_plain_words_and_the_time_left_at_the_pace_of_now(
    pairs: list[str], tmp_path: Path
) -> None:
    told, seconds = Told(), iter(range(0, 300, 3))  # three times as slow as was measured
    course.run(begin(request_for(pairs, tmp_path / "out"), told.say), told, clock=lambda: next(seconds))
    assert [(each.done, each.steps) for each in told.steps] == [(done, 6) for done in range(1, 7)]
    assert [each.seconds_left for each in told.steps] == [
        pytest.approx(3 * left) for left in range(5, -1, -1)
    ]
    assert told.steps[-1].terms.startswith("difference to the drawing 0.")


def test_a_training_whose_numbers_are_not_finite_fails_with_one_line(
    pairs: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise FloatingPointError("step 3: not finite: slopes; lower learning_rate")

    monkeypatch.setattr("training.own_look.course.run", fail)
    assert main(["train", *pairs, "--name", "mine"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "streamfx: error: the training ended early: step 3: not finite: slopes; lower learning_rate; 0 of 6 "
        "steps are kept; go on with: streamfx train --name mine --resume"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "mine"], "give the picture whose style is wanted, or --operator NAME, or --pairs"),
        (["my.png", "--name", "mine", "--operator", "toon"], "give one of a style picture, --operator and"),
        (["none.png", "--name", "mine"], "there is no picture none.png"),
        (["text.png", "--name", "mine"], "text.png cannot be read: it is no picture file"),
        (["small.png", "--name", "mine"], "small.png is 30 x 30 pixels: too small to show strokes"),
        (["my.png", "--name", "My look"], "--name My look: give at most 64 small letters, digits"),
        (["my.png", "--name", "../mine"], "--name ../mine: give at most 64 small letters, digits"),
        (["my.png", "--name", "wave"], "--name wave: an effect of that name comes with streamfx"),
        (["my.png", "--name", "blur"], "--name blur: an effect of that name comes with streamfx"),
        (
            ["my.png", "--name", "taken", "--out", "."],
            "taken is there already; choose another name",
        ),
        (["my.png", "--name", "few", "--out", ".", "--overwrite"], "few is there and is no engine"),
        (["my.png", "--name", "mine", "--out", "my.png"], "cannot be made: "),
        (["my.png", "--name", "mine", "--pictures", "none"], "--pictures none: there is no such folder"),
        (["my.png", "--name", "mine", "--pictures", "few"], "few: 1 pictures to learn from, not counting"),
        (["--operator", "tune", "--name", "mine"], "--operator tune: there is none of that name; there are "),
        (["--pairs", "photos", "few", "--name", "mine"], "partners that do not exist: "),
        (["my.png", "--name", "mine", "--minutes", "0"], "--minutes 0: give a number above 0"),
        (["my.png", "--name", "mine", "--minutes", "x"], "--minutes: must be a number, found 'x'"),
        (["my.png", "--name", "mine", "--threads", "0"], "--threads 0: give a number of at least 1"),
        (["my.png", "--name", "mine", "--device", "tpu"], "loop.device: "),
        (["--name", "mine", "--resume"], "holds no training; leave out --resume"),
    ],
)
def test_what_cannot_be_is_refused_with_one_line_and_leaves_nothing(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = write_pictures(tmp_path / "photos")
    shutil.copy(photos / "a.png", tmp_path / "my.png")
    (tmp_path / "text.png").write_text("no picture")
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((30, 30, 3), np.uint8))
    (tmp_path / "few").mkdir()
    shutil.copy(photos / "a.png", tmp_path / "few")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "engine.yaml").touch()
    before = sorted(tmp_path.rglob("*"))
    assert main(["train", *arguments]) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert message in error
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and path.is_file()] == []


def test_a_full_disk_is_found_before_the_first_step(
    pairs: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    assert main(["train", *pairs, "--name", "mine"]) == 2
    assert "5 MB are free on the disk, and a training needs 200; free some, or" in capsys.readouterr().err


def test_help_describes_every_option_in_a_phrase_like_those_of_other_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    options = _options()
    assert {"picture", "--name", "--minutes", "--pictures", "--resume", "--out"} <= options.keys()
    for name, description in options.items():
        assert re.fullmatch(r"[a-z].*[^.]", description), name
        assert description in text


def _options() -> dict[str, str]:
    """What is said of each option of the command alone."""
    command = parse(["train", "--name", "mine"]).parser
    actions = [
        action for action in command._actions if not {"--help", "--debug"} & set(action.option_strings)
    ]
    return {(action.option_strings or [action.dest])[-1]: str(action.help) for action in actions}


def test_progress_in_lines_comes_now_and_then_and_on_a_terminal_as_a_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("streamfx.cli.progress.STEPS_LINE_EVERY_SECONDS", 0.0)
    with steps_shown(stream) as show:
        _Listener(show).progress(Progress(3, 40, 75.0, "shapes 0.10"))
    assert stream.getvalue() == "streamfx: step 3 of 40, 1:15 left, shapes 0.10\n"
    leader, follower = pty.openpty()
    with open(follower, "w") as terminal:
        with steps_shown(terminal) as show:
            _Listener(show).progress(Progress(3, 40, 75.0, "shapes 0.10"))
        shown = b""
        while select.select([leader], [], [], 0.2)[0]:  # one read gives what one write has brought
            shown += os.read(leader, 100_000)
    os.close(leader)
    plain = " ".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).split())
    assert "step 3 of 40, 1:15 left, shapes 0.10" in plain


def test_a_missing_extra_is_named(
    pairs: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert main(["train", *pairs, "--name", "mine"]) == 2
    assert capsys.readouterr().err == (
        "streamfx: error: train needs OpenCV, which is not installed: pip install 'streamfx[train]'\n"
    )


def test_phases_share_the_minutes_in_the_proportions_of_the_recipe() -> None:
    recipe = Recipe(
        command="style", phases={"teacher_steps": 200, "released_steps": 800}, along={"x": 100}, most_times=3
    )
    found = {"teacher_steps": 0.5, "released_steps": 2.0}
    assert lengths(recipe, found, 850 / 0.94) == {"teacher_steps": 100, "released_steps": 400, "x": 50}
    assert lengths(recipe, found, 950 / 0.94, preparation_seconds=100)["released_steps"] == 400
    assert lengths(recipe, found, 1e6) == {"teacher_steps": 600, "released_steps": 2400, "x": 300}


def test_too_few_minutes_are_refused_with_how_many_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.own_look.plan.LEAST_STEPS", 40)
    recipe = Recipe(command="style", phases={"released_steps": 800})
    with pytest.raises(
        WrongOptions, match=r"1\.0 minutes are too few: a step takes 3\.0 s here.*--minutes 3 "
    ):
        lengths(recipe, {"released_steps": 3.0}, 60)
    with pytest.raises(WrongOptions, match="are too few"):
        lengths(recipe, {"released_steps": 3.0}, 60, preparation_seconds=90)


def test_steps_are_timed_in_a_folder_that_is_gone_afterwards(
    pairs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real measurement, of a toy
    monkeypatch.setattr(plan, "_TIMED_SECONDS", 0.0)
    monkeypatch.setattr("training.pictures.SHORT_SIDES", (48,))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "trials"))
    (tmp_path / "trials").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    settings = RECIPES["pairs"]["settings"] | {
        "content": [pairs[1]], "partners": pairs[2], "out": tmp_path / "mine", "loop": {"threads": 1}
    }  # fmt: skip
    found = plan.paces(Recipe(**RECIPES["pairs"]), TRAININGS["paired"], settings)
    assert set(found) == {"steps"}
    assert found["steps"] > 0
    assert list((tmp_path / "trials").glob("streamfx-*")) == []


def test_the_time_an_operator_takes_is_that_of_all_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, ...]] = []
    now, spent = iter([10.0, 10.5, 20.0, 24.0]), iter([3.0, 3.4, 5.0, 5.4])

    def operator(square: Picture) -> Picture:
        drawn.append(square.shape)
        return square

    monkeypatch.setattr(
        "training.own_look.plan.time",
        SimpleNamespace(monotonic=lambda: next(now), thread_time=lambda: next(spent)),
    )
    assert plan.drawing_seconds(operator, 48, 100) == 50.0
    assert drawn == [(48, 48, 3)] * 2
    # Four seconds passed, of which the operator had 0.4: something else ran.
    assert plan.drawing_seconds(operator, 48, 100) == pytest.approx(80.0)


@pytest.mark.parametrize(
    ("threads", "spent_each", "expected"), [(1, 0.9, 1.0), (1, 0.1, 0.2), (2, 0.4, 0.4), (None, 0.01, 1.0)]
)
def test_a_step_counts_for_at_most_twice_its_processor_time(
    threads: int | None, spent_each: float, expected: float
) -> None:
    now = iter(float(at) for at in range(100))
    spent = iter(spent_each * at for at in range(100))
    watch = plan.Watch(lambda: next(now), lambda: next(spent), threads)
    for step in range(5):
        watch(step)
    assert watch.step_seconds() == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["style", "operator", "pairs"])
def test_a_shipped_recipe_has_settings_that_its_training_takes(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.own_look.recipe.FOLDER", FOLDER)
    recipe = read_recipe(kind)
    looks: dict[str, dict[str, Any]] = {
        "style": {"style": STARTER / SHOWN[0]},
        "operator": {"operator": next(iter(OPERATORS))},
        "pairs": {"partners": STARTER},
    }
    settings = (
        started(recipe) | {"content": [STARTER], "out": tmp_path / "mine", "work": tmp_path} | looks[kind]
    )
    options = _validated(TRAININGS[recipe.command], settings | recipe.phases | recipe.along)
    assert options.network.family == "warp_mask"
    assert {1.0, 2.0, 4.0} <= set(TRAININGS[recipe.command].fields(options)["factors"])
    job = Job(Request("mine", tmp_path, tmp_path), recipe, options, None)  # type: ignore[arg-type]
    steps = options.total_steps if recipe.command == "style" else options.steps
    assert job.total_steps == steps, "no phase is left out"


@pytest.mark.parametrize(
    ("device", "extensions", "quick"),
    [("cpu", ("AVX2", "AVX-512 BF16"), True), ("cpu", ("AVX2",), False), ("cuda", ("AVX2",), True)],
)
def test_bfloat16_is_used_where_it_is_not_emulated(
    device: str, extensions: tuple[str, ...], quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.own_look.job.cpu", lambda: SimpleNamespace(extensions=extensions))
    assert _bfloat16_is_quick(device) == quick


@pytest.mark.parametrize("module", [plan, words])
def test_every_example_of_the_package_runs(module: ModuleType) -> None:
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_the_wheel_holds_what_the_command_imports() -> None:
    project = tomllib.loads((STARTER.parents[1] / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["only-include"] == ["streamfx", "training", "engines"]
    assert not any(each.startswith("/training/starter") for each in wheel["exclude"])


def test_sheets_show_pictures_that_no_training_sees() -> None:
    shown = [still for still in find_stills([STARTER]) if still.path.name in SHOWN]
    assert [still.held_out for still in shown] == [True] * len(SHOWN)
