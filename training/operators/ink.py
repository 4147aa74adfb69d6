"""Ink: black lines, filled darks and a wash of thinned ink in the shade, on paper.

Sources: see `flow.py` and `lines.py`; darks are filled where the brightest channel, sharpened by the response
of the lines, falls below a level (Winnemoeller, Kyprianidis, Olsen, "XDoG: An eXtended
Difference-of-Gaussians Compendium including Advanced Image Stylization", 2012).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from training.operators.flow import along, edge_direction, even_out
from training.operators.lines import Pen, response
from training.operators.palette import skin
from training.operators.planes import from_lab, lightness, rise, to_lab, to_picture, to_rgb
from training.pictures import Picture

INK = np.array([0.07, 0.065, 0.08], np.float32)
PAPER = np.array([0.985, 0.975, 0.95], np.float32)


@dataclass(frozen=True)
class Ink:
    """Settings of the ink look.

    Attributes:
        scale: All lengths in pixels are multiplied by it.
        pen: Pen of the lines.
        brush: Width of a second pen, in widths of the first one, for what is too soft for that: eyes, brows
            and lips out of focus, or in poor light.
        level: Brightest channel below which darks are filled; skin, unlike black cloth, is mostly above it.
        softness: Range over which they begin to be.
        sharpness: Shift of that level by the response of the lines: bright lines stay in darks.
        washed: Brightest channel below which shade is washed, so that a face in poor light keeps its form.
        wash_softness: Range over which it begins to be.
        wash_sharpness: Shift of the level of the wash by the response of the lines.
        wash: Share of ink in the wash; skin of any colour stays paper.
        diluted: Ink where a line is too faint to be drawn in full.
    """

    scale: float = 1.0
    pen: Pen = field(default_factory=lambda: Pen(0.75, 2.0, noise=0.025))
    brush: float = 1.8
    level: float = 0.24
    softness: float = 0.14
    sharpness: float = 1.6
    washed: float = 0.46
    wash_softness: float = 0.32
    wash_sharpness: float = 0.8
    wash: float = 0.5
    diluted: float = 0.4


def ink(picture: Picture, settings: Ink | None = None) -> Picture:
    """Ink drawing HW3 of an RGB picture HW3, as large."""
    look = settings or Ink()
    rgb = to_rgb(picture)
    direction = edge_direction(rgb, 1.6 * look.scale)
    even = even_out(to_lab(rgb), direction, 1.3 * look.scale, 4.5, 1)
    light, pen = lightness(even), look.pen.scaled(look.scale)
    dark = response(light, direction, pen)
    broad = response(light, direction, replace(pen, width_pixels=look.brush * pen.width_pixels))
    smooth = along(even_out(even, direction, 2.5 * look.scale, 6.0, 1), direction, 2.0 * look.scale)
    brightest = from_lab(smooth).max(-1)
    sharp = brightest - np.float32(look.sharpness) * dark
    fill = rise(np.float32(look.level) - sharp, -look.softness / 2, look.softness / 2)
    shade = np.float32(look.washed) - (brightest - np.float32(look.wash_sharpness) * dark)
    washed = np.float32(look.wash) * (1 - skin(smooth[..., 1:]))
    wash = washed * rise(shade, -look.wash_softness / 2, look.wash_softness / 2)
    line = np.maximum(dark, broad)
    faint = np.float32(look.diluted) * rise(line, 0.4 * look.pen.faint, look.pen.full)
    drawn = rise(line, look.pen.faint, look.pen.full)
    black = 1 - (1 - drawn) * (1 - fill) * (1 - wash) * (1 - faint)
    return to_picture(PAPER + (INK - PAPER) * black[..., None])
