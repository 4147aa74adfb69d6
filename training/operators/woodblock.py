"""Woodblock: flat colours in a few blues, ochre and cream, and blue lines of the key block that swell.

The colours are those of "Under the Wave off Kanagawa" (Katsushika Hokusai, about 1831; public domain): means
of nine groups of its colours in Lab (k-means), and medians of its deep blue, aqua and cream, and of the ochre
of the boats, each chosen by lightness and chroma. The ramps between them are ours.

Sources: see `flow.py` and `lines.py`; soft steps see `tones.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.operators.flow import along, edge_direction, even_out
from training.operators.lines import Pen, response
from training.operators.palette import Colour, Palette, Ramp, recolour
from training.operators.planes import Plane, blur, from_lab, lightness, rise, to_lab, to_picture, to_rgb
from training.operators.tones import bright, soft_steps
from training.pictures import Picture

INDIGO: Colour = (15, 4, -21)
PRUSSIAN: Colour = (32, -2, -21)
AQUA: Colour = (62, -16, -1)
SKY: Colour = (76, -2, 15)
CREAM: Colour = (86, -3, 17)
PAPER: Colour = (90, -2, 14)
_LINE: Colour = (16, 3, -20)

_RED: Ramp = {
    0.05: INDIGO, 0.22: (28, 5, -6), 0.42: (52, 14, 27),
    0.58: (69, 13, 36), 0.76: (82, 4, 26), 0.92: CREAM, 1: PAPER,
}  # fmt: skip
_YELLOW: Ramp = {
    0.05: INDIGO, 0.22: (28, 1, -4), 0.42: (52, 6, 24),
    0.58: (69, 7, 36), 0.76: (82, 1, 27), 0.92: CREAM, 1: PAPER,
}  # fmt: skip
_GREEN: Ramp = {
    0.08: INDIGO, 0.26: (33, -4, -15), 0.42: (51, -11, -3), 0.58: (64, -15, 3), 0.78: (78, -8, 13), 1: PAPER,
}  # fmt: skip
_BLUE: Ramp = {0.08: INDIGO, 0.34: PRUSSIAN, 0.56: AQUA, 0.76: (75, -12, 5), 0.92: CREAM, 1.0: PAPER}
KANAGAWA = Palette(
    greys={0.08: INDIGO, 0.34: PRUSSIAN, 0.54: (58, -11, -1), 0.7: SKY, 0.88: CREAM, 1.0: PAPER},
    hues={30: _RED, 80: _YELLOW, 140: _GREEN, 200: _BLUE, 305: _BLUE},
)


@dataclass(frozen=True)
class Woodblock:
    """Settings of the woodblock look.

    Attributes:
        scale: All lengths in pixels are multiplied by it.
        pen: Pen of the lines.
        brush: Brush of the thicker parts of lines, where contrast is strong.
        smoothing_pixels: Deviation of the smoothing of colours.
        unlike: Deviation of differences in Lab that smoothing bridges.
        times: Rounds of smoothing.
        carving: Gain of the picture's texture, drawn out along the flow, before tones become flat.
        steps: Steps of lightness between black and white.
        flatness: Share of them; the rest is the smooth tone, as wiped onto the block by hand.
        depth: Lightness taken from vivid colours, of 1.
        shadow: Share of the line's colour where a line is too faint to be drawn.
        palette: Colours.
    """

    scale: float = 1.0
    pen: Pen = field(default_factory=lambda: Pen(width_pixels=0.75, length_pixels=2.5, noise=0.03))
    brush: Pen = field(default_factory=lambda: Pen(1.3, 3.0, noise=0.12, faint=0.08, full=0.15))
    smoothing_pixels: float = 2.5
    unlike: float = 5.0
    times: int = 2
    carving: float = 1.5
    steps: float = 6
    flatness: float = 0.85
    depth: float = 0.08
    shadow: float = 0.4
    palette: Palette = KANAGAWA


def woodblock(picture: Picture, settings: Woodblock | None = None) -> Picture:
    """Woodblock print HW3 of an RGB picture HW3, as large."""
    look = settings or Woodblock()
    rgb = to_rgb(picture)
    direction = edge_direction(rgb, 1.6 * look.scale)
    drawing = even_out(to_lab(rgb), direction, 1.3 * look.scale, 4.5, 1)
    smooth = even_out(drawing, direction, look.smoothing_pixels * look.scale, look.unlike, look.times)
    smooth = along(smooth, direction, 2.0 * look.scale)
    pen, brush = look.pen.scaled(look.scale), look.brush.scaled(look.scale)
    dark = response(lightness(drawing), direction, pen)
    swelling = rise(response(lightness(drawing), direction, brush), brush.faint, brush.full)
    faint = np.float32(look.shadow) * rise(dark, 0.4 * pen.faint, pen.full)
    line = 1 - (1 - rise(dark, pen.faint, pen.full)) * (1 - swelling) * (1 - faint)
    light = lightness(smooth) + carve(
        lightness(drawing) - blur(lightness(smooth), 2.0 * look.scale), direction, look
    )
    printed = recolour(blur(smooth[..., 1:], 1.5 * look.scale), light, look.palette)
    return to_picture(from_lab(printed + (np.array(_LINE, np.float32) - printed) * line[..., None]))


def tones(light: Plane, look: Woodblock) -> Plane:
    """Lightness HW in soft steps of lightness HW."""
    even = bright(light)
    flat = soft_steps(even, look.steps, look.scale)
    return np.asarray(even + np.float32(look.flatness) * (flat - even), np.float32)


def carve(texture: Plane, direction: Plane, look: Woodblock) -> Plane:
    """Lightness HW of the texture HW of the picture, drawn out along the flow, without that of noise."""
    grooves = along(texture[..., None], direction, 4.0 * look.scale)[..., 0]
    grooves = grooves * rise(np.abs(grooves), 0.006, 0.025)
    return np.asarray(np.float32(look.carving) * grooves.clip(-0.15, 0.03), np.float32)
