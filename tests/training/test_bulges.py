"""Bulges: the fields they make, and pictures that are warped by them."""

from __future__ import annotations

import numpy as np
import pytest

from training.operators.bulges import Bulge, Field, field, warp

SIZE = (40, 50)


def bulge(
    centre: tuple[float, float] = (20, 20),
    angle: float = 0.0,
    radii: tuple[float, float] = (10, 10),
    amounts: tuple[float, float] = (0.5, 0.5),
) -> Bulge:
    axis = np.array([np.cos(angle), np.sin(angle)])
    return Bulge(np.array(centre), axis, np.array(radii), np.array(amounts))


def at(found: Field, x: int, y: int) -> list[float]:
    return [float(value) for value in found[y, x]]


def test_the_middle_of_a_bulge_stays_and_what_is_around_it_moves_outward() -> None:
    found = field([bulge()], *SIZE)
    assert at(found, 20, 20) == [0, 0]
    # Half way to the edge (1 - 1/4)^2 = 9/16 of the amount is left: 5 pixels become 5 (1 - 9/32).
    assert at(found, 25, 20) == pytest.approx([-45 / 32, 0])
    assert at(found, 20, 15) == pytest.approx([0, 45 / 32])
    # At 3 to the right and 4 down of the middle it is as far away.
    assert at(found, 23, 24) == pytest.approx([-27 / 32, -36 / 32])


def test_nothing_moves_outside_a_bulge() -> None:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    outside = (rows - 20) ** 2 + (columns - 20) ** 2 >= 100
    assert not field([bulge()], *SIZE)[outside].any()
    assert field([bulge()], *SIZE)[~outside].any(-1).sum() == (~outside).sum() - 1


def test_an_ellipse_that_is_turned_scales_along_its_own_axes() -> None:
    # The first axis points down, so that the second one points to the left.
    found = field([bulge(angle=np.pi / 2, radii=(10, 5), amounts=(-0.4, 0))], *SIZE)
    assert at(found, 20, 25) == pytest.approx([0, 0.4 * 9 / 16 * 5], abs=1e-6)
    assert at(found, 22, 20) == pytest.approx([0, 0], abs=1e-6)
    assert at(found, 26, 20) == [0, 0]
    assert at(found, 20, 28) != [0, 0]


def test_the_fields_of_bulges_add_up_and_may_leave_the_picture() -> None:
    one, other = bulge((3, 20)), bulge((49, 38), radii=(30, 20))
    together = field([one, other], *SIZE)
    np.testing.assert_allclose(together, field([one], *SIZE) + field([other], *SIZE), atol=1e-6)
    assert not field([bulge((-30, 20))], *SIZE).any()


@pytest.mark.parametrize("amount", [-1.2, -0.4, 0.5, 0.9])
def test_a_bulge_keeps_the_order_of_things_and_has_no_kink_at_its_edge(amount: float) -> None:
    found = field([bulge((100, 5), radii=(80, 80), amounts=(amount, amount))], 11, 201)[5, :, 0]
    shown = np.arange(201) + found
    assert (np.diff(shown) > 0).all()
    # Its slope changes by 8 / radius a pixel at the edge, and less elsewhere; a kink would be steeper.
    assert np.abs(np.diff(found, 2)).max() < 0.1 * abs(amount)


def test_a_picture_is_read_where_the_field_says() -> None:
    columns = np.arange(SIZE[1], dtype=np.uint8)[None, :, None]
    slope = np.broadcast_to(4 * columns, (*SIZE, 3)).copy()
    warped = warp(slope, field([bulge()], *SIZE)).astype(int)
    assert warped[20, 20, 0] == 80
    assert warped[20, 25, 0] == round(4 * (25 - 45 / 32))
    assert warped[20, 15, 0] == round(4 * (15 + 45 / 32))
    assert (warped[:10] == slope[:10]).all()


def test_a_picture_without_a_field_is_the_picture_itself() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), np.uint8)
    assert np.array_equal(warp(picture, field([], *SIZE)), picture)
