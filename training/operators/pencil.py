"""Pencil: graphite lines and shading on white paper.

Shading follows the tone, is denser at the dark sides of edges and fades away from them, and has strokes where
the picture has texture: the texture itself, smoothed along the edges. Nothing is drawn that the picture does
not hold, so the drawing moves with what it shows.

Sources: see `flow.py` and `lines.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.operators.flow import along, edge_direction, even_out
from training.operators.lines import Pen, response
from training.operators.planes import Plane, blur, lightness, rise, to_lab, to_picture, to_rgb
from training.pictures import Picture

GRAPHITE = np.array([0.13, 0.13, 0.15], np.float32)
PAPER = np.array([0.99, 0.985, 0.975], np.float32)
_STRONGEST = 0.06  # of the differences of lightness that become strokes


@dataclass(frozen=True)
class Pencil:
    """Settings of the pencil look.

    Attributes:
        scale: All lengths in pixels are multiplied by it.
        pen: Pen of the lines.
        spread_pixels: Reach of shading from an edge.
        tone: Graphite on the darkest areas, of 1.
        strokes: Gain of the strokes in the shading.
    """

    scale: float = 1.0
    pen: Pen = field(default_factory=lambda: Pen(0.65, 2.5, noise=0.025, masking=0.8, faint=0.045, full=0.17))
    spread_pixels: float = 9.0
    tone: float = 0.75
    strokes: float = 4.0


def pencil(picture: Picture, settings: Pencil | None = None) -> Picture:
    """Pencil drawing HW3 of an RGB picture HW3, as large."""
    look = settings or Pencil()
    rgb = to_rgb(picture)
    lab = to_lab(rgb)
    direction = edge_direction(rgb, 1.6 * look.scale)
    smooth = even_out(lab, direction, 1.5 * look.scale, 4.0, 1)
    light, even = lightness(lab), lightness(smooth)
    pen = look.pen.scaled(look.scale)
    drawn = 0.9 * rise(response(even, direction, pen), pen.faint, pen.full)
    shading = shade(even, look) - look.strokes * strokes(light, direction, look.scale)
    graphite = 1 - (1 - drawn) * (1 - shading.clip(0, 0.9))
    return to_picture(PAPER + (GRAPHITE - PAPER) * graphite[..., None])


def shade(light: Plane, look: Pencil) -> Plane:
    """Graphite HW in 0..1 of smooth lightness HW: by tone, and denser on the dark sides of edges."""
    around = blur(light, look.spread_pixels * look.scale)
    dodged = 1 - (light / (around + np.float32(0.02))).clip(0, 1)
    flat = rise(1 - light, 0.3, 1.0) * np.float32(look.tone)
    return np.asarray(1 - (1 - flat) * (1 - np.float32(0.8) * dodged), np.float32)


def strokes(light: Plane, direction: Plane, scale: float) -> Plane:
    """Texture of lightness HW drawn out along the flow, HW: nothing where there is only noise, and never as
    strong as a line."""
    texture = light - blur(light, 2.0 * scale)
    drawn_out = along(texture[..., None], direction, 3.0 * scale)[..., 0]
    drawn_out = drawn_out * rise(np.abs(drawn_out), 0.006, 0.02)
    return np.asarray(_STRONGEST * np.tanh(drawn_out / np.float32(_STRONGEST)), np.float32)
