"""Quality of pictures: what the score is, and which training pictures are good by a trained classifier."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from streamfx.generate.networks.classifier import STRIDE, Classifier, probabilities
from training.metrics import ssim
from training.pictures import Picture, Still, read_still, to_tensor

log = logging.getLogger(__name__)

CLASSES = ("poor", "medium", "good")
BOUNDS = (30.0, 60.0)  # scores between the classes
_SIDE = 192  # of the window that is judged, in pixels
_PSNR_DB = (20.0, 45.0)  # worth 0 and 100
_SSIM = (0.5, 1.0)  # worth 0 and 100


def psnr(picture: Picture, truth: Picture) -> float:
    """Peak signal-to-noise ratio over R, G and B, in dB; at most 50, the noise of rounding to 8 bits and a
    little more, so that a perfect picture does not outweigh all others in a mean."""
    squared = np.square(picture.astype(np.float32) - truth).mean(dtype=np.float64)
    return float(10 * np.log10(255**2 / max(squared, 255**2 / 10**5)))


def score(picture: Picture, truth: Picture) -> float:
    """Quality from 0 to 100 of a degraded picture whose original is known.

    The mean of two distances to the original, each from 0 to 100: PSNR from 20 to 45 dB, and SSIM of the luma
    from 0.5 to 1. So it says how much was lost, not how the picture was taken: an original is worth 100
    whatever it shows.
    """
    similarity = ssim(to_tensor(picture)[None], to_tensor(truth)[None]).item()
    parts = [
        (value - low) / (high - low)
        for value, (low, high) in ((psnr(picture, truth), _PSNR_DB), (similarity, _SSIM))
    ]
    return 100 * float(np.clip(parts, 0, 1).mean())


def label(score_0_100: float) -> int:
    """Index of the class of a score."""
    return sum(score_0_100 >= bound for bound in BOUNDS)


@torch.no_grad()
def judge(network: Classifier, picture: Picture) -> tuple[float, ...]:
    """Probability of each class for the middle of a picture, at its full resolution."""
    height, width = (min(side // STRIDE * STRIDE, _SIDE) for side in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    window = picture[top : top + height, left : left + width]
    return tuple(probabilities(network.scores_of(to_tensor(window)[None]))[0].tolist())


def select_good(stills: Sequence[Still], network: Classifier, least_side_pixels: int) -> list[Still]:
    """Pictures that are most probably good and large enough, in their order; the others are counted in the
    log."""
    kept: list[Still] = []
    refused: Counter[str] = Counter()
    for still in stills:
        picture = read_still(still.path)
        if picture is None:
            refused["unreadable"] += 1
        elif min(picture.shape[:2]) < least_side_pixels:
            refused["too small"] += 1
        elif (best := CLASSES[int(np.argmax(judge(network, picture)))]) != "good":
            refused[best] += 1
        else:
            kept.append(still)
    words = ", ".join(f"{count} {why}" for why, count in refused.items())
    log.info("%d of %d pictures are good (%s)", len(kept), len(stills), words or "none left out")
    return kept
