"""Painting: thick strokes that follow the forms, in the colours of a palette.

Sources: see `strokes.py`, `flow.py` and `lines.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from training.operators.flow import along, edge_direction, even_out
from training.operators.lines import Pen, response
from training.operators.palette import Palette, recolour, skin
from training.operators.planes import blur, from_lab, lightness, rise, to_lab, to_picture, to_rgb
from training.operators.strokes import Brush, lit, strokes
from training.operators.tones import bright
from training.pictures import Picture


@dataclass(frozen=True)
class Painting:
    """Settings of looks of thick strokes.

    Attributes:
        palette: Colours.
        scale: All lengths in pixels are multiplied by it.
        brush: Brush of the strokes.
        flow_pixels: Deviation of the smoothing of the flow that strokes follow.
        amplitude: Lightness, of 1, that strokes take and add.
        gentleness: Share of that which is taken from strokes on colours of skin.
        relief: Lightness, of 1, of the light on thick paint.
        drawing: Share of the fine drawing beside broad colours.
        accents: Share of light taken at dark strokes such as eyes and mouth.
        pen: Pen of the accents.
    """

    palette: Palette
    scale: float = 1.0
    brush: Brush = field(default_factory=Brush)
    flow_pixels: float = 3.0
    amplitude: float = 0.12
    gentleness: float = 0.55
    relief: float = 0.06
    drawing: float = 0.5
    accents: float = 0.6
    pen: Pen = field(default_factory=lambda: Pen(0.75, 2.0, noise=0.025, faint=0.04, full=0.2))


def paint(picture: Picture, look: Painting) -> Picture:
    """Painting HW3 of an RGB picture HW3, as large."""
    rgb = to_rgb(picture)
    broad_flow, fine_flow = (edge_direction(rgb, width * look.scale) for width in (look.flow_pixels, 1.6))
    drawing = even_out(to_lab(rgb), fine_flow, 1.3 * look.scale, 4.5, 1)
    smooth = along(even_out(drawing, broad_flow, 2.5 * look.scale, 6.0, 1), broad_flow, 3.0 * look.scale)
    drawn, broad = lightness(drawing), lightness(smooth)
    chroma = blur(np.ascontiguousarray(smooth[..., 1:]), 2.0 * look.scale)
    relief = strokes(drawn, broad_flow, look.brush, look.scale)
    relief *= 1 - np.float32(look.gentleness) * skin(chroma)
    light = bright(broad + np.float32(look.drawing) * (drawn - broad)) + np.float32(look.amplitude) * relief
    lab = recolour(chroma, light, look.palette)
    dark = response(drawn, fine_flow, look.pen.scaled(look.scale))
    lab[..., 0] *= 1 - np.float32(look.accents) * rise(dark, look.pen.faint, look.pen.full)
    lab[..., 0] += np.float32(100 * look.relief) * lit(relief, look.scale)
    return to_picture(from_lab(lab))
