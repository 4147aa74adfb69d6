"""Training of conversion and super-resolution: its own terms by hand, and the command on toy pictures."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from streamfx.engine.families.convert_sr import ConvertSr
from tests.training.interruption import Interruption, assert_same_weights, interrupt_after
from training.convert_sr import ConvertSrTrainee, engine_fields, train
from training.convert_sr_card import card
from training.convert_sr_options import ConvertSrOptions
from training.evaluation.noise import noise
from training.evaluation.runner import Runner
from training.evaluation.style import Judge
from training.export import export, golden
from training.features import Encoder
from training.feed import Feed
from training.pictures import Still
from training.variety import style_difference, variety

GRAM = torch.tensor([[[2.0, 0.0], [0.0, 2.0]]])  # mean square 2


def test_style_difference_is_relative_to_the_style_and_a_mean_over_layers() -> None:
    apart = GRAM + torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])  # two of four entries differ by 1: a half
    # A half over the style's mean square, 2: its root is a half.
    assert style_difference([apart], [GRAM], [GRAM]).tolist() == pytest.approx([0.5], abs=1e-6)
    both = style_difference([apart, GRAM], [GRAM, GRAM], [GRAM, GRAM])
    assert both.tolist() == pytest.approx([0.25], abs=1e-3)


def test_style_difference_is_one_number_for_each_pair() -> None:
    pairs = torch.cat([GRAM, 3 * GRAM])
    assert style_difference([pairs], [torch.cat([GRAM, GRAM])], [GRAM]).tolist() == pytest.approx(
        [0.0, 2.0], abs=1e-3
    )


def test_variety_pulls_from_both_sides_to_what_is_wanted() -> None:
    assert variety(torch.tensor([0.1, 0.5]), 0.2).item() == pytest.approx((0.1 + 0.3) / 2)


def toy_options(folder: Path, **changes: object) -> ConvertSrOptions:
    rng = np.random.default_rng(4)
    (folder / "photos").mkdir(exist_ok=True)
    for number in range(4):
        blocks = rng.integers(0, 256, (12, 12, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        cv2.imwrite(str(folder / "photos" / f"{number}.png"), blocks)
    cv2.imwrite(str(folder / "style.png"), rng.integers(0, 256, (72, 80, 3), np.uint8))
    values: dict[str, object] = {
        "style": folder / "style.png",
        "out": folder / "toy",
        "work": folder / "work",
        "network": {"stem": 4, "width": 8, "blocks": 1, "enlarge_width": 4},
        "feed": {"content": [folder / "photos"], "crop": 48, "batch": 2, "readers": 1},
        "loop": {"checkpoint_every": 2, "bfloat16": False, "threads": 1},
        "teacher_steps": 1,
        "steps": 2,
        "side": 32,
        "factors": {1.5: 1.0},
    }
    return ConvertSrOptions.model_validate(values | changes)


@pytest.fixture(autouse=True)
def small_style(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.style.STYLE_SHORT_SIDE", 72)
    monkeypatch.setattr("training.evaluation.chosen.SHORT_SIDE", 48)


def test_the_temporal_term_does_not_see_what_the_move_brings_in_from_the_other_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blur(_: object, rgb_B3ss: torch.Tensor, *__: object) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(rgb_B3ss, 41, stride=1, padding=20)  # sees 20 pixels far

    monkeypatch.setattr(ConvertSrTrainee, "_convert", blur)
    options = toy_options(tmp_path, temporal_noise=0.0)
    rgb = torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(2))
    with Feed(options.feed, 1) as feed:
        trainee = ConvertSrTrainee(options, ConvertSr(**options.network.model_dump()), feed)
        terms = [
            trainee._temporal(rgb, rgb, blur(None, rgb), rgb, np.random.default_rng(seed))
            for seed in range(4)
        ]
    assert max(terms) < 1e-10


def test_a_training_imitates_first_and_then_logs_every_term(tmp_path: Path) -> None:
    options = toy_options(tmp_path)
    train(options)
    first, *_, last = [json.loads(line) for line in (options.work / "log.jsonl").read_text().splitlines()]
    assert "imitation" in first
    expected = {"style", "content", "tone", "grid", "variety", "temporal", "enlarge", "adversarial"}
    expected |= {"detail_adversarial", "critic_true", "critic_made", "detail_critic_made"}
    assert expected <= last.keys()


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    changes = {"steps": 3, "tied": 0.5}
    whole = train(toy_options(tmp_path, work=tmp_path / "whole", **changes))
    options = toy_options(tmp_path, **changes)
    with pytest.raises(Interruption):
        train(options, interrupt_after(3))
    resumed = train(options)
    assert_same_weights({"generator": whole}, {"generator": resumed})


def test_the_super_resolver_does_not_correct_the_converter(tmp_path: Path) -> None:
    options = toy_options(tmp_path)
    torch.manual_seed(1)
    network = ConvertSr(**options.network.model_dump())
    with Feed(options.feed, 1) as feed:
        trainee = ConvertSrTrainee(options, network, feed)
        made = network.convert(torch.rand(1, 3, 32, 32), torch.randn(1, 3, 32, 32), torch.ones(3) / 3)
        enlarged, large = trainee._enlarge(made.detach(), 1.0, 2.0, np.random.default_rng(1))
    assert enlarged.shape == large.shape == (1, 3, 32, 32)
    (enlarged - large).abs().mean().backward()  # type: ignore[no-untyped-call]
    assert all(values.grad is None for values in network.converter.parameters())
    assert any(values.grad is not None for values in network.enlarger.parameters())


def test_the_engine_says_that_it_takes_noise_and_doubles_the_size(tmp_path: Path) -> None:
    options = toy_options(tmp_path)
    fields = engine_fields(options)
    assert (fields["scale"], fields["noise_channels"]) == (2, 3)
    assert fields["controls"]["noise_amplitude"]["default"] == 1.0
    assert "joint" not in fields["options"]
    other = toy_options(tmp_path, network={"joint": True})
    assert engine_fields(other)["options"]["joint"] is True
    assert (fields["detail_noise_channels"], "detail_amplitude" in fields["controls"]) == (1, True)
    assert "2 + 1 channels of noise" in card(options)


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.png does not exist"):
        toy_options(tmp_path, style=tmp_path / "none.png")
    with pytest.raises(ValueError, match=r"no\.safetensors does not exist; give the engine's"):
        toy_options(tmp_path, init=tmp_path / "no.safetensors")
    with pytest.raises(ValueError, match="factors are at least 1"):
        toy_options(tmp_path, factors={0.5: 1.0})


def test_the_spread_of_looks_is_none_without_noise_and_grows_with_it(tmp_path: Path) -> None:
    options = toy_options(tmp_path)
    torch.manual_seed(2)
    network = ConvertSr(**options.network.model_dump())
    export(
        network,
        options.out,
        engine_fields(options),
        golden(network, noise_channels=3),
        card(options),
        graph=False,
    )
    judge = Judge(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3)), Encoder())
    with Runner(options.out, "eager") as runner:
        section = noise(runner, judge, [Still(tmp_path / "photos" / "0.png", "0")])
    assert section.rows[0][1:3] == pytest.approx([0.0, 0.0], abs=1e-3)
    pixels = [float(row[1] or 0) for row in section.rows]
    assert pixels == sorted(pixels)
    assert pixels[-1] > 0.1
