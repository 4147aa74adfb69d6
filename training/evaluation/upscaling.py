"""Upscaling: pictures enlarged by an engine against the true ones, beside the bicubic enlargement.

The true picture is a held-out photograph at a short side at which it has real detail; reduced, and rounded to
8 bits, it is what goes in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from training import metrics
from training.evaluation.chosen import to_whole_strides
from training.evaluation.runner import Runner
from training.evaluation.section import Section
from training.features import Encoder
from training.pictures import Picture, Still, read_still, to_picture, to_short_side, to_tensor
from training.sheet import centre, sheet
from training.upscaled import enlarge_bicubic, reduce_area, reduce_bicubic

log = logging.getLogger(__name__)

AMPLITUDES = (0.0, 0.25, 0.5, 0.75, 1.0)
BOUNDS_DB = (0.05, 0.1, 0.2, 0.5)
SHORT_SIDE = 256
_REDUCTIONS: Mapping[str, Callable[[Tensor, int], Tensor]] = {"bicubic": reduce_bicubic, "area": reduce_area}


def upscaling(
    runners: Mapping[int, Runner], stills: Sequence[Still], short_side: int = SHORT_SIDE
) -> Section:
    """Figures along the whole dial; without noise also for pictures reduced by area.

    Args:
        runners: The engine, by how many times larger pictures become.
        stills: Held-out pictures; those with a smaller short side are left out.
        short_side: Short side of the true pictures, in pixels.

    Raises:
        ValueError: There is no readable picture of that size.
    """
    encoder = Encoder()
    measured: dict[tuple[str, str, str, float | None], list[tuple[float, float, float]]] = {}
    count = 0
    for count, truth in enumerate(true_pictures(stills, short_side), 1):
        true_layers = _layers(encoder, truth)
        for times, runner in runners.items():
            for reduced_by in _REDUCTIONS:
                amplitudes = AMPLITUDES if reduced_by == "bicubic" else AMPLITUDES[:1]
                low = reduced(truth, times, reduced_by)
                outputs = {("bicubic", None): enlarged_bicubic(low, times)} | {
                    ("engine", amplitude): runner(low, noise_amplitude=amplitude) for amplitude in amplitudes
                }
                for key, output in outputs.items():
                    distance = metrics.perceptual_distance(_layers(encoder, output), true_layers).item()
                    figures = (*_distortion(output, truth, times), distance)
                    measured.setdefault((f"x{times}", reduced_by, *key), []).append(figures)
        if count % 10 == 0:
            log.info("judged %d of %d pictures", count, len(stills))
    if not measured:
        raise ValueError(f"there is no readable held-out picture with a short side of {short_side} pixels")
    return Section(
        "upscaling",
        f"Held-out photographs ({count}): no crop of their sources was in the training. The true picture has "
        f"a short side of {short_side} pixels; it goes in reduced, by the bicubic filter without aliasing or "
        "by means of squares (area), and rounded to 8 bits. PSNR and SSIM of luma (0 to 255); bicubic is the "
        "enlargement with a = -0.75. Perceptual distance: mean squared difference of VGG-19 features scaled "
        "to length 1, relu1_1 to relu4_1; lower is closer. It is no impartial judge: the perceptual term of "
        "the training is the same distance without relu4_1.",
        {
            "enlargement": "",
            "reduced by": "",
            "method": "",
            "noise amplitude": "g",
            "PSNR, dB": ".2f",
            "SSIM": ".4f",
            "perceptual distance": ".4f",
        },
        [[*key, *(float(mean) for mean in np.mean(values, axis=0))] for key, values in measured.items()],
    )


def bounded(figures: Section) -> Section:
    """The largest noise amplitude within each of some bounds on distortion, from the figures of `upscaling`.

    JP7446997B2 chooses the amplitude so: as much detail as the distortion that is allowed.
    """
    curves: dict[str, dict[float, float]] = {}
    for times, reduced_by, method, amplitude, psnr_db, *_ in figures.rows:
        if (reduced_by, method) == ("bicubic", "engine"):
            curves.setdefault(str(times), {})[float(amplitude or 0)] = float(psnr_db or 0)
    return Section(
        "bounds",
        "Largest noise amplitude that costs no more than a bound of PSNR against amplitude 0, on these "
        "pictures; between amplitudes that were measured the curve is taken for straight.",
        {"enlargement": "", "bound, dB": "g", "noise amplitude": ".2f"},
        [
            [times, bound, amplitude_within(curve, bound)]
            for times, curve in curves.items()
            for bound in BOUNDS_DB
        ],
    )


def amplitude_within(psnr_db_at: Mapping[float, float], bound_db: float) -> float:
    """The largest amplitude at and below which PSNR is at most `bound_db` less than at the smallest one."""
    points = sorted(psnr_db_at.items())
    least_db = points[0][1] - bound_db
    for (before, high_db), (after, low_db) in pairwise(points):
        if low_db < least_db:
            return before + (after - before) * (high_db - least_db) / (high_db - low_db)
    return points[-1][0]


def true_pictures(stills: Sequence[Still], short_side: int = SHORT_SIDE) -> Iterator[Picture]:
    """The pictures at a short side, their sides cut to multiples of 16; smaller ones are left out."""
    for still in stills:
        picture = read_still(still.path)
        if picture is not None and min(picture.shape[:2]) >= short_side:
            yield to_whole_strides(to_short_side(picture, short_side))


def reduced(truth: Picture, times: int, by: str = "bicubic") -> Picture:
    """What goes in for a true picture."""
    return to_picture(_REDUCTIONS[by](to_tensor(truth)[None], times)[0])


def enlarged_bicubic(low: Picture, times: int) -> Picture:
    """The yardstick."""
    return to_picture(enlarge_bicubic(to_tensor(low)[None], times.bit_length() - 1)[0])


def upscaling_sheet(runner: Runner, truths: Sequence[Picture], times: int, side: int = 232) -> Picture:
    """Centres of pictures at full size: bicubic, the engine at both ends of the dial, the true picture."""
    rows = []
    for truth in truths:
        low = reduced(truth, times)
        versions = [
            enlarged_bicubic(low, times),
            *(runner(low, noise_amplitude=a) for a in (0.0, 1.0)),
            truth,
        ]
        rows.append([centre(version, side) for version in versions])
    return sheet(rows, [f"bicubic x{times}", "noise amplitude 0", "noise amplitude 1", "true picture"])


def _distortion(output: Picture, truth: Picture, times: int) -> tuple[float, float]:
    """PSNR and SSIM, but for a border as wide as the enlargement."""
    found, true = (to_tensor(picture)[None] for picture in (output, truth))
    psnr, ssim = (measure(found, true, times) for measure in (metrics.psnr_luma, metrics.ssim))
    return psnr.item(), ssim.item()


@torch.no_grad()
def _layers(encoder: Encoder, picture: Picture) -> list[Tensor]:
    with torch.autocast("cpu", torch.bfloat16):
        layers: list[Tensor] = encoder(to_tensor(picture)[None])
    return layers
