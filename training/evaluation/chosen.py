"""Chosen: the held-out pictures that figures are of, and how they are brought to size and shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from training.evaluation.runner import Runner
from training.pictures import Picture, Still, read_still, to_short_side
from training.sheet import cell, centre, sheet

SHORT_SIDE = 480


def choose(stills: Iterable[Still], count: int) -> list[Still]:
    """Up to `count` held-out pictures, spread evenly over their sources, in a fixed order."""
    by_source: dict[str, list[Still]] = {}
    for still in stills:
        if still.held_out:
            by_source.setdefault(still.source, []).append(still)
    turns = max((len(found) for found in by_source.values()), default=0)
    in_turn = [found[turn] for turn in range(turns) for found in by_source.values() if turn < len(found)]
    return in_turn[:count]


def pictures_of(stills: Sequence[Still]) -> Iterator[Picture]:
    """The pictures at `SHORT_SIDE`, their sides cut to multiples of 16; unreadable ones are left out."""
    for still in stills:
        picture = read_still(still.path)
        if picture is not None:
            yield to_size(picture)


def to_size(picture: Picture) -> Picture:
    """Picture at `SHORT_SIDE`, its sides cut to multiples of 16."""
    return to_whole_strides(to_short_side(picture, SHORT_SIDE))


def to_whole_strides(picture: Picture, unit: int = 16) -> Picture:
    """Centre part of a picture whose sides are multiples of `unit`, so that every factor divides them."""
    height, width = (side // unit * unit for side in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return np.ascontiguousarray(picture[top : top + height, left : left + width])


def picture_sheet(runner: Runner, pictures: Sequence[Picture], side: int = 232) -> Picture:
    """Before and after at every factor, whole pictures, and the centres of the first and the last one at full
    size."""
    rows, crops = [], []
    for number, picture in enumerate(pictures):
        whole = to_size(picture)
        versions = [whole, *(runner(whole, factor) for factor in runner.factors)]
        rows.append([cell(version, side) for version in versions])
        if number in (0, len(pictures) - 1):
            crops.append([centre(version, side) for version in versions])
    return sheet(rows + crops, ["source", *(f"factor {factor:g}" for factor in runner.factors)])
