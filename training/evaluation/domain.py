"""Domain: whether outputs are taken for the domain they should be of, and what of the source is left."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from training import losses
from training.evaluation.chosen import pictures_of
from training.evaluation.runner import Runner
from training.evaluation.section import Section
from training.features import Encoder
from training.pictures import Picture, Still, to_tensor

log = logging.getLogger(__name__)

Belief = Callable[[Picture], Mapping[str, float]]
"""Probability of each domain for a picture, as a classifier of domains gives it."""


def domain(
    runners: Mapping[str, Runner], belief: Belief, target: str, stills: Sequence[Still], encoder: Encoder
) -> Section:
    """Scores of engines' outputs, and of the untouched pictures, at every factor.

    Args:
        runners: Engines by name.
        belief: Belief of a classifier that knows `target`.
        target: Domain that the outputs should be of.
        stills: Held-out pictures of the source domain.
        encoder: Encoder that compares them with their sources.
    """
    measured: dict[tuple[str, float | None], list[list[float]]] = {}
    count = 0
    for count, picture in enumerate(pictures_of(stills), 1):
        outputs: dict[tuple[str, float | None], Picture] = {
            (name, factor): runner(picture, factor)
            for name, runner in runners.items()
            for factor in runner.factors
        }
        outputs["untouched", None] = picture
        for key, output in outputs.items():
            found = dict(belief(output))
            taken = float(max(found, key=lambda name: found[name]) == target)
            content = content_distance(output, picture, encoder)
            measured.setdefault(key, []).append([found[target], taken, content])
        if count % 10 == 0:
            log.info("judged %d of %d pictures", count, len(stills))
    return Section(
        "domain",
        f"Held-out pictures ({count}): no crop of their sources was in the training. Short side 480. Score: "
        f"mean probability of the domain {target} that the classifier gives. Taken for it: share of pictures "
        "for which that domain is the most probable. Content: mean squared difference to the source at "
        "relu4_1 of VGG-19, lower is nearer.",
        {"method": "", "factor": "g", "score": ".3f", "taken for it": ".0%", "content": ".2f"},
        [[*key, *(float(value) for value in np.mean(values, axis=0))] for key, values in measured.items()],
    )


@torch.no_grad()
def content_distance(output: Picture, source: Picture, encoder: Encoder) -> float:
    """Mean squared difference at relu4_1."""
    with torch.autocast("cpu", torch.bfloat16):
        features, wanted = (encoder(to_tensor(picture)[None])[-1] for picture in (output, source))
    return losses.content(features, wanted).item()
