"""Watercolour: clear washes on bright paper, darker at their rims, with white gaps and a faint drawing.

Nothing is drawn that the picture does not hold: the granulation of the pigment is the picture's own texture.

Sources: density of pigment, darker edges of washes (Bousseau, Kaplan, Thollot, Sillion, "Interactive
Watercolor Rendering with Temporal Coherence and Abstraction", 2006); see `flow.py` and `lines.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.operators.flow import along, edge_direction, even_out
from training.operators.lines import Pen, response
from training.operators.planes import Plane, blur, from_lab, lightness, rise, to_lab, to_picture, to_rgb
from training.operators.tones import fresh, soft_steps
from training.pictures import Picture

PAPER = np.array([0.995, 0.985, 0.96], np.float32)


@dataclass(frozen=True)
class Watercolour:
    """Settings of the watercolour look.

    Attributes:
        scale: All lengths in pixels are multiplied by it.
        pen: Pen of the drawing under the washes, and of the gaps between them.
        drawing: Density of the drawing.
        gaps: Share of the paper that shows at the light sides of edges.
        rims: Gain of the pigment that gathers at the dark sides of edges.
        rim_pixels: Reach of that pigment.
        bleed_pixels: Distance over which colours run into each other.
        grain: Gain of the granulation.
        steps: Steps of lightness between black and white, borders soft where it changes slowly.
        chroma: Factor of the chroma of dull colours.
    """

    scale: float = 1.0
    pen: Pen = field(default_factory=lambda: Pen(0.7, 2.0, noise=0.025))
    drawing: float = 1.1
    gaps: float = 0.45
    rims: float = 5.0
    rim_pixels: float = 3.5
    bleed_pixels: float = 5.0
    grain: float = 3.0
    steps: float = 6
    chroma: float = 1.7


def watercolour(picture: Picture, settings: Watercolour | None = None) -> Picture:
    """Watercolour HW3 of an RGB picture HW3, as large."""
    look = settings or Watercolour()
    rgb = to_rgb(picture)
    lab = to_lab(rgb)
    direction = edge_direction(rgb, 1.6 * look.scale)
    drawing = even_out(lab, direction, 1.3 * look.scale, 4.5, 1)
    smooth = along(even_out(drawing, direction, 3.0 * look.scale, 6.0, 2), direction, 2.0 * look.scale)
    dark = response(lightness(drawing), direction, look.pen.scaled(look.scale))
    layers = soft_steps(thin(lightness(smooth)), look.steps, look.scale)
    density = rims(layers, look) + grain(lightness(smooth) - lightness(lab), look)
    density += np.float32(look.drawing) * rise(dark, 0.5 * look.pen.faint, look.pen.full)
    painted = thicken(wash(smooth, layers, look), density)
    gap = np.float32(look.gaps) * rise(-dark, look.pen.faint, look.pen.full)
    return to_picture(painted + (PAPER - painted) * gap[..., None])


def wash(lab: Plane, layers: Plane, look: Watercolour) -> Plane:
    """RGB HW3 of washes in the colours of smooth Lab HW3, which run into each other, in lightness HW."""
    bled = lab.copy()
    bled[..., 1:] += (blur(lab[..., 1:], look.bleed_pixels * look.scale) - lab[..., 1:]) / 2
    bled[..., 2] -= 8 * (1 - layers)  # shadows are cool
    return np.asarray(from_lab(fresh(bled, layers, look.chroma)).clip(0, 1) * PAPER, np.float32)


def thin(light: Plane) -> Plane:
    """Lightness HW of paint with much water: the darkest is 0.22, and bright parts are left to the paper."""
    watery = 0.22 + 0.78 * (light.clip(0, 1) * np.float32(1.1)).clip(0, 1) ** np.float32(0.75)
    return np.asarray(watery + (1 - watery) * np.float32(0.8) * rise(light, 0.5, 0.95), np.float32)


def rims(layers: Plane, look: Watercolour) -> Plane:
    """Density HW of the pigment that gathers at the dark sides of the edges of layers HW of paint."""
    around = blur(layers, look.rim_pixels * look.scale)
    return np.asarray(np.float32(look.rims) * (around - layers).clip(0, 0.2), np.float32)


def grain(texture: Plane, look: Watercolour) -> Plane:
    """Density HW of the pigment that gathers where the texture HW of the picture is dark, beyond noise."""
    beyond = texture * rise(np.abs(texture), 0.01, 0.03)
    return np.asarray(np.float32(look.grain) * beyond.clip(-0.15, 0.15), np.float32)


def thicken(rgb: Plane, density: Plane) -> Plane:
    """RGB HW3 under pigment of a density HW beyond 1: full colours stay, middle ones darken most."""
    return np.asarray(rgb - (rgb - rgb * rgb) * density[..., None], np.float32).clip(0, 1)
