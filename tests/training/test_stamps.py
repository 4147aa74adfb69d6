"""Edges, and marks that a network repeats: what the figures say of pictures made for it."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.gradients import edge_correlation, gradient_energy, magnitudes, stretched
from training.evaluation.stamps import Folds, folded, spectral_lock
from training.pictures import Picture


def noise(seed: int = 1, size: tuple[int, int] = (320, 480)) -> Picture:
    values = np.random.default_rng(seed).normal(128, 20, size)
    return np.clip(values, 0, 255).astype(np.uint8)[..., None].repeat(3, 2)


def stamped(picture: Picture, period: int) -> Picture:
    """With a dark dot in each cell of a grid."""
    marked = picture.copy()
    marked[period // 2 :: period, period // 2 :: period] = 0
    return marked


def test_gradients_of_a_ramp_are_its_slope() -> None:
    ramp = np.repeat(np.arange(0, 40, 2, dtype=np.uint8)[None, :, None], 5, axis=0).repeat(3, axis=2)
    assert magnitudes(ramp) == pytest.approx(2, rel=1e-4)
    assert gradient_energy(ramp) == pytest.approx(4, rel=1e-4)


def test_contrast_is_changed_until_the_energy_of_gradients_is_that_of_another() -> None:
    picture = np.random.default_rng(0).integers(100, 156, (40, 40, 3), np.uint8)
    energy = gradient_energy(picture)
    for times in (0.5, 1, 3, 12):  # clipped at the last
        changed = stretched(picture, times * energy)
        assert gradient_energy(changed) == pytest.approx(times * energy, rel=0.03)
    flat = np.full((8, 8, 3), 90, np.uint8)
    assert np.isfinite(stretched(flat, 100.0)).all(), "nothing can be raised, and nothing fails"


def test_edges_at_the_same_places_correlate_whatever_their_sign_and_strength() -> None:
    picture = noise()
    assert edge_correlation(picture, picture) == pytest.approx(1)
    assert edge_correlation(255 - picture // 2 * 2, picture // 2) == pytest.approx(1, abs=1e-4)
    assert abs(edge_correlation(picture, noise(2))) < 0.02
    assert edge_correlation(np.full_like(picture, 9), picture) == 0


def test_edges_of_which_half_are_lost_correlate_by_what_is_left() -> None:
    source, output = np.zeros((8, 16, 3), np.uint8), np.zeros((8, 16, 3), np.uint8)
    source[:, 4:12] = 200
    output[:, 4:] = 200
    # Two columns at each edge have a gradient: 4 of 16 and 2 of 16, the latter among the former.
    expected = (2 / 16 - 4 / 16 * 2 / 16) / np.sqrt(4 / 16 * 12 / 16 * 2 / 16 * 14 / 16)
    assert edge_correlation(output, source) == pytest.approx(expected, abs=1e-5)


def test_values_are_folded_by_their_place_in_the_grid() -> None:
    values_HW = np.arange(20, dtype=np.float32).reshape(4, 5)
    assert folded(values_HW, 2).tolist() == [[6, 7], [11, 12]]


def test_a_stamp_shows_at_its_period_and_a_picture_without_one_does_not() -> None:
    clean, marked = Folds(16), Folds(16)
    for seed in range(4):
        clean.add(noise(seed))
        marked.add(stamped(noise(seed), 16))
    assert clean.lock == pytest.approx(1, abs=0.1)
    assert marked.lock > 3
    assert spectral_lock(noise(), 16) == pytest.approx(1, abs=0.3)
    assert spectral_lock(stamped(noise(), 16), 16) > 10


def test_the_strength_of_a_stamp_is_read_off_exactly_where_there_is_nothing_else() -> None:
    # A ramp down of slope 2 but for every fourth row, where it is level: gradients 2, 1, 1, 2 by rows.
    rows = np.cumsum(np.where(np.arange(48) % 4 == 0, 0, 2)).astype(np.uint8)
    folds = Folds(4)
    folds.add(rows[2:46, None, None].repeat(44, 1).repeat(3, 2))
    assert folds.lock == pytest.approx(2 / 1.5, rel=0.02)


def test_a_stamp_at_another_period_does_not_count_as_one() -> None:
    picture = stamped(noise(), 14)
    other = Folds(16)
    other.add(picture)
    assert other.lock < 1.3
    assert spectral_lock(picture, 14) > 10
