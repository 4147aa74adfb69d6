"""Training of classifiers: how good a picture is, or what kind of picture it is.

One command for both. `good` names good pictures, which are damaged; the classes are those of the score that
says how much was lost (`training.quality`). `domains` names pictures of each domain. Windows at full
resolution serve the first, since sharpness is what counts there; whole pictures at a small size the second.

Legend of shapes: B pictures, S side, K classes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor
from torch.nn import functional

from streamfx.generate.networks.classifier import HEADS, STRIDE, Classifier, probabilities
from training import loop, quality
from training.classify_card import classify_card
from training.degrade import degrade, draw
from training.export import export, golden
from training.feed import Feed, FeedOptions
from training.loop import LoopOptions
from training.pictures import Picture, Still, find_stills, read_still, to_short_side, to_tensor

log = logging.getLogger(__name__)

Random = np.random.Generator


class ClassifyOptions(BaseModel):
    """Settings of `python -m training classify`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    good: list[Path] = Field(default=[], description="folders of good pictures: learn to tell quality")
    domains: dict[str, list[Path]] = Field(
        default={}, description="folders and clips of each domain: learn to tell these"
    )
    out: Path = Field(description="engine folder to write")
    work: Path = Field(description="folder for checkpoint and log")
    sides: list[int] = Field(
        min_length=1, description="of the pictures, in pixels: windows for quality, whole ones for domains"
    )
    batch: int = Field(default=16, ge=2)
    clip_share: float = Field(default=0.1, ge=0, le=1)
    readers: int = Field(default=2, ge=1)
    version: str = "1.0.0"
    licence: str = "Apache-2.0"
    note: str = Field(default="", description="for the card: limits that were found")
    width: int = Field(default=16, ge=1, description="channels of the network's first stage")
    detail: bool = Field(default=False, description="show the network fine detail beside the picture")
    steps: int = Field(default=1500, ge=1)
    rounds_of: int = Field(
        default=300, ge=1, description="batches of damaged windows: each comes again, turned, after these"
    )
    judged: int = Field(default=400, ge=1, description="held-out pictures for the figures, at most")
    loop: LoopOptions = Field(
        default_factory=lambda: LoopOptions(learning_rate=1e-3, warm_up_steps=50, tail=0.6)
    )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores."""
        return tuple(self.domains) if self.domains else quality.CLASSES

    @model_validator(mode="after")
    def _check(self) -> ClassifyOptions:
        wrong = []
        if bool(self.good) == bool(self.domains):
            wrong.append("give either good, to tell quality, or domains")
        if self.domains and len(self.domains) < 2:
            wrong.append(f"domains: at least two are needed to tell apart; found {', '.join(self.domains)}")
        paths = [*self.good, *(path for found in self.domains.values() for path in found)]
        wrong += [f"{path} does not exist" for path in paths if not path.exists()]
        wrong += [f"sides: {side} is not a multiple of {STRIDE}" for side in self.sides if side % STRIDE]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class Examples(Protocol):
    """Where labelled pictures come from."""

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """Pictures B3SS, RGB in [0, 1], and the index B of each one's class."""

    def held_out(self, count: int) -> list[tuple[Picture, int]]:
        """Up to `count` pictures of sources that are never in a batch, and their classes, always the same."""

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
        found = []
        side = max(self._options.sides)
        for place, picture in enumerate(_pictures(_spread(find_stills(self._options.good)), count)):
            top, left = ((length - side) // 2 for length in picture.shape[:2])
            found.append(damaged(picture[top : top + side, left : left + side], [9, place]))
        return found

    def close(self) -> None:
        self._workers.shutdown(cancel_futures=True)
        self._feed.close()


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
        self._feeds = [
            Feed(
                FeedOptions(
                    content=content,
                    crop=largest,
                    short_sides=[largest, largest * 9 // 8, largest * 5 // 4],
                    clip_share=options.clip_share,
                    batch=-(-options.batch // len(options.domains)),
                    readers=options.readers,
                ),
                options.loop.seed + place,
            )
            for place, content in enumerate(options.domains.values())
        ]

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self._options.loop.seed, 7, number])
        side = int(rng.choice(self._options.sides))
        found = []
        for label, feed in enumerate(self._feeds):
            for square in feed.batch(number):
                varied = degrade([square[0]], draw(rng), rng) if rng.random() < 0.3 else [square[0]]
                found.append((_lit(to_short_side(varied[0], side), rng), label))
        return torch.stack([to_tensor(picture) for picture, _ in found]), _labels(found)

    def held_out(self, count: int) -> list[tuple[Picture, int]]:
        side = sorted(self._options.sides)[len(self._options.sides) // 2]
        found = []
        for label, content in enumerate(self._options.domains.values()):
            stills = _spread(find_stills(path for path in content if path.is_dir()))
            pictures = _pictures(stills, count // len(self._options.domains))
            found += [(_whole(picture, side), label) for picture in pictures]
        return found

    def close(self) -> None:
        for feed in self._feeds:
            feed.close()


def open_examples(options: ClassifyOptions) -> Examples:
    """Where the labelled pictures of these options come from."""
    return DomainExamples(options) if options.domains else QualityExamples(options)


class ClassifyTrainee:
    """The network and what corrects it."""

    def __init__(self, options: ClassifyOptions, network: Classifier, examples: Examples) -> None:
        self._options, self._network, self._examples = options, network, examples
        self._optimiser = torch.optim.Adam(network.parameters(), lr=options.loop.learning_rate)
        self.networks = {"generator": network}
        self.optimisers = {"generator": self._optimiser}

    def step(self, number: int) -> dict[str, float]:
        """Correct the network once; returns the cross entropy."""
        rgb_B3SS, labels_B = (part.to(self._options.loop.device) for part in self._examples.batch(number))
        with self._options.loop.precision():
            scores_BKss = self._network.scores_of(rgb_B3SS.contiguous(memory_format=torch.channels_last))
        entropy = functional.cross_entropy(scores_BKss.float().mean((2, 3)), labels_B)
        return loop.correct(self._optimiser, {"entropy": entropy})


def run(options: ClassifyOptions) -> None:
    """Train, judge on held-out pictures, and write the engine."""
    examples = open_examples(options)
    try:
        network = train(options, examples)
        table = confusion(network, examples.held_out(options.judged), len(options.classes))
    finally:
        examples.close()
    log.info("held-out accuracy %.3f", accuracy(table))
    fields = {
        "version": options.version,
        "family": "classifier",
        "options": {"classes": len(options.classes), "width": options.width, "detail": options.detail},
        "stride": STRIDE,
        "factors": [1.0],
        "heads": list(HEADS),
        "classes": list(options.classes),
        "max_displacement_pixels": 0.0,
        "source_domain": "any",
        "target_domain": "any",
        "licence": options.licence,
    }
    card = classify_card(options, table)
    frame = golden(network, factor=1.0, size=(96, 128), grain=0.08)
    engine = export(network, options.out, fields, frame, card)
    log.info("wrote engine %s to %s", engine.name, engine.folder)


def train(
    options: ClassifyOptions, examples: Examples, on_step: Callable[[int], None] | None = None
) -> Classifier:
    """The trained network, in evaluation mode; goes on from the checkpoint in `options.work`, if any."""
    torch.manual_seed(options.loop.seed)
    network = Classifier(len(options.classes), options.width, options.detail)
    network.to(options.loop.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainee = ClassifyTrainee(options, network, examples)
    loop.run(trainee, options.loop, options.steps, options.work, on_step=on_step)
    return network


@torch.no_grad()
def confusion(
    network: Classifier, pictures: Sequence[tuple[Picture, int]], classes: int
) -> NDArray[np.int64]:
    """How often pictures of each class (rows) were taken for each class (columns), KK."""
    network = network.cpu().eval()
    table = np.zeros((classes, classes), np.int64)
    for picture, label in pictures:
        found = probabilities(network.scores_of(to_tensor(picture)[None]))
        table[label, int(found.argmax())] += 1
    return table


def accuracy(table_KK: NDArray[np.int64]) -> float:
    """Share of pictures on the diagonal."""
    return float(np.trace(table_KK) / max(1, table_KK.sum()))


def _labels(found: Sequence[tuple[Picture, int]]) -> Tensor:
    return torch.tensor([label for _, label in found])


def _spread(stills: Sequence[Still]) -> list[Still]:
    """Held-out pictures, in turn from each source."""
    seen: dict[str, int] = {}
    ranked = []
    for still in stills:
        if still.held_out:
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


def _lit(picture: Picture, rng: Random) -> Picture:
    """Picture with another gamma and saturation, so that these do not decide."""
    table = (255 * np.linspace(0, 1, 256) ** rng.uniform(0.75, 1.35)).round().astype(np.uint8)
    lit = cv2.LUT(picture, table).astype(np.float32)
    grey = lit.mean(axis=2, keepdims=True)
    return np.asarray(np.clip(grey + (lit - grey) * rng.uniform(0.6, 1.3), 0, 255), np.uint8)
