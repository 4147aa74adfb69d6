"""Conversion with noise, then super-resolution."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from streamfx.engine.families.convert_sr import ConvertSr
from streamfx.engine.families.warp_mask import affine
from streamfx.media.colour import code_to_rgb, rgb_to_code
from streamfx.media.frame import CodeRange, Colour, Matrix

FACTOR = torch.tensor([3.0])


def network(seed: int = 3) -> ConvertSr:
    torch.manual_seed(seed)
    made = ConvertSr(2, 1, stem=4, width=8, blocks=1, enlarge_width=4)
    return made.eval().requires_grad_(False)


def seen(height: int = 16, width: int = 24, amplitude: float = 1.0, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    rgb = torch.rand(1, 3, height, width, generator=generator)
    noise = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return torch.cat([rgb, amplitude * noise], dim=1)


def test_the_order_of_up_and_norm_changes_the_picture_and_no_weight() -> None:
    torch.manual_seed(3)
    joint = ConvertSr(2, 1, stem=4, width=8, blocks=1, enlarge_width=4, joint=True).requires_grad_(False)
    joint.load_state_dict(network().state_dict())
    assert not torch.allclose(joint.translate(seen(), FACTOR), network().translate(seen(), FACTOR), atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(4, 4), (4, 40), (36, 12)])
def test_the_result_is_twice_as_large_at_every_multiple_of_the_stride(height: int, width: int) -> None:
    result = network().translate(seen(height, width), FACTOR)
    assert result.shape == (1, 3, 2 * height, 2 * width)
    assert result.isfinite().all()


def test_each_channel_of_noise_changes_the_picture_in_its_stage_only() -> None:
    made, picture = network(), seen()
    plain = made.translate(picture, FACTOR)
    mix = torch.tensor([1.0, 0.0, 0.0])
    converted = made.convert(picture[:, :3], picture[:, 3:], mix)
    for channel in range(3):
        other = picture.clone()
        other[:, 3 + channel] += 1
        assert not torch.allclose(made.translate(other, FACTOR), plain, atol=1e-4)
        same = torch.equal(made.convert(other[:, :3], other[:, 3:], mix), converted)
        assert same == (channel == 2)


def test_without_noise_every_seed_gives_the_same_picture() -> None:
    first, second = (network().translate(seen(amplitude=0.0, seed=seed), FACTOR) for seed in (1, 2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(("code_range", "depth"), [(CodeRange.FULL, 8), (CodeRange.LIMITED, 10)])
def test_planes_of_any_colour_description_are_painted_like_rgb(code_range: CodeRange, depth: int) -> None:
    colour = Colour(Matrix.BT709, code_range)
    to_rgb, from_rgb = (torch.from_numpy(m(colour, depth)).float() for m in (code_to_rgb, rgb_to_code))
    made, picture = network(), seen()
    planes = torch.cat([affine(picture[:, :3], from_rgb), picture[:, 3:]], dim=1)
    found = made(planes, to_rgb, from_rgb, FACTOR)
    expected = affine(made.translate(picture, FACTOR), from_rgb)
    np.testing.assert_allclose(found, expected, atol=0.02 * (1 << (depth - 8)))
