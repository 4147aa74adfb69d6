"""The contextual loss, against cases computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from training.contextual import contextual, contextual_of_layers

# Two places on opposite sides of their mean: distances 0 and 2 once they are of length 1.
PAIR = torch.tensor([[[1.0, -1.0], [2.0, -2.0]]])


def test_pictures_with_the_same_places_are_alike_wherever_the_places_are() -> None:
    assert contextual(PAIR, PAIR).item() == pytest.approx(0.0, abs=1e-5)
    assert contextual(PAIR.flip(2), PAIR).item() == pytest.approx(0.0, abs=1e-5)


def test_places_that_all_look_like_one_leave_the_other_without_a_partner() -> None:
    one_sided = PAIR[:, :, :1].repeat(1, 1, 2)
    # The first true place has a perfect partner, the second one none: (1 + 0) / 2.
    assert contextual(one_sided, PAIR).item() == pytest.approx(-math.log(0.5), abs=1e-4)


def test_the_bandwidth_says_how_much_farther_places_count() -> None:
    between = torch.tensor([[[3.0], [1.0]]])
    true = torch.tensor([[[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]]])
    # Cosines to the four corners: (3+1), (-3+1), (3-1), (-3-1) over sqrt(20).
    distances = [1 - value / math.sqrt(20) for value in (4, -2, 2, -4)]
    for bandwidth in (0.1, 0.5):
        weights = [math.exp((1 - d / (min(distances) + 1e-5)) / bandwidth) for d in distances]
        # A single place is the best partner of all: the shares sum to 1, so their mean is a quarter.
        assert sum(weights) > 0
        assert contextual(between, true, bandwidth).item() == pytest.approx(math.log(4), abs=1e-4)
    two = torch.cat([between, -between], dim=2)
    shares = []
    for distance in (distances, distances[::-1]):
        weights = [math.exp((1 - d / (min(distance) + 1e-5)) / 0.5) for d in distance]
        shares.append([weight / sum(weights) for weight in weights])
    best = [max(column) for column in zip(*shares, strict=True)]
    assert contextual(two, true, 0.5).item() == pytest.approx(-math.log(sum(best) / 4), abs=1e-4)


def test_few_places_are_compared_the_same_ones_of_both_pictures() -> None:
    features = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(4))
    same = contextual_of_layers([features], [features], 5, torch.Generator().manual_seed(1))
    assert same.item() == pytest.approx(0.0, abs=1e-4)
    moved = features.roll(1, dims=3)  # the same places, but now elsewhere: most partners were not drawn
    other = contextual_of_layers([features], [moved], 5, torch.Generator().manual_seed(1))
    assert other.item() > 0.1
    everywhere = contextual_of_layers([features], [moved], 36, torch.Generator().manual_seed(1))
    assert everywhere.item() == pytest.approx(0.0, abs=1e-4)


def test_the_gradient_leads_to_the_true_places() -> None:
    generator = torch.Generator().manual_seed(6)
    true = torch.randn(1, 4, 30, generator=generator)
    moving = (true + 0.3 * torch.randn(1, 4, 30, generator=generator)).requires_grad_()
    before = contextual(moving, true)
    before.backward()  # type: ignore[no-untyped-call]
    assert moving.grad is not None
    after = contextual(moving.detach() - 0.5 * moving.grad, true)
    assert after.item() < before.item()
