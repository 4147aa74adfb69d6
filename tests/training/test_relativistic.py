"""Relativistic adversarial terms by hand, and the critic of all scales."""

from __future__ import annotations

import math

import pytest
import torch

from training.relativistic import ScaleCritic, relativistic


def pictures(*sides: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(2, 3, side, side, generator=generator) for side in sides]


def test_scores_that_are_alike_cost_the_logarithm_of_2() -> None:
    alike = torch.full((2, 1, 3, 3), 0.7)
    assert relativistic(alike, alike).item() == pytest.approx(math.log(2))


def test_each_score_is_compared_with_the_mean_of_the_others() -> None:
    higher, lower = torch.tensor([2.0, 4.0]), torch.tensor([1.0, -1.0])
    # Means 3 and 0: above by 2 and 4; below by 2 and 4.
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-4))) / 2
    assert relativistic(higher, lower).item() == pytest.approx(expected)
    reverse = (math.log1p(math.exp(2)) + math.log1p(math.exp(4))) / 2
    assert relativistic(lower, higher).item() == pytest.approx(reverse)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_critic_scores_places_whatever_the_number_of_levels(levels: int) -> None:
    sides = [16 * 2**level for level in range(levels)]
    scores = ScaleCritic(levels, width=4)(pictures(*sides))
    assert scores.shape == (2, 1, 4, 4)


def test_the_critic_sees_every_level() -> None:
    torch.manual_seed(3)
    critic = ScaleCritic(2, width=4)
    small, large = pictures(16, 32)
    scores = critic([small, large])
    assert not torch.equal(scores, critic([1 - small, large]))
    assert not torch.equal(scores, critic([small, 1 - large]))


def test_a_critic_learns_to_tell_pictures_apart() -> None:
    torch.manual_seed(3)
    critic = ScaleCritic(2, width=4)
    optimiser = torch.optim.Adam(critic.parameters(), lr=3e-3)
    true, made = pictures(16, 32), [torch.full((2, 3, side, side), 0.5) for side in (16, 32)]
    costs = []
    for _ in range(25):
        cost = relativistic(critic(true), critic(made))
        costs.append(cost.item())
        optimiser.zero_grad()
        cost.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert costs[-1] < 0.5 * costs[0]
