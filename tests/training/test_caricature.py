"""Caricature: who is found, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.operators import caricature
from training.operators.bulges import field, warp
from training.operators.caricature import bulges
from training.operators.people import LEFT_EYE, LIPS, OUTLINE, RIGHT_EYE, Person, finder, scales
from training.pictures import Picture, read_still

HEAD = Path(__file__).parents[1] / "clips" / "head.jpg"
# Where his eyes, mouth and chin are, seen by eye.
EYES, MOUTH, CHIN = ((54, 51), (82, 51)), (68, 79), (68, 99)


def man() -> Picture:
    picture = read_still(HEAD)
    assert picture is not None
    return picture


def drawn_person(turn: float = 0.0, presence: float = 1.0) -> Person:
    """A face that looks at the camera, eyes 40 pixels apart, or turned by an angle in radians."""
    points = np.zeros((68, 3))
    points[LEFT_EYE] = (-20, -10, 0)
    points[RIGHT_EYE] = (20, -10, 0)
    points[LIPS] = (0, 30, 0)
    points[OUTLINE] = (0, 60, 0)
    x = points[:, 0].copy()
    points[:, 0], points[:, 2] = x * np.cos(turn), x * np.sin(turn)
    return Person((points + np.array([100, 80, 0])).astype(np.float32), presence)


def test_a_face_is_found_where_it_is() -> None:
    (person,) = finder()(man())
    places = person.points_P3[:, :2]
    assert person.presence > 0.9
    for found, seen in ((LEFT_EYE, EYES[0]), (RIGHT_EYE, EYES[1]), (LIPS, MOUTH)):
        assert np.abs(places[found].mean(0) - seen).max() < 2
    assert np.abs(places[OUTLINE][8] - CHIN).max() < 3


@pytest.mark.parametrize("size", [0.43, 2.2])
def test_small_and_large_faces_are_found_as_well(size: float) -> None:
    picture = np.asarray(cv2.resize(man(), None, fx=size, fy=size, interpolation=cv2.INTER_AREA), np.uint8)
    (person,) = finder()(picture)
    left, right = (person.points_P3[eye, :2].mean(0) for eye in (LEFT_EYE, RIGHT_EYE))
    assert np.linalg.norm(right - left) == pytest.approx(28 * size, rel=0.1)
    assert person.presence > 0.9


def test_a_picture_is_searched_from_twice_its_size_down_to_one_tile() -> None:
    assert scales(100) == [2.0]
    assert scales(480) == [2.0, 1.0, 0.5]
    assert scales(1080) == [2.0, 1.0, 0.5, 0.25, 0.125]


def test_eyes_grow_the_chin_narrows_and_nothing_but_the_face_changes() -> None:
    moves = field(bulges(finder()(man())), 160, 160)
    changed = (warp(man(), moves) != man()).any(-1)
    left, right = EYES
    assert np.abs(moves[left[1], left[0]]).max() < 1  # the middle of an eye stays
    assert moves[left[1], left[0] - 7, 0] > 2  # what is beside it comes from nearer to it
    assert moves[right[1] - 6, right[0], 1] > 2
    assert moves[CHIN[1] - 4, CHIN[0] + 18, 0] > 1  # and the jaw from farther out
    rows, columns = np.mgrid[:160, :160]
    far = np.hypot(rows - 68, columns - 68) > 62
    assert not changed[far].any()
    assert changed[~far].mean() > 0.2


def test_two_people_get_what_each_would_get_alone() -> None:
    picture = np.ascontiguousarray(np.concatenate([man(), man()[::-1][:10], man()]))
    changed = (caricature(picture) != picture).any(-1)
    assert changed[:160].sum() == pytest.approx(changed[170:].sum(), rel=0.1)
    assert not changed[160:170].any()


def test_the_mirror_image_becomes_the_mirror_image_of_the_caricature() -> None:
    mirrored = caricature(np.ascontiguousarray(man()[:, ::-1]))[:, ::-1]
    assert np.abs(mirrored.astype(int) - caricature(man())).mean() < 0.5


def test_the_same_picture_gives_the_same_caricature() -> None:
    given = man()
    first = caricature(given)
    assert np.array_equal(first, caricature(given))
    assert (first != given).any()
    assert np.array_equal(given, man())


@pytest.mark.parametrize("seed", [1, 2])
def test_a_picture_without_people_stays_bit_for_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (120, 90, 3), np.uint8)
    clouds = np.asarray(cv2.resize(noise[:8, :8], (150, 100), interpolation=cv2.INTER_CUBIC), np.uint8)
    for picture in (noise, clouds):
        assert np.array_equal(caricature(picture), picture)


@pytest.mark.parametrize("turn", [0.0, 0.5, 0.9])
def test_a_face_is_never_torn(turn: float) -> None:
    moves = field(bulges([drawn_person(turn)]), 200, 200).astype(np.float64)
    (x_by_y, x_by_x), (y_by_y, y_by_x) = (np.gradient(moves[..., axis]) for axis in (0, 1))
    assert ((1 + x_by_x) * (1 + y_by_y) - x_by_y * y_by_x).min() > 0.15
    assert max(np.abs(np.diff(moves, 2, axis=axis)).max() for axis in (0, 1)) < 0.3  # slopes change


def test_half_as_sure_a_face_moves_by_half() -> None:
    sure, unsure = (field(bulges([drawn_person(presence=presence)]), 200, 200) for presence in (1.0, 0.5))
    np.testing.assert_allclose(unsure, sure / 2, atol=1e-5)


def test_a_head_that_turns_away_narrows_and_then_stays_as_it_is() -> None:
    width = [
        np.ptp(np.flatnonzero(field(bulges([drawn_person(turn)]), 200, 200).any((0, 2))))
        for turn in (0.0, 0.9)
    ]
    assert width[1] == pytest.approx(width[0] * np.cos(0.9), abs=3)
    assert not field(bulges([drawn_person(1.4)]), 200, 200).any()
