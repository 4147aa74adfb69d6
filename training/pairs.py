"""Pairs: crops and what they are to become, drawn by an operator or read from files.

A pair is made by another thread when it is first needed, and kept. Which pairs a step uses follows from the
seed and its number alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.line_wash import line_and_wash
from training.pictures import Crop, Picture, draw_factor, find_stills, read_still, to_tensor
from training.pool import Pool, cut

Operator = Callable[[Picture, float], Picture]

OPERATORS: Mapping[str, Operator] = {"line_and_wash": line_and_wash}
REACH = 28
"""Pixels around a crop that its partner depends on, per pixel of pen."""


@dataclass(frozen=True)
class Pair:
    """A crop and its partner, RGB SS3, as large."""

    crop: Crop
    partner: Picture


class Pairs:
    """A fixed, seeded set of pairs; each belongs to one factor, because a batch has one. Close it after use.

    Args:
        make: The pair of an index and a factor, always the same.
        size: How many there are.
        factors: Factors, and how often each is drawn.
        batch: Pairs of a step.
        seed: Of all choices.
    """

    def __init__(
        self,
        make: Callable[[int, float], Pair],
        size: int,
        factors: Mapping[float, float],
        batch: int,
        seed: int,
    ) -> None:
        self._make, self._size, self._factors, self._batch, self._seed = make, size, factors, batch, seed
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="streamfx-pairs")
        self._made: dict[int, Future[Pair]] = {}

    def draw(self, number: int) -> tuple[float, list[Pair]]:
        """Factor and pairs of step `number`; those of the next one are made meanwhile.

        Raises:
            ValueError: A pair cannot be made.
        """
        factor, indices = self._choose(number)
        self._prepare(factor, indices)
        self._prepare(*self._choose(number + 1))
        return factor, [self._made[index].result() for index in indices]

    def close(self) -> None:
        """Stop making pairs. May be called twice."""
        self._maker.shutdown(cancel_futures=True)

    def _choose(self, number: int) -> tuple[float, list[int]]:
        rng = np.random.default_rng([self._seed, 6, number])
        factor = draw_factor(self._factors, rng)
        first = sorted(self._factors).index(factor) % self._size
        group = range(first, self._size, len(self._factors))
        return factor, [int(index) for index in rng.choice(group, self._batch)]

    def _prepare(self, factor: float, indices: list[int]) -> None:
        for index in indices:
            if index not in self._made:
                self._made[index] = self._maker.submit(self._make, index, factor)


def drawn(
    pool: Pool, operator: Operator, pen_pixels: Callable[[float], float]
) -> Callable[[int, float], Pair]:
    """How to make pairs of a pool's crops and what an operator draws with a pen as wide as `pen_pixels`
    says for the factor."""

    def make(index: int, factor: float) -> Pair:
        crop = pool.crop(index)
        return Pair(crop, partner(crop, operator, pen_pixels(factor)))

    return make


def partner(crop: Crop, operator: Operator, pen_pixels: float) -> Picture:
    """The crop's part, SS3, of what the operator makes of its picture."""
    reach = round(REACH * pen_pixels)
    top, left = max(crop.top - reach, 0), max(crop.left - reach, 0)
    around = crop.picture[top : crop.top + crop.side + reach, left : crop.left + crop.side + reach]
    whole = operator(np.ascontiguousarray(around), pen_pixels)
    down, right = crop.top - top, crop.left - left
    return whole[down : down + crop.side, right : right + crop.side]


def read(
    folder: Path, partners: Path, side: int, exclude: Sequence[str], seed: int
) -> Callable[[int, float], Pair]:
    """How to make pairs of the pictures below `folder`, held-out ones apart, and those below `partners` that
    have the same relative path.

    Raises:
        ValueError: There is no picture, or one has no partner.
    """
    stills = [still for still in find_stills([folder], exclude) if not still.held_out]
    if not stills:
        raise ValueError(f"there is no training picture in {folder}")
    paths = {still.path: partners / still.path.relative_to(folder) for still in stills}
    if missing := [str(path) for path in paths.values() if not path.is_file()]:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ValueError(f"partners that do not exist: {', '.join(missing[:3])}{more}")

    def make(index: int, _: float) -> Pair:
        rng = np.random.default_rng([seed, 1, index])
        path = stills[int(rng.integers(len(stills)))].path
        both = _stacked(path, paths[path])
        crop = cut(both, side, rng)
        inside = crop.picture[crop.top : crop.top + side, crop.left : crop.left + side]
        source = np.ascontiguousarray(crop.picture[..., :3])
        return Pair(Crop(source, crop.top, crop.left, side), np.ascontiguousarray(inside[..., 3:]))

    return make


def _stacked(path: Path, partner_path: Path) -> Picture:
    """Picture and partner as one of six channels, HW6."""
    source, other = read_still(path), read_still(partner_path)
    if source is None or other is None:
        raise ValueError(f"{path if source is None else partner_path} is not a readable picture")
    if source.shape != other.shape:
        sizes = [f"{picture.shape[1]} x {picture.shape[0]}" for picture in (source, other)]
        raise ValueError(
            f"{path} is {sizes[0]}, its partner {partner_path} {sizes[1]}; pairs must match point by point"
        )
    return np.concatenate([source, other], axis=2)


def stack(pictures: list[Picture]) -> Tensor:
    """Pictures as one tensor B3SS in [0, 1]."""
    return torch.stack([to_tensor(picture) for picture in pictures])
