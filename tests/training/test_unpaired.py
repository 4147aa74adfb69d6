"""Unpaired training end to end, on networks and pictures of toy size."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from streamfx.engine.folder import read_engine
from tests.training.interruption import Interruption, assert_same_weights, interrupt_after
from training.__main__ import main
from training.feed import Feed
from training.unpaired import UnpairedTrainee, run, train
from training.unpaired_options import UnpairedOptions

NETWORK = {"stem": 4, "width": 8, "blocks": 1, "norm": "none"}


def write_domains(folder: Path) -> None:
    """Smooth pictures, and striped ones."""
    rng = np.random.default_rng(1)
    for domain in ("smooth", "striped"):
        (folder / domain).mkdir()
        for name in "abcdef":
            picture = np.full((48, 52, 3), rng.integers(60, 200, 3), np.uint8)
            if domain == "striped":
                picture[::4] = 20
            cv2.imwrite(str(folder / domain / f"{name}.png"), picture)


def toy_values(folder: Path, **changes: object) -> dict[str, object]:
    if not (folder / "smooth").exists():
        write_domains(folder)
    return {
        "source": {"content": [str(folder / "smooth")], "crop": 32, "batch": 2, "readers": 1},
        "target": {"content": [str(folder / "striped")], "crop": 32, "batch": 2, "readers": 1},
        "out": str(folder / "forth"),
        "out_back": str(folder / "back"),
        "work": str(folder / "work"),
        "source_domain": "smooth",
        "target_domain": "striped",
        "network": NETWORK,
        "critic_width": 4,
        "copying_steps": 1,
        "steps": 3,
        "temporal_shift": 2,
        "factors": {1.0: 0.5, 2.0: 0.5},
        "loop": {"checkpoint_every": 2, "bfloat16": False, "threads": 1},
    } | changes


def test_the_command_writes_one_engine_per_direction(tmp_path: Path) -> None:
    config = tmp_path / "unpaired.yaml"
    config.write_text(json.dumps(toy_values(tmp_path)))
    assert main(["unpaired", "--config", str(config)]) == 0
    forth, back = read_engine(tmp_path / "forth").spec, read_engine(tmp_path / "back").spec
    assert all("openvino.zip" in spec.files for spec in (forth, back))
    assert (forth.source_domain, forth.target_domain) == ("smooth", "striped")
    assert (back.source_domain, back.target_domain) == ("striped", "smooth")
    terms = [json.loads(line) for line in (tmp_path / "work" / "log.jsonl").read_text().splitlines()]
    critics = {f"critic {d} {w}" for d in ("source", "target") for w in ("true", "made")}
    assert set(terms[0]) == {"step", "copying"} | critics
    kinds = ("belief", "cycle", "identity", "temporal", "grid", "displacement")
    assert {f"{kind}{which}" for kind in kinds for which in ("", " back")} <= terms[-1].keys()
    assert critics <= terms[-1].keys()


def test_every_network_is_corrected(tmp_path: Path) -> None:
    begun: dict[str, list[torch.Tensor]] = {}
    options = UnpairedOptions.model_validate(toy_values(tmp_path, copying_steps=0, steps=2))
    first = train(UnpairedOptions.model_validate(toy_values(tmp_path, copying_steps=0, steps=1)))
    for name, network in first.networks.items():
        begun[name] = [parameter.detach().clone() for parameter in network.parameters()]
    trained = train(options)
    for name, network in trained.networks.items():
        pairs = zip(begun[name], network.parameters(), strict=True)
        assert any(not torch.equal(before, after) for before, after in pairs), name


def test_what_went_there_and_back_is_compared_with_where_it_began(tmp_path: Path) -> None:
    """The cycle term alone teaches generators that scramble pictures to undo one another."""
    only = {"adversarial": 0.0, "identity": 0.0, "temporal": 0.0, "grid": 0.0, "cycle": 1.0}
    weights = {"weights": only, "weights_back": only, "displacement_price": 0.0}
    loop = {"learning_rate": 0.01, "bfloat16": False, "threads": 1, "warm_up_steps": 1}
    train(
        UnpairedOptions.model_validate(
            toy_values(tmp_path, copying_steps=0, steps=30, loop=loop, factors={1.0: 1.0}, **weights)
        )
    )
    lines = (tmp_path / "work" / "log.jsonl").read_text().splitlines()
    cycle = [json.loads(line)["cycle"] for line in lines]
    assert np.mean(cycle[-5:]) < 0.5 * np.mean(cycle[:3])


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = train(UnpairedOptions.model_validate(toy_values(tmp_path, work=str(tmp_path / "whole"))))
    options = UnpairedOptions.model_validate(toy_values(tmp_path))
    with pytest.raises(Interruption):
        train(options, interrupt_after(3))
    resumed = train(options)
    assert_same_weights(whole.networks, resumed.networks)


def test_a_generator_starts_from_a_finished_engine_and_does_not_learn_to_copy(tmp_path: Path) -> None:
    values = toy_values(tmp_path, copying_steps=2, steps=1)
    options = UnpairedOptions.model_validate(values)
    run(options)
    begun = load_file(options.out / "weights.safetensors")
    changes = {"init": str(options.out / "weights.safetensors"), "work": str(tmp_path / "again")}
    with Feed(options.source, 1) as source, Feed(options.target, 2) as target:
        trainee = UnpairedTrainee(UnpairedOptions.model_validate(values | changes), source, target)
        back = [values.detach().clone() for values in trainee.back.parameters()]
        trainee.step(0)
    assert all(torch.equal(begun[name], found) for name, found in trainee.forth.state_dict().items())
    pairs = zip(back, trainee.back.parameters(), strict=True)
    assert any(not torch.equal(before, after) for before, after in pairs)


def test_only_named_pictures_of_the_target_are_used(tmp_path: Path) -> None:
    options = UnpairedOptions.model_validate(toy_values(tmp_path, target_only=["a.", "b.", "c."]))
    everything = {still.path.name for still in options.target.stills}
    assert {still.path.name for still in options.target_stills} == everything & {"a.png", "b.png", "c.png"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"factors": {0.5: 1.0}}, "factors: factors are at least 1"),
        ({"factors": {3.0: 1.0}}, "crop 32 is no multiple of 4 times 3, a factor"),
    ],
)
def test_wrong_settings_are_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        UnpairedOptions.model_validate(toy_values(tmp_path, **changes))


def test_both_domains_need_crops_of_one_size(tmp_path: Path) -> None:
    values = toy_values(tmp_path)
    values["target"] = {"content": [str(tmp_path / "striped")], "crop": 48, "batch": 2}
    with pytest.raises(ValueError, match="source and target must have the same crop and batch"):
        UnpairedOptions.model_validate(values)
