"""Pairs: squares of pictures and what they are to become, drawn by an operator or read from files.

A pair is made by another thread when it is first needed, and kept. Which pairs a step uses follows from the
seed and its number alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from training.operators import Operator
from training.picture_store import PictureStore
from training.pictures import Picture, draw_factor, find_stills, read_still, save_still, to_tensor
from training.pool import cut

log = logging.getLogger(__name__)

_TRIES = 200

_DARK_SHARE = 0.2  # of the squares of photographs and clips
_LEAST_LIGHT = 0.3

Maker: TypeAlias = Callable[[int], Picture]
"""Makes the pair of an index, always the same: SS6, RGB of the source and of its partner; or SS9, see
`training.warped`."""


class Pairs:
    """A fixed, seeded set of pairs. Close it after use.

    Args:
        make: Maker of the pair of an index.
        size: Number of pairs.
        factors: Factors, and how often each is drawn.
        batch: Pairs of a step.
        seed: Seed of all choices.
    """

    def __init__(
        self,
        make: Maker,
        size: int,
        factors: Mapping[float, float],
        batch: int,
        seed: int,
    ) -> None:
        self._make, self._size, self._factors, self._batch, self._seed = make, size, factors, batch, seed
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="streamfx-pairs")
        self._made: dict[int, Future[Picture]] = {}

    def draw(self, number: int) -> tuple[float, list[Picture]]:
        """Factor and pairs of step `number`; those of the next one are made meanwhile.

        Raises:
            ValueError: A pair cannot be made.
        """
        factor, indices = self._choose(number)
        self._prepare(indices)
        self._prepare(self._choose(number + 1)[1])
        return factor, [self._made[index].result() for index in indices]

    def close(self) -> None:
        """Stop making pairs. May be called twice."""
        self._maker.shutdown(cancel_futures=True)

    def _choose(self, number: int) -> tuple[float, list[int]]:
        rng = np.random.default_rng([self._seed, 6, number])
        factor = draw_factor(self._factors, rng)
        return factor, [int(index) for index in rng.integers(self._size, size=self._batch)]

    def _prepare(self, indices: list[int]) -> None:
        for index in indices:
            if index not in self._made:
                self._made[index] = self._maker.submit(self._make, index)


def drawn(picture_store: PictureStore, operator: Operator, side: int, clip_share: float, seed: int) -> Maker:
    """How to make pairs of squares by chance, some of them dark, and what an operator draws of them."""

    def make(index: int) -> Picture:
        rng = np.random.default_rng([seed, 1, index])
        square = sometimes_dark(any_square(picture_store, side, clip_share, rng), rng)
        return np.concatenate([square, operator(np.ascontiguousarray(square))], axis=2)

    return make


def any_square(
    picture_store: PictureStore, side: int, clip_share: float, rng: np.random.Generator
) -> Picture:
    """A square by chance, of a still or a clip."""
    crop = cut(picture_store.take(rng, clip_share)[0], side, rng)
    return crop.picture[crop.top : crop.top + side, crop.left : crop.left + side]


def sometimes_dark(square: Picture, rng: np.random.Generator) -> Picture:
    """A square as it is or, by chance, darker."""
    if rng.random() >= _DARK_SHARE:
        return square
    return np.asarray((square * rng.uniform(_LEAST_LIGHT, 1.0)).round(), np.uint8)


def kept(make: Maker, folder: Path) -> Maker:
    """The same pairs, each read from a PNG file in `folder` once it was made: source beside partner, and what
    comes after them.

    What belongs to other settings must have another folder.
    """

    def read_or_make(index: int) -> Picture:
        path = folder / f"{index:06d}.png"
        both = read_still(path) if path.is_file() else None
        if both is None:
            pair = make(index)
            folder.mkdir(parents=True, exist_ok=True)
            save_still(path, np.concatenate(np.split(pair, pair.shape[2] // 3, axis=2), axis=1))
            return pair
        return np.concatenate(np.split(both, both.shape[1] // both.shape[0], axis=1), axis=2)

    return read_or_make


class PairFiles:
    """Makes pairs of the pictures below `folder`, held-out ones apart, and those below `partners` that have
    the same relative path. Close it after use.

    A pair that cannot be read, or whose sizes differ, is named in the log, skipped and counted. Sizes are
    known once both are decoded, so a wrong one is met in the course of the training.

    Attributes:
        skipped: Pictures whose pair cannot be used.

    Raises:
        ValueError: There is no picture, or one has no partner.
    """

    def __init__(self, folder: Path, partners: Path, side: int, exclude: Sequence[str], seed: int) -> None:
        stills = [still for still in find_stills([folder], exclude) if not still.held_out]
        if not stills:
            raise ValueError(f"there is no training picture in {folder}")
        self._folder, self._side, self._seed = folder, side, seed
        self._pairs = [(still.path, partners / still.path.relative_to(folder)) for still in stills]
        self.skipped: set[Path] = set()
        if missing := [str(partner) for _, partner in self._pairs if not partner.is_file()]:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise ValueError(f"partners that do not exist: {', '.join(missing[:3])}{more}")

    def make(self, index: int) -> Picture:
        """The pair of an index; see `Maker`.

        Raises:
            ValueError: No pair that can be used was found.
        """
        rng, side = np.random.default_rng([self._seed, 1, index]), self._side
        for _try in range(_TRIES):
            path, partner = self._pairs[int(rng.integers(len(self._pairs)))]
            pair = None if path in self.skipped else _stacked(path, partner)
            if pair is not None:
                crop = cut(pair, side, rng)
                return crop.picture[crop.top : crop.top + side, crop.left : crop.left + side].copy()
            self.skipped.add(path)
        raise ValueError(f"no pair of pictures in {self._folder} that can be used, in {_TRIES} tries")

    def close(self) -> None:
        """Say how much was skipped."""
        if self.skipped:
            log.warning("%d of %d pairs could not be used", len(self.skipped), len(self._pairs))


def _stacked(path: Path, partner_path: Path) -> Picture | None:
    """Picture and partner as one of six channels, HW6; None, and a line in the log, where that cannot be."""
    source, other = read_still(path), read_still(partner_path)
    if source is None or other is None:
        return None
    if source.shape != other.shape:
        sizes = [f"{picture.shape[1]} x {picture.shape[0]}" for picture in (source, other)]
        log.warning(
            "skipped %s: it is %s, its partner %s %s; pairs must match point by point",
            path, sizes[0], partner_path, sizes[1],
        )  # fmt: skip
        return None
    return np.concatenate([source, other], axis=2)


def stack(pictures: list[Picture]) -> Tensor:
    """Pictures as one tensor B3SS in [0, 1]."""
    return torch.stack([to_tensor(picture) for picture in pictures])
