"""Lines of a pen: where lightness falls off across the flow, joined along it.

Sources: flow-guided differences of Gaussians (Kang, Lee, Chui, "Flow-Based Image Abstraction", 2009;
Kyprianidis, Doellner, "Image Abstraction by Structure Adaptive Filtering", 2008), soft thresholds
(Winnemoeller, Kyprianidis, Olsen, "XDoG: An eXtended Difference-of-Gaussians Compendium including Advanced
Image Stylization", 2012). The difference is measured against the contrast across the line, which makes lines
of one width at faint and at strong edges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from training.operators import kernels
from training.operators.flow import along
from training.operators.planes import Plane, bell, rise

_WIDER = 1.6  # deviations of the two Gaussians: their difference is then close to a second derivative


@dataclass(frozen=True)
class Pen:
    """How lines are drawn.

    Attributes:
        width_pixels: Deviation of the narrower Gaussian; a line is about twice as wide.
        length_pixels: Deviation of the smoothing along a line.
        noise: Contrast, of lightness in 0..1, that counts as none.
        faint: Response from which a line begins to show; a clear edge gives 0.2.
        full: Response from which a line is full.
    """

    width_pixels: float = 1.0
    length_pixels: float = 4.0
    noise: float = 0.02
    faint: float = 0.09
    full: float = 0.15

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
    profile = along(profile, direction, pen.length_pixels)
    return np.asarray(-profile[..., 0] / (np.sqrt(profile[..., 1]) + np.float32(pen.noise)), np.float32)
