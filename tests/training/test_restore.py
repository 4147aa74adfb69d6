"""Training of restoration: its terms by hand, and the whole command on pictures of toy size."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from torch import nn

from streamfx.engine.families.classifier import HEADS, STRIDE
from streamfx.engine.families.restore import Restore
from streamfx.engine.folder import read_engine
from tests.engines import make_engine
from tests.networks import constant_classifier
from tests.training.interruption import Interruption, interrupt_after
from tests.training.test_pictures import write_pictures
from training.__main__ import main
from training.critic import PatchCritic
from training.damaged import SPARE, DamagedFeed
from training.degrade import draw_one
from training.export import export, golden
from training.feed import Feed
from training.restore import (
    RestoreTrainee,
    decibels,
    joint,
    judgement,
    l1,
    least_square,
    restored,
    train,
    unrest,
)
from training.restore_options import RestoreOptions

NETWORK: dict[str, Any] = {"near": 6, "middle": 8, "low": 8, "low_blocks": 1}


def toy(folder: Path, **changes: object) -> dict[str, object]:
    write_pictures(folder / "photos", 6)
    values: dict[str, object] = {
        "feed": {"content": [str(folder / "photos")], "crop": 32 + SPARE, "batch": 2, "clip_share": 0},
        "out": str(folder / "toy"),
        "work": str(folder / "work"),
        "network": NETWORK,
        "steps": 2,
        "critic_steps": 1,
        "joint_steps": 2,
        "temporal_clips": 1,
        "factors": {1.0: 0.5, 2.0: 0.5},
        "loop": {"checkpoint_every": 2, "bfloat16": False, "threads": 1},
    }
    return values | changes


def write_blocks(folder: Path, count: int) -> None:
    rng = np.random.default_rng(5)
    for number in range(count):
        blocks = rng.integers(0, 256, (4, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1)
        cv2.imwrite(str(folder / f"{number:02}.png"), blocks)


def make_judge(folder: Path, best: int) -> Path:
    """A classifier of quality that calls every picture the same."""
    network = constant_classifier(best)
    fields = {
        "version": "1.0",
        "family": "classifier",
        "options": {"classes": 3, "width": 2},
        "stride": STRIDE,
        "factors": [1.0],
        "heads": list(HEADS),
        "classes": ["poor", "medium", "good"],
        "source_domain": "any",
        "target_domain": "any",
        "licence": "Apache-2.0",
    }
    return export(network, folder / "judge", fields, golden(network), "# judge\n", graph=False).folder


def test_a_decibel_counts_alike_in_every_picture_and_none_above_50_dB() -> None:
    clean = torch.zeros(3, 3, 4, 4)
    levels = (0.1, -0.01, 0.001)  # 20, 40 and 60 dB
    found = torch.stack([torch.full((3, 4, 4), level) for level in levels]).requires_grad_()
    loss = decibels(found, clean)
    by_hand = 0.01 * (math.log(0.01) + math.log(0.0001) + math.log(0.00001)) / 3
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)
    assert l1(found, clean).item() == pytest.approx(0.037)
    loss.backward()  # type: ignore[no-untyped-call]
    assert found.grad is not None
    # Of log(x^2) it is 2 / x, here of the mean over 48 values of 3 pictures.
    assert found.grad[:, 0, 0, 0].tolist() == pytest.approx([0.02 / 48 / 3 / x for x in levels[:2]] + [0])


def test_small_errors_count_from_the_end_of_the_fall_on(tmp_path: Path) -> None:
    values = toy(tmp_path, least_square_from=0.1, least_square_until=4)
    options = RestoreOptions.model_validate(values)
    found = [least_square(options, step) for step in (0, 1, 2, 4, 9)]
    assert found == pytest.approx([0.1, 0.01, 0.001, 0.00001, 0.00001])
    assert least_square(RestoreOptions.model_validate(toy(tmp_path)), 0) == 0.00001


# ---------------------------------------------------------------- the joint loss


class Told(nn.Module):
    """A critic whose judgement is a weighted sum of what it sees, patch by patch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.5, 0.0, 0.0, 2.0, 0.0, 0.0]))

    def forward(self, seen_N6HW: torch.Tensor) -> torch.Tensor:
        return (seen_N6HW * self.weight[:, None, None]).sum(1, keepdim=True)


def test_the_joint_loss_is_l1_and_the_weighted_sum_of_minus_log_d_over_patches() -> None:
    clean, found = torch.zeros(2, 3, 1, 2), torch.full((2, 3, 1, 2), 0.25)
    probabilities = torch.tensor([[0.5, 0.25], [0.125, 1.0 - 1e-7]], dtype=torch.float64)
    terms = joint(found, clean, torch.logit(probabilities).reshape(2, 1, 1, 2))
    assert terms["l1"].item() == 0.25
    # The pictures have -log D of log 2 + log 4 and of log 8 + 0: three halvings each.
    assert terms["adversarial"].item() == pytest.approx(1e-4 * 3 * math.log(2), rel=1e-5)


def test_the_gradient_of_the_joint_loss_is_the_one_worked_out_by_hand() -> None:
    given, clean = torch.full((1, 3, 1, 1), 0.2), torch.zeros(1, 3, 1, 1)
    found = torch.full((1, 3, 1, 1), 0.4, requires_grad=True)
    terms = joint(found, clean, judgement(Told(), given, found), weight=0.1)
    sum(terms.values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    # The logit is 0.5 * 0.2 + 2 * 0.4 = 0.9; of -log D it is D - 1, times 2 for the one channel looked at.
    probability = 1 / (1 + math.exp(-0.9))
    by_hand = [1 / 3 + 0.1 * 2 * (probability - 1), 1 / 3, 1 / 3]
    assert found.grad is not None
    assert found.grad.flatten().tolist() == pytest.approx(by_hand, rel=1e-5)


def test_the_critic_sees_the_damaged_picture_and_what_was_made_of_it() -> None:
    torch.manual_seed(2)
    given, found = (torch.rand(1, 3, 32, 32, requires_grad=True) for _ in range(2))
    judgement(PatchCritic(6, width=4), given, found).sum().backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    assert found.grad is not None
    assert given.grad.abs().amax((0, 2, 3)).min() > 0
    assert found.grad.abs().amax((0, 2, 3)).min() > 0


def after(folder: Path, steps: int) -> dict[str, dict[str, torch.Tensor]]:
    """The weights of network and critic, by name, after some of the steps: 2, 1 of the critic alone, 2."""
    options = RestoreOptions.model_validate(toy(folder, temporal_clips=0))
    torch.manual_seed(options.loop.seed)
    network = Restore(**options.network.model_dump())
    feed = DamagedFeed(Feed(options.feed, seed=8), options.side, seed=8, workers=1)
    trainee = RestoreTrainee(options, network, feed)
    try:
        for step in range(steps):
            trainee.step(step)
    finally:
        feed.close()
    # Of the critic what a gradient changes: its estimates of singular values follow every look.
    return {
        name: {key: value.detach().clone() for key, value in made.named_parameters()}
        for name, made in trainee.networks.items()
    }


def changed(before: dict[str, torch.Tensor], now: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in now.items() if not torch.equal(tensor, before[name])}


def test_the_critic_is_trained_before_the_joint_loss_while_the_network_stays_as_it_is(tmp_path: Path) -> None:
    fresh, fidelity, critic, joined = (after(tmp_path, steps) for steps in (0, 2, 3, 5))
    assert not changed(fresh["critic"], fidelity["critic"])
    assert changed(fresh["generator"], fidelity["generator"])
    assert not changed(fidelity["generator"], critic["generator"])
    assert changed(fidelity["critic"], critic["critic"]) == set(critic["critic"])
    assert changed(critic["critic"], joined["critic"]) == set(critic["critic"])
    assert changed(critic["generator"], joined["generator"])


def test_the_judgement_of_the_critic_reaches_every_weight_of_the_network(tmp_path: Path) -> None:
    torch.manual_seed(4)
    network = Restore(**NETWORK)
    with torch.no_grad():
        network.head.weight.normal_(0, 0.1)
    given = torch.rand(2, 3, 32, 32)
    found = restored(network, given, 2.0)
    terms = joint(found, given, judgement(PatchCritic(6, width=4), given, found))
    terms["adversarial"].backward()  # type: ignore[no-untyped-call]
    untouched = [
        name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()
    ]
    assert untouched == []


# ---------------------------------------------------------------- the rest


def test_unrest_is_what_neighbouring_frames_differ_by_at_the_same_place() -> None:
    wide = torch.rand(3, 12, 12)
    clip = torch.stack([wide[:, 2:10, 2:10], wide[:, 3:11, 1:9]])
    assert unrest(clip[:1], clip[1:], [(1, -1)]).item() == 0
    flickering = torch.stack([clip[1], clip[1] + 0.2])
    moves = [(1, -1), (1, -1), (0, 0)]
    assert unrest(clip[[0, 0]], flickering, moves).item() == pytest.approx(0.1, rel=1e-5)


def test_the_residual_of_the_reduced_picture_is_added_at_full_size() -> None:
    torch.manual_seed(1)
    network = Restore(**NETWORK)
    with torch.no_grad():
        assert network.head.bias is not None
        network.head.bias.fill_(0.5)
        given = torch.rand(2, 3, 32, 32)
        np.testing.assert_allclose(restored(network, given, 2.0), given + 0.05, atol=1e-6)


def test_the_command_trains_and_writes_an_engine_of_its_family(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(toy(tmp_path)))
    assert main(["restore", "--config", str(tmp_path / "recipe.yaml")]) == 0
    engine = read_engine(tmp_path / "toy")
    assert engine.spec.heads == ("residual",)
    assert engine.spec.margin_pixels == Restore(**NETWORK).margin_pixels > 0
    assert engine.spec.factors == (1.0, 2.0)
    card = " ".join((tmp_path / "toy" / "card.md").read_text().split())
    assert "5 steps of 2 pictures of 32 x 32 pixels, 1 of them with the frame that follows" in card
    assert "the critic alone for 1 step; then 2 steps with L1 + 0.0001 Σ -log D" in card
    lines = [json.loads(line) for line in (tmp_path / "work" / "log.jsonl").read_text().splitlines()]
    critic = {"critic_made", "critic_true"}
    assert [set(line) - {"step"} for line in lines] == [
        {"decibels", "temporal"},
        {"decibels", "temporal"},
        critic,
        {"l1", "adversarial", "temporal"} | critic,
        {"l1", "adversarial", "temporal"} | critic,
    ]


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = train(RestoreOptions.model_validate(toy(tmp_path, work=tmp_path / "whole")))
    parts = RestoreOptions.model_validate(toy(tmp_path, work=tmp_path / "parts"))
    with pytest.raises(Interruption):
        train(parts, interrupt_after(2))
    for name, tensor in train(parts).state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name]), name


def test_pictures_are_nearer_to_the_originals_after_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.damaged.draw_of", lambda mix, rng: [draw_one("gaussian_noise", rng)])
    values = toy(tmp_path, steps=80, critic_steps=0, joint_steps=0, factors={1.0: 1.0})
    values |= {"least_square_from": 0.01, "least_square_until": 80}
    values["loop"] = {"learning_rate": 1e-2, "warm_up_steps": 5, "bfloat16": False, "threads": 1}
    write_blocks(tmp_path / "photos", 6)
    options = RestoreOptions.model_validate(values)
    network = train(options)
    feed = DamagedFeed(Feed(options.feed, seed=8), options.side, seed=8, workers=1)
    batches = [feed.batch(number) for number in range(5)]
    feed.close()
    given, clean = (
        torch.cat([getattr(batch, name).flatten(0, 1) for batch in batches])
        for name in ("damaged_B23SS", "clean_B23SS")
    )
    with torch.no_grad():
        found = restored(network, given, 1.0)
    assert (found - clean).square().mean() < 0.8 * (given - clean).square().mean()


def test_a_judge_that_finds_nothing_good_leaves_nothing_to_train_on(tmp_path: Path) -> None:
    options = toy(tmp_path, judge=make_judge(tmp_path, best=0), least_side_pixels=32)
    with pytest.raises(ValueError, match="there is no training picture"):
        train(RestoreOptions.model_validate(options))


def test_a_judge_that_finds_all_good_leaves_all(tmp_path: Path) -> None:
    options = toy(tmp_path, judge=make_judge(tmp_path, best=2), least_side_pixels=64, steps=1, joint_steps=0)
    train(RestoreOptions.model_validate(options))
    small = toy(tmp_path, judge=tmp_path / "judge", least_side_pixels=65, work=tmp_path / "other")
    with pytest.raises(ValueError, match="there is no training picture"):
        train(RestoreOptions.model_validate(small))


def test_an_engine_that_is_no_classifier_cannot_judge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(toy(tmp_path)))
    judge = make_engine(tmp_path)
    assert main(["restore", "--config", str(tmp_path / "recipe.yaml"), "--judge", str(judge)]) == 1
    assert "is of family warp_mask; give a classifier" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"init": "nowhere.safetensors"}, "nowhere.safetensors does not exist"),
        ({"judge": "nowhere"}, "judge nowhere does not exist; train it"),
        ({"temporal_clips": 3}, "temporal_clips 3 is more than feed.batch 2"),
        ({"critic_steps": 0}, "joint_steps 2 need a critic that was trained before"),
        ({"single_share": 0.7, "clean_share": 0.4}, "single_share 0.7 and clean_share 0.4 exceed 1"),
        ({"single_kinds": {"haze": 1.0}}, "haze is no kind of damage; known: gaussian_blur"),
        ({"factors": {0.5: 1.0}}, "factors are at least 1"),
        ({"factors": {3.0: 1.0}}, "feed.crop 44: 12 less, divided by factor 3, must be a multiple of 8"),
    ],
)
def test_wrong_settings_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], said: str
) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(toy(tmp_path, **change)))
    assert main(["restore", "--config", str(tmp_path / "recipe.yaml")]) == 2
    assert said in capsys.readouterr().err
