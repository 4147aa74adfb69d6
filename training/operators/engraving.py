"""Engraving: black lines beside each other that follow the forms, wider where it is darker.

Hatching is the strokes of `strokes.py`, cut at a level that follows the tone. Where a picture has neither
edge nor texture there is nothing to follow, and the tone stays an even grey, as of lines too fine to be seen.

Sources: see `strokes.py`, `flow.py` and `lines.py`; hatching as a screen that tones are cut at (Ostromoukhov,
"Digital Facial Engraving", 1999).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.operators.flow import edge_direction, even_out
from training.operators.lines import Pen, lines
from training.operators.palette import skin
from training.operators.planes import Plane, blur, lightness, rise, to_lab, to_picture, to_rgb
from training.operators.strokes import Brush, strokes
from training.operators.tones import bright
from training.pictures import Picture

INK = np.array([0.1, 0.11, 0.13], np.float32)
PAPER = np.array([0.97, 0.95, 0.89], np.float32)
_HATCHED = (0.03, 0.35)  # darkness from which hatching begins, and from which it is full


@dataclass(frozen=True)
class Engraving:
    """Settings of the engraving look.

    Attributes:
        scale: All lengths in pixels are multiplied by it.
        brush: Brush of the hatching.
        flow_pixels: Deviation of the smoothing of the flow that hatching follows.
        hatching: Darkness, of 1, that hatching adds and takes.
        middle: Darkness of which half is ink.
        softness: Range of darkness on both sides of it, over which lines widen.
        gentleness: Share that is taken from hatching on colours of skin.
        fairness: Share of darkness that is taken from them.
        pen: Pen of the contours.
    """

    scale: float = 1.0
    brush: Brush = field(default_factory=lambda: Brush(4.2, 6.0, 5.0, floor=0.004, noise=(0.0015, 0.006)))
    flow_pixels: float = 3.0
    hatching: float = 0.45
    middle: float = 0.53
    softness: float = 0.4
    gentleness: float = 0.6
    fairness: float = 0.3
    pen: Pen = field(default_factory=lambda: Pen(0.7, 2.0, noise=0.025, faint=0.06, full=0.18))


def engraving(picture: Picture, settings: Engraving | None = None) -> Picture:
    """Engraving HW3 of an RGB picture HW3, as large."""
    look = settings or Engraving()
    rgb = to_rgb(picture)
    broad_flow, fine_flow = (edge_direction(rgb, width * look.scale) for width in (look.flow_pixels, 1.6))
    drawing = even_out(to_lab(rgb), fine_flow, 1.3 * look.scale, 4.5, 1)
    smooth = even_out(drawing, broad_flow, 2.0 * look.scale, 6.0, 1)
    likeness = skin(blur(np.ascontiguousarray(smooth[..., 1:]), 2.0 * look.scale))
    hatching = strokes(lightness(drawing), broad_flow, look.brush, look.scale)
    hatching *= 1 - np.float32(look.gentleness) * likeness
    dark = (1 - bright(lightness(smooth))) * (1 - np.float32(look.fairness) * likeness)
    contours = lines(lightness(drawing), fine_flow, look.pen.scaled(look.scale))
    black = 1 - (1 - cut(dark, hatching, look)) * (1 - contours)
    return to_picture(PAPER + (INK - PAPER) * black[..., None])


def cut(dark: Plane, hatching: Plane, look: Engraving) -> Plane:
    """Ink HW in 0..1 of darkness HW where hatching HW, -1 to 1, is cut by it."""
    level = dark - np.float32(look.hatching) * hatching * rise(dark, *_HATCHED)
    return rise(level, look.middle - look.softness, look.middle + look.softness)
