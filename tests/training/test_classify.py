"""Training of classifiers: examples, figures, and the whole command on pictures of toy size."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from streamfx.engine.families.classifier import Classifier
from streamfx.engine.folder import read_engine
from tests.networks import constant_classifier
from tests.training.interruption import Interruption, assert_same_weights, interrupt_after
from tests.training.test_pictures import write_pictures
from training.__main__ import main
from training.classify import train
from training.classify_examples import damaged, open_examples, parted
from training.classify_options import ClassifyOptions
from training.evaluation.confusion import accuracy, confusion, confusion_section
from training.pictures import Still, read_still
from training.quality import label, score

LOOP = {"checkpoint_every": 2, "bfloat16": False, "threads": 1, "warm_up_steps": 2}


def write_striped(folder: Path, count: int, upright: bool) -> None:
    folder.mkdir()
    for number in range(count):
        stripes = np.zeros((64, 64, 3), np.uint8)
        stripes[:, (np.arange(64) + number) // 4 % 2 == 0] = 60 + 10 * number
        picture = stripes if upright else stripes.transpose(1, 0, 2)
        cv2.imwrite(str(folder / f"{upright}{number:02}.png"), np.ascontiguousarray(picture))


def domains(folder: Path, **changes: object) -> dict[str, object]:
    if not (folder / "upright").exists():
        write_striped(folder / "upright", 15, upright=True)
        write_striped(folder / "flat", 15, upright=False)
    values: dict[str, object] = {
        "domains": {"upright": [str(folder / "upright")], "flat": [str(folder / "flat")]},
        "out": str(folder / "stripes"),
        "work": str(folder / "work"),
        "sides": [32, 48],
        "batch": 6,
        "width": 4,
        "steps": 2,
        "loop": LOOP,
    }
    return values | changes


def quality(folder: Path, **changes: object) -> dict[str, object]:
    write_pictures(folder / "photos", 12, side=72)
    values: dict[str, object] = {
        "good": [str(folder / "photos")],
        "out": str(folder / "grade"),
        "work": str(folder / "work"),
        "sides": [32, 64],
        "batch": 4,
        "width": 2,
        "steps": 2,
        "loop": LOOP,
    }
    return values | changes


def test_the_label_of_a_damaged_window_is_that_of_its_score() -> None:
    window = np.random.default_rng(2).integers(0, 256, (12, 12, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    labels = set()
    for seed in range(25):
        after, found = damaged(window, [seed])
        assert found == label(score(after, window))
        labels.add(found)
    assert labels == {0, 1, 2}


@pytest.mark.parametrize("settings", [domains, quality])
def test_examples_depend_on_the_number_alone_and_held_out_ones_are_always_the_same(
    tmp_path: Path, settings: object
) -> None:
    assert callable(settings)
    options = ClassifyOptions.model_validate(settings(tmp_path))
    examples, again = open_examples(options), open_examples(options)
    examples.batch(0)
    for one, other in zip(examples.batch(1), again.batch(1), strict=True):
        assert torch.equal(one, other)
    sides = {examples.batch(number)[0].shape[-1] for number in range(2, 8)}
    assert sides == set(options.sides)
    held, held_again = examples.held_out(8), again.held_out(8)
    assert held
    assert all((one[0] == other[0]).all() for one, other in zip(held, held_again, strict=True))
    assert [one[1] for one in held] == [other[1] for other in held_again]
    examples.close()
    again.close()


def test_every_domain_has_as_many_pictures_in_a_batch(tmp_path: Path) -> None:
    examples = open_examples(ClassifyOptions.model_validate(domains(tmp_path)))
    _, labels = examples.batch(0)
    examples.close()
    assert sorted(labels.tolist()) == [0, 0, 0, 1, 1, 1]


def test_sources_kept_for_calibration_are_neither_learned_from_nor_judged_on() -> None:
    stills = [Still(Path(f"{number}.png"), f"source {number // 2}") for number in range(400)]
    learned, calibrating = parted(stills, 0.25)
    held = [still for still in stills if still.held_out]
    sources = [{still.source for still in part} for part in (learned, calibrating, held)]
    assert sum(map(len, sources)) == len(set().union(*sources)) == 200
    assert 25 < len(sources[1]) < 55
    assert parted(stills, 0.0) == ([still for still in stills if not still.held_out], [])


def test_a_domain_classifier_is_calibrated_on_sources_of_its_own(tmp_path: Path) -> None:
    with closing(open_examples(ClassifyOptions.model_validate(domains(tmp_path)))) as examples:
        held = examples.held_out(30)
        assert examples.calibrating(30) == []
    options = ClassifyOptions.model_validate(domains(tmp_path, calibrated_share=0.4))
    with closing(open_examples(options)) as examples:
        assert len(examples.calibrating(30)) > 4
        assert [picture.tobytes() for picture, _ in examples.held_out(30)] == [
            picture.tobytes() for picture, _ in held
        ]


def test_some_pictures_lose_their_colours_where_asked_for(tmp_path: Path) -> None:
    settings = domains(tmp_path)
    for path in (tmp_path / "upright").iterdir():
        picture = read_still(path)
        assert picture is not None
        cv2.imwrite(str(path), picture * np.array([0, 1, 1], np.uint8))
    for share, coloured in ((0.0, True), (1.0, False)):
        options = ClassifyOptions.model_validate(settings | {"grey_share": share})
        with closing(open_examples(options)) as examples:
            pictures, labels = examples.batch(0)
        upright = pictures[labels == 0]
        assert (float((upright.amax(1) - upright.amin(1)).max()) > 0.02) == coloured


@pytest.mark.parametrize("settings", [domains, quality])
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path, settings: object) -> None:
    assert callable(settings)

    def trained(work: str, on_step: Callable[[int], None] | None = None) -> Classifier:
        changes = {"steps": 4, "rounds_of": 3, "work": str(tmp_path / work)}
        options = ClassifyOptions.model_validate(settings(tmp_path, **changes))
        with closing(open_examples(options)) as examples:
            return train(options, examples, on_step)

    whole = trained("whole")
    with pytest.raises(Interruption):
        trained("parts", interrupt_after(3))
    assert_same_weights({"generator": whole}, {"generator": trained("parts")})


def test_what_can_be_told_apart_is_learned(tmp_path: Path) -> None:
    options = ClassifyOptions.model_validate(
        domains(tmp_path, steps=60, loop={**LOOP, "learning_rate": 5e-3, "checkpoint_every": 100})
    )
    examples = open_examples(options)
    network = train(options, examples)
    table = confusion(network, examples.held_out(12), 2)
    examples.close()
    assert table.sum() >= 4
    assert accuracy(table) > 0.9


def test_confusion_counts_rows_of_what_is_and_columns_of_what_was_found() -> None:
    network = constant_classifier(1, classes=2)
    grey = np.full((32, 32, 3), 90, np.uint8)
    table = confusion(network, [(grey, 0), (grey, 1), (grey, 0)], 2)
    assert table.tolist() == [[0, 2], [0, 1]]
    assert accuracy(table) == pytest.approx(1 / 3)
    assert confusion_section(("a", "b"), table).markdown().splitlines()[-4:] == [
        "| picture | a | b | right |",
        "| --- | --- | --- | --- |",
        "| a | 0 | 2 | 0% |",
        "| b | 0 | 1 | 100% |",
    ]


@pytest.mark.parametrize(
    ("settings", "name", "classes"),
    [(domains, "stripes", ("upright", "flat")), (quality, "grade", ("poor", "medium", "good"))],
)
def test_the_command_writes_an_engine_with_its_classes_and_figures(
    tmp_path: Path, settings: object, name: str, classes: tuple[str, ...]
) -> None:
    assert callable(settings)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(settings(tmp_path), sort_keys=False))
    assert main(["classify", "--config", str(tmp_path / "recipe.yaml")]) == 0
    engine = read_engine(tmp_path / name)
    assert engine.spec.classes == classes
    assert engine.golden.heads.shape == (len(classes), 6, 8)
    card = (tmp_path / name / "card.md").read_text()
    assert f"| picture | {' | '.join(classes)} | right |" in card
    assert "Accuracy" in card


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"domains": {}}, "give either good, to tell quality, or domains"),
        ({"domains": {"one": ["."]}}, "at least two are needed to tell apart; found one"),
        ({"domains": {"one": ["nowhere"], "two": ["."]}}, "nowhere does not exist"),
        ({"sides": [40]}, "40 is not a multiple of 16"),
    ],
)
def test_wrong_settings_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], said: str
) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(domains(tmp_path, **change)))
    assert main(["classify", "--config", str(tmp_path / "recipe.yaml")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "name", "judged"),
    [
        (domains, "stripes", ["domains={upright: [upright], flat: [flat]}", "side=48"]),
        (quality, "grade", ["pictures=[photos]", "side=64", "seed=9"]),
    ],
)
def test_evaluation_repeats_the_figures_of_the_training_and_documents_them_with_a_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: object, name: str, judged: list[str]
) -> None:
    assert callable(settings)
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(
        yaml.safe_dump(settings(tmp_path, note="Blind at night."), sort_keys=False)
    )
    assert main(["classify", "--config", "recipe.yaml"]) == 0
    card = Path(name, "card.md").read_text()
    assert main(["evaluate", name, "--document", "--set", "count=400", *judged]) == 0
    facts = json.loads(Path(".work", name, "evaluation.json").read_text())["confusion"]
    again = Path(name, "card.md").read_text()
    assert facts["note"] in " ".join(again.split())
    assert [line for line in card.splitlines() if line.startswith("| ")] == [
        line for line in again.splitlines() if line.startswith("| ")
    ]
    assert "Blind at night." in again
    assert read_engine(Path(name)).spec.files["sheet.jpg"]


@pytest.mark.parametrize(
    ("settings", "name", "said"),
    [
        (domains, "stripes", "tells upright, flat apart: give domains, folders of pictures of each"),
        (quality, "grade", "give pictures, folders of photographs to judge it on"),
    ],
)
def test_what_a_classifier_needs_to_be_judged_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: object, name: str, said: str
) -> None:
    assert callable(settings)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(settings(tmp_path, steps=1), sort_keys=False))
    assert main(["classify", "--config", str(tmp_path / "recipe.yaml")]) == 0
    assert main(["evaluate", str(tmp_path / name), "--work", str(tmp_path / "judged")]) == 1
    assert said in capsys.readouterr().err
