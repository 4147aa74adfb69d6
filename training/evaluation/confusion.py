"""Confusion: what a classifier takes held-out pictures for.

Legend of shapes: K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from streamfx.engine.families.classifier import Classifier, probabilities
from training.evaluation.section import Section
from training.pictures import Picture, to_tensor
from training.sheet import cell, sheet

Labelled = tuple[Picture, int]
"""A picture, and the index of its class."""


def confusion(network: Classifier, pictures: Sequence[Labelled], classes: int) -> NDArray[np.int64]:
    """How often pictures of each class (rows) were taken for each class (columns), KK."""
    network = network.cpu().eval()
    table = np.zeros((classes, classes), np.int64)
    for picture, label in pictures:
        table[label, _taken_for(network, picture)] += 1
    return table


def accuracy(table_KK: NDArray[np.int64]) -> float:
    """Share of pictures on the diagonal."""
    return float(np.trace(table_KK) / max(1, table_KK.sum()))


def confusion_section(classes: Sequence[str], table_KK: NDArray[np.int64]) -> Section:
    """The table of confusion, with the accuracy."""
    rows = [
        [name, *row.tolist(), float(row[place] / max(1, row.sum()))]
        for place, (name, row) in enumerate(zip(classes, table_KK, strict=True))
    ]
    return Section(
        "confusion",
        f"Held-out pictures ({table_KK.sum()}): no crop of their sources was in the training. Accuracy "
        f"{accuracy(table_KK):.1%}. Rows: what they are; columns: what they were taken for.",
        {"picture": "", **dict.fromkeys(classes, "d"), "right": ".0%"},
        rows,
    )


def confusion_sheet(
    network: Classifier, pictures: Sequence[Labelled], classes: Sequence[str], side: int = 192
) -> Picture:
    """The first picture of each cell of the table of confusion, white where there is none."""
    network = network.cpu().eval()
    first: dict[tuple[int, int], Picture] = {}
    for picture, label in pictures:
        first.setdefault((label, _taken_for(network, picture)), cell(picture, side))
    white = np.full((side, side, 3), 255, np.uint8)
    places = range(len(classes))
    rows = [[first.get((label, taken), white) for taken in places] for label in places]
    return sheet(rows, [f"taken for {name}" for name in classes])


@torch.no_grad()
def _taken_for(network: Classifier, picture: Picture) -> int:
    return int(probabilities(network.scores_of(to_tensor(picture)[None])).argmax())
