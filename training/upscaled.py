"""Reduction and enlargement of pictures for super-resolution, in training and evaluation alike.

Legend of shapes: B pictures, H x W the larger size, h x w the smaller.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from streamfx.engine.families.super_resolution import SCALE, SuperResolution


def reduce_bicubic(picture_BCHW: Tensor, times: int) -> Tensor:
    """Picture BChw whose sides are `times` smaller, by the bicubic filter widened so that nothing aliases.

    So do Pillow, the customary measurements of super-resolution and, nearly, ffmpeg when told nothing else.
    """
    if times == 1:
        return picture_BCHW
    return functional.interpolate(picture_BCHW, scale_factor=1 / times, mode="bicubic", antialias=True)


def reduce_area(picture_BCHW: Tensor, times: int) -> Tensor:
    """Picture BChw whose sides are `times` smaller, by means of squares."""
    return functional.avg_pool2d(picture_BCHW, times)


def to_8_bits(picture_BCHW: Tensor) -> Tensor:
    """Picture in [0, 1] in steps of 1/255, as files and frames hold it."""
    return (picture_BCHW.clamp(0, 1) * 255).round() / 255


def enlarge_bicubic(picture_BChw: Tensor, steps: int = 1) -> Tensor:
    """Picture BCHW twice as large, `steps` times, as the runtime enlarges the planes (a = -0.75)."""
    for _ in range(steps):
        picture_BChw = functional.interpolate(
            picture_BChw, scale_factor=float(SCALE), mode="bicubic", align_corners=False
        )
    return picture_BChw


def upscale(network: SuperResolution, rgb_B3hw: Tensor, noise: Sequence[Tensor]) -> list[Tensor]:
    """Pictures of every level, each twice as large as the one before, RGB.

    Levels beyond those of the network come out of another application of it to its own result.

    Args:
        network: Makes every level out of those before.
        rgb_B3hw: Pictures in [0, 1].
        noise: Noise of each level, B1hw, of the size that goes in: standard normal times the amplitude.
    """
    found: list[Tensor] = []
    unchanged_34 = torch.eye(3, 4, device=rgb_B3hw.device)
    for first in range(0, len(noise), network.levels):
        given = noise[first : first + network.levels]
        for residual in network.residuals(rgb_B3hw, given, unchanged_34, unchanged_34):
            rgb_B3hw = enlarge_bicubic(rgb_B3hw) + residual.float()
            found.append(rgb_B3hw)
    return found


def draw_noise(low_B3hw: Tensor, levels: int, amplitude: float, random: torch.Generator) -> list[Tensor]:
    """Noise B1hw for each of `levels` steps from a picture, from a generator of the CPU."""
    batch, _, height, width = low_B3hw.shape
    sizes = [(batch, 1, height * SCALE**level, width * SCALE**level) for level in range(levels)]
    if amplitude == 0:
        return [low_B3hw.new_zeros(size) for size in sizes]
    return [torch.randn(size, generator=random).to(low_B3hw.device) * amplitude for size in sizes]
