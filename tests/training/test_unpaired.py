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
    critics = {f"critic {d} {w}" for d in ("source", "target") for w in ("true", "made", "returned")}
    assert set(terms[0]) == {"step", "copying"} | critics
    kinds = ("belief", "returned", "cycle", "identity", "temporal", "grid", "displacement")
    assert {f"{kind}{which}" for kind in kinds for which in ("", " back")} <= terms[-1].keys()
    assert critics <= terms[-1].keys()


def gradients(trainee: UnpairedTrainee, term: torch.Tensor) -> set[str]:
    """The networks to which a term gives a gradient that is not 0."""
    networks = trainee.networks
    for network in networks.values():
        network.zero_grad(set_to_none=True)
    term.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    return {
        name
        for name, network in networks.items()
        if any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    }


def moved(trainee: UnpairedTrainee, scale: float) -> None:
    """Generators and critics that do not begin where gradients vanish."""
    with torch.no_grad():
        for network in trainee.networks.values():
            for parameter in network.parameters():
                parameter.add_(scale * torch.randn_like(parameter))


def test_each_term_corrects_the_networks_that_the_method_names(tmp_path: Path) -> None:
    options = UnpairedOptions.model_validate(toy_values(tmp_path, copying_steps=0))
    with Feed(options.source, 1) as source, Feed(options.target, 2) as target:
        trainee = UnpairedTrainee(options, source, target)
        moved(trainee, 0.05)
        rng = np.random.default_rng(3)
        both = trainee.round(0, rng)
        terms = {"critic": trainee.critic_terms(both), "generator": trainee.generator_terms(both, rng)}
    found = {kind: {name: gradients(trainee, term) for name, term in terms[kind].items()} for kind in terms}
    sets = ("true", "made", "returned")
    assert found["critic"] == {
        f"critic {domain} {judged}": {f"critic_{domain}"}
        for domain in ("source", "target")
        for judged in sets
    }
    own = ("identity", "temporal", "grid", "displacement")
    # A generator's optimiser leaves critics alone: what a term gives to them is thrown away.
    assert found["generator"] == {
        "belief": {"forth", "critic_target"},
        "belief back": {"back", "critic_source"},
        "returned": {"forth", "back", "critic_target"},
        "returned back": {"forth", "back", "critic_source"},
        "cycle": {"forth", "back"},
        "cycle back": {"forth", "back"},
        **{name: {"forth"} for name in own},
        **{f"{name} back": {"back"} for name in own},
    }
    held = {
        name: {id(p) for group in optimiser.param_groups for p in group["params"]}
        for name, optimiser in trainee.optimisers.items()
    }
    for name, network in trainee.networks.items():
        kind = "critics" if name.startswith("critic") else "generators"
        assert {id(parameter) for parameter in network.parameters()} <= held[kind]
    assert not held["critics"] & held["generators"]


def test_the_second_generator_paints_what_the_first_made(tmp_path: Path) -> None:
    options = UnpairedOptions.model_validate(toy_values(tmp_path, cycle_reach=1.0))
    with Feed(options.source, 1) as source, Feed(options.target, 2) as target, torch.no_grad():
        trainee = UnpairedTrainee(options, source, target)
        moved(trainee, 0.05)
        both = trainee.round(0, np.random.default_rng(3))
        back = trainee._paint(trainee.back, both.forth.made_B3SS, both.factor)[0]
        forth = trainee._paint(trainee.forth, both.back.made_B3SS, both.factor)[0]
    torch.testing.assert_close(both.forth.returned_B3SS, back)
    torch.testing.assert_close(both.back.returned_B3SS, forth)
    assert (back - both.forth.given_B3SS).abs().mean() > 1e-3


def test_noise_half_way_changes_what_returns(tmp_path: Path) -> None:
    returned = []
    for deviation in (0.0, 0.1):
        options = UnpairedOptions.model_validate(toy_values(tmp_path, cycle_noise=deviation))
        with Feed(options.source, 1) as source, Feed(options.target, 2) as target, torch.no_grad():
            trainee = UnpairedTrainee(options, source, target)
            both = trainee.round(0, np.random.default_rng(3))
        returned.append(both.forth.returned_B3SS)
        assert (both.forth.made_B3SS - both.forth.given_B3SS).abs().mean() > 1e-3
    assert (returned[0] - returned[1]).abs().mean() > 0.02


def judged_by_hand(tmp_path: Path, logits: dict[str, float]) -> dict[str, float]:
    """Terms where each critic gives all places of a set of pictures one logit."""
    only = {"adversarial": 2.0, "returned": 3.0}
    values = toy_values(tmp_path, copying_steps=0, weights=only, weights_back=only)
    options = UnpairedOptions.model_validate(values)
    with Feed(options.source, 1) as source, Feed(options.target, 2) as target, torch.no_grad():
        trainee = UnpairedTrainee(options, source, target)
        moved(trainee, 0.05)
        rng = np.random.default_rng(3)
        both = trainee.round(0, rng)
        sets = {
            "source": both.forth.given_B3SS, "made target": both.forth.made_B3SS,
            "returned source": both.forth.returned_B3SS, "target": both.back.given_B3SS,
            "made source": both.back.made_B3SS, "returned target": both.back.returned_B3SS,
        }  # fmt: skip
        firsts = {name: trainee._see(picture)[0] for name, picture in sets.items()}

        def judge(critic: object, features: list[torch.Tensor], factor: float) -> torch.Tensor:
            (name,) = (name for name, first in firsts.items() if torch.equal(first, features[0]))
            domain = "source" if critic is trainee.critic_source else "target"
            assert name.endswith(domain), f"the critic of {domain} was asked about {name}"
            return torch.full((2, 3, 4, 4), logits[name])

        trainee._judge = judge  # type: ignore[method-assign]
        terms = trainee.critic_terms(both) | trainee.generator_terms(both, rng)
    return {name: term.item() for name, term in terms.items()}


def test_probabilities_of_both_sets_are_paid_for_as_computed_by_hand(tmp_path: Path) -> None:
    given = {"source": 1.0, "target": 2.0, "made source": -1.0, "made target": 0.5}
    given |= {"returned source": -2.0, "returned target": 0.0}
    found = judged_by_hand(tmp_path, given)

    def doubt(logit: float) -> float:
        """Minus the logarithm of the probability that a logit stands for."""
        return float(-np.log(1 / (1 + np.exp(-logit))))

    expected = {
        "critic source true": doubt(1.0),
        "critic source made": 0.5 * doubt(1.0),
        "critic source returned": 0.5 * doubt(2.0),
        "critic target true": doubt(2.0),
        "critic target made": 0.5 * doubt(-0.5),
        "critic target returned": 0.5 * np.log(2),
        "belief": 2 * doubt(0.5),
        "belief back": 2 * doubt(-1.0),
        "returned": 3 * np.log(2),
        "returned back": 3 * doubt(-2.0),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5)


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
    only = {"adversarial": 0.0, "returned": 0.0, "identity": 0.0, "temporal": 0.0, "grid": 0.0, "cycle": 1.0}
    weights = {"weights": only, "weights_back": only, "displacement_price": 0.0}
    loop = {"learning_rate": 0.01, "bfloat16": False, "threads": 1, "warm_up_steps": 1}
    train(
        UnpairedOptions.model_validate(
            toy_values(tmp_path, copying_steps=0, steps=18, loop=loop, factors={1.0: 1.0}, **weights)
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
