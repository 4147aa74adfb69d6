"""Labelled pictures that classifiers learn from, and held-out ones that they are judged on.

Legend of shapes: B pictures, S side.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from streamfx.engine.families.classifier import STRIDE
from training import quality
from training.classify_options import ClassifyOptions
from training.degrade import degrade, draw
from training.feed import Feed, FeedOptions
from training.pictures import (
    HELD_OUT_SHARE,
    Picture,
    Still,
    find_stills,
    read_still,
    to_short_side,
    to_tensor,
)

Random = np.random.Generator


class Examples(Protocol):
    """Where labelled pictures come from."""

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Pictures B3SS, RGB in [0, 1], and the index B of each one's class."""

    def held_out(self, count: int) -> list[tuple[Picture, int]]:
        """Up to `count` pictures of sources that are never in a batch, and their classes, always the same."""

    def calibrating(self, count: int) -> list[tuple[Picture, int]]:
        """The same of sources that are in neither; none where no sources are kept for it."""

    def close(self) -> None:
        """Stop reading. May be called twice."""


class QualityExamples:
    """Windows of good pictures, damaged, labelled by what was lost.

    Damaging and measuring takes longer than learning, so batches are kept and come again, turned."""

    def __init__(self, options: ClassifyOptions) -> None:
        self._options = options
        self._feed = Feed(
            FeedOptions(
                content=options.good, crop=max(options.sides), batch=options.batch, readers=options.readers
            ),
            options.loop.seed,
        )
        self._workers = ThreadPoolExecutor(options.readers, thread_name_prefix="streamfx-damage")
        self._made: dict[int, tuple[Tensor, Tensor]] = {}

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        turn, place = divmod(number, self._options.rounds_of)
        if place not in self._made:
            self._made[place] = self._make(place)
        codes_B3SS, labels_B = self._made[place]
        rng = np.random.default_rng([self._options.loop.seed, 10, turn, place])
        turned_B3SS = codes_B3SS.rot90(int(rng.integers(4)), (2, 3))
        if rng.random() < 0.5:
            turned_B3SS = turned_B3SS.flip(3)
        return turned_B3SS.float() / 255, labels_B

    def _make(self, number: int) -> tuple[Tensor, Tensor]:
        """Codes B3SS, 8 bits, and labels B."""
        rng = np.random.default_rng([self._options.loop.seed, 7, number])
        side = int(rng.choice(self._options.sides))
        seeds = [[self._options.loop.seed, 8, number, place] for place in range(self._options.batch)]
        windows = [square[0, :side, :side] for square in self._feed.batch(number)]
        found = list(self._workers.map(damaged, windows, seeds))
        codes_BSS3 = np.stack([picture for picture, _ in found])
        return torch.from_numpy(codes_BSS3).permute(0, 3, 1, 2).contiguous(), _labels(found)

    def held_out(self, count: int) -> list[tuple[Picture, int]]:
        return held_out_windows(find_stills(self._options.good), max(self._options.sides), count)

    def calibrating(self, count: int) -> list[tuple[Picture, int]]:  # noqa: ARG002
        return []

    def close(self) -> None:
        self._workers.shutdown(cancel_futures=True)
        self._feed.close()


def held_out_windows(
    stills: Sequence[Still], side: int, count: int, seed: int = 9
) -> list[tuple[Picture, int]]:
    """Centre windows of up to `count` held-out good pictures, damaged, and the index of their class."""
    found = []
    held = [still for still in stills if still.held_out]
    for place, picture in enumerate(_pictures(_in_turn(held), count)):
        top, left = ((length - side) // 2 for length in picture.shape[:2])
        found.append(damaged(picture[top : top + side, left : left + side], [seed, place]))
    return found


def held_out_wholes(
    stills_of: Sequence[Sequence[Still]], short_side: int, count: int
) -> list[tuple[Picture, int]]:
    """Up to `count` held-out pictures of all domains together, reduced, and the index of their domain."""
    held_of = [[still for still in stills if still.held_out] for stills in stills_of]
    return _wholes(held_of, short_side, count)


def _wholes(stills_of: Sequence[Sequence[Still]], short_side: int, count: int) -> list[tuple[Picture, int]]:
    return [
        (_whole(picture, short_side), label)
        for label, stills in enumerate(stills_of)
        for picture in _pictures(_in_turn(stills), count // len(stills_of))
    ]


def damaged(window: Picture, seed: Sequence[int]) -> tuple[Picture, int]:
    """A window after a random combination of degradations, and the index of its class of quality."""
    rng = np.random.default_rng(seed)
    window = np.ascontiguousarray(window)
    # Three frames: in the last, the codec shows what it does to most frames.
    after = degrade([window] * 3, draw(rng), rng)[-1]
    return after, quality.label(quality.score(after, window))


class DomainExamples:
    """Whole pictures at a small size, as many of each domain."""

    def __init__(self, options: ClassifyOptions) -> None:
        self._options = options
        largest = -(-max(options.sides) * 5 // 4)
        closest = round(largest * options.closest)
        self._stills_of = [
            find_stills(path for path in content if path.is_dir()) for content in options.domains.values()
        ]
        parts = [parted(stills, options.calibrated_share) for stills in self._stills_of]
        self._calibrating = [calibrating for _, calibrating in parts]
        self._feeds = [
            Feed(
                FeedOptions(
                    content=content,
                    crop=largest,
                    short_sides=[largest, (largest + closest) // 2, closest],
                    clip_share=options.clip_share,
                    batch=-(-options.batch // len(options.domains)),
                    readers=options.readers,
                ),
                options.loop.seed + place,
                learned,
            )
            for place, (content, (learned, _)) in enumerate(zip(options.domains.values(), parts, strict=True))
        ]

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self._options.loop.seed, 7, number])
        side = int(rng.choice(self._options.sides))
        found = []
        for label, feed in enumerate(self._feeds):
            for square in feed.batch(number):
                varied = degrade([square[0]], draw(rng), rng) if rng.random() < 0.3 else [square[0]]
                lit = _lit(to_short_side(varied[0], side), rng, self._options.grey_share)
                found.append((lit, label))
        return torch.stack([to_tensor(picture) for picture, _ in found]), _labels(found)

    def held_out(self, count: int) -> list[tuple[Picture, int]]:
        return held_out_wholes(self._stills_of, self._side, count)

    def calibrating(self, count: int) -> list[tuple[Picture, int]]:
        return _wholes(self._calibrating, self._side, count)

    @property
    def _side(self) -> int:
        return sorted(self._options.sides)[len(self._options.sides) // 2]

    def close(self) -> None:
        for feed in self._feeds:
            feed.close()


def parted(stills: Sequence[Still], calibrated_share: float) -> tuple[list[Still], list[Still]]:
    """Pictures to learn from, and a share whose sources are for calibration alone; no held-out ones."""
    begins = HELD_OUT_SHARE + calibrated_share * (1 - HELD_OUT_SHARE)
    learned = [still for still in stills if still.place >= begins]
    return learned, [still for still in stills if HELD_OUT_SHARE <= still.place < begins]


def open_examples(options: ClassifyOptions) -> Examples:
    """Where the labelled pictures of these options come from."""
    return DomainExamples(options) if options.domains else QualityExamples(options)


def _labels(found: Sequence[tuple[Picture, int]]) -> Tensor:
    return torch.tensor([label for _, label in found])


def _in_turn(stills: Sequence[Still]) -> list[Still]:
    """The pictures, in turn from each source."""
    seen: dict[str, int] = {}
    ranked = []
    for still in stills:
        seen[still.source] = seen.get(still.source, 0) + 1
        ranked.append((seen[still.source], still))
    return [still for _, still in sorted(ranked, key=lambda pair: pair[0])]


def _pictures(stills: Sequence[Still], count: int) -> list[Picture]:
    found = (read_still(still.path) for still in stills[:count])
    return [picture for picture in found if picture is not None]


def _whole(picture: Picture, short_side: int) -> Picture:
    """Picture at a short side, both sides multiples of the stride."""
    small = to_short_side(picture, short_side)
    height, width = (side // STRIDE * STRIDE for side in small.shape[:2])
    return small[:height, :width]


def _lit(picture: Picture, rng: Random, grey_share: float) -> Picture:
    """Picture with another gamma and saturation, or without colours, so that these do not decide."""
    table = (255 * np.linspace(0, 1, 256) ** rng.uniform(0.75, 1.35)).round().astype(np.uint8)
    lit = cv2.LUT(picture, table).astype(np.float32)
    grey = lit.mean(axis=2, keepdims=True)
    saturation = rng.uniform(0.6, 1.3)
    if grey_share and rng.random() < grey_share:
        saturation = 0.0
    return np.asarray(np.clip(grey + (lit - grey) * saturation, 0, 255), np.uint8)
