"""After: palettes and strokes measured from pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.operators.after import after, measured_palette, painter_after
from training.operators.planes import Plane, from_lab, to_lab, to_picture, to_rgb
from training.pictures import Picture, save_still

NIGHT, GOLD = (25.0, 10.0, -40.0), (80.0, 5.0, 60.0)


def two_colours(share_of_night: float) -> Plane:
    """Lab of a picture that is dark blue on the left and gold on the right."""
    lab = np.empty((40, 100, 3), np.float32)
    lab[:] = GOLD
    lab[:, : round(100 * share_of_night)] = NIGHT
    return lab


def striped(period: float, contrast: float) -> Picture:
    rows, _ = np.mgrid[:512, :640].astype(np.float32)
    lab = np.zeros((512, 640, 3), np.float32)
    lab[..., 0] = 50 + 50 * contrast * np.sign(np.sin(2 * np.pi * rows / period))
    return to_picture(from_lab(lab))


def test_tones_get_the_most_frequent_colour_that_is_as_light() -> None:
    greys = measured_palette(two_colours(0.5)).greys
    tones = sorted(greys)
    assert greys[tones[0]][1:] == pytest.approx(NIGHT[1:], abs=0.5)
    assert greys[tones[-1]][1:] == pytest.approx(GOLD[1:], abs=0.5)
    lights = [greys[tone][0] for tone in tones]
    assert lights == sorted(lights)
    assert (lights[0] < 30, lights[-1] > 75) == (True, True)


def test_a_hue_gets_its_own_colour_at_every_tone_even_where_it_is_rare() -> None:
    hues = measured_palette(two_colours(0.85)).hues
    warm, cold = hues[85], hues[260]
    assert all(colour[1:] == pytest.approx(GOLD[1:], abs=0.5) for tone, colour in warm.items() if tone > 0.5)
    assert all(colour[1:] == pytest.approx(NIGHT[1:], abs=0.5) for tone, colour in cold.items() if tone < 0.7)


def test_a_picture_without_colours_gives_none_to_any_hue() -> None:
    lab = np.zeros((40, 40, 3), np.float32)
    lab[..., 0] = np.linspace(5, 95, 40)
    palette = measured_palette(lab)
    for ramp in (palette.greys, *palette.hues.values()):
        assert np.abs([colour[1:] for colour in ramp.values()]).max() < 0.01


def test_wider_strokes_are_measured_as_wider_and_bold_ones_as_bolder() -> None:
    narrow, wide = after(striped(5, 0.1)), after(striped(11, 0.1))
    assert narrow.brush.period_pixels < 6 < 8 < wide.brush.period_pixels
    assert narrow.brush.length_pixels == 10, "stripes are straight"
    smooth = after(to_picture(from_lab(np.full((300, 300, 3), (50, 5, 5), np.float32))))
    assert smooth.amplitude < narrow.amplitude
    assert smooth.relief < narrow.relief
    assert smooth.brush.period_pixels > 0


def test_a_picture_is_painted_in_colours_of_another(tmp_path: Path) -> None:
    style, source = to_picture(from_lab(two_colours(0.5))), striped(64, 0.3)[:96, :120]
    save_still(tmp_path / "style.png", style)
    paint = painter_after(tmp_path / "style.png")
    painted = paint(source)
    assert painted.shape == source.shape
    assert np.array_equal(painted, paint(source))
    lab = to_lab(to_rgb(painted)).reshape(-1, 3)
    dark, light = lab[lab[:, 0] < 40], lab[lab[:, 0] > 70]
    assert dark[:, 2].mean() < -15, "what is dark is blue"
    assert light[:, 2].mean() > 25, "what is light is gold"


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ValueError, match=r"notes\.txt cannot be read"):
        painter_after(tmp_path / "notes.txt")
