"""The super-resolution network: colours inside its weights, folded convolutions, reach, sizes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional

from streamfx.engine.families.back_projection import BackProjection, Convolution, Level
from streamfx.engine.families.super_resolution import SuperResolution, unfolded
from streamfx.engine.families.warp_mask import affine
from streamfx.media.colour import code_to_rgb, rgb_to_code
from streamfx.media.frame import CodeRange, Colour, Matrix

FACTOR = torch.ones(1)


def network(rounds: int = 1, levels: int = 1, *, noisy: bool = False) -> SuperResolution:
    torch.manual_seed(3)
    made = SuperResolution(features=8, rounds=rounds, levels=levels, noisy=noisy).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made.requires_grad_(False)


def picture(height: int, width: int, levels: int = 1) -> torch.Tensor:
    channels = 3 + SuperResolution(features=4, levels=levels).noise_channels
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(1))


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


@pytest.mark.parametrize(("rounds", "levels"), [(0, 2), (2, 2), (1, 3)])
def test_nothing_beyond_the_margin_changes_the_residual_of_several_levels(rounds: int, levels: int) -> None:
    made = network(rounds, levels)
    reach, times = made.margin_pixels, 2**levels
    size = 2 * reach + 3
    near, far = picture(size, size, levels), picture(size, size, levels)
    far[..., 0] = 0
    changed = far.clone()
    changed[..., : reach + 1] = 0  # so far, and no farther than that, something counts
    found, same, other = (
        made.translate(seen, FACTOR)[..., (reach + 1) * times : (reach + 2) * times]
        for seen in (near, far, changed)
    )
    assert torch.equal(found, same)
    assert not torch.equal(found, other)


def scale_only(convolution: Convolution, factor: float) -> None:
    """A convolution that multiplies every channel."""
    outputs, inputs, side, _ = convolution.weight.shape
    convolution.weight.zero_()
    convolution.weight[:, :, side // 2, side // 2] = factor * torch.eye(outputs, inputs)
    convolution.bias.zero_()


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        # Lowered 8/2 = 4, one level down 4/2 = 2, against 1 there: 4 + 2 (2 - 1) = 6, so 2 more. A quarter of
        # it comes up: 4.5, against 3: 8 + 2 (4.5 - 3) = 11.
        (1, 11.0),
        # 4 becomes 6, then 6 + 2 (3 - 1) = 10, so 6 more: 5.5, and 8 + 2 (5.5 - 3) = 13. Lowered 6.5 becomes
        # 6.5 + 2 (3.25 - 1) = 11, then 11 + 2 (5.5 - 1) = 20, so 13.5 more: 9.875, and 13 + 2 (9.875 - 3).
        (2, 26.75),
    ],
)
def test_what_was_lowered_is_corrected_one_level_down(rounds: int, expected: float) -> None:
    made = SuperResolution(features=4, rounds=rounds, levels=2, shared=True).requires_grad_(False)
    (back_project,) = made.rounds
    assert isinstance(back_project, BackProjection)
    scale_only(back_project.lower, 0.5)
    scale_only(back_project.lift, 2.0)
    assert made.thin is not None
    assert made.carry is not None
    made.thin.fill_(0.25)  # the mean of four equal channels
    made.carry.fill_(0.25)
    below = Level(torch.full((1, 4, 1, 1), -1.0), torch.zeros(1, 2, 1, 1))
    here = Level(torch.full((1, 4, 2, 2), -3.0), torch.zeros(1, 2, 2, 2))
    found = made._corrected(torch.full((1, 4, 2, 2), 8.0), [below, here])
    torch.testing.assert_close(found, torch.full((1, 4, 2, 2), expected))


def test_a_round_adds_the_lifted_difference_and_noise_of_its_own() -> None:
    made = BackProjection(4, noisy=True).requires_grad_(False)
    scale_only(made.lift, 2.0)
    assert made.blend is not None
    made.blend.fill_(0.5)
    ones = torch.ones(1, 4, 1, 1)
    # Lowered 5, to be 3, noise 0.5 (1 + 3): 4 too much, which is lifted to 8.
    grain = torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1)
    torch.testing.assert_close(made(7 * ones, 5 * ones, -3 * ones, grain), 15 * ones)
    # Slopes are 0.1 where it is too little: 7 + 2 (0.1) (5 - 9).
    torch.testing.assert_close(made(7 * ones, 5 * ones, -9 * ones, 0 * grain), 6.2 * ones)


def test_levels_that_carry_nothing_do_what_one_level_does_applied_again() -> None:
    once, twice = network(2), network(2, levels=2)
    assert twice.carry is not None
    twice.carry.zero_()
    for name, values in once.named_parameters():
        twice.get_parameter(name).copy_(values)
    seen = picture(9, 12, levels=2)
    first_noise, second_noise = unfolded(seen[:, 3:], 2)
    first = once.translate(torch.cat([seen[:, :3], first_noise], dim=1), FACTOR)
    larger = once.twice(seen[:, :3]) + first
    second = once.translate(torch.cat([larger, second_noise], dim=1), FACTOR)
    torch.testing.assert_close(twice.translate(seen, FACTOR), once.twice(first) + second)


def test_twice_is_the_bicubic_enlargement() -> None:
    rgb = picture(7, 9)[:, :3]
    expected = functional.interpolate(rgb, scale_factor=2.0, mode="bicubic", align_corners=False)
    torch.testing.assert_close(network().twice(rgb), expected)


def test_noise_of_every_level_has_its_size() -> None:
    given = torch.arange(21.0).reshape(1, 21, 1, 1)
    first, second, third = unfolded(given, 3)
    assert first.flatten().tolist() == [0]
    assert second[0, 0].tolist() == [[1, 2], [3, 4]]
    assert third[0, 0].tolist() == torch.arange(5.0, 21.0).reshape(4, 4).tolist()


def test_rounds_of_the_same_weights_can_be_more_or_fewer_later() -> None:
    torch.manual_seed(3)
    few, many = (SuperResolution(features=8, rounds=rounds, shared=True) for rounds in (1, 4))
    many.load_state_dict(few.state_dict())
    with torch.no_grad():
        seen = picture(8, 8)
        assert not torch.equal(few.translate(seen, FACTOR), many.translate(seen, FACTOR))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": 4}, "levels must be 1 to 3, found 4"),
        ({"levels": 2, "features": 6}, "with 2 levels features must be a multiple of 4, found 6"),
        ({"shared": True, "rounds": 9}, "are 8 at most, found 9"),
        ({"levels": 3, "rounds": 9}, "are 8 at most, found 9"),
    ],
)
def test_sizes_that_no_network_can_have_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SuperResolution(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 9)])
def test_any_size_is_doubled(size: tuple[int, int]) -> None:
    residual = network().translate(picture(*size), FACTOR)
    assert residual.shape == (1, 3, 2 * size[0], 2 * size[1])


@pytest.mark.parametrize("noisy", [False, True])
def test_noise_changes_the_residual(noisy: bool) -> None:
    seen, made = picture(12, 16), network(noisy=noisy)
    quiet = seen.clone()
    quiet[:, 3] = 0
    assert (made.translate(seen, FACTOR) - made.translate(quiet, FACTOR)).abs().mean() > 1e-3


def test_without_noise_its_weights_do_not_count() -> None:
    made = network(2, levels=2, noisy=True)
    quiet = picture(6, 8, levels=2)
    quiet[:, 3:] = 0
    before = made.translate(quiet, FACTOR)
    for name, values in made.named_parameters():
        if "blend" in name or "grain" in name:
            values.add_(1.0)
    assert torch.equal(made.translate(quiet, FACTOR), before)


@pytest.mark.parametrize("levels", [2, 3])
def test_levels_enlarge_four_and_eight_times(levels: int) -> None:
    residual = network(levels=levels).translate(picture(5, 7, levels), FACTOR)
    assert residual.shape == (1, 3, 5 << levels, 7 << levels)


def test_a_new_network_begins_close_to_the_bicubic_enlargement() -> None:
    torch.manual_seed(3)
    assert SuperResolution().translate(picture(16, 24), FACTOR).abs().max() < 0.1
