"""Each loss term against a case small enough to compute by hand."""

from __future__ import annotations

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


def test_moments_compare_means_and_deviations() -> None:
    mean, deviation = losses.channel_moments(FEATURES, losses.gram(FEATURES))
    assert mean.tolist() == [[0.5, 1.0]]
    assert deviation.tolist()[0] == pytest.approx([0.5, 1.0], abs=1e-3)
    brighter = FEATURES + 1.0  # means grow by 1, deviations stay: mean square 1 over mean of 0.5 and 2
    found = losses.moments([brighter], [losses.gram(brighter)], [FEATURES], [GRAM])
    assert found.item() == pytest.approx(1 / 1.25, rel=1e-3)


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
