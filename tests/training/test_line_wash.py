"""The operator that draws in pen and wash."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.line_wash import INK, along, flow, kuwahara, line_and_wash, lines, luma, sectors, soft_steps


def halves(dark: int = 60, light: int = 200) -> NDArray[np.uint8]:
    """Dark left of light."""
    picture = np.full((48, 64, 3), light, np.uint8)
    picture[:, :32] = dark
    return picture


def test_the_same_picture_gives_the_same_drawing_and_the_given_one_stays() -> None:
    picture = halves()
    given = picture.copy()
    first, second = line_and_wash(picture), line_and_wash(picture)
    assert first.shape == picture.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert np.array_equal(picture, given)


def test_an_edge_gets_a_line_of_ink_on_its_dark_side_and_flat_parts_none() -> None:
    drawn = line_and_wash(halves(), 1.0).astype(int).sum(-1)
    middle = drawn[24]
    assert 28 <= middle.argmin() < 32
    assert middle.min() < 0.75 * middle[8]
    assert middle.min() < 255 * 3 * (INK.mean() + 0.15)
    assert abs(middle[4] - middle[12]) <= 3
    assert abs(middle[52] - middle[60]) <= 3


def test_a_broader_pen_draws_a_broader_line() -> None:
    def inked(pen_pixels: float) -> int:
        light = luma(np.asarray(halves() / 255, np.float32))
        direction, straightness = flow(np.asarray(halves() / 255, np.float32), 2.0)
        return int((lines(light, direction, straightness, pen_pixels)[24] > 0.5).sum())

    assert inked(2.4) > inked(1.2) > 0


def test_the_flow_runs_along_edges_of_any_direction() -> None:
    rows, columns = np.mgrid[0:40, 0:40].astype(np.float32)
    for angle in (0.0, 0.5, 1.2, 2.0, np.pi / 2):
        slope = np.clip((columns - 20) * np.cos(angle) + (rows - 20) * np.sin(angle) + 0.5, 0, 1)
        direction, straightness = flow(np.repeat(slope[..., None], 3, 2).astype(np.float32), 2.0)
        across = abs(direction[20, 20] @ np.array([np.cos(angle), np.sin(angle)], np.float32))
        assert across < 0.05
        assert straightness[20, 20] > 0.9


def test_smoothing_along_an_edge_keeps_the_edge_and_evens_out_what_lies_along_it() -> None:
    edge = np.zeros((40, 40, 3), np.float32)
    edge[:, 20:] = 1
    direction, _ = flow(edge, 2.0)
    noisy = edge + np.random.default_rng(1).normal(0, 0.1, edge.shape).astype(np.float32)
    smooth = along(noisy, direction, 4.0)
    assert smooth[:, 19].mean() < 0.1
    assert smooth[:, 20].mean() > 0.9
    assert (smooth - edge)[10:30].std() < 0.5 * (noisy - edge)[10:30].std()


def test_kuwahara_keeps_an_edge_and_removes_texture() -> None:
    rng = np.random.default_rng(2)
    edge = np.asarray(halves(60, 200) / 255, np.float32)
    smooth = kuwahara(edge + rng.normal(0, 0.05, edge.shape).astype(np.float32), 5)
    assert (smooth[:, 34] - smooth[:, 29]).min() > 0.35
    assert smooth[:, :24].std() < 0.03


def test_sectors_are_means_and_look_in_different_directions() -> None:
    kernels = sectors(4)
    centres = [
        (np.mgrid[-4:5, -4:5] * kernel).sum((1, 2)) for kernel in kernels
    ]  # (row, column) of the centre of each
    assert len(kernels) == 8
    assert np.allclose([kernel.sum() for kernel in kernels], 1, atol=1e-5)
    assert np.allclose(np.sum(centres, axis=0), 0, atol=1e-4)
    assert all(np.hypot(*centre) > 1 for centre in centres)


def test_steps_of_lightness_are_flat_in_the_middle_steep_at_borders_and_rise_throughout() -> None:
    light = np.linspace(0, 1, 601, dtype=np.float32)
    stepped = soft_steps(light, 6)
    slope = np.diff(stepped) * 600
    assert (slope > -1e-3).all()
    assert slope[50] < 0.1
    assert slope[99:101].mean() > 3
    assert np.abs(stepped - light).max() < 1 / 6
