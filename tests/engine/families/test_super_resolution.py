"""The super-resolution network: colours inside its weights, folded convolutions, reach, sizes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional

from streamfx.engine.families.super_resolution import SuperResolution
from streamfx.engine.families.warp_mask import affine
from streamfx.media.colour import code_to_rgb, rgb_to_code
from streamfx.media.frame import CodeRange, Colour, Matrix

FACTOR = torch.ones(1)


def network(rounds: int = 1) -> SuperResolution:
    torch.manual_seed(3)
    made = SuperResolution(features=8, rounds=rounds).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made.requires_grad_(False)


def picture(height: int, width: int) -> torch.Tensor:
    return torch.rand(1, 4, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("matrix", "code_range", "depth"),
    [(Matrix.BT709, CodeRange.FULL, 8), (Matrix.SMPTE170M, CodeRange.LIMITED, 10)],
)
def test_the_residual_for_planes_is_that_for_rgb_without_the_offset_of_codes(
    matrix: Matrix, code_range: CodeRange, depth: int
) -> None:
    colour = Colour(matrix, code_range)
    to_rgb, from_rgb = (
        torch.from_numpy(rows).float() for rows in (code_to_rgb(colour, depth), rgb_to_code(colour, depth))
    )
    seen = picture(12, 16)
    planes = torch.cat([affine(seen[:, :3], from_rgb), seen[:, 3:]], dim=1)
    found = network()(planes, to_rgb, from_rgb, FACTOR)
    linear = torch.cat([from_rgb[:, :3], torch.zeros(3, 1)], dim=1)
    expected = affine(network().translate(seen, FACTOR), linear)
    np.testing.assert_allclose(found, expected, atol=2e-3 * (1 << (depth - 8)))


def test_the_folded_branch_is_a_strided_convolution_of_the_bicubic_enlargement() -> None:
    made, rgb = network(), picture(20, 24)[:, :3]
    weight, bias = made._enlarged(torch.eye(3, 4))
    found = functional.conv2d(rgb, weight, bias)
    enlarged = functional.interpolate(rgb, scale_factor=2.0, mode="bicubic", align_corners=False) - 0.5
    # 3 x 3 folded weights are 6 x 6 weights of the enlargement: rows 2 a + p of tap a and place p.
    wide = made.enlarged.weight.reshape(-1, 3, 2, 2, 3, 3).permute(0, 1, 4, 2, 5, 3).reshape(-1, 3, 6, 6)
    expected = functional.conv2d(enlarged, wide, made.enlarged.bias, stride=2, padding=2)
    np.testing.assert_allclose(found, expected[..., 3:-3, 3:-3], atol=1e-5)


@pytest.mark.parametrize("rounds", [0, 2])
def test_nothing_beyond_the_margin_changes_the_residual(rounds: int) -> None:
    made = network(rounds)
    centre = 15
    near, far = picture(31, 31), picture(31, 31)
    reach = made.margin_pixels
    far[..., : centre - reach] = 0
    changed = far.clone()
    changed[..., : centre - reach + 1] = 0

    def columns(seen: torch.Tensor) -> torch.Tensor:
        return made.translate(seen, FACTOR)[..., 2 * centre : 2 * centre + 2]

    assert torch.equal(columns(near), columns(far))
    assert not torch.equal(columns(near), columns(changed))


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 9)])
def test_any_size_is_doubled(size: tuple[int, int]) -> None:
    residual = network().translate(picture(*size), FACTOR)
    assert residual.shape == (1, 3, 2 * size[0], 2 * size[1])


def test_noise_changes_the_residual() -> None:
    seen = picture(12, 16)
    quiet = seen.clone()
    quiet[:, 3] = 0
    assert (network().translate(seen, FACTOR) - network().translate(quiet, FACTOR)).abs().mean() > 1e-3


def test_a_new_network_begins_close_to_the_bicubic_enlargement() -> None:
    torch.manual_seed(3)
    assert SuperResolution().translate(picture(16, 24), FACTOR).abs().max() < 0.1
