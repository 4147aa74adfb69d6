"""The operators that redraw pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.operators import (
    OPERATORS,
    SCREAM,
    STARRY,
    Engraving,
    Ink,
    Oil,
    Operator,
    Painting,
    Pencil,
    Toon,
    Watercolour,
    Woodblock,
    engraving,
    ink,
    oil,
    pencil,
    scream,
    starry,
    toon,
    watercolour,
    woodblock,
)
from training.operators.planes import to_lab, to_rgb
from training.operators.woodblock import AQUA, CREAM, INDIGO, PRUSSIAN, SKY
from training.pictures import Picture

SKETCHED = ["engraving", "ink", "pencil", "toon", "watercolour", "woodblock"]
OURS = ["engraving", "ink", "oil", "pencil", "scream", "starry", "toon", "watercolour", "woodblock"]


def halves(dark: int = 110, light: int = 210) -> Picture:
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


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("value", [40, 130, 220])
def test_noise_of_a_sensor_draws_no_line(name: str, value: int) -> None:
    drawn = OPERATORS[name](wall(value, noise=2)).astype(int)
    assert np.abs(drawn - OPERATORS[name](wall(value)).astype(int)).max() <= 24
    assert drawn[..., 1].std() <= 3


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("name", OURS)
def test_a_turned_picture_gives_the_turned_result(name: str, turns: int) -> None:
    def draw(picture: Picture) -> NDArray[np.int64]:
        # The light on the paint comes from above left however the picture is turned.
        unlit: dict[str, Operator] = {
            "oil": lambda rgb: oil(rgb, Oil(relief=0)),
            "scream": lambda rgb: scream(rgb, replace(SCREAM, relief=0)),
            "starry": lambda rgb: starry(rgb, replace(STARRY, relief=0)),
        }
        return unlit.get(name, OPERATORS[name])(picture).astype(np.int64)

    turned = draw(np.ascontiguousarray(np.rot90(scene(), turns)))
    difference = np.abs(np.rot90(draw(scene()), turns) - turned)
    assert difference.mean() < 1
    assert np.percentile(difference, 99) < 12


@pytest.mark.parametrize("name", OURS)
def test_a_moved_picture_gives_the_moved_result_so_nothing_sticks_to_the_screen(name: str) -> None:
    rows, columns = np.mgrid[0:80, 0:96]
    large = np.full((80, 96, 3), 210, np.uint8)
    large[(rows - 40) ** 2 + (columns - 44) ** 2 < 200] = (180, 120, 90)
    first = OPERATORS[name](np.ascontiguousarray(large[:, :90])).astype(int)
    moved = OPERATORS[name](np.ascontiguousarray(large[:, 3:93])).astype(int)
    assert np.abs(first[:, 3:90] - moved[:, :87]).max() <= 2


@pytest.mark.parametrize(
    ("draw", "scaled"),
    [
        (engraving, Engraving(scale=2)),
        (ink, Ink(scale=2)),
        (oil, Oil(scale=2)),
        (pencil, Pencil(scale=2)),
        (scream, replace(SCREAM, scale=2)),
        (starry, replace(STARRY, scale=2)),
        (toon, Toon(scale=2)),
        (watercolour, Watercolour(scale=2)),
        (woodblock, Woodblock(scale=2)),
    ],
)
def test_at_twice_the_scale_a_picture_twice_as_large_looks_the_same(
    draw: Callable[..., Picture], scaled: object
) -> None:
    blurred = cv2.GaussianBlur(scene(), (0, 0), 1.5)
    large = cv2.resize(blurred, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    reduced = cv2.resize(draw(large, scaled), (48, 48), interpolation=cv2.INTER_AREA).astype(int)
    difference = np.abs(reduced - draw(blurred))
    assert difference.mean() < 5


def test_brown_skin_stays_paper_in_ink_and_black_cloth_is_filled() -> None:
    picture = np.full((40, 80, 3), 25, np.uint8)
    picture[:, 40:] = (112, 74, 56)
    drawn = ink(picture).astype(int)
    assert drawn[:, 60:].min() > 230
    assert drawn[:, 10:30].max() < 40


def test_a_soft_dark_spot_in_skin_such_as_an_eye_out_of_focus_is_drawn_in_ink() -> None:
    rows, columns = np.mgrid[0:60, 0:80]
    spot = np.exp(-((columns - 40) ** 2 / (2 * 6**2) + (rows - 30) ** 2 / (2 * 3**2)))
    face = np.asarray(np.array([214, 170, 146]) * (1 - 0.18 * spot[..., None]), np.uint8)
    one_pen = ink(face, Ink(brush=1.0)).astype(int)
    drawn = ink(face).astype(int)
    assert one_pen[30, 40].mean() > 150
    assert drawn[30, 40].max() < 40
    assert drawn[:8].min() > 230


def test_paint_is_lit_from_above_left_and_only_where_there_is_texture() -> None:
    rows = np.arange(40)[:, None, None] * np.ones((1, 60, 3))
    ridge = np.asarray(120 + 60 * np.exp(-((rows - 20) ** 2) / 8), np.uint8)
    plain, lit = oil(ridge, Oil(relief=0)).astype(int), oil(ridge, Oil(relief=6)).astype(int)
    difference = (lit - plain).sum(-1)
    assert difference[15:20, 30].sum() > 0
    assert difference[21:26, 30].sum() < 0
    assert np.abs(difference[:8]).max() <= 3


@pytest.mark.parametrize(
    ("rgb", "colour"),
    [
        ((20, 20, 25), INDIGO),
        ((60, 120, 220), AQUA),
        ((240, 240, 240), CREAM),
        ((25, 60, 130), PRUSSIAN),
        ((160, 160, 160), SKY),
    ],
)
def test_a_woodblock_prints_flat_tones_in_the_colours_of_its_palette(
    rgb: tuple[int, int, int], colour: tuple[float, float, float]
) -> None:
    printed = to_lab(to_rgb(woodblock(np.full((40, 40, 3), rgb, np.uint8))))[20, 20]
    assert np.linalg.norm(printed - np.array(colour)) < 12


def test_skin_stays_warm_and_lit_in_a_woodblock() -> None:
    picture = np.full((40, 80, 3), (150, 100, 78), np.uint8)
    picture[:, 40:] = (215, 165, 140)
    shaded, lit = to_lab(to_rgb(woodblock(picture)))[20, [15, 65]]
    assert min(shaded[1], lit[1]) > 0
    assert min(shaded[2], lit[2]) > 18
    assert lit[0] > shaded[0] + 15


def test_a_starry_picture_is_blue_where_it_has_no_hue_and_warm_where_it_is_bright_and_warm() -> None:
    picture = np.full((40, 120, 3), (90, 90, 92), np.uint8)
    picture[:, 40:80] = (250, 220, 90)
    picture[:, 80:] = (60, 110, 230)
    grey, yellow, blue = to_lab(to_rgb(starry(picture)))[20, [15, 60, 105]]
    assert grey[2] < -20
    assert blue[2] < -20
    assert yellow[2] > 25
    assert yellow[0] > grey[0] + 20


def test_strokes_are_gentle_on_skin() -> None:
    def strength(rgb: tuple[int, int, int], settings: Painting) -> float:
        picture = np.full((60, 60, 3), rgb, np.uint8)
        picture[:, 30:] = np.array(rgb) // 2
        return float(to_lab(to_rgb(starry(picture, settings)))[30, 4:24, 0].std())

    even, gentle = replace(STARRY, relief=0, gentleness=0), replace(STARRY, relief=0)
    assert strength((215, 165, 140), gentle) < 0.75 * strength((215, 165, 140), even)
    assert strength((140, 165, 215), gentle) == strength((140, 165, 215), even)


def test_a_bright_wall_burns_in_a_scream_while_dark_cloth_is_green_and_skin_is_pale() -> None:
    picture = np.full((40, 120, 3), (200, 200, 200), np.uint8)
    picture[:, 40:80] = (215, 165, 140)
    picture[:, 80:] = (50, 52, 56)
    wall_, face, cloth = to_lab(to_rgb(scream(picture)))[20, [15, 60, 105]]
    assert min(wall_[1], wall_[2]) > 20
    assert face[0] > wall_[0] + 5
    assert face[1] < wall_[1] - 10
    assert cloth[1] < 0


def test_lines_of_an_engraving_are_wider_where_it_is_darker() -> None:
    columns = np.mgrid[0:60, 0:120][1]
    ripple = 1 + 0.12 * np.cos(columns * (2 * np.pi / 4.2))
    shares = [
        (
            engraving((np.full((60, 120, 3), value) * ripple[..., None]).astype(np.uint8))[20:40, 30:90] < 110
        ).mean()
        for value in (170, 110, 60)
    ]
    assert shares[0] < shares[1] < shares[2]
    assert 0 < shares[1] < 0.6
