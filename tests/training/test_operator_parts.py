"""What the operators are made of: flow, lines, smoothing, tones, the sectors of the oil brush."""

from __future__ import annotations

import numpy as np
import pytest

from training.operators.flow import along, edge_direction, edge_flow, even_out
from training.operators.kernels import SECTORS
from training.operators.lines import Pen, lines, response
from training.operators.oil import Oil, disc, kuwahara
from training.operators.palette import Palette, recolour, skin
from training.operators.planes import Plane, bell, rise, to_lab, to_rgb
from training.operators.strokes import Brush, lit, strokes, window
from training.operators.tones import bright, soft_steps

PEN = Pen()


def slope(angle: float) -> Plane:
    """RGB HW3 that rises from dark to light in the direction of an angle, over four pixels."""
    rows, columns = np.mgrid[0:40, 0:40]
    rising = np.clip(((columns - 20) * np.cos(angle) + (rows - 20) * np.sin(angle)) / 4 + 0.5, 0, 1)
    return np.repeat(rising[..., None], 3, 2).astype(np.float32)


def downwards(height: int, width: int) -> Plane:
    """A flow that runs straight down."""
    return np.tile(np.array([0, 1], np.float32), (height, width, 1))


@pytest.mark.parametrize("angle", [0.0, 0.5, 1.2, np.pi / 2, 2.0, 3.0])
def test_the_flow_runs_along_edges_of_any_direction_and_knows_them_to_be_straight(angle: float) -> None:
    direction, straightness = edge_flow(slope(angle), 2.0)
    assert abs(direction[20, 20] @ np.array([np.cos(angle), np.sin(angle)])) < 0.05
    assert np.linalg.norm(direction, axis=-1) == pytest.approx(np.ones((40, 40)), abs=1e-5)
    assert straightness[20, 20] > 0.9


def test_flat_places_take_the_direction_of_edges_further_off() -> None:
    picture = np.zeros((60, 60, 3), np.float32)
    picture[30:] = 1
    assert abs(edge_direction(picture, 2.0)[18, 30, 1]) < 0.01


def test_noise_has_no_straight_edges() -> None:
    noisy = np.random.default_rng(4).normal(0.5, 2 / 255, (48, 48, 3)).astype(np.float32)
    assert edge_flow(noisy, 2.0)[1].mean() < 0.25


def test_smoothing_along_an_edge_keeps_it_and_averages_what_lies_along_it() -> None:
    picture = np.zeros((41, 12, 2), np.float32)
    picture[:, 6:] = 1
    picture[20, :, 1] += 1
    smooth = along(picture, downwards(41, 12), 2.0)
    assert smooth[..., 0] == pytest.approx(picture[..., 0], abs=1e-6)
    shares = bell(2.0, 4)
    assert smooth[20, 3, 1] == pytest.approx(1 / (shares[0] + 2 * shares[1:].sum()), rel=1e-5)
    assert smooth[23, 3, 1] == pytest.approx(shares[3] * smooth[20, 3, 1], rel=1e-5)


def test_evening_out_removes_small_differences_and_keeps_large_ones() -> None:
    lab = np.full((40, 40, 3), 30, np.float32)
    lab[:, 20:] = 70
    lab += np.random.default_rng(1).normal(0, 1, lab.shape).astype(np.float32)
    smooth = even_out(lab, downwards(40, 40), 2.0, 5.0, 2)
    assert smooth[5:35, 3:17].std() < 0.4
    assert smooth[20, 19].mean() == pytest.approx(30, abs=1)
    assert smooth[20, 20].mean() == pytest.approx(70, abs=1)


def test_a_step_answers_on_its_dark_side_with_the_difference_of_gaussians_over_the_contrast() -> None:
    light = np.full((40, 40), 0.2, np.float32)
    light[:, 20:] = 0.8
    answer = response(light, downwards(40, 40), Pen(masking=0, noise=1e-9))
    # Weights of the step's far side, seen from the pixel before it: everything from one pixel on.
    narrow, wide = bell(1.0, 4), bell(1.6, 4)
    far_narrow, far_wide = (w[1:].sum() / (w[0] + 2 * w[1:].sum()) for w in (narrow, wide))
    expected = (far_wide - far_narrow) / np.sqrt(far_wide * (1 - far_wide))
    assert answer[20, 19] == pytest.approx(expected, rel=1e-4)
    assert answer[20, 20] == pytest.approx(-expected, rel=1e-4)
    assert answer[20, [5, 34]] == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize("contrast", [0.1, 0.3, 0.9])
def test_lines_are_of_one_width_at_faint_and_at_strong_edges(contrast: float) -> None:
    light = np.full((40, 40), 0.05, np.float32)
    light[:, 20:] += contrast
    drawn = lines(light, downwards(40, 40), PEN)[20]
    assert 1.4 <= drawn.sum() <= 3.1
    assert drawn[:15].max() == 0
    assert drawn[20:].max() == 0


def test_contrast_of_noise_and_of_the_blocks_of_a_coder_draws_no_line() -> None:
    noisy = np.random.default_rng(2).normal(0.5, 2 / 255, (48, 48)).astype(np.float32)
    blocks = np.full((48, 48), 0.5, np.float32)
    blocks[:, 24:] += 4 / 255
    direction = edge_direction(np.repeat(noisy[..., None], 3, 2), 2.0)
    assert lines(noisy, direction, PEN).max() < 0.02
    assert lines(blocks, downwards(48, 48), PEN).max() < 0.02


def test_texture_answers_less_than_a_line_by_itself() -> None:
    stripes = np.full((40, 80), 0.6, np.float32)
    stripes[:, 40::4] = 0.3
    alone = np.full((40, 80), 0.6, np.float32)
    alone[:, 60] = 0.3
    flow = downwards(40, 80)
    assert response(stripes, flow, PEN)[20, 60] < 0.9 * response(alone, flow, PEN)[20, 60]


def test_the_weights_of_each_sector_sum_to_one_whatever_the_radius() -> None:
    for radius in (1.2, 2.2, 5.0, 16.0):
        places, sectors, shares = disc(radius)
        sums = np.bincount(sectors, shares[:, 0], SECTORS)
        sums += np.bincount((sectors + 1) % SECTORS, shares[:, 1], SECTORS)
        assert sums == pytest.approx(np.ones(SECTORS))
        assert np.hypot(*places.T).max() <= radius
        assert len(places) < 110


def test_the_brush_keeps_a_step_sharp_and_evens_out_what_is_beside_it() -> None:
    picture = np.full((40, 40, 3), 0.2, np.float32)
    picture[:, 20:] = 0.8
    picture += np.random.default_rng(3).normal(0, 0.02, picture.shape).astype(np.float32)
    painted = kuwahara(picture, downwards(40, 40), np.ones((40, 40), np.float32), 4.0, Oil())
    assert painted[20, 18].mean() == pytest.approx(0.2, abs=0.03)
    assert painted[20, 21].mean() == pytest.approx(0.8, abs=0.03)
    assert painted[5:35, 3:15].std() < 0.5 * picture[5:35, 3:15].std()


def test_soft_steps_are_flat_between_sharp_borders_and_even_where_it_changes_slowly() -> None:
    slow = np.tile(np.linspace(0.2, 0.8, 2000, dtype=np.float32), (20, 1))
    assert np.abs(soft_steps(slow, 8, 1.0) - slow).max() < 0.02
    fast = np.tile(np.linspace(0, 1, 40, dtype=np.float32), (20, 1))
    stepped = soft_steps(fast, 4, 1.0)[10]
    assert np.diff(stepped).min() >= -1e-6
    assert np.diff(stepped)[[9, 19, 29]].max() < 0.25 * np.diff(stepped)[[4, 14, 24]].min()


def test_brighter_tones_keep_black_white_and_order() -> None:
    light = np.linspace(0, 1, 256, dtype=np.float32)
    toned = bright(light)
    assert toned[[0, 255]] == pytest.approx([0, 1], abs=1e-6)
    assert np.diff(toned).min() > 0
    assert toned[128] > light[128]


def test_rise_is_nothing_up_to_low_and_all_from_high() -> None:
    assert rise(np.array([0, 1, 2, 3, 4], np.float32), 1, 3) == pytest.approx([0, 0, 0.5, 1, 1])


def test_a_palette_gives_its_own_colours_at_its_own_tones_and_mixtures_in_between() -> None:
    palette = Palette(
        greys={0.0: (10, 0, 0), 1.0: (90, 0, 0)},
        hues={90: {0.0: (0, 0, 0), 1.0: (80, 0, 60)}, 270: {0.0: (0, 0, 0), 1.0: (100, 0, -60)}},
    )
    chroma = np.array([[[0, 0], [0, 40], [0, -40], [-40, 0], [40, 0]]], np.float32)
    colours = recolour(chroma, np.full((1, 5), 0.5, np.float32), palette)[0]
    assert colours[0] == pytest.approx([50, 0, 0])
    assert colours[1] == pytest.approx([40, 0, 30], abs=1e-3)
    assert colours[2] == pytest.approx([50, 0, -30], abs=1e-3)
    assert colours[3:] == pytest.approx(np.array([[45, 0, 0], [45, 0, 0]]), abs=1e-3)


def test_a_palette_of_one_hue_gives_it_to_all_that_is_coloured() -> None:
    palette = Palette(greys={0.0: (0, 0, 0)}, hues={40: {0.0: (50, 20, 20)}})
    chroma = np.array([[[30, 30], [-30, 10], [5, -40]]], np.float32)
    assert recolour(chroma, np.zeros((1, 3), np.float32), palette)[0, :, 0].min() >= 0


def test_an_edge_is_echoed_by_strokes_of_one_width_on_both_sides() -> None:
    light = np.full((40, 80), 0.3, np.float32)
    light[:, 40:] = 0.6
    drawn = strokes(light, downwards(40, 80), Brush(period_pixels=6))[20]
    crossings = np.flatnonzero(np.diff(np.sign(drawn[28:52])))
    assert np.diff(crossings) == pytest.approx(3, abs=1)
    assert np.abs(drawn[[41, 44, 47]]).min() > 0.5
    assert np.abs(drawn[:10]).max() < 0.02
    assert drawn[:40] == pytest.approx(-drawn[:39:-1], abs=1e-3)


def test_faint_texture_gives_strokes_like_clear_edges_and_noise_gives_none() -> None:
    columns = np.arange(80)
    stripes = np.tile(np.cos(columns * (2 * np.pi / 6)), (40, 1))
    faint, clear = (
        strokes((0.5 + contrast * stripes).astype(np.float32), downwards(40, 80), Brush())
        for contrast in (0.02, 0.2)
    )
    assert np.abs(faint[:, 20:60]).max() > 0.8 * np.abs(clear[:, 20:60]).max()
    noise = np.random.default_rng(6).normal(0.5, 0.6 / 255, (40, 80)).astype(np.float32)
    assert np.abs(strokes(noise, downwards(40, 80), Brush())).max() < 0.1


def test_the_window_of_a_brush_answers_nothing_to_even_lightness() -> None:
    for period, reach in ((6.0, 9.0), (12.0, 18.0)):
        weights = window(period, reach)
        assert weights[0] + 2 * weights[1:].sum() == pytest.approx(0, abs=1e-6)


def test_light_from_above_left_falls_on_the_upper_left_of_a_stroke() -> None:
    rows, columns = np.mgrid[0:30, 0:30]
    lump = np.exp(-((rows - 15) ** 2 + (columns - 15) ** 2) / 20).astype(np.float32)
    assert lit(lump)[12, 12] > 0.05
    assert lit(lump)[18, 18] == pytest.approx(-lit(lump)[12, 12], abs=1e-5)


def test_skin_of_any_shade_is_told_from_grey_from_vivid_colours_and_from_cold_ones() -> None:
    rgb = np.array(
        [[(224, 180, 160), (150, 100, 78), (90, 58, 44), (128, 128, 128), (250, 140, 0), (60, 110, 200)]],
        np.uint8,
    )
    likeness = skin(np.ascontiguousarray(to_lab(to_rgb(rgb))[..., 1:]))[0]
    assert likeness[:3].min() > 0.8
    assert likeness[3:].max() < 0.05
