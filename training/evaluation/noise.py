"""Noise: how far apart two seeds of an engine's noise bring its pictures, against the amplitude."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from training import losses
from training.evaluation.chosen import pictures_of
from training.evaluation.runner import Runner
from training.evaluation.section import Cell, Section
from training.evaluation.style import Judge
from training.pictures import Still
from training.variety import style_difference

AMPLITUDES = (0.0, 0.25, 0.5, 0.75, 1.0)
SEEDS = (1, 2)


def noise(runner: Runner, judge: Judge, stills: Sequence[Still]) -> Section:
    """Spread of the looks of two seeds over held-out pictures, at every amplitude and the first factor."""
    factor = runner.factors[0]
    rows: list[list[Cell]] = []
    pictures = list(pictures_of(stills))
    for amplitude in AMPLITUDES:
        found = []
        for picture in pictures:
            one, other = (runner(picture, factor, noise_amplitude=amplitude, seed=seed) for seed in SEEDS)
            with torch.no_grad():
                grams = [[losses.gram(layer) for layer in judge.features(made)] for made in (one, other)]
            pixels = float(np.abs(one.astype(np.float32) - other).mean())
            difference = style_difference(grams[0], grams[1], judge.grams).item()
            distances = [losses.style(matrices, judge.grams).item() / len(matrices) for matrices in grams]
            found.append((pixels, difference, float(np.mean(distances))))
        rows.append([amplitude, *(float(value) for value in np.array(found).mean(axis=0))])
    return Section(
        "noise",
        f"Two seeds of the noise, {len(pictures)} held-out pictures, factor {factor:g}: mean absolute "
        "difference of their pixels in code values; difference of their styles (root mean square "
        "difference of Gram matrices over that of the style's, mean of four layers); mean relative Gram "
        "distance to the style.",
        {"noise amplitude": "g", "pixels": ".2f", "difference of styles": ".4f", "style": ".3f"},
        rows,
    )
