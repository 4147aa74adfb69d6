"""Toon: black lines over colours that are smooth, fresh and softly stepped.

Sources: see `flow.py` and `lines.py`; steps of lightness that are soft where it changes slowly (Winnemoeller,
Olsen, Gooch, "Real-Time Video Abstraction", 2006).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.operators.flow import along, edge_direction, even_out
from training.operators.lines import Pen, response
from training.operators.planes import Plane, from_lab, lightness, rise, to_lab, to_picture, to_rgb
from training.operators.tones import bright, fresh, soft_steps
from training.pictures import Picture

INK = np.array([0.05, 0.04, 0.06], np.float32)


@dataclass(frozen=True)
class Toon:
    """Settings of the toon look.

    Attributes:
        scale: All lengths in pixels are multiplied by it.
        pen: Pen of the lines.
        smoothing_pixels: Deviation of the smoothing of colours.
        unlike: Deviation of differences in Lab that smoothing bridges.
        times: Rounds of smoothing.
        steps: Steps of lightness between black and white.
        shadow: Share of light taken where a line is too faint to be drawn.
        chroma: Factor of the chroma of dull colours.
    """

    scale: float = 1.0
    pen: Pen = field(default_factory=lambda: Pen(width_pixels=0.75, length_pixels=2.0, noise=0.025))
    smoothing_pixels: float = 2.0
    unlike: float = 4.5
    times: int = 2
    steps: float = 9
    shadow: float = 0.5
    chroma: float = 1.45


def toon(picture: Picture, settings: Toon | None = None) -> Picture:
    """Cartoon of an RGB picture HW3, as large."""
    look = settings or Toon()
    rgb = to_rgb(picture)
    lab = to_lab(rgb)
    direction = edge_direction(rgb, 1.6 * look.scale)
    drawing = even_out(lab, direction, 1.3 * look.scale, look.unlike, 1)
    smooth = even_out(drawing, direction, look.smoothing_pixels * look.scale, look.unlike, look.times)
    dark = response(lightness(drawing), direction, look.pen.scaled(look.scale))
    shadow = np.float32(look.shadow) * rise(dark, 0.4 * look.pen.faint, look.pen.full)
    ink = rise(dark, look.pen.faint, look.pen.full)[..., None]
    painted = paint(along(smooth, direction, 1.5 * look.scale), look) * (1 - shadow[..., None])
    return to_picture(painted * (1 - ink) + INK * ink)


def paint(lab: Plane, look: Toon) -> Plane:
    """RGB HW3 of smooth Lab HW3 in fresh colours and soft steps of lightness."""
    light = soft_steps(bright(lightness(lab)), look.steps, look.scale)
    return from_lab(fresh(lab, light, look.chroma))
