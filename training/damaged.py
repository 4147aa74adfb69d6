"""Damaged pictures and their originals, a batch ahead of the step that learns from them."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.degrade import Mix, degrade, draw_of
from training.feed import Feed, Squares
from training.pictures import Picture

SPARE = 12
"""Pixels by which the squares of the feed are larger than the pictures, so that these can move."""
_MOST_PIXELS = SPARE // 3  # a frame
_FRAMES = 3  # one before the two that are used
_Example: TypeAlias = tuple[Picture, Picture, tuple[int, int]]


@dataclass(frozen=True)
class Damaged:
    """A batch: two consecutive frames of each of B clips, side S.

    Attributes:
        damaged_B23SS: Pictures that the network is given, RGB in [0, 1].
        clean_B23SS: Pictures that it should give, RGB in [0, 1].
        moves_B: Movement of each clip's window from frame to frame, in pixels (down, right).
    """

    damaged_B23SS: Tensor
    clean_B23SS: Tensor
    moves_B: tuple[tuple[int, int], ...]


class DamagedFeed:
    """Seeded batches of damaged moving crops; close it after use.

    A square of the feed becomes a clip: a window moves over it, as a camera over a scene. All its frames are
    damaged alike, by new noise each; a codec sees one frame more, so that the first is not always a key
    frame.

    Args:
        feed: Feed of squares that are `SPARE` pixels larger than `side`, one frame each.
        side: Side of the pictures, in pixels, even.
        seed: Seed of all choices.
        workers: Threads.
        mix: Shares of pictures with one kind of damage, and with none.
    """

    def __init__(self, feed: Feed, side: int, seed: int, workers: int, mix: Mix | None = None) -> None:
        self._feed, self._side, self._seed = feed, side, seed
        self._mix = mix or Mix()
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="streamfx-damage")
        self._coming: dict[int, list[Future[_Example]]] = {}

    def batch(self, number: int) -> Damaged:
        """Batch `number`; the next one is damaged meanwhile."""
        self._coming = {n: found for n, found in self._coming.items() if n >= number}
        for coming in (number, number + 1):
            if coming not in self._coming:
                squares = self._feed.batch(coming)
                self._coming[coming] = [
                    self._workers.submit(self._damage, coming, place, square[0])
                    for place, square in enumerate(squares)
                ]
        examples = [example.result() for example in self._coming.pop(number)]
        return Damaged(
            to_tensors(np.stack([damaged for damaged, _, _ in examples])),
            to_tensors(np.stack([clean for _, clean, _ in examples])),
            tuple(move for _, _, move in examples),
        )

    def close(self) -> None:
        """Stop; the feed as well. May be called twice."""
        self._workers.shutdown(cancel_futures=True)
        self._feed.close()

    def _damage(self, number: int, place: int, square: Picture) -> _Example:
        rng = np.random.default_rng([self._seed, 6, number, place])
        turned = np.rot90(square, int(rng.integers(4)))
        clean, move = moving(turned, self._side, _FRAMES, rng)
        damaged = degrade(clean, draw_of(self._mix, rng), rng)
        return np.stack(damaged[1:]), np.stack(clean[1:]), move


def moving(
    square: Picture, side: int, frames: int, rng: np.random.Generator
) -> tuple[list[Picture], tuple[int, int]]:
    """Windows of `side` pixels that move evenly over a square picture, and their move (down, right) a
    frame, up to 4 pixels each way."""
    down, right = (int(rng.integers(-_MOST_PIXELS, _MOST_PIXELS + 1)) for _ in range(2))
    path = frames - 1
    top, left = (
        int(rng.integers(max(0, -path * step), square.shape[0] - side - max(0, path * step) + 1))
        for step in (down, right)
    )
    windows = [
        square[top + n * down : top + n * down + side, left + n * right : left + n * right + side]
        for n in range(frames)
    ]
    return [np.ascontiguousarray(window) for window in windows], (down, right)


def overlap(earlier_3SS: Tensor, later_3SS: Tensor, move: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The parts of two consecutive frames that show the same part of the scene, equal in size."""
    (down, right), side = move, earlier_3SS.shape[-1]
    return (
        earlier_3SS[..., max(down, 0) : side + min(down, 0), max(right, 0) : side + min(right, 0)],
        later_3SS[..., max(-down, 0) : side + min(-down, 0), max(-right, 0) : side + min(-right, 0)],
    )


def to_tensors(pictures_SS3: Squares | NDArray[np.uint8]) -> Tensor:
    """RGB tensors ...3HW in [0, 1] of pictures ...HW3."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pictures_SS3, -1, -3))).float() / 255
