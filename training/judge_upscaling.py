"""Figures of a super-resolution engine on pictures it never saw, against the bicubic enlargement.

The true picture is a held-out photograph at a short side at which it has real detail; reduced, and rounded to
8 bits, it is what goes in. Legend of shapes: H x W true picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from streamfx.errors import EngineMismatchError
from streamfx.generate.engine import read_engine
from streamfx.generate.networks.super_resolution import SCALE, SuperResolution
from training import metrics
from training.features import Encoder
from training.options import EvaluateOptions
from training.pictures import Picture, Still, read_still, to_picture, to_short_side, to_tensor
from training.sheet import sheet
from training.upscaled import (
    draw_noise,
    enlarge_bicubic,
    reduce_area,
    reduce_bicubic,
    to_8_bits,
    upscale,
)

AMPLITUDES = (0.0, 0.25, 0.5, 0.75, 1.0)
LEVELS = (1, 2)
SHORT_SIDE = 256
_NOISE_SEED = 5
_REDUCTIONS: Mapping[str, Callable[[Tensor, int], Tensor]] = {"bicubic": reduce_bicubic, "area": reduce_area}


@dataclass(frozen=True)
class UpscalingFigures:
    """Means over the held-out pictures of one method.

    Attributes:
        times: How many times larger the result is.
        reduced_by: How the true pictures were reduced.
        method: "bicubic" or "engine".
        amplitude: Of the noise; None for bicubic.
        psnr_db: Of luma in 0 to 1.
        ssim: Of luma.
        perceptual_distance: See `training.metrics`.
        pictures: How many.
    """

    times: int
    reduced_by: str
    method: str
    amplitude: float | None
    psnr_db: float
    ssim: float
    perceptual_distance: float
    pictures: int


def open_upscaler(folder: Path) -> SuperResolution:
    """Network of a super-resolution engine folder.

    Raises:
        EngineMismatchError: The engine is of another family.
    """
    engine = read_engine(folder)
    network = engine.network()
    if not isinstance(network, SuperResolution):
        raise EngineMismatchError(f"{folder} is of family {engine.spec.family}, not super_resolution")
    return network


def judge_upscaling(
    network: SuperResolution, encoder: Encoder, stills: Sequence[Still], short_side: int = SHORT_SIDE
) -> list[UpscalingFigures]:
    """Figures at x2 and x4, along the whole dial; at x2 without noise also for pictures reduced by area.

    Raises:
        ValueError: No picture could be read.
    """
    truths = [truth for still in stills if (truth := true_picture(still, short_side)) is not None]
    if not truths:
        raise ValueError("there is no readable held-out picture")
    cases = [("bicubic", levels, AMPLITUDES) for levels in LEVELS] + [("area", 1, AMPLITUDES[:1])]
    return [
        row
        for reduced_by, levels, amplitudes in cases
        for row in _judge(network, encoder, truths, reduced_by, levels, amplitudes)
    ]


def true_picture(still: Still, short_side: int) -> Tensor | None:
    """RGB 13HW at a short side, its sides cut to multiples of 4 x the largest enlargement; None if it cannot
    be read or is smaller."""
    picture = read_still(still.path)
    if picture is None or min(picture.shape[:2]) < short_side:
        return None
    unit = 4 * SCALE ** max(LEVELS)
    height, width = (side // unit * unit for side in to_short_side(picture, short_side).shape[:2])
    return to_tensor(to_short_side(picture, short_side)[:height, :width])[None]


@torch.no_grad()
def enlarged(
    network: SuperResolution, low_13hw: Tensor, levels: int, amplitude: float, seed: int = _NOISE_SEED
) -> Tensor:
    """Picture 13HW in 8 bits, 2^levels times as large."""
    random = torch.Generator().manual_seed(seed)
    return to_8_bits(upscale(network, low_13hw, draw_noise(low_13hw, levels, amplitude, random))[-1])


def _judge(
    network: SuperResolution,
    encoder: Encoder,
    truths: Sequence[Tensor],
    reduced_by: str,
    levels: int,
    amplitudes: Sequence[float],
) -> list[UpscalingFigures]:
    times = SCALE**levels
    measured: dict[tuple[str, float | None], list[tuple[float, float, float]]] = {}
    for truth in truths:
        low = to_8_bits(_REDUCTIONS[reduced_by](truth, times))
        outputs: dict[tuple[str, float | None], Tensor] = {
            ("bicubic", None): to_8_bits(enlarge_bicubic(low, levels))
        }
        for amplitude in amplitudes:
            outputs["engine", amplitude] = enlarged(network, low, levels, amplitude)
        true_layers = _features(encoder, truth)
        for key, output in outputs.items():
            distance = metrics.perceptual_distance(_features(encoder, output), true_layers)
            psnr, ssim = (measure(output, truth, times) for measure in (metrics.psnr_luma, metrics.ssim))
            measured.setdefault(key, []).append((psnr.item(), ssim.item(), distance.item()))
    return [
        _mean(times, reduced_by, method, amplitude, values)
        for (method, amplitude), values in measured.items()
    ]


def _mean(
    times: int,
    reduced_by: str,
    method: str,
    amplitude: float | None,
    values: Sequence[tuple[float, float, float]],
) -> UpscalingFigures:
    psnr_db, similarity, distance = (float(mean) for mean in np.mean(values, axis=0))
    return UpscalingFigures(
        times, reduced_by, method, amplitude, psnr_db, similarity, distance, pictures=len(values)
    )


@torch.no_grad()
def _features(encoder: Encoder, rgb_13HW: Tensor) -> list[Tensor]:
    with torch.autocast("cpu", torch.bfloat16):
        features: list[Tensor] = encoder(rgb_13HW)
    return features


def tables(figures: Sequence[UpscalingFigures], short_side: int = SHORT_SIDE) -> str:
    """The figures as Markdown, with what they show."""
    count = figures[0].pictures if figures else 0
    lines = [
        f"Held-out photographs ({count}): no crop of their sources was in the training. The true picture has",
        f"a short side of {short_side} pixels; it goes in reduced, by the bicubic filter without aliasing",
        "unless the table says otherwise, and rounded to 8 bits. PSNR and SSIM of luma (0 to 255).",
        "Perceptual distance: mean squared difference of VGG-19 features scaled to length 1, relu1_1 to",
        "relu4_1; lower is closer.",
        "",
        "| enlargement | reduced by | method | noise amplitude | PSNR, dB | SSIM | perceptual distance |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for f in figures:
        amplitude = "" if f.amplitude is None else f"{f.amplitude:g}"
        lines.append(
            f"| x{f.times} | {f.reduced_by} | {f.method} | {amplitude} | {f.psnr_db:.2f} | {f.ssim:.4f} "
            f"| {f.perceptual_distance:.4f} |"
        )
    return "\n".join(lines) + "\n"


def report(
    options: EvaluateOptions, stills: Sequence[Still]
) -> tuple[str, Mapping[str, Sequence[Mapping[str, object]]], Picture]:
    """Figures of a super-resolution engine: as text, as JSON values, and as a picture.

    Raises:
        EngineMismatchError: The engine is of another family.
        ValueError: There is no readable held-out picture.
    """
    network = open_upscaler(options.engine)
    figures = judge_upscaling(network, Encoder(), stills)
    shown = [true_picture(still, SHORT_SIDE) for still in stills[:: max(1, len(stills) // 4)][:4]]
    drawn = upscaling_sheet(network, [truth for truth in shown if truth is not None])
    return tables(figures), {"pictures": as_json(figures)}, drawn


def as_json(figures: Sequence[UpscalingFigures]) -> list[dict[str, object]]:
    """The table as JSON values."""
    return [asdict(f) for f in figures]


def upscaling_sheet(
    network: SuperResolution, truths: Sequence[Tensor], levels: int = 1, side: int = 232
) -> Picture:
    """Centres of pictures at full size: bicubic, the engine along the dial, the true one."""
    rows = []
    for truth in truths:
        low = to_8_bits(reduce_bicubic(truth, SCALE**levels))
        versions = [enlarge_bicubic(low, levels)]
        versions += [enlarged(network, low, levels, amplitude) for amplitude in (0.0, 1.0)]
        rows.append([_centre(to_picture(version[0]), side) for version in (*versions, truth)])
    return sheet(rows, ["bicubic", "amplitude 0", "amplitude 1", "true picture"])


def _centre(picture: Picture, side: int) -> Picture:
    """Middle square, or all there is of it."""
    top, left = (max(0, (length - side) // 2) for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]
