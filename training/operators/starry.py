"""Starry: deep blues and warm lights in thick strokes that follow the forms.

The colours are those of "The Starry Night" (Vincent van Gogh, 1889; public domain): means of ten groups of
its colours in Lab (k-means). The ramps between them are ours; warm ones reach the orange of the moon.

Sources: see `strokes.py`, `flow.py` and `lines.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.operators.flow import along, edge_direction, even_out
from training.operators.lines import Pen, response
from training.operators.palette import Colour, Palette, Ramp, recolour, skin
from training.operators.planes import blur, from_lab, lightness, rise, to_lab, to_picture, to_rgb
from training.operators.strokes import Brush, lit, strokes
from training.operators.tones import bright
from training.pictures import Picture

NIGHT: Colour = (13, -3, -9)
ULTRAMARINE: Colour = (30, 14, -42)
COBALT: Colour = (43, 4, -33)
PALE: Colour = (74, -14, 6)
GLOW: Colour = (82, -14, 36)

_BLUE: Ramp = {
    0.05: NIGHT, 0.18: (22, 3, -25), 0.38: ULTRAMARINE, 0.62: COBALT,
    0.83: (59, -5, -20), 0.95: PALE, 1: GLOW,
}  # fmt: skip
_GREEN: Ramp = {
    0.05: NIGHT, 0.22: (26, -7, -6), 0.42: (42, -11, -2), 0.6: (56, -15, 8), 0.76: (70, -17, 28), 0.9: GLOW,
}  # fmt: skip
_RED: Ramp = {
    0.05: NIGHT, 0.22: (28, 6, 0), 0.4: (52, 15, 35), 0.58: (69, 11, 48), 0.78: (82, -2, 44), 1: (91, -7, 30),
}  # fmt: skip
_YELLOW: Ramp = {
    0.05: NIGHT, 0.22: (28, 0, 4), 0.4: (50, 4, 36), 0.6: (68, 4, 54), 0.8: (81, -6, 50), 1.0: (91, -8, 30),
}  # fmt: skip
SAINT_REMY = Palette(
    greys={
        0.05: NIGHT, 0.2: (24, 4, -27), 0.42: ULTRAMARINE, 0.68: COBALT,
        0.84: (59, -5, -18), 0.93: PALE, 1.0: GLOW,
    },
    hues={30: _RED, 80: _YELLOW, 130: _GREEN, 175: _BLUE, 310: _BLUE},
)  # fmt: skip


@dataclass(frozen=True)
class Starry:
    """Settings of the starry look.

    Attributes:
        scale: All lengths in pixels are multiplied by it.
        brush: Of the strokes.
        flow_pixels: Deviation of the smoothing of the flow that strokes follow.
        amplitude: Lightness, of 1, that strokes take and add.
        gentleness: Share of that which is taken from strokes on colours of skin.
        relief: Lightness, of 1, of the light on thick paint.
        drawing: Share of the fine drawing beside broad colours.
        accents: Share of light taken at dark strokes such as eyes and mouth.
        pen: Of the accents.
        palette: Colours.
    """

    scale: float = 1.0
    brush: Brush = field(default_factory=Brush)
    flow_pixels: float = 3.0
    amplitude: float = 0.12
    gentleness: float = 0.55
    relief: float = 0.06
    drawing: float = 0.5
    accents: float = 0.6
    pen: Pen = field(default_factory=lambda: Pen(0.75, 2.0, noise=0.025, faint=0.04, full=0.2))
    palette: Palette = SAINT_REMY


def starry(picture: Picture, settings: Starry | None = None) -> Picture:
    """Painting HW3 of an RGB picture HW3, as large."""
    look = settings or Starry()
    rgb = to_rgb(picture)
    broad_flow, fine_flow = (edge_direction(rgb, width * look.scale) for width in (look.flow_pixels, 1.6))
    drawing = even_out(to_lab(rgb), fine_flow, 1.3 * look.scale, 4.5, 1)
    smooth = along(even_out(drawing, broad_flow, 2.5 * look.scale, 6.0, 1), broad_flow, 3.0 * look.scale)
    drawn, broad = lightness(drawing), lightness(smooth)
    paint = strokes(drawn, broad_flow, look.brush, look.scale)
    chroma = blur(np.ascontiguousarray(smooth[..., 1:]), 2.0 * look.scale)
    paint *= 1 - np.float32(look.gentleness) * skin(chroma)
    light = bright(broad + np.float32(look.drawing) * (drawn - broad)) + np.float32(look.amplitude) * paint
    lab = recolour(chroma, light, look.palette)
    dark = response(drawn, fine_flow, look.pen.scaled(look.scale))
    lab[..., 0] *= 1 - np.float32(look.accents) * rise(dark, look.pen.faint, look.pen.full)
    lab[..., 0] += np.float32(100 * look.relief) * lit(paint, look.scale)
    return to_picture(from_lab(lab))
