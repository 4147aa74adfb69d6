"""Camera noise: how restless a scene in which nothing moves becomes, beside the noise's own restlessness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from training.evaluation.material import VARIANTS, Variant
from training.evaluation.video import as_video
from training.pictures import Picture

NOISES: tuple[Variant, ...] = ("noisy", "dark", "compressed")
FRAMES = 4


def restlessness(
    clip: Callable[[Sequence[Picture], float], Sequence[Picture]],
    factors: Sequence[float],
    scenes: Sequence[Picture],
    seed: int,
) -> Mapping[tuple[Variant, float], float]:
    """Change between frames of still scenes with noise, over that of the frames that went in, for each noise
    and factor.

    Args:
        clip: Gives the frames of a clip for those of one and a factor.
        factors: Factors to try.
        scenes: One picture each, shown for `FRAMES` frames, each with noise of its own.
        seed: Seed of the noise.
    """
    changes: dict[tuple[Variant, float], float] = {}
    own = dict.fromkeys(NOISES, 0.0)
    for noise in NOISES:
        rng = np.random.default_rng([seed, 9])
        for scene in scenes:
            frames = [VARIANTS[noise](scene, rng) for _ in range(FRAMES)]
            own[noise] += change([as_video(frame) for frame in frames])
            for factor in factors:
                made = change(clip(frames, factor))
                changes[noise, factor] = changes.get((noise, factor), 0.0) + made
    return {(noise, factor): made / max(own[noise], 1e-9) for (noise, factor), made in changes.items()}


def change(frames: Sequence[Picture]) -> float:
    """Mean absolute difference of neighbouring frames, in code values."""
    return float(
        np.mean([np.abs(now.astype(np.float32) - before).mean() for before, now in pairwise(frames)])
    )
