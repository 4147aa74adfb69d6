"""Partner: how near outputs are to what a slow operator makes of the same pictures, or to its files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from streamfx.engine.families.build import NETWORKS
from streamfx.engine.folder import Engine
from training import losses, metrics
from training.evaluation.chosen import pictures_of, to_size
from training.evaluation.runner import Runner
from training.evaluation.section import Section
from training.export import export, golden
from training.features import Encoder
from training.pictures import Picture, Still, read_still, to_tensor

log = logging.getLogger(__name__)

Pair = tuple[Picture, Callable[[float], Picture]]
"""A picture, and what gives its partner for a factor."""


def drawn_pairs(stills: Sequence[Still], operator: Callable[[Picture, float], Picture]) -> Iterator[Pair]:
    """Pictures, and what an operator makes of them for a factor."""
    for picture in pictures_of(stills):
        yield picture, partial(operator, picture)


def read_pairs(stills: Sequence[Still], folder: Path, partners: Path) -> Iterator[Pair]:
    """Pictures below `folder` and those below `partners` that have the same relative path, at every factor.

    Raises:
        ValueError: A partner is not there, one of both cannot be read, or their sizes differ.
    """
    for still in stills:
        path = partners / still.path.relative_to(folder)
        picture, drawn = read_still(still.path), read_still(path)
        if picture is None or drawn is None or picture.shape != drawn.shape:
            raise ValueError(f"{still.path} and its partner {path} are not two readable pictures of one size")
        yield to_size(picture), partial(_same, to_size(drawn))


def _same(drawn: Picture, _: float) -> Picture:
    return drawn


def partner(runners: Mapping[str, Runner], pairs: Iterable[Pair], encoder: Encoder) -> Section:
    """Distances of engines, and of the untouched pictures, to partners, at every factor.

    Args:
        runners: Engines by name.
        pairs: Pairs of held-out pictures.
        encoder: Encoder that looks at them.
    """
    measured: dict[tuple[str, float], list[list[float]]] = {}
    count = 0
    for count, (picture, partner_for) in enumerate(pairs, 1):
        factors = {factor for runner in runners.values() for factor in runner.factors}
        for factor in sorted(factors):
            drawn = partner_for(factor)
            outputs = {name: runner(picture, factor) for name, runner in runners.items()}
            for name, output in (outputs | {"untouched": picture}).items():
                measured.setdefault((name, factor), []).append(distances(output, drawn, encoder))
        if count % 10 == 0:
            log.info("judged %d pairs", count)
    names = dict.fromkeys(name for name, _ in measured)
    ordered = [key for name in names for key in sorted(measured) if key[0] == name]
    return Section(
        "partner",
        f"Held-out pictures ({count}): no crop of their sources was in the training. Short side 480. All "
        "against the partner of the same picture, lower is nearer but for PSNR: mean difference in code "
        "values, PSNR of luma in dB, perceptual distance (VGG-19), style (relative Gram distance).",
        {
            "method": "",
            "factor": "g",
            "difference": ".2f",
            "PSNR": ".2f",
            "perceptual": ".3f",
            "style": ".3f",
        },
        [[*key, *(float(value) for value in np.mean(measured[key], axis=0))] for key in ordered],
    )


@torch.no_grad()
def distances(output: Picture, drawn: Picture, encoder: Encoder) -> list[float]:
    """Mean difference in code values, PSNR in dB, perceptual distance, relative Gram distance."""
    output_13HW, drawn_13HW = (to_tensor(picture)[None] for picture in (output, drawn))
    with torch.autocast("cpu", torch.bfloat16):
        features, wanted = encoder(output_13HW), encoder(drawn_13HW)
    grams = [
        losses.relative_gram(losses.gram(f), losses.gram(w)).item()
        for f, w in zip(features, wanted, strict=True)
    ]
    return [
        255 * losses.imitation(output_13HW, drawn_13HW).item(),
        metrics.psnr_luma(output_13HW, drawn_13HW).item(),
        metrics.perceptual_distance(features, wanted).item(),
        float(np.mean(grams)),
    ]


def untrained(engine: Engine, folder: Path, seed: int = 7) -> Path:
    """Write to `folder` an engine as the given one was before its training; returns the folder."""
    torch.manual_seed(seed)
    network = NETWORKS[engine.spec.family](**engine.spec.options)
    fields = engine.spec.model_dump() | {"name": folder.name}
    export(network, folder, fields, golden(network), "# An engine before its training\n", graph=False)
    return folder
