"""Calibration: probabilities that say how often a classifier is right."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from streamfx.engine.families.classifier import probabilities
from tests.networks import constant_classifier
from training.calibration import calibrate, temperature
from training.pictures import to_tensor


def test_the_temperature_makes_the_mean_probability_how_often_it_is_right() -> None:
    # Right three times of four: log 3 apart, which scores log 81 apart are after a division by 4.
    scores = torch.tensor([[math.log(81), 0.0]]).repeat(4, 1)
    assert temperature(scores, torch.tensor([0, 0, 0, 1])) == pytest.approx(4, rel=0.02)


def test_scores_that_are_too_careful_are_made_surer() -> None:
    scores = torch.tensor([[math.log(3) / 2, 0.0]]).repeat(4, 1)
    assert temperature(scores, torch.tensor([0, 0, 0, 1])) == pytest.approx(0.5, rel=0.02)


def test_a_calibrated_network_decides_alike_and_says_how_sure_it_may_be() -> None:
    network = constant_classifier(1, classes=2)
    grey = np.full((32, 32, 3), 90, np.uint8)
    rgb = to_tensor(grey)[None]
    before = network.scores_of(rgb).mean((2, 3))
    found = calibrate(network, [(grey, 1), (grey, 1), (grey, 0), (grey, 1)])
    after = network.scores_of(rgb)
    torch.testing.assert_close(after.mean((2, 3)), before / found)
    assert probabilities(after)[0, 1].item() == pytest.approx(0.75, abs=0.01)
