"""Starry: deep blues and warm lights in thick strokes that follow the forms.

The colours are those of "The Starry Night" (Vincent van Gogh, 1889; public domain): means of ten groups of
its colours in Lab (k-means). The ramps between them are ours; warm ones reach the orange of the moon.

Sources: see `painting.py` and `strokes.py`.
"""

from __future__ import annotations

from training.operators.painting import Painting, paint
from training.operators.palette import Colour, Palette, Ramp
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

STARRY = Painting(SAINT_REMY)


def starry(picture: Picture, settings: Painting | None = None) -> Picture:
    """Painting HW3 of an RGB picture HW3, as large."""
    return paint(picture, settings or STARRY)
