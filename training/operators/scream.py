"""Scream: burning reds and oranges over dark blue-greens, in long strokes that follow the forms.

The colours are those of "The Scream" (Edvard Munch, 1893; public domain): means of ten groups of its colours
in Lab (k-means). The ramps between them are ours: what is bright and has no hue, or is blue, burns as the
sky does; skin stays paler than that.

Sources: see `painting.py` and `strokes.py`.
"""

from __future__ import annotations

from training.operators.painting import Painting, paint
from training.operators.palette import Colour, Palette, Ramp
from training.operators.strokes import Brush
from training.pictures import Picture

DARK: Colour = (10, -5, 2)
FJORD: Colour = (33, -7, -7)
RUST: Colour = (46, 20, 27)
RED: Colour = (50, 46, 52)
ORANGE: Colour = (61, 30, 52)
SUN: Colour = (76, 10, 46)
FLESH: Colour = (73, 5, 35)

_BLUE: Ramp = {
    0.05: DARK, 0.2: (21, -5, -5), 0.37: FJORD, 0.48: (40, 0, 2), 0.57: RUST, 0.68: RED, 0.88: ORANGE, 1: SUN,
}  # fmt: skip
_GREEN: Ramp = {
    0.05: DARK, 0.25: (24, -7, 3), 0.45: (38, -7, 12), 0.6: (50, 0, 20), 0.75: (60, 12, 36), 1.0: SUN,
}  # fmt: skip
_RED: Ramp = {
    0.05: DARK, 0.2: (22, 2, 6), 0.4: (46, 13, 26), 0.58: (63, 11, 33), 0.76: FLESH, 1.0: (86, 2, 28),
}  # fmt: skip
_YELLOW: Ramp = {
    0.05: DARK, 0.2: (22, -1, 8), 0.4: (45, 8, 28), 0.6: (62, 14, 46), 0.8: SUN, 1.0: (86, 2, 30),
}  # fmt: skip
OSLO = Palette(
    greys={0.05: DARK, 0.2: (21, -5, 2), 0.4: FJORD, 0.55: RUST, 0.74: RED, 0.89: ORANGE, 1.0: SUN},
    hues={35: _RED, 80: _YELLOW, 135: _GREEN, 180: _BLUE, 310: _BLUE},
)

SCREAM = Painting(
    OSLO,
    brush=Brush(period_pixels=8.0, reach_pixels=11.0, length_pixels=9.0),
    flow_pixels=3.5,
    amplitude=0.13,
    relief=0.03,
)


def scream(picture: Picture, settings: Painting | None = None) -> Picture:
    """Painting HW3 of an RGB picture HW3, as large."""
    return paint(picture, settings or SCREAM)
