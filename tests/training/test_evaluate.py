"""Figures: what they measure, on cases with a known answer."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from streamfx.generate.networks.warp_mask import WarpMask
from training.evaluate import (
    Flicker,
    Judge,
    Stylizer,
    choose,
    gradient_energy,
    judge_style,
    tables,
    to_whole_strides,
)
from training.features import Encoder
from training.pictures import Still, to_tensor
from training.sheet import jpeg, sheet
from training.style import style_features
from training.temporal import motion, warping_error


def texture(seed: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    coarse = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    return coarse.repeat(4, 0).repeat(4, 1)


def test_a_clip_that_only_moves_has_little_warping_error_and_a_flickering_one_has_much() -> None:
    wide = texture()
    frames = [np.ascontiguousarray(wide[:, 2 * step : 2 * step + 96]) for step in range(4)]
    motions = [motion(before, now) for before, now in pairwise(frames)]
    assert warping_error(frames, motions) < 2
    flicker = [np.clip(frame.astype(int) + 20 * (-1) ** n, 0, 255) for n, frame in enumerate(frames)]
    assert warping_error([frame.astype(np.uint8) for frame in flicker], motions) > 20


def test_held_out_pictures_are_spread_over_sources() -> None:
    stills = [Still(Path(f"{source}-{n}.png"), f"source {source}") for source in range(60) for n in range(5)]
    chosen = choose(stills, 8)
    assert all(still.held_out for still in chosen)
    assert len({still.source for still in chosen}) == 8


def test_gradient_energy_of_a_ramp() -> None:
    ramp = np.repeat(np.arange(0, 40, 2, dtype=np.uint8)[None, :, None], 5, axis=0).repeat(3, axis=2)
    assert gradient_energy(ramp) == pytest.approx(4.0, rel=1e-4)


def test_an_untrained_engine_paints_grey_at_every_factor() -> None:
    torch.manual_seed(1)
    network = WarpMask(stem=4, width=8, blocks=1).eval()
    torch.nn.init.zeros_(network.heads.weight)
    picture = to_whole_strides(texture()[:, :100])
    assert picture.shape == (96, 96, 3)
    for factor in (1.0, 2.0, 4.0):
        painted = Stylizer(network, 4.0)(picture, factor)
        assert np.abs(painted.astype(int) - 128).max() <= 1


def test_reducing_costs_a_fine_style_much_and_a_coarse_one_little() -> None:
    encoder = Encoder()

    def costs(style: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[float]:
        style_13HW = to_tensor(style)[None]
        judge = Judge(style_features(encoder, style_13HW), encoder)
        return [found.style for found in judge_style(judge, style_13HW)]

    fine = np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8)
    coarse = cv2.GaussianBlur(fine, (0, 0), 10).astype(np.uint8)
    (fine_at_2, fine_at_4), (coarse_at_2, coarse_at_4) = costs(fine), costs(coarse)
    assert max(coarse_at_2, coarse_at_4) < 0.05 < 0.2 < fine_at_2 < fine_at_4


def test_tables_and_sheets_hold_what_they_are_given() -> None:
    assert "| fox | engine | 4 | 3.00 | 1.00 |" in tables([], [Flicker("fox", "engine", 4.0, 3.0, 1.0)])
    tile = texture()[:64, :64]
    page = sheet([[tile, tile], [tile, tile]], ["before", "after"])
    assert page.shape[1] == 132
    assert len(jpeg(page, 30_000)) < 30_000
    with pytest.raises(ValueError, match="needs more than"):
        jpeg(page, 500)
