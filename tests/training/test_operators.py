"""The operators that redraw pictures."""

from __future__ import annotations

import numpy as np
import pytest

from training.operators import OPERATORS
from training.pictures import Picture

SKETCHED = ["pencil", "toon"]


def halves(dark: int = 60, light: int = 200) -> Picture:
    """Dark left of light, 40 x 80 pixels."""
    picture = np.full((40, 80, 3), light, np.uint8)
    picture[:, :40] = dark
    return picture


def wall(value: int, noise: float = 0.0) -> Picture:
    """A grey wall, with noise of the given deviation."""
    plain = np.full((48, 48, 3), value, np.float64)
    return np.asarray((plain + np.random.default_rng(5).normal(0, noise, plain.shape)).round(), np.uint8)


def scene() -> Picture:
    """A few things with edges of all directions."""
    rows, columns = np.mgrid[0:48, 0:48]
    picture = np.full((48, 48, 3), 210, np.uint8)
    picture[(rows - 20) ** 2 + (columns - 22) ** 2 < 150] = (180, 120, 90)
    picture[rows + columns > 70] = (40, 60, 120)
    return picture


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_the_same_picture_gives_the_same_result_as_large_and_the_given_one_stays(name: str) -> None:
    picture = scene()[:40]
    given = picture.copy()
    first, second = OPERATORS[name](picture), OPERATORS[name](picture)
    assert first.shape == picture.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert np.array_equal(picture, given)


@pytest.mark.parametrize("name", sorted(OPERATORS))
@pytest.mark.parametrize("value", [0, 130, 255])
def test_a_picture_of_one_colour_stays_one(name: str, value: int) -> None:
    drawn = OPERATORS[name](wall(value)).astype(int)
    assert (drawn.max((0, 1)) - drawn.min((0, 1)) <= 1).all()


@pytest.mark.parametrize("name", SKETCHED)
def test_a_step_gets_a_line_on_its_dark_side_and_the_flat_parts_none(name: str) -> None:
    drawn = OPERATORS[name](halves()).astype(int).sum(-1)
    middle = drawn[20]
    assert 36 <= middle.argmin() < 40
    assert middle.min() < 0.6 * middle[3]
    assert (drawn.argmin(1) == middle.argmin()).all()
    assert abs(middle[4] - middle[8]) <= 9
    assert abs(middle[72] - middle[76]) <= 9


@pytest.mark.parametrize("name", SKETCHED)
@pytest.mark.parametrize("value", [40, 130, 220])
def test_noise_of_a_sensor_draws_no_line(name: str, value: int) -> None:
    drawn = OPERATORS[name](wall(value, noise=2)).astype(int)
    assert np.abs(drawn - OPERATORS[name](wall(value)).astype(int)).max() <= 24
    assert drawn[..., 1].std() <= 3


@pytest.mark.parametrize("name", SKETCHED)
def test_a_turned_picture_gives_the_turned_result(name: str) -> None:
    upright = OPERATORS[name](scene()).astype(int)
    turned = OPERATORS[name](np.ascontiguousarray(np.rot90(scene()))).astype(int)
    difference = np.abs(np.rot90(upright) - turned)
    assert difference.mean() < 1
    assert np.percentile(difference, 99) < 12
