"""The operator that finds people to the pixel: its filter on known numbers, its mask on a real head."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.evaluation.faces import Face
from training.operators.people import People
from training.operators.person import Matting, guided, person
from training.operators.planes import Plane
from training.pictures import Picture, read_still

HEAD = Path(__file__).parents[1] / "clips" / "head.jpg"


def head() -> Picture:
    """A man's head, 160 x 160 pixels."""
    picture = read_still(HEAD)
    assert picture is not None
    return picture


def step(at: int, colour: tuple[float, float, float] = (1, 1, 1)) -> Plane:
    """Black HW3, 20 x 40 pixels, of one colour from a column on."""
    picture = np.zeros((20, 40, 3), np.float32)
    picture[:, at:] = colour
    return picture


def ramp() -> Plane:
    """Rises from 0 to 1 from column 16 to 23, 20 x 40 pixels."""
    rising = ((np.arange(40) - 16) / 7).clip(0, 1)
    return np.tile(rising, (20, 1)).astype(np.float32)


def test_a_soft_edge_becomes_as_sharp_as_that_of_the_guide() -> None:
    soft = ramp()
    fine = guided(step(20), soft, 5, 1e-6)
    assert np.diff(soft[10]).max() < 0.2
    assert fine[10, 20] - fine[10, 19] > 0.5
    assert fine[10, [5, 34]] == pytest.approx([0, 1], abs=1e-5)


def test_an_affine_function_of_the_guide_stays_what_it_is() -> None:
    guide = np.random.default_rng(7).uniform(0, 1, (24, 30, 3)).astype(np.float32)
    plane = guide @ np.array([0.5, -0.25, 0.125], np.float32) + np.float32(0.2)
    assert guided(guide, plane, 3, 1e-8) == pytest.approx(plane, abs=1e-3)


def test_a_grey_guide_gives_the_numbers_of_the_paper() -> None:
    # In a window of 3 x 3 at the step, one or two columns of three are bright: variance 2/9, so the slope
    # is (2/9) / (2/9 + eps) for one colour; three equal ones share it, so that eps counts for a third.
    guide, eps = step(20), 0.3
    slope = (2 / 9) / (2 / 9 + eps / 3)
    fine = guided(guide, guide[..., 0], 1, eps)
    offsets = np.array([(1 - slope) / 3, (1 - slope) * 2 / 3])
    # Of the three windows that see the last dark column, one is flat and black: slope and offset 0.
    assert fine[10, 19] == pytest.approx(offsets.sum() / 3, abs=1e-5)
    assert fine[10, 20] == pytest.approx(2 * slope / 3 + (offsets.sum() + 1) / 3, abs=1e-5)


def test_a_flat_guide_leaves_the_mean_of_the_means() -> None:
    plane = np.zeros((9, 9), np.float32)
    plane[4, 4] = 81
    fine = guided(np.full((9, 9, 3), 0.5, np.float32), plane, 1, 1e-4)
    assert fine[4, 2:7] == pytest.approx([3, 6, 9, 6, 3], rel=1e-3)


def test_edges_between_colours_of_one_brightness_are_followed() -> None:
    guide = step(20, (1, 0, 0))
    guide[:, :20] = (0, 1, 0)
    soft = ramp()
    fine = guided(guide, soft, 5, 1e-6)
    assert fine[10, 20] - fine[10, 19] > 0.5


def test_the_face_is_a_person_and_the_wall_is_not() -> None:
    mask = person(head())
    assert mask.shape == (160, 160)
    assert mask.dtype == np.float32
    assert mask[60:100, 65:95].min() > 0.9
    assert max(mask[:12, :12].max(), mask[:12, -12:].max()) < 0.1
    assert (mask.min(), mask.max()) == (0, 1)


def far(mirrored: bool = False) -> Picture:
    """A wall, 240 x 320, before which there is the man, his face 40 pixels high."""
    picture = np.full((240, 320, 3), (176, 186, 184), np.uint8)
    picture[160:, 60:140] = cv2.resize(head(), (80, 80), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture


def test_the_mask_of_the_mirror_image_is_the_mirrored_mask() -> None:
    mirrored = np.ascontiguousarray(head()[:, ::-1])
    assert person(mirrored)[:, ::-1] == pytest.approx(person(head()), abs=0.02)


def test_someone_who_is_small_in_the_picture_is_found_and_nothing_else() -> None:
    mask = person(far())
    assert mask[185:215, 92:106].min() > 0.9
    assert mask[:150].max() == 0
    assert mask[:, 150:].max() == 0
    assert np.abs(person(far(mirrored=True))[:, ::-1] - mask).mean() < 0.005


def faceless() -> Picture:
    """The man with a hand's worth of skin where his face was."""
    picture = head()
    picture[35:105, 38:100] = picture[75, 60]
    return picture


def test_whoever_shows_no_face_counts_only_if_asked_for() -> None:
    assert person(faceless()).max() == 0
    assert person(faceless(), Matting(faceless=True))[110:130, 60:90].min() > 0.9


def test_there_is_nobody_in_noise() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (90, 40, 3), np.uint8)
    mask = person(noise)
    assert mask.shape == (90, 40)
    assert mask.max() == 0


def test_a_picture_of_one_pixel_has_a_mask() -> None:
    assert person(np.zeros((1, 1, 3), np.uint8)).tolist() == [[0]]


@pytest.mark.parametrize(
    "picture",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)],
    ids=["grey", "of floats", "empty"],
)
def test_what_is_no_rgb_picture_is_refused(picture: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="give an RGB picture of 8 bits, its axes height, width, 3") as error:
        person(picture)
    assert str(list(picture.shape)) in str(error.value)


def test_finds_count_once_one_of_them_is_clearly_a_face(monkeypatch: pytest.MonkeyPatch) -> None:
    finds = [Face((0, 0, 40, 40), np.zeros((6, 2), np.float32), score) for score in (0.7, 0.55)]
    people = People()
    monkeypatch.setattr(people, "_finds", lambda _: finds)
    assert people.faces(np.full((80, 80, 3), 90, np.uint8)) == []
    finds.insert(0, Face((40, 0, 80, 40), np.zeros((6, 2), np.float32), 0.8))
    assert people.faces(np.full((80, 80, 3), 90, np.uint8)) == finds
