"""Composed pictures: people cut out by the slow operator and put before other backgrounds, with their masks.

People are few, and each clip has them in one place, size and light, so pictures are put together as in Xu,
Price, Cohen, Huang, "Deep Image Matting" (2017): people are cut out, scaled, turned a little, mirrored,
recoloured and put before a photograph without people, one or several of them. Others stay before their own
background, and some pictures are of nobody: animals and things, which stand out as well.

Legend of axes: H, W = of a picture; 3 = its colours.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.people_masks import Mask, PeopleMasks
from training.people_pairs import recoloured
from training.person_options import ComposedOptions
from training.picture_store import PictureStore
from training.pictures import CLIPS, STILLS, Picture, Still, draw_factor, find_stills, still_at
from training.pool import cut

log = logging.getLogger(__name__)

Real = NDArray[np.float32]

_SHORT_LIVED_BYTES = 256 << 20
_TRIES = 200
_LEAST_SHARE = 0.004  # of the pixels of a picture of people
_COUNTS, _COUNT_SHARES = (1, 2, 3, 4), (0.6, 0.22, 0.12, 0.06)
_MOST_TURN = 0.2  # radians
_LARGEST_SCALE, _SMALLEST_SCALE = 2.0, 0.08
_MOST_ZOOM = 1.6  # of a picture before its own background, over what fills the frame
_AT_ITS_EDGE = 0.85  # share of those cut off by an edge of their picture who are cut off by the new one's
_REACH = 1 / 60  # of the means from which colours at borders are estimated, in short sides


@dataclass(frozen=True, eq=False)
class Masked:
    """A picture HW3 and the mask of its people HW, both of 8 bits."""

    picture: Picture
    mask: Mask


class Composer:
    """Puts pictures together, each by its number, always the same. Close it after use.

    Raises:
        ValueError: There is no picture of people, or none of what is behind them.
    """

    def __init__(self, options: ComposedOptions, seed: int) -> None:
        self._options, self._seed = options, seed
        clips = [path for path in options.people if path.suffix.lower() in CLIPS]
        self._people = PictureStore(stills_of(options.people, options.exclude), clips, _SHORT_LIVED_BYTES)
        self._behind = PictureStore(stills_of(options.behind, options.exclude), [], _SHORT_LIVED_BYTES)
        self._masks = PeopleMasks(options.masks)

    def __call__(self, number: int) -> Masked:
        """The picture of a number, read where it was kept."""
        if self._options.kept is None:
            return self._made(number)
        path = self._options.kept / f"{number:06d}.png"
        both = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
        if both is None:
            made = self._made(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial.png")
            both = np.concatenate([made.picture, made.mask[..., None]], axis=2)
            cv2.imwrite(str(partial), both, [cv2.IMWRITE_PNG_COMPRESSION, 1])
            partial.replace(path)
        return Masked(np.asarray(both[..., :3], np.uint8), np.asarray(both[..., 3], np.uint8))

    def _made(self, number: int) -> Masked:
        rng = np.random.default_rng([self._seed, 1, number])
        size = self._options.sizes[number % len(self._options.sizes)]
        kind = rng.random()
        if kind < self._options.as_they_are:
            return _as_it_is(self._scene(rng), size, rng)
        behind = Masked(recoloured(self._background(size, rng), rng), np.zeros(size, np.uint8))
        if kind < self._options.as_they_are + self._options.empty:
            return behind
        count = int(rng.choice(_COUNTS, p=_COUNT_SHARES))
        for height in sorted(self._heights(count, size[0], rng)):  # the nearer ones are larger, and in front
            behind = put_before(behind, self._scene(rng), height, rng)
        return behind

    def close(self) -> None:
        """Close the clips. May be called twice."""
        self._people.close()
        self._behind.close()

    def _heights(self, count: int, height: int, rng: np.random.Generator) -> list[float]:
        """Heights of people, in pixels: all are as likely, in octaves; of several none fills the picture."""
        low, high = self._options.smallest, self._options.largest / (1 + 0.4 * (count - 1))
        return [height * float(np.exp(rng.uniform(np.log(low), np.log(high)))) for _ in range(count)]

    def _scene(self, rng: np.random.Generator) -> Masked:
        """A picture of people.

        Raises:
            ValueError: None was found.
        """
        for _ in range(_TRIES):
            (picture,) = self._people.take(rng, self._options.clip_share)
            mask = self._masks(picture)
            if (mask >= 128).mean() >= _LEAST_SHARE:
                return Masked(picture, mask)
        raise ValueError(f"the operator found nobody in {_TRIES} pictures that are given as people")

    def _background(self, size: tuple[int, int], rng: np.random.Generator) -> Picture:
        """A photograph without people, cut to a size."""
        (picture,) = self._behind.take(rng, 0.0)
        crop = cut(picture, max(size), rng)
        top, left = (int(rng.integers(0, max(size) - side + 1)) for side in size)
        square = crop.picture[crop.top : crop.top + crop.side, crop.left : crop.left + crop.side]
        return np.ascontiguousarray(square[top : top + size[0], left : left + size[1]])


class ComposedFeed:
    """Seeded batches of composed pictures; those of the next step are made meanwhile. Close it after use."""

    def __init__(self, composer: Composer, options: ComposedOptions, batch: int, seed: int) -> None:
        self._composer, self._options, self._batch, self._seed = composer, options, batch, seed
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="streamfx-composed")
        self._made: dict[int, Future[Masked]] = {}

    def draw(self, step: int, factors: dict[float, float]) -> tuple[float, list[Masked]]:
        """A factor and pictures of one size, for a step."""
        factor, numbers = self._choose(step, factors)
        self._prepare(numbers)
        self._prepare(self._choose(step + 1, factors)[1])
        return factor, [self._made[number].result() for number in numbers]

    def close(self) -> None:
        """Stop. May be called twice."""
        self._maker.shutdown(cancel_futures=True)
        self._composer.close()

    def _choose(self, step: int, factors: dict[float, float]) -> tuple[float, list[int]]:
        rng = np.random.default_rng([self._seed, 6, step])
        kinds = len(self._options.sizes)
        kind, rounds = int(rng.integers(kinds)), max(1, self._options.pictures // kinds)
        chosen = rng.integers(rounds, size=self._batch)
        return draw_factor(factors, rng), [int(index) * kinds + kind for index in chosen]

    def _prepare(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            if number not in self._made:
                self._made[number] = self._maker.submit(self._composer, number)


def stills_of(paths: Sequence[Path], exclude: Sequence[str]) -> list[Still]:
    """Photographs among paths and in folders, held-out ones apart."""
    stills = find_stills([path for path in paths if path.is_dir()], exclude)
    stills += [still_at(path) for path in paths if path.suffix.lower() in STILLS]
    return [still for still in stills if not still.held_out]


def _as_it_is(scene: Masked, size: tuple[int, int], rng: np.random.Generator) -> Masked:
    """A part of a picture of people, as large as asked, turned a little and recoloured."""
    height, width = scene.mask.shape
    filling = max(size[0] / height, size[1] / width)
    scale = filling * float(np.exp(rng.uniform(0, np.log(_MOST_ZOOM))))
    spare_2 = np.array([scale * width - size[1], scale * height - size[0]])
    shift_2 = -spare_2 * rng.random(2)
    moved = _moved(scene, _map(scale, _angle(rng) / 3, shift_2, (height, width)), size, cv2.BORDER_REFLECT)
    return _mirrored(Masked(recoloured(moved.picture, rng), moved.mask), rng)


def put_before(behind: Masked, scene: Masked, height: float, rng: np.random.Generator) -> Masked:
    """The people of a scene before a picture, as high as asked, in pixels."""
    scene = _mirrored(scene, rng)
    rows, columns = (np.flatnonzero((scene.mask >= 128).any(axis)) for axis in (1, 0))
    tall = float(rows[-1] - rows[0] + 1)
    scale = float(np.clip(height / tall, _SMALLEST_SCALE, _LARGEST_SCALE))
    size = behind.mask.shape
    shift_2 = np.array(
        [
            _place((columns[0], columns[-1] + 1), scene.mask.shape[1], scale, size[1], rng, both=True),
            _place((rows[0], rows[-1] + 1), scene.mask.shape[0], scale, size[0], rng, both=False),
        ]
    )
    coloured = Masked(recoloured(_foreground(scene), rng), scene.mask)
    moved = _moved(
        coloured,
        _map(scale, _angle(rng), shift_2, scene.mask.shape),
        (size[0], size[1]),
        cv2.BORDER_REPLICATE,
    )
    cover_HW1 = moved.mask[..., None].astype(np.float32) / 255
    picture = cover_HW1 * moved.picture + (1 - cover_HW1) * behind.picture
    mask = 255 - (255 - moved.mask.astype(np.float32)) * (255 - behind.mask.astype(np.float32)) / 255
    return Masked(np.asarray(picture.round(), np.uint8), np.asarray(mask.round(), np.uint8))


def _place(
    span: tuple[int, int], whole: int, scale: float, side: int, rng: np.random.Generator, *, both: bool
) -> float:
    """Where the first pixel of a scene comes to lie, along one axis of a picture.

    Who is cut off by an edge of their own picture is mostly cut off by that of the new one: at the bottom
    and, with ``both``, at either side.
    """
    first, last = scale * span[0], scale * span[1]
    if rng.random() < _AT_ITS_EDGE:
        beyond = (last - first) * rng.uniform(0, 0.25)
        if span[1] >= whole - 1:
            return float(side - last + beyond)
        if both and span[0] <= 1:
            return float(-first - beyond)
    middle = side * rng.uniform(0.05, 0.95)
    return float(middle - (first + last) / 2)


def _foreground(scene: Masked) -> Picture:
    """Colours of the people alone: near their borders the background shows through, and would tell where they
    were cut out.

    After Forte, "Approximate Fast Foreground Colour Estimation" (2021): means weighted by the mask, corrected
    by what they leave unexplained.
    """
    picture_HW3, cover_HW1 = scene.picture.astype(np.float32), scene.mask[..., None].astype(np.float32) / 255
    side = 2 * max(2, round(_REACH * min(scene.mask.shape))) + 1
    covered_HW1 = cv2.blur(cover_HW1, (side, side))[..., None] + np.float32(1e-3)
    front_HW3 = cv2.blur(picture_HW3 * cover_HW1, (side, side)) / covered_HW1
    back_HW3 = cv2.blur(picture_HW3 * (1 - cover_HW1), (side, side)) / (1.002 - covered_HW1)
    left_HW3 = picture_HW3 - cover_HW1 * front_HW3 - (1 - cover_HW1) * back_HW3
    return np.asarray((front_HW3 + cover_HW1 * left_HW3).clip(0, 255).round(), np.uint8)


def _map(scale: float, angle: float, shift_2: NDArray[np.float64], shape: tuple[int, ...]) -> Real:
    """Affine map 23 of a scene: scaled, moved, and turned around its middle."""
    turn_22 = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle_2 = np.array([shape[1] / 2, shape[0] / 2])
    offset_2 = shift_2 + scale * middle_2 - turn_22 @ middle_2
    return np.asarray(np.concatenate([turn_22, offset_2[:, None]], axis=1), np.float32)


def _moved(scene: Masked, map_23: Real, size: tuple[int, int], border: int) -> Masked:
    """A scene moved by a map, cut to a size; nobody is beyond its edges unless they are mirrored there."""
    scale = float(np.hypot(map_23[0, 0], map_23[1, 0]))
    picture, mask = scene.picture, scene.mask
    sizes_2 = np.ones(2)
    if scale < 1:
        small = tuple(max(1, round(side * scale)) for side in mask.shape[::-1])
        sizes_2 = np.array(small) / np.array(mask.shape[::-1])
        picture, mask = (
            np.asarray(cv2.resize(plane, small, interpolation=cv2.INTER_AREA), np.uint8)
            for plane in (picture, mask)
        )
    # From centres of pixels of the smaller picture to those of the new one.
    turn_22 = map_23[:, :2] / sizes_2
    offset_2 = map_23[:, 2] + turn_22 @ np.array([0.5, 0.5]) - 0.5
    whole_23 = np.concatenate([turn_22, offset_2[:, None]], axis=1)
    mirrored = border == cv2.BORDER_REFLECT
    return Masked(
        np.asarray(cv2.warpAffine(picture, whole_23, size[::-1], borderMode=border), np.uint8),
        np.asarray(
            cv2.warpAffine(
                mask, whole_23, size[::-1], borderMode=border if mirrored else cv2.BORDER_CONSTANT
            ),
            np.uint8,
        ),
    )


def _angle(rng: np.random.Generator) -> float:
    return float(np.clip(rng.normal(0, _MOST_TURN / 3), -_MOST_TURN, _MOST_TURN))


def _mirrored(scene: Masked, rng: np.random.Generator) -> Masked:
    if rng.random() < 0.5:
        return scene
    return Masked(np.ascontiguousarray(scene.picture[:, ::-1]), np.ascontiguousarray(scene.mask[:, ::-1]))
