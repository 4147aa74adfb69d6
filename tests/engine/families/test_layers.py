"""The composite layer, and the convolution that does without doubling."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional

from streamfx.engine.families.layers import fold_composite, folding, normalise_doubled, smooth
from tests.engine.families.composite import composite


def test_composite_interleaves_four_maps_in_four_orders() -> None:
    maps = torch.tensor([[1.0, 5.0], [2.0, 6.0], [3.0, 7.0], [4.0, 8.0]]).reshape(1, 4, 1, 2)
    assert composite(maps)[0].tolist() == [
        [[1, 2, 5, 6], [3, 4, 7, 8]],
        [[2, 1, 6, 5], [4, 3, 8, 7]],
        [[3, 4, 7, 8], [1, 2, 5, 6]],
        [[4, 3, 8, 7], [2, 1, 6, 5]],
    ]


def test_composite_keeps_groups_apart_and_every_value_in_every_map_and_corner() -> None:
    doubled = composite(torch.arange(8.0).reshape(1, 8, 1, 1))
    assert doubled.shape == (1, 8, 2, 2)
    for group in (0, 1):
        corners = doubled[0, 4 * group : 4 * group + 4].flatten(1)
        expected = [4 * group + value for value in range(4)]
        assert all(sorted(values) == expected for values in corners.tolist())
        assert all(sorted(values) == expected for values in corners.T.tolist())


@pytest.mark.parametrize("side", [3, 5])
def test_a_folded_convolution_is_one_after_a_composite_layer(side: int) -> None:
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(2, 8, 4, 5, generator=generator)
    weight = torch.randn(3, 8, side, side, generator=generator)
    surrounded = functional.pad(features, (2,) * 4, mode="replicate")
    start = 4 - side // 2
    doubled = functional.conv2d(composite(surrounded), weight)[..., start : start + 8, start : start + 10]
    bordered = functional.pad(features, (1,) * 4, mode="replicate")
    folded = functional.conv2d(bordered, fold_composite(weight, folding(side)))
    torch.testing.assert_close(functional.pixel_shuffle(folded, 2), doubled, rtol=1e-4, atol=1e-4)


def test_norm_of_what_is_doubled_is_that_of_its_groups() -> None:
    features = (
        torch.randn(2, 8, 4, 5, generator=torch.Generator().manual_seed(4)) + torch.arange(8.0)[:, None, None]
    )
    expected = functional.instance_norm(composite(features))
    torch.testing.assert_close(composite(normalise_doubled(features)), expected, rtol=1e-4, atol=1e-5)


def test_four_maps_are_normalised_together_by_hand() -> None:
    # Mean 3, mean square difference (9 + 1 + 1 + 9) / 4 = 5.
    found = normalise_doubled(torch.tensor([0.0, 2.0, 4.0, 6.0]).reshape(1, 4, 1, 1))
    assert found.flatten().tolist() == pytest.approx([value / 5**0.5 for value in (-3, -1, 1, 3)], abs=1e-4)


def test_folding_says_which_sides_fit() -> None:
    with pytest.raises(ValueError, match="side must be 3 or 5, found 7"):
        folding(7)


def test_smoothing_takes_a_checkerboard_away_and_weighs_neighbours_1_2_1() -> None:
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(8), indexing="ij")
    for board in ((rows + columns) % 2, rows % 2, columns % 2):
        inside = smooth(board.float()[None, None])[0, 0, 1:-1, 1:-1]
        torch.testing.assert_close(inside, torch.full_like(inside, 0.5))
    point = torch.zeros(1, 1, 5, 5)
    point[..., 2, 2] = 16
    by_hand = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
    torch.testing.assert_close(smooth(point)[0, 0, 1:-1, 1:-1], by_hand)
    flat = torch.full((1, 2, 3, 4), 0.7)
    torch.testing.assert_close(smooth(flat), flat)
