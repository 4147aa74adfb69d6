"""Looked at: windows whose quality was told by looking at them, not from what was lost of a known original.

A classifier of quality learns labels that follow from such losses, and chooses by them: judged on more of the
same it can only be found right. These windows of held-out pictures, as they are or damaged, were looked at
twice, in two random orders; where both looks agree, that is the label. A quarter of them are backgrounds: the
smoothest of nine places of a picture, which must not pass for blurred.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamfx.engine.families.classifier import Classifier
from training import quality
from training.degrade import Degradation, degrade
from training.evaluation.section import Cell, Section
from training.pictures import Picture, Still, read_still

_SIDE = 192
_GOOD = len(quality.CLASSES) - 1


@dataclass(frozen=True)
class Looked:
    """A window that was looked at.

    Attributes:
        picture: The window.
        looks: Index of the class that each of the two looks gave it.
        background: Whether it is the smoothest part of its picture.
        damaged: Whether it was damaged.
    """

    picture: Picture
    looks: tuple[int, int]
    background: bool
    damaged: bool


def read_looked(table: Path, stills: Sequence[Still]) -> list[Looked]:
    """The windows of a table whose pictures are among the stills. Noise is not that of the look, but as
    strong.

    Args:
        table: CSV file with columns file (folder and name), top, left, background, damage, first, second.
        stills: Pictures, of which each file is one.
    """
    found = []
    by_name = {f"{still.path.parent.name}/{still.path.name}": still.path for still in stills}
    with table.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines)):
            path = by_name.get(row["file"])
            picture = None if path is None else read_still(path)
            if picture is None:
                continue
            top, left = int(row["top"]), int(row["left"])
            window = np.ascontiguousarray(picture[top : top + _SIDE, left : left + _SIDE])
            damage = [Degradation(kind, settings) for kind, settings in json.loads(row["damage"])]
            shown = degrade([window] * 3, damage, np.random.default_rng(number))[-1]
            looks = (quality.CLASSES.index(row["first"]), quality.CLASSES.index(row["second"]))
            found.append(Looked(shown, looks, bool(int(row["background"])), bool(damage)))
    return found


def looked_section(network: Classifier, windows: Sequence[Looked]) -> Section:
    """How often a classifier says what both looks said."""
    agreed = [one for one in windows if one.looks[0] == one.looks[1]]
    judged = [(one, int(np.argmax(quality.judge(network, one.picture)))) for one in agreed]
    groups = {
        "all": judged,
        "backgrounds": [pair for pair in judged if pair[0].background],
        "not damaged": [pair for pair in judged if not pair[0].damaged],
    }
    rows: list[list[Cell]] = [
        [name, len(group), *_shares([(one.looks[0], guess) for one, guess in group])]
        for name, group in groups.items()
    ]
    share = len(agreed) / max(1, len(windows))
    return Section(
        "looked",
        f"Windows of held-out pictures ({len(windows)}) that were looked at twice; both looks agree on "
        f"{share:.1%} of them, and those count here. Right: taken for what the looks say. Good refused: of "
        "those that look good, taken for less. Poor let through: of those that look poor, taken for good. "
        "Backgrounds: the smoothest parts of their pictures.",
        {"windows": "", "number": "d", "right": ".0%", "good refused": ".0%", "poor let through": ".0%"},
        rows,
    )


def _shares(judged: Sequence[tuple[int, int]]) -> list[Cell]:
    """Shares of label and guess that are equal, of good ones refused, of poor ones let through."""
    good = [guess != _GOOD for label, guess in judged if label == _GOOD]
    poor = [guess == _GOOD for label, guess in judged if label == 0]
    right = [label == guess for label, guess in judged]
    return [float(np.mean(part)) if part else None for part in (right, good, poor)]
