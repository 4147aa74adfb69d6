"""Pairs of people: squares with faces of all sizes, and their caricatures.

People are few, and a picture has them in one place and size, so squares are put together: one to four parts,
as in the mosaics of Bochkovskiy, Wang, Liao, "YOLOv4: Optimal Speed and Accuracy of Object Detection" (2020),
each with a picture that is scaled, turned, stretched a little and recoloured by chance, before another one
where it ends. The faces are found once, in the picture as it came; their points move along.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.operators.bulges import field, warp
from training.operators.caricature import bulges
from training.operators.people import Person, fade_in
from training.pairs import Maker, sometimes_dark
from training.picture_store import PictureStore
from training.pictures import Picture
from training.warped import WarpedOptions, encoded

Finder = Callable[[Picture], list[Person]]
Matrix = NDArray[np.float64]

_TRIES = 50
_SURE = 0.5  # presence from which a picture counts as one of people
_LARGEST_SCALE, _SMALLEST_SCALE = 3.0, 0.2
_MOST_TURN = 0.25  # radians
_STRETCH = 0.1
_SOFT_PIXELS = 2.0  # where one picture ends before another
_CUTS = ((), (0,), (1,), (0, 1))  # axes along which a square is cut in two
_CUT_SHARES = (0.5, 0.15, 0.15, 0.2)
_SMALL = (14.0, 26.0)  # heights of a face between which it comes in, in pixels


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture HW3 and the people in it."""

    picture: Picture
    people: Sequence[Person]


def people_pairs(
    people: PictureStore,
    other: Callable[[np.random.Generator], Picture],
    find: Finder,
    side: int,
    options: WarpedOptions,
    seed: int,
) -> Maker:
    """How to make pairs of squares with people, with their fields.

    Args:
        people: Pictures of people.
        other: Gives a square by chance of anything else.
        find: Finds people.
        side: Side of the squares, in pixels.
        options: Options of the pairs and their fields.
        seed: Seed of all choices.
    """
    scenes = _Scenes(people, find, options.clip_share)

    def make(index: int) -> Picture:
        rng = np.random.default_rng([seed, 8, index])
        square = other(rng).copy()
        field_SS2 = np.zeros((side, side, 2), np.float32)
        if rng.random() < options.people_share:
            for rows, columns in _parts(side, rng):
                part = _part(
                    scenes.draw(rng), rows.stop - rows.start, columns.stop - columns.start, options, rng
                )
                square[rows, columns] = _before(part, square[rows, columns])
                field_SS2[rows, columns] = field(bulges(part.people), *part.picture.shape[:2])
        square = sometimes_dark(square, rng)
        return np.concatenate([square, warp(square, field_SS2), encoded(field_SS2)], axis=2)

    return make


class _Scenes:
    """Pictures of people by chance; the people of each are looked for once."""

    def __init__(self, picture_store: PictureStore, find: Finder, clip_share: float) -> None:
        self._picture_store, self._find, self._clip_share = picture_store, find, clip_share
        self._known: dict[bytes, list[Person]] = {}

    def draw(self, rng: np.random.Generator) -> Scene:
        """One that has people in it.

        Raises:
            ValueError: None was found.
        """
        for _ in range(_TRIES):
            (picture,) = self._picture_store.take(rng, self._clip_share)
            name = hashlib.blake2b(np.ascontiguousarray(picture).data).digest()
            if name not in self._known:
                self._known[name] = self._find(picture)
            if any(person.presence >= _SURE for person in self._known[name]):
                return Scene(picture, self._known[name])
        raise ValueError(f"no picture of people in {_TRIES} tries among those that are given as such")


@dataclass(frozen=True, eq=False)
class _Part:
    """A picture HW3 of people, and how much of it covers each pixel, HW1 in 0..1."""

    picture: Picture
    people: Sequence[Person]
    cover_HW1: NDArray[np.float32]


def _parts(side: int, rng: np.random.Generator) -> list[tuple[slice, slice]]:
    """Rows and columns of the parts that a square is cut into."""
    spans = [[slice(0, side)], [slice(0, side)]]
    for axis in _CUTS[int(rng.choice(len(_CUTS), p=_CUT_SHARES))]:
        middle = int(side * rng.uniform(0.35, 0.65))
        spans[axis] = [slice(0, middle), slice(middle, side)]
    return [(rows, columns) for rows in spans[0] for columns in spans[1]]


def _part(scene: Scene, height: int, width: int, options: WarpedOptions, rng: np.random.Generator) -> _Part:
    """A part of a square, with one of the people of a scene in it at a height by chance."""
    candidates = [person for person in scene.people if person.presence >= _SURE]
    flat_P2 = candidates[int(rng.integers(len(candidates)))].points_P3[:, :2]
    largest = max(min(options.highest, 1.2 * min(height, width)), options.lowest)
    wanted = np.exp(rng.uniform(np.log(options.lowest), np.log(largest)))
    scale = float(np.clip(wanted / np.ptp(flat_P2[:, 1]), _SMALLEST_SCALE, _LARGEST_SCALE))
    picture = scene.picture
    if scale < 1:
        picture = np.asarray(
            cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    sizes_2 = np.array(picture.shape[1::-1]) / np.array(scene.picture.shape[1::-1])
    turn_22 = _turn(rng) * scale
    place_2 = rng.uniform(0.12, 0.88, 2) * (width, height)
    shift_2 = place_2 - turn_22 @ (flat_P2.min(0) + flat_P2.max(0)) / 2
    map_23 = np.concatenate([turn_22 / sizes_2, (shift_2 + turn_22 @ (0.5 / sizes_2 - 0.5))[:, None]], axis=1)
    placed = cv2.warpAffine(
        picture, map_23, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    inside = cv2.warpAffine(np.ones(picture.shape[:2], np.float32), map_23, (width, height))
    cover_HW1 = cv2.GaussianBlur(inside, (0, 0), _SOFT_PIXELS)[..., None] * (inside[..., None] > 0)
    people = [_moved(person, turn_22, shift_2, scale) for person in scene.people]
    return _Part(recoloured(np.asarray(placed, np.uint8), rng), people, np.asarray(cover_HW1, np.float32))


def _turn(rng: np.random.Generator) -> Matrix:
    """A rotation and a stretch by chance, 22."""
    angle = float(np.clip(rng.normal(0, _MOST_TURN / 2), -_MOST_TURN, _MOST_TURN))
    stretch = np.exp(rng.uniform(-_STRETCH, _STRETCH))
    rotation_22 = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(rotation_22 @ np.diag([stretch, 1 / stretch]), np.float64)


def _moved(person: Person, turn_22: Matrix, shift_2: Matrix, scale: float) -> Person:
    """A person whose points were turned and moved; fainter if it became very small."""
    flat_P2 = person.points_P3[:, :2] @ turn_22.T + shift_2
    points_P3 = np.concatenate([flat_P2, scale * person.points_P3[:, 2:]], axis=1).astype(np.float32)
    return Person(points_P3, person.presence * fade_in(float(np.ptp(flat_P2[:, 1])), *_SMALL))


def recoloured(picture: Picture, rng: np.random.Generator) -> Picture:
    """RGB picture HW3 in other light: brightness, contrast, gamma, tint and saturation by chance."""
    rgb = picture.astype(np.float32) / np.float32(255)
    rgb = rgb ** np.float32(np.exp(rng.uniform(-0.45, 0.45)))
    rgb = rgb * np.exp(rng.normal(0, 0.07, 3)).astype(np.float32)
    grey = rgb.mean(-1, keepdims=True)
    saturation = 0.0 if rng.random() < 0.05 else rng.uniform(0.5, 1.35)
    rgb = grey + np.float32(saturation) * (rgb - grey)
    middle = rgb.mean()
    rgb = (rgb - middle) * np.float32(rng.uniform(0.75, 1.2)) + middle + np.float32(rng.normal(0, 0.03))
    return np.asarray((rgb.clip(0, 1) * 255).round(), np.uint8)


def _before(part: _Part, behind: Picture) -> Picture:
    """A part before what is where its picture ends, HW3."""
    mixed = part.cover_HW1 * part.picture + (1 - part.cover_HW1) * behind
    return np.asarray(mixed.round(), np.uint8)
