"""Lines of a pen: where lightness falls off across the flow, joined along it.

Sources: flow-guided differences of Gaussians (Kang, Lee, Chui, "Flow-Based Image Abstraction", 2009;
Kyprianidis, Doellner, "Image Abstraction by Structure Adaptive Filtering", 2008), soft thresholds
(Winnemoeller, Kyprianidis, Olsen, "XDoG: An eXtended Difference-of-Gaussians Compendium including Advanced
Image Stylization", 2012). The difference is measured against the contrast across the line, which makes lines
of one width at faint and at strong edges; contrast around them masks those of texture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from training.operators import kernels
from training.operators.flow import along
from training.operators.planes import Plane, bell, blur, rise

_WIDER = 1.6  # deviations of the two Gaussians: their difference is then close to a second derivative
_AROUND = 8.0  # widths of the pen


@dataclass(frozen=True)
class Pen:
    """How lines are drawn.

    Attributes:
        width_pixels: Deviation of the narrower Gaussian; a line is about twice as wide.
        length_pixels: Deviation of the smoothing along a line.
        noise: Contrast, of lightness in 0..1, that counts as none.
        masking: Weight of the contrast around a line against its own, so that texture gets few lines.
        faint: Response from which a line begins to show; a clear edge gives 0.2.
        full: Response from which a line is full.
    """

    width_pixels: float = 1.0
    length_pixels: float = 4.0
    noise: float = 0.02
    masking: float = 0.7
    faint: float = 0.08
    full: float = 0.13

    def scaled(self, scale: float) -> Pen:
        """The same pen on a picture `scale` times as large."""
        return replace(self, width_pixels=scale * self.width_pixels, length_pixels=scale * self.length_pixels)


def lines(light: Plane, direction: Plane, pen: Pen) -> Plane:
    """Ink HW in 0..1 at the dark sides of edges and along dark strokes of lightness HW in 0..1."""
    return rise(response(light, direction, pen), pen.faint, pen.full)


def response(light: Plane, direction: Plane, pen: Pen) -> Plane:
    """Difference of Gaussians across the flow over the contrast there, HW; dark sides are positive."""
    reach = ceil(2.5 * _WIDER * pen.width_pixels)
    narrow, wide = bell(pen.width_pixels, reach), bell(_WIDER * pen.width_pixels, reach)
    profile = np.empty((*light.shape, 2), np.float32)
    kernels.profile_across(np.ascontiguousarray(light), direction, narrow, wide, profile)
    difference, variance = np.moveaxis(along(profile, direction, pen.length_pixels), -1, 0)
    around = blur(np.ascontiguousarray(variance), _AROUND * pen.width_pixels)
    contrast = np.sqrt(variance + np.float32(pen.masking) * around) + np.float32(pen.noise)
    return np.asarray(-difference / contrast, np.float32)
