"""Distances to the true picture, against cases computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from training.metrics import perceptual_distance, psnr_luma, ssim

NOISE = torch.rand(2, 3, 24, 20, generator=torch.Generator().manual_seed(2))


def test_psnr_of_a_grey_level_off_by_a_tenth_is_20_db() -> None:
    truth = torch.full((2, 3, 4, 4), 0.5)
    assert psnr_luma(truth + 0.1, truth).tolist() == pytest.approx([20.0, 20.0], abs=1e-4)


def test_psnr_counts_colours_as_luma_does() -> None:
    truth = torch.zeros(1, 3, 4, 4)
    red = truth.clone()
    red[:, 0] = 1
    assert psnr_luma(red, truth).item() == pytest.approx(-20 * math.log10(0.299), abs=1e-4)


def test_the_border_does_not_count() -> None:
    truth = torch.zeros(1, 3, 30, 30)
    framed = truth.clone()
    framed[..., :2] = framed[..., -2:] = framed[..., :2, :] = framed[..., -2:, :] = 1
    assert psnr_luma(framed, truth, border=2).item() == math.inf
    assert ssim(framed, truth, border=2).item() == pytest.approx(1.0)
    assert psnr_luma(framed, truth, border=1).item() < 10


def test_ssim_of_the_same_picture_is_1() -> None:
    assert ssim(NOISE, NOISE).tolist() == pytest.approx([1.0, 1.0])


def test_ssim_of_flat_pictures_compares_brightness() -> None:
    dark, light = torch.full((1, 3, 12, 12), 0.2), torch.full((1, 3, 12, 12), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ssim(dark, light).item() == pytest.approx(expected, abs=1e-4)


def test_ssim_of_a_negative_is_below_0() -> None:
    assert (ssim(1 - NOISE, NOISE) < 0).all()


def test_perceptual_distance_compares_directions_of_features_not_their_lengths() -> None:
    first = torch.zeros(1, 2, 2, 2)
    first[:, 0] = 3.0
    longer, across, back = 5 * first, first.flip(1), -first
    assert perceptual_distance([longer], [first]).item() == pytest.approx(0.0, abs=1e-6)
    assert perceptual_distance([across], [first]).item() == pytest.approx(2.0)
    assert perceptual_distance([back], [first]).item() == pytest.approx(4.0)
    assert perceptual_distance([across, first], [first, first]).item() == pytest.approx(1.0)
