"""Critics, and every term made of their probabilities, against cases computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from training.critic import (
    FeatureCritic,
    PatchCritic,
    belief_term,
    cycle_term,
    identity_term,
    made_term,
    true_term,
)
from training.features import Encoder


def logits(*probabilities: float) -> torch.Tensor:
    return torch.tensor([math.log(p / (1 - p)) for p in probabilities]).reshape(1, 1, 1, -1)


def test_a_critic_pays_for_doubting_true_patches() -> None:
    assert true_term(logits(0.8, 0.5)).item() == pytest.approx(-(math.log(0.8) + math.log(0.5)) / 2)


def test_a_critic_pays_for_believing_made_patches() -> None:
    assert made_term(logits(0.8, 0.5)).item() == pytest.approx(-(math.log(0.2) + math.log(0.5)) / 2)


def test_a_generator_pays_for_not_being_believed() -> None:
    assert belief_term(logits(0.1, 0.9)).item() == pytest.approx(-(math.log(0.1) + math.log(0.9)) / 2)


def test_terms_stay_finite_for_a_critic_that_is_certain() -> None:
    certain = torch.tensor([[[[-200.0, 200.0]]]])
    assert [term(certain).item() for term in (true_term, made_term, belief_term)] == [100.0] * 3


def test_cycle_and_identity_are_mean_absolute_differences() -> None:
    start = torch.zeros(1, 3, 1, 2)
    returned = torch.tensor([0.5, -0.1]).expand(1, 3, 1, 2)
    assert cycle_term(returned, start).item() == pytest.approx(0.3)
    assert identity_term(start, returned).item() == pytest.approx(0.3)


def test_a_cycle_of_squares_does_not_see_what_changed_place_within_them() -> None:
    start = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]).expand(1, 3, 2, 4)
    returned = torch.tensor([[1.0, 0.0, 0.8, 0.0], [0.0, 0.0, 0.0, 0.0]]).expand(1, 3, 2, 4)
    assert cycle_term(returned, start, 2).item() == pytest.approx(0.1)


@pytest.mark.parametrize(("halvings", "patch"), [(1, 10), (2, 22), (3, 46)])
def test_a_patch_is_as_wide_as_stated(halvings: int, patch: int) -> None:
    torch.manual_seed(3)
    critic = PatchCritic(3, 4, halvings).eval()
    picture = torch.rand(1, 3, 96, 96, requires_grad=True)
    judged = critic(picture)
    (gradient,) = torch.autograd.grad(judged[0, 0, judged.shape[2] // 2, judged.shape[3] // 2], picture)
    seen = gradient.abs().sum((0, 1)).nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [patch, patch]


def test_a_critic_is_bounded_by_its_spectral_norm() -> None:
    torch.manual_seed(3)
    critic = PatchCritic(3, 8, 2)
    for _ in range(20):
        critic(torch.rand(1, 3, 32, 32))
    weight = critic.judge.weight
    assert isinstance(weight, torch.Tensor)
    assert torch.linalg.matrix_norm(weight.detach().flatten(1), 2).item() == pytest.approx(1, abs=0.02)


def test_a_few_corrections_let_a_critic_tell_two_sets_apart() -> None:
    torch.manual_seed(3)
    critic = PatchCritic(3, 8, 1)
    optimiser = torch.optim.Adam(critic.parameters(), lr=0.02)
    smooth, rough = torch.full((2, 3, 16, 16), 0.5), torch.rand(2, 3, 16, 16).round()
    before = (true_term(critic(smooth)) + made_term(critic(rough))).item()
    for _ in range(30):
        optimiser.zero_grad()
        (true_term(critic(smooth)) + made_term(critic(rough))).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    after = (true_term(critic(smooth)) + made_term(critic(rough))).item()
    assert after < 0.5 * before


def test_a_critic_of_features_sees_patches_of_three_sizes() -> None:
    torch.manual_seed(3)
    critic, encoder = FeatureCritic(width=4).eval(), Encoder()
    picture = torch.rand(1, 3, 96, 96, requires_grad=True)
    judged = critic(encoder(picture, deepest=3))
    assert judged.shape == (1, 3, 24, 24)
    for level, patch in enumerate((10, 20, 36)):
        (gradient,) = torch.autograd.grad(judged[0, level, 12, 12], picture, retain_graph=True)
        seen = gradient.abs().sum((0, 1)).nonzero()
        width = int((seen.max(0).values - seen.min(0).values + 1).max())
        assert 0.6 * patch < width <= patch


def test_a_condition_changes_what_a_critic_of_features_says() -> None:
    torch.manual_seed(3)
    critic = FeatureCritic(1, 4).eval()
    features = Encoder()(torch.rand(1, 3, 32, 32), deepest=3)
    assert not torch.allclose(critic(features, (0.0,)), critic(features, (1.0,)), atol=1e-4)
