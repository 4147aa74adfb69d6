"""Spread of looks: how far apart two seeds of the noise bring the pictures of an engine.

Legend of shapes: H x W picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from streamfx.generate.networks.convert_sr import SCALE, ConvertSr
from training import losses
from training.features import Encoder
from training.fused import enlarge, reduce
from training.variety import style_difference

AMPLITUDES = (0.0, 0.25, 0.5, 0.75, 1.0)
SEEDS = (1, 2)


@dataclass(frozen=True)
class Spread:
    """Means over pictures at one amplitude of the noise.

    Attributes:
        amplitude: 0..1.
        pixels: Mean absolute difference of the pictures of two seeds, in code values 0..255.
        difference: Of their styles, relative to the style's (`style_difference`).
        style: Mean relative Gram distance to the style, over layers and seeds.
    """

    amplitude: float
    pixels: float
    difference: float
    style: float


@torch.no_grad()
def painted(
    network: ConvertSr, rgb_13HW: Tensor, factor: float, amplitude: float = 1.0, seed: int = 0
) -> Tensor:
    """What an engine makes of a picture with the noise of a seed: full-size RGB 13HW in [0, 1].

    Height and width must be multiples of 4 times the factor.
    """
    reduced_13hw = reduce(rgb_13HW, factor)
    shape = (1, network.noise_channels, *reduced_13hw.shape[2:])
    noise = amplitude * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    made = network.translate(torch.cat([reduced_13hw, noise], dim=1), torch.tensor([factor]))
    return enlarge(made, *rgb_13HW.shape[2:]).clamp(0, 1)


@torch.no_grad()
def judge_noise(
    network: ConvertSr,
    encoder: Encoder,
    style_grams: Sequence[Tensor],
    pictures: Sequence[Tensor],
    factor: float = SCALE,
) -> list[Spread]:
    """Spread of looks over pictures 13HW at each amplitude; style Gram matrices 1CC."""
    found = []
    for amplitude in AMPLITUDES:
        rows = []
        for rgb_13HW in pictures:
            one, other = (painted(network, rgb_13HW, factor, amplitude, seed) for seed in SEEDS)
            with torch.autocast("cpu", torch.bfloat16):
                grams = [[losses.gram(layer) for layer in encoder(picture)] for picture in (one, other)]
            difference = style_difference(grams[0], grams[1], style_grams).item()
            distance = sum(losses.style(matrices, style_grams).item() for matrices in grams) / len(grams)
            rows.append((255 * (one - other).abs().mean().item(), difference, distance / len(style_grams)))
        pixels, difference, distance = (float(values) for values in np.array(rows).mean(axis=0))
        found.append(Spread(amplitude, pixels, difference, distance))
    return found


def table(spreads: Sequence[Spread]) -> str:
    """The figures as Markdown."""
    lines = [
        "Two seeds of the noise: mean absolute difference of their pictures in code values, difference of",
        "their styles relative to the style's, and distance of both to the style.",
        "",
        "| noise amplitude | difference of pixels | difference of styles | style |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {s.amplitude:g} | {s.pixels:.2f} | {s.difference:.4f} | {s.style:.3f} |" for s in spreads]
    return "\n".join(lines) + "\n"
