"""Style: how near outputs are to a style picture and to their source, at every factor.

Style: relative Gram distance, mean of relu1_1 to relu4_1; content: MSE at relu4_1; both pictures at short
side 480. Sharpness: gradient energy at full size against the same network at factor 1."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from training import losses
from training.evaluation.chosen import pictures_of
from training.evaluation.gradients import edge_correlation, gradient_energy
from training.evaluation.runner import Runner
from training.evaluation.section import Cell, Section
from training.evaluation.stamps import Folds
from training.features import Decoder, Encoder, adain
from training.fused import bare
from training.pictures import Picture, Still, to_picture, to_tensor

log = logging.getLogger(__name__)

_Measured: TypeAlias = tuple[list[float], float, float, float]
"""Style by layer, content, sharpness and edges of one picture."""


class Judge:
    """Measures pictures against one style; holds the frozen networks.

    Args:
        style_13HW: The style picture, RGB in [0, 1].
        encoder: Frozen network whose layers tell the style.
    """

    def __init__(self, style_13HW: Tensor, encoder: Encoder) -> None:
        self.encoder = encoder
        self.decoder = Decoder()
        self.style_13HW = style_13HW
        with torch.no_grad():
            self.style_features: list[Tensor] = encoder(style_13HW)
        self.grams = [losses.gram(features) for features in self.style_features]

    @torch.no_grad()
    def layers(self, features: Sequence[Tensor]) -> list[float]:
        """Relative Gram distance of each layer."""
        return [
            losses.relative_gram(losses.gram(f), g).item() for f, g in zip(features, self.grams, strict=True)
        ]

    @torch.no_grad()
    def features(self, picture: Picture) -> list[Tensor]:
        """Features of an RGB picture."""
        with torch.autocast("cpu", torch.bfloat16):
            features: list[Tensor] = self.encoder(to_tensor(picture)[None])
        return features

    @torch.no_grad()
    def adain(self, picture: Picture) -> Picture:
        """What AdaIN makes of a picture: the yardstick."""
        with torch.autocast("cpu", torch.bfloat16):
            rgb = self.decoder(adain(self.features(picture)[-1], self.style_features[-1]))
        return to_picture(rgb[0, :, : picture.shape[0], : picture.shape[1]])


def style(
    runners: Mapping[str, Runner],
    judge: Judge,
    stills: Sequence[Still],
    bare_engine: Callable[[Picture, float], Picture] | None = None,
) -> Section:
    """Figures of engines at every factor, of AdaIN, of the untouched pictures and of the style itself.

    Args:
        runners: Engines by name; the first one is the one judged.
        judge: Judge of the style.
        stills: Held-out pictures.
        bare_engine: The first engine without its detail gain, to be shown at its largest factor.
    """
    measured: dict[tuple[str, float | None], list[_Measured]] = {}
    first = next(iter(runners.values()))
    folds: dict[tuple[str, float | None], Folds] = {}
    count = 0
    for count, picture in enumerate(pictures_of(stills), 1):
        outputs: dict[tuple[str, float | None], Picture] = {
            (name, factor): runner(picture, factor)
            for name, runner in runners.items()
            for factor in runner.factors
        }
        sharpest = max(gradient_energy(next(iter(outputs.values()))), 1e-6)
        if bare_engine is not None:
            largest = first.factors[-1]
            outputs["engine without detail", largest] = bare_engine(picture, largest)
        outputs["AdaIN", None] = judge.adain(picture)
        outputs["untouched", None] = picture
        source = judge.features(picture)
        for key, output in outputs.items():
            features = source if key[0] == "untouched" else judge.features(output)
            content = losses.content(features[-1], source[-1]).item()
            sharpness = gradient_energy(output) / sharpest
            edges = edge_correlation(output, picture)
            measured.setdefault(key, []).append((judge.layers(features), content, sharpness, edges))
            period = round(first.engine.spec.stride * (key[1] or first.factors[-1]))
            folds.setdefault(key, Folds(period)).add(output)
        if count % 10 == 0:
            log.info("judged %d of %d pictures", count, len(stills))
    rows = [_mean(*key, values, folds[key].lock) for key, values in measured.items()]
    return Section(
        "style",
        f"Held-out pictures ({count}): no crop of their sources was in the training. Short side 480. Style: "
        "mean relative Gram distance, lower is closer to the style. Content: mean squared difference at "
        "relu4_1, lower is closer to the source. Sharpness: gradient energy against the same network at "
        "factor 1. Edges: correlation of gradient lengths with the source's. Lock: strength of edges at "
        "their strongest offset from the network's grid over their mean, 1 without stamps, which lower the "
        "style distance, too. The style itself: its picture, reduced and enlarged, which is as close as a "
        "network without detail gain could come.",
        {
            "method": "",
            "factor": "g",
            "style (relative Gram distance)": ".3f",
            "relu1_1, 2_1, 3_1, 4_1": "",
            "content": ".2f",
            "sharpness": ".2f",
            "edges": ".2f",
            "lock": ".2f",
        },
        [*rows, *style_itself(judge)],
    )


def style_itself(judge: Judge) -> list[list[Cell]]:
    """Figures of the style picture itself, reduced and enlarged as a bare translation is.

    They say what a factor costs a network that translates perfectly: only the detail gain can win it back.
    """
    rows: list[list[Cell]] = []
    for factor in (2.0, 4.0):
        layers = judge.layers(judge.features(to_picture(bare(judge.style_13HW, factor)[0])))
        rows.append(["the style itself", factor, float(np.mean(layers)), _joined(layers), *4 * [None]])
    return rows


def _mean(method: str, factor: float | None, values: Sequence[_Measured], lock: float) -> list[Cell]:
    layers = [float(value) for value in np.mean([value[0] for value in values], axis=0)]
    others = (float(np.mean([value[index] for value in values])) for index in (1, 2, 3))
    return [method, factor, float(np.mean(layers)), _joined(layers), *others, lock]


def _joined(layers: Sequence[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in layers)
