"""Each loss term against a case small enough to compute by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training import losses

# Two channels over four pixels: rows of the flattened features are (1, 0, 1, 0) and (2, 2, 0, 0).
FEATURES = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]], [[2.0, 2.0], [0.0, 0.0]]]])
# Products summed over pixels: 2, 2, 8; divided by 4 pixels.
GRAM = torch.tensor([[[0.5, 0.5], [0.5, 2.0]]])


def test_gram_is_the_products_of_channels_over_pixels() -> None:
    assert torch.equal(losses.gram(FEATURES), GRAM)


def test_relative_gram_divides_the_squared_difference_by_the_style() -> None:
    style = torch.tensor([[[0.5, 0.5], [0.5, 1.0]]])
    # One of four entries differs by 1: 1/4; the style's mean square is (3 * 0.25 + 1) / 4.
    assert losses.relative_gram(GRAM, style).tolist() == pytest.approx([0.25 / 0.4375])


def test_style_sums_the_layers_and_is_zero_for_the_style_itself() -> None:
    twice = 2 * GRAM
    # Twice the style: difference equals the style, so each layer counts 1.
    assert losses.style([GRAM, twice], [GRAM, GRAM]).item() == pytest.approx(1.0)
    assert losses.style([GRAM], [GRAM]).item() == 0.0


def test_pooled_style_forgives_pictures_that_are_like_the_style_together() -> None:
    half_and_more = torch.cat([0.5 * GRAM, 1.5 * GRAM])  # each a quarter away, their mean not at all
    assert losses.style([half_and_more], [GRAM]).item() == pytest.approx(0.25)
    assert losses.style([half_and_more], [GRAM], pooling=1.0).item() == pytest.approx(0.0)
    assert losses.style([half_and_more], [GRAM], pooling=0.8).item() == pytest.approx(0.05)


def test_content_is_the_mean_squared_difference_of_features() -> None:
    assert losses.content(FEATURES, torch.zeros_like(FEATURES)).item() == pytest.approx(10 / 8)


def test_structure_ignores_scale_and_offset_of_channels_but_not_layout() -> None:
    source = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(1)) * 5
    assert losses.structure(source * 3 + 7, source).item() == pytest.approx(0, abs=1e-4)
    # Opposite layout: every value differs by twice itself, and the mean square of a normalised value is 1.
    assert losses.structure(-source, source).item() == pytest.approx(4, rel=1e-2)


def test_total_variation_adds_mean_steps_of_rows_and_columns() -> None:
    picture = torch.tensor([[[[0.0, 1.0, 1.0], [0.5, 1.0, 0.0]]]])
    # Down: 0.5, 0, 1; across: 1, 0, 0.5, 1.
    assert losses.total_variation(picture).item() == pytest.approx(1.5 / 3 + 2.5 / 4)


def test_mask_price_is_the_share_of_the_source_after_clamping() -> None:
    mask = torch.tensor([[[[2.0, -1.0], [0.5, 1.0]]]])
    assert losses.mask_price(mask).item() == pytest.approx(1 - (1 + 0 + 0.5 + 1) / 4)


def test_displacement_price_is_roughness_and_a_tenth_of_the_size() -> None:
    displacement = torch.tensor([[[[1.0, 3.0]], [[0.0, 0.0]]]]).expand(1, 2, 2, 2)
    # Across: steps 2, 2, 0, 0; down: none; mean size (1 + 3 + 1 + 3) / 8.
    assert losses.displacement_price(displacement).item() == pytest.approx(1.0 + 0.1 * 1.0)


def test_detail_price_is_the_mean_size_of_the_gain() -> None:
    assert losses.detail_price(torch.tensor([[[[-0.5, 1.5]]]])).item() == pytest.approx(1.0)


def test_imitation_and_temporal_compare_pictures() -> None:
    one, other = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.5)
    assert losses.imitation(one, other).item() == pytest.approx(0.5)
    assert losses.temporal(one, other).item() == pytest.approx(0.25)


def test_tone_is_zero_for_another_palette_and_contrast_and_two_where_nothing_agrees() -> None:
    cells = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(5))
    grey = cells.repeat_interleave(16, 2).repeat_interleave(16, 3).expand(-1, 3, -1, -1)
    assert losses.tone(0.2 + 0.5 * grey, grey).item() < 1e-3
    assert losses.tone(1 - grey, grey).item() == pytest.approx(
        4, abs=0.2
    )  # opposite: (a - -a)² of deviation 1
    blue = torch.stack([torch.zeros(2, 64, 64), torch.zeros(2, 64, 64), grey[:, 0]], dim=1)
    assert losses.tone(blue, grey).item() < 0.5


def test_tone_does_not_see_what_is_finer_than_a_cell() -> None:
    grey = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(5)).repeat_interleave(16, 2)
    grey = grey.repeat_interleave(16, 3).expand(-1, 3, -1, -1)
    stripes = 0.2 * torch.tensor([1.0, -1.0]).repeat(32)
    assert losses.tone(grey + stripes, grey).item() < 1e-9


def test_luma_weighs_green_most() -> None:
    pure = torch.eye(3).reshape(3, 3, 1, 1)
    np.testing.assert_allclose(losses.luma(pure).flatten(), [0.299, 0.587, 0.114], rtol=1e-6)


def test_same_heads_is_zero_for_equal_heads_and_counts_differences_and_their_steps() -> None:
    lowest, highest = (-1.0,) * 7, (2.0,) * 7
    wanted = torch.zeros(1, 7, 2, 2)
    assert losses.same_heads(wanted, wanted, lowest, highest).item() == 0
    found = wanted.clone()
    found[0, 0] = 0.5  # flat: no steps
    assert losses.same_heads(found, wanted, lowest, highest).item() == pytest.approx(0.5 / 7)
    found[0, 0] = torch.tensor([[0.5, 0.0], [0.5, 0.0]])  # a step of 0.5 along every row
    assert losses.same_heads(found, wanted, lowest, highest).item() == pytest.approx((0.25 + 0.25) / 7)


def test_same_heads_hardly_minds_what_lies_beyond_the_bounds() -> None:
    found, wanted = torch.full((1, 7, 2, 2), 12.0), torch.full((1, 7, 2, 2), 5.0)
    bounded = losses.same_heads(found, wanted, (-1.0,) * 7, (2.0,) * 7).item()
    assert bounded == pytest.approx(0.02 * 10 * (4 + 0.15 * 2 + 0.4) / 7)


def test_grid_is_the_variance_of_the_four_positions_and_blind_to_what_does_not_repeat() -> None:
    flat = torch.full((1, 3, 16, 16), 0.5)
    assert losses.grid(flat).item() == 0
    dots = flat.clone()
    dots[:, :, ::2, ::2] += 0.4  # means 0.9, 0.5, 0.5, 0.5: variance 0.03
    assert losses.grid(dots).item() == pytest.approx(0.03)
    stroke = flat.clone()
    stroke[:, :, 3:7, :] += 0.4  # two rows of each parity
    assert losses.grid(stroke).item() == pytest.approx(0)


def test_grid_of_larger_squares_sees_what_repeats_in_those() -> None:
    dots = torch.zeros(1, 3, 32, 32)
    dots[:, :, ::4, ::4] = 0.4  # one of sixteen positions: mean 0.025, mean square 0.01
    found = losses.grid(dots, region_pixels=32, square_pixels=4)
    assert found.item() == pytest.approx(0.01 - 0.025**2, rel=1e-4)


def test_weight_bias_ratio_is_the_mean_kernel_over_the_mean_bias() -> None:
    weights = [torch.tensor([[1.0, -3.0]]), torch.tensor([2.0, 0.0])]  # mean size 6 / 4
    biases = [torch.tensor([-1.0]), torch.tensor([0.0, 0.25])]  # mean size 1.25 / 3
    found = losses.weight_bias(weights, biases, epsilon=0.25)
    assert found.item() == pytest.approx(1.5 / (1.25 / 3 + 0.25))


def test_weight_bias_ratio_falls_as_biases_grow() -> None:
    bias = torch.zeros(2, requires_grad=True)
    ratio = losses.weight_bias([torch.ones(3)], [bias + 0.1])
    ratio.backward()  # type: ignore[no-untyped-call]
    assert bias.grad is not None
    assert (bias.grad < 0).all()


def test_likeness_is_the_squared_difference_over_the_variance_of_what_is_wanted() -> None:
    wanted = torch.tensor([1.0, -1.0, 1.0, -1.0]).reshape(1, 1, 2, 2)  # variance 4/3
    found = losses.likeness([wanted + 2, wanted], [wanted, wanted], (0.5, 1.0))
    assert found.item() == pytest.approx(0.5 * 4 / (4 / 3), rel=1e-4)


def line(column: int, depth: float = 1.0) -> torch.Tensor:
    """A dark line, one pixel wide, on white."""
    picture = torch.ones(1, 3, 16, 16)
    picture[..., column] -= depth
    return picture


def test_slopes_of_a_line_count_both_of_its_edges() -> None:
    # 15 steps in each of 16 rows; a line that is missing lacks 2 of them.
    assert losses.slopes(torch.ones(1, 3, 16, 16), line(5)).item() == pytest.approx(2 / 15)
    assert losses.slopes(line(5), line(5)).item() == 0


def test_crispness_asks_for_a_line_and_not_where_in_its_neighbourhood() -> None:
    assert losses.crispness(line(5), line(6)).item() == pytest.approx(0, abs=1e-6)
    faint = losses.crispness(line(5, 0.5), line(5)).item()
    none = losses.crispness(line(5, 0.0), line(5)).item()
    # The one cell of 8 columns of 15 changes that fits twice: 2 of its 8 columns change by 1.
    assert none == pytest.approx(2 / 8, abs=2e-3)
    assert faint == pytest.approx(none / 2, abs=2e-3)
