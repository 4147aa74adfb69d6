"""Pool: a fixed, seeded set of crops, so that what frozen networks say of each can be kept."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from training import pictures
from training.picture_store import PictureStore
from training.pictures import CLIPS, Crop, Picture, Still, find_stills, to_short_side

_READERS = 2
_SHORT_LIVED_BYTES = 64 << 20  # the crops themselves are kept


class Pool:
    """Crops of stills and, for `clip_share` of them, of frames of clips; each is read when first needed.

    Close it after use.

    Raises:
        ValueError: There is neither still nor clip.
    """

    def __init__(
        self,
        stills: Sequence[Still],
        clips: Sequence[Path],
        size: int,
        side: int,
        clip_share: float,
        seed: int,
    ) -> None:
        self.picture_store = PictureStore(stills, clips, _SHORT_LIVED_BYTES)
        self._size, self._side, self._clip_share, self._seed = size, side, clip_share, seed
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="streamfx-pool")
        self._crops: dict[int, Future[Crop]] = {}

    def __len__(self) -> int:
        return self._size

    def crop(self, index: int) -> Crop:
        """Crop number `index`; always the same.

        Raises:
            ValueError: Nothing readable was found.
        """
        self.prepare([index])
        return self._crops[index].result()

    def prepare(self, indices: Sequence[int]) -> None:
        """Have crops read by other threads; they will be needed soon."""
        for index in indices:
            if index not in self._crops:
                self._crops[index] = self._readers.submit(self._read, index)

    def indices(self, step: int, batch: int) -> list[int]:
        """Which crops step number `step` uses: every crop once per round, each round in a new order."""
        chosen = []
        for position in range(step * batch, (step + 1) * batch):
            turn, offset = divmod(position, self._size)
            order = np.random.default_rng([self._seed, 2, turn]).permutation(self._size)
            chosen.append(int(order[offset]))
        return chosen

    def close(self) -> None:
        """Stop reading, and say how much could not be read. May be called twice."""
        self._readers.shutdown(cancel_futures=True)
        self.picture_store.close()

    def _read(self, index: int) -> Crop:
        rng = np.random.default_rng([self._seed, 1, index])
        return cut(self.picture_store.take(rng, self._clip_share)[0], self._side, rng)


def open_pool(
    content: Sequence[Path], exclude: Sequence[str], size: int, side: int, clip_share: float, seed: int
) -> Pool:
    """Pool of crops from folders of photographs, held-out sources apart, and from clips. Close it after use.

    Raises:
        ValueError: There is neither still nor clip.
    """
    folders = [path for path in content if path.is_dir()]
    clips = [path for path in content if path.suffix.lower() in CLIPS]
    stills = [still for still in find_stills(folders, exclude) if not still.held_out]
    return Pool(stills, clips, size, side, clip_share, seed)


def cut(picture: Picture, side: int, rng: np.random.Generator) -> Crop:
    """A random crop; a third touch the picture's border, so that the network learns what a border looks
    like."""
    short = max(int(rng.choice(pictures.SHORT_SIDES)), side)
    picture = to_short_side(picture, short)
    start = [int(rng.integers(0, n - short + 1)) for n in picture.shape[:2]]
    square = np.ascontiguousarray(picture[start[0] : start[0] + short, start[1] : start[1] + short])
    places = [int(rng.integers(0, short - side + 1)) for _ in range(2)]
    if rng.random() < 1 / 3:
        places[int(rng.integers(2))] = int(rng.choice([0, short - side]))
    return Crop(square, places[0], places[1], side)
