"""Feed: pictures for training, read when they are needed, by several threads, a few batches ahead.

What a batch holds follows from the seed and its number alone, not from what was read before, so a resumed
training sees what an uninterrupted one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.picture_store import PictureStore
from training.pictures import CLIPS, Picture, Still, find_stills, to_short_side

Squares: TypeAlias = NDArray[np.uint8]


class FeedOptions(BaseModel):
    """What to train on, section `feed` of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    content: list[Path] = Field(min_length=1, description="folders of pictures, and clips")
    exclude: list[str] = Field(
        default=[], description="leave out pictures whose path contains one of these words"
    )
    crop: int = Field(default=192, ge=16, description="side of the squares, in pixels")
    batch: int = Field(default=4, ge=1)
    short_sides: list[int] = Field(
        default=[], description="resize pictures to one of these before cutting; empty: as they are"
    )
    clip_share: float = Field(default=0.2, ge=0, le=1, description="share of squares that come from clips")
    frames: int = Field(
        default=1, ge=1, description="consecutive frames of each square; a still stands still"
    )
    readers: int = Field(default=2, ge=1, description="threads that read ahead")
    ahead: int = Field(default=3, ge=1, description="batches read ahead")
    kept_megabytes: int = Field(default=400, ge=0, description="memory for decoded pictures")

    @model_validator(mode="after")
    def _check(self) -> FeedOptions:
        if missing := [str(path) for path in self.content if not path.exists()]:
            raise ValueError(f"content {', '.join(missing)} does not exist")
        if self.short_sides and min(self.short_sides) < self.crop:
            raise ValueError(f"short_sides must be at least crop, {self.crop}; found {self.short_sides}")
        return self

    @property
    def stills(self) -> list[Still]:
        """Pictures to train on, in a fixed order; held-out sources apart."""
        folders = [path for path in self.content if path.is_dir()]
        return [still for still in find_stills(folders, self.exclude) if not still.held_out]

    @property
    def clips(self) -> list[Path]:
        return [path for path in self.content if path.suffix.lower() in CLIPS]


class Feed:
    """Seeded batches of squares; close it after use, or use it as a context.

    Args:
        options: Pictures and clips to read.
        seed: Seed of all choices.
        stills: Stills to take instead of those of the options, a selection of them for instance.

    Attributes:
        picture_store: store that holds the pictures; it counts those that could not be used.

    Raises:
        ValueError: There is nothing to read.
    """

    def __init__(self, options: FeedOptions, seed: int, stills: Sequence[Still] | None = None) -> None:
        self._options, self._seed = options, seed
        self.picture_store = PictureStore(
            options.stills if stills is None else stills, options.clips, options.kept_megabytes << 20
        )
        self._readers = ThreadPoolExecutor(options.readers, thread_name_prefix="streamfx-feed")
        self._wanted: dict[int, list[Future[Squares]]] = {}

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def batch(self, number: int) -> Squares:
        """Batch `number`: squares (B, T, S, S, 3), RGB, uint8; the next ones are read meanwhile.

        Raises:
            ValueError: Nothing readable was found.
        """
        for past in [past for past in self._wanted if past < number]:
            del self._wanted[past]
        for coming in range(number, number + 1 + self._options.ahead):
            if coming not in self._wanted:
                self._wanted[coming] = [
                    self._readers.submit(self._square, coming, place) for place in range(self._options.batch)
                ]
        return np.stack([square.result() for square in self._wanted.pop(number)])

    def close(self) -> None:
        """Stop reading, and say how much could not be read. May be called twice."""
        self._readers.shutdown(cancel_futures=True)
        self.picture_store.close()

    def _square(self, number: int, place: int) -> Squares:
        options = self._options
        rng = np.random.default_rng([self._seed, 5, number, place])
        smallest = 1 if options.short_sides else options.crop
        return self._cut(self.picture_store.take(rng, options.clip_share, options.frames, smallest), rng)

    def _cut(self, frames: list[Picture], rng: np.random.Generator) -> Squares:
        options = self._options
        if options.short_sides:
            short = int(rng.choice(options.short_sides))
            frames = [to_short_side(frame, short) for frame in frames]
        height, width = frames[0].shape[:2]
        top, left = (int(rng.integers(0, side - options.crop + 1)) for side in (height, width))
        square = np.stack([frame[top : top + options.crop, left : left + options.crop] for frame in frames])
        return np.ascontiguousarray(square[:, :, ::-1] if rng.random() < 0.5 else square)
