"""Training of restoration: its terms by hand, and the whole command on pictures of toy size."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from streamfx.engine.families.classifier import HEADS, STRIDE
from streamfx.engine.families.restore import Restore
from streamfx.engine.folder import read_engine
from tests.engines import make_engine
from tests.networks import constant_classifier
from tests.training.interruption import Interruption, interrupt_after
from tests.training.test_pictures import write_pictures
from training.__main__ import main
from training.damaged import SPARE, DamagedFeed
from training.degrade import draw_one
from training.export import export, golden
from training.feed import Feed
from training.restore import RestoreOptions, decibels, l1, restored, train, unrest

NETWORK = {"near": 6, "middle": 8, "low": 8, "low_blocks": 1}


def toy(folder: Path, **changes: object) -> dict[str, object]:
    write_pictures(folder / "photos", 6)
    values: dict[str, object] = {
        "feed": {"content": [str(folder / "photos")], "crop": 32 + SPARE, "batch": 2, "clip_share": 0},
        "out": str(folder / "toy"),
        "work": str(folder / "work"),
        "network": NETWORK,
        "steps": 4,
        "squares_until": 1,
        "adversarial_from": 2,
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


def test_a_decibel_counts_alike_in_every_picture_up_to_50_dB() -> None:
    clean = torch.zeros(2, 3, 4, 4)
    found = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), -0.01)])
    by_hand = 0.01 * (math.log(0.01 + 1e-5) + math.log(0.0001 + 1e-5)) / 2
    assert decibels(found, clean).item() == pytest.approx(by_hand, rel=1e-5)
    assert l1(found, clean).item() == pytest.approx(0.055)


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
    assert "4 steps of 2 pictures of 32 x 32 pixels, 1 of them with the frame that follows" in card
    assert "0.0001 Σ -log D in the last 2 steps" in card
    lines = [json.loads(line) for line in (tmp_path / "work" / "log.jsonl").read_text().splitlines()]
    assert set(lines[0]) == {"step", "squares"}
    assert set(lines[1]) == {"step", "decibels", "temporal"}
    assert set(lines[3]) == {"step", "decibels", "temporal", "adversarial", "critic_made", "critic_true"}


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
    monkeypatch.setattr("training.damaged.draw", lambda rng: [draw_one("gaussian_noise", rng)])
    values = toy(tmp_path, steps=80, squares_until=80, factors={1.0: 1.0})
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
    options = toy(tmp_path, judge=make_judge(tmp_path, best=2), least_side_pixels=64, steps=1)
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
