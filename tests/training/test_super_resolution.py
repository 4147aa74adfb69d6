"""Training and judging super-resolution, end to end, on a network and pictures of toy size."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from streamfx.backends.backend import CompileOptions, Precision
from streamfx.backends.eager import EagerBackend
from streamfx.backends.openvino import OpenVinoBackend
from streamfx.engine.families.super_resolution import SuperResolution
from streamfx.engine.folder import read_engine
from streamfx.engine.golden import Golden, difference
from tests.training.interruption import Interruption, interrupt_after
from training.evaluation.upscaling import true_pictures
from training.metrics import psnr_luma
from training.pictures import find_stills, to_tensor
from training.super_resolution import SuperResolutionOptions, fields, grid, run, train
from training.super_resolution_card import card
from training.upscaled import draw_noise, enlarge_bicubic, reduce_area, reduce_bicubic, to_8_bits, upscale


def toy_options(folder: Path, **changes: object) -> SuperResolutionOptions:
    rng = np.random.default_rng(4)
    (folder / "photos").mkdir(exist_ok=True)
    for number in range(6):
        blocks = rng.integers(0, 256, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        cv2.imwrite(str(folder / "photos" / f"{number}.png"), blocks)
    values: dict[str, object] = {
        "feed": {"content": [folder / "photos"], "crop": 48, "batch": 2, "readers": 1},
        "out": folder / "toy",
        "work": folder / "work",
        "network": {"features": 8, "rounds": 1},
        "distortion_steps": 2,
        "perception_steps": 3,
        "perception_every": 2,
        "second_level": 0.5,
        "noisy_squares": 1,
        "contextual_places": 16,
        "critic_width": 4,
        "loop": {"checkpoint_every": 1, "bfloat16": False, "threads": 1},
    }
    return SuperResolutionOptions.model_validate(values | changes)


def weights(network: SuperResolution) -> list[Tensor]:
    return list(network.state_dict().values())


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = train(toy_options(tmp_path, work=tmp_path / "whole"))
    with pytest.raises(Interruption):
        train(toy_options(tmp_path), interrupt_after(3))
    resumed = train(toy_options(tmp_path))
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(resumed), strict=True))
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert set(lines[0]) == {"step", "distortion", "consistency"}
    assert set(lines[3]) == set(lines[0])
    assert (
        set(lines[2])
        == set(lines[4])
        == {*lines[0], "contextual", "perceptual", "grid", "adversarial", "critic"}
    )


def test_a_few_steps_are_better_than_bicubic(tmp_path: Path) -> None:
    loop = {"learning_rate": 1e-3, "warm_up_steps": 1, "bfloat16": False, "threads": 1}
    options = toy_options(tmp_path, distortion_steps=60, perception_steps=0, second_level=0.0, loop=loop)
    network = train(options)
    truth = to_tensor(next(true_pictures(find_stills([tmp_path / "photos"]), 64)))[None]
    low = to_8_bits(reduce_bicubic(truth, 2))
    with torch.no_grad():
        (found,) = upscale(network, low, draw_noise(low, 1, 0.0, torch.Generator()))
    assert psnr_luma(found, truth).item() > psnr_luma(enlarge_bicubic(low), truth).item() + 0.1


def test_the_command_writes_an_engine_that_openvino_runs_at_any_size(tmp_path: Path) -> None:
    options = toy_options(tmp_path, distortion_steps=1, perception_steps=1)
    run(options)
    engine = read_engine(options.out)
    assert engine.spec.enlarges
    reference = EagerBackend().compile(engine, CompileOptions())
    compiled = OpenVinoBackend().compile(engine, CompileOptions(Precision.F32))
    to_rgb, from_rgb = engine.golden.to_rgb, engine.golden.from_rgb
    for seed, size in enumerate([(20, 33), (7, 64)]):
        rng = np.random.default_rng(seed)
        planes = rng.uniform(0, 255, (4, *size)).astype(np.float32)
        planes[3] = rng.standard_normal(size)
        expected = reference(planes, to_rgb, from_rgb, 1.0)
        found = compiled(planes, to_rgb, from_rgb, 1.0)
        assert found.shape == (3, 2 * size[0], 2 * size[1])
        error = difference(found, Golden(planes, to_rgb, from_rgb, 1.0, expected))
        assert error.rms <= 1e-3
    compiled.close()


def test_the_description_says_what_the_runtime_needs(tmp_path: Path) -> None:
    options = toy_options(tmp_path)
    found = fields(options, SuperResolution(**options.network.model_dump()))
    assert found["heads"] == ["residual"]
    assert (found["scale"], found["noise_channels"], found["margin_pixels"]) == (2, 1, 7)
    assert set(found["controls"]) == {"strength", "noise_amplitude"}


def test_the_card_names_steps_and_licences(tmp_path: Path) -> None:
    text = card(toy_options(tmp_path))
    assert "2 steps with the distortion terms, then 3 steps with all terms" in text
    assert "not stated" in text
    assert all(len(line) <= 110 for line in text.splitlines())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noisy_squares": 3}, "noisy_squares 3 is more than feed.batch 2"),
        ({"init": Path("nowhere.safetensors")}, "nowhere.safetensors does not exist"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        toy_options(tmp_path, **change)


def test_an_engine_of_two_levels_is_written_with_one_of_its_first_level(tmp_path: Path) -> None:
    network = {"features": 8, "rounds": 1, "levels": 2, "noisy": True}
    changes = {"network": network, "out_twice": tmp_path / "twice", "distortion_steps": 1}
    run(toy_options(tmp_path, perception_steps=1, **changes))
    both, first = (read_engine(tmp_path / name) for name in ("toy", "twice"))
    assert (both.spec.scale, both.spec.noise_channels, both.spec.format) == (4, 5, 4)
    assert (first.spec.scale, first.spec.noise_channels, first.spec.options["noisy"]) == (2, 1, True)
    assert "levels" not in first.spec.options
    planes, to_rgb, from_rgb = first.golden.planes[:, :10, :12], first.golden.to_rgb, first.golden.from_rgb
    once = EagerBackend().compile(first, CompileOptions())(planes, to_rgb, from_rgb, 1.0)
    assert once.shape == (3, 20, 24)
    compiled = OpenVinoBackend().compile(both, CompileOptions(Precision.F32))
    reference = EagerBackend().compile(both, CompileOptions())
    planes = np.random.default_rng(2).uniform(0, 255, (8, 9, 14)).astype(np.float32)
    expected = reference(planes, to_rgb, from_rgb, 1.0)
    found = compiled(planes, to_rgb, from_rgb, 1.0)
    compiled.close()
    assert found.shape == (3, 36, 56)
    assert difference(found, Golden(planes, to_rgb, from_rgb, 1.0, expected)).rms <= 1e-3


def test_several_levels_start_from_the_weights_of_one(tmp_path: Path) -> None:
    run(toy_options(tmp_path, distortion_steps=1, perception_steps=0))
    init = {"init": tmp_path / "toy" / "weights.safetensors", "work": tmp_path / "again"}
    network = {"features": 8, "rounds": 1, "levels": 2, "noisy": True}
    changes = {"distortion_steps": 0, "perception_steps": 0, "network": network}
    begun, found = read_engine(tmp_path / "toy"), train(toy_options(tmp_path, **changes, **init))
    once = SuperResolution(features=8, rounds=1)
    once.load_state_dict(load_file(begun.folder / "weights.safetensors"))
    low = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(3))
    noise = draw_noise(low, 2, 1.0, torch.Generator().manual_seed(4))
    with torch.no_grad():
        pairs = zip(upscale(once, low, noise), upscale(found, low, noise), strict=True)
        for expected, picture in pairs:
            torch.testing.assert_close(picture, expected)


def test_three_levels_are_trained_at_once(tmp_path: Path) -> None:
    network = {"features": 4, "rounds": 1, "levels": 3}
    train(toy_options(tmp_path, network=network, levels=3, distortion_steps=0, perception_steps=1))
    (line,) = [json.loads(line) for line in (tmp_path / "work" / "log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(value) for value in line.values())


def test_levels_that_are_not_trained_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"network\.levels 3 is more than levels 2, which are trained"):
        toy_options(tmp_path, network={"levels": 3})


@pytest.mark.parametrize(("crop", "message"), [(60, "not a multiple of 8"), (40, "less than 48")])
def test_a_crop_that_levels_do_not_divide_is_refused(tmp_path: Path, crop: int, message: str) -> None:
    feed = {"content": [tmp_path], "crop": crop, "batch": 2}
    with pytest.raises(ValueError, match=f"feed.crop {crop} is {message}"):
        toy_options(tmp_path, feed=feed, noisy_squares=1)


@pytest.mark.parametrize("reduce", [reduce_bicubic, reduce_area])
def test_reduction_keeps_ramps_where_they_are(reduce: object) -> None:
    assert callable(reduce)
    ramp = torch.arange(32.0).expand(1, 3, 32, 32) / 32
    small = reduce(ramp, 4)
    # The middle of four pixels: 4 i + 1.5.
    np.testing.assert_allclose(small[0, 0, 4, 2:6], (4 * np.arange(2, 6) + 1.5) / 32, atol=1e-5)


def test_each_level_is_the_bicubic_enlargement_of_the_one_before_plus_a_residual() -> None:
    network = SuperResolution(features=8, rounds=0)
    with torch.no_grad():
        network.synthesis.weight.zero_()
        network.synthesis.bias.fill_(0.25)
    low = torch.rand(1, 3, 8, 6, generator=torch.Generator().manual_seed(2))
    first, second = upscale(network, low, draw_noise(low, 2, 0.0, torch.Generator()))
    np.testing.assert_allclose(first.detach(), enlarge_bicubic(low) + 0.25, atol=1e-6)
    np.testing.assert_allclose(second.detach(), enlarge_bicubic(first.detach()) + 0.25, atol=1e-6)


def test_patterns_that_repeat_with_the_pixels_that_went_in_cost_at_every_level() -> None:
    truths = [
        torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(side)) for side in (32, 64)
    ]
    assert grid(truths, truths).item() == 0
    for level, square in ((0, 2), (1, 4)):
        pattern = torch.zeros(square, square)
        pattern[0, 0] = 0.4
        side = truths[level].shape[2] // square
        outputs = list(truths)
        outputs[level] = truths[level] + pattern.repeat(side, side)
        # One of the positions stands out by 0.4.
        share = 1 / square**2
        assert grid(outputs, truths).item() == pytest.approx(0.16 * share * (1 - share), rel=1e-4)


def test_noise_has_the_size_of_each_level_and_the_amplitude_asked_for() -> None:
    low = torch.zeros(1, 3, 40, 60)
    quiet, half, full = (
        draw_noise(low, 2, amplitude, torch.Generator().manual_seed(1)) for amplitude in (0, 0.5, 1)
    )
    assert [tuple(noise.shape) for noise in full] == [(1, 1, 40, 60), (1, 1, 80, 120)]
    assert not any(noise.any() for noise in quiet)
    assert torch.equal(half[1], full[1] / 2)
    assert full[1].std().item() == pytest.approx(1.0, abs=0.05)


def test_steps_of_8_bits_are_kept_and_what_is_beyond_is_cut() -> None:
    values = torch.tensor([-0.2, 100.4 / 255, 1.3]).reshape(1, 1, 1, 3)
    assert (to_8_bits(values) * 255).flatten().tolist() == pytest.approx([0.0, 100.0, 255.0])
