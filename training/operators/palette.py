"""Palettes: the colours that a picture's own are printed or painted in, by lightness and family of hue.

A palette is a handful of numbers, measured once from a picture, and has no place in it; a tone of the source
always becomes the same colour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from training.operators.planes import Plane, rise

Colour: TypeAlias = tuple[float, float, float]
"""CIE Lab."""

Ramp: TypeAlias = Mapping[float, Colour]
"""Colours of tones from dark to light: of lightness 0..1 of the source, in ascending order."""

_GREY = (2.0, 12.0)  # chroma up to which a colour has no hue, and from which it has nothing else


@dataclass(frozen=True)
class Palette:
    """Colours that stand for those of a source.

    Attributes:
        greys: Ramp of colours without a hue.
        hues: Ramps of all other colours, by angle in Lab's plane of chroma, in degrees from 0 to 360 and
            ascending; hues in between get mixtures.
    """

    greys: Ramp
    hues: Mapping[float, Ramp]


def recolour(chroma: Plane, light: Plane, palette: Palette) -> Plane:
    """Lab HW3 of what has lightness HW in 0..1 and chroma HW2 (a, b of Lab), in the colours of a palette."""
    a, b = chroma[..., 0], chroma[..., 1]
    coloured = rise(np.hypot(a, b), *_GREY)
    angle = np.degrees(np.arctan2(b, a)) % np.float32(360)
    out = (1 - coloured)[..., None] * _on_ramp(light, palette.greys)
    angles = list(palette.hues)
    for place, middle in enumerate(angles):
        below = (middle - angles[place - 1]) % 360 or 360
        above = (angles[(place + 1) % len(angles)] - middle) % 360 or 360
        away = (angle - np.float32(middle) + 180) % 360 - 180
        near = (1 - np.where(away < 0, away / np.float32(-below), away / np.float32(above))).clip(0, 1)
        out += (coloured * near)[..., None] * _on_ramp(light, palette.hues[middle])
    return np.asarray(out, np.float32)


def skin(chroma: Plane) -> Plane:
    """How much like skin colours of chroma HW2 (a, b of Lab) are, HW in 0..1: red to yellow, neither grey nor
    vivid, of any lightness."""
    warm = (chroma[..., 0] + chroma[..., 1]) * np.float32(0.5**0.5)
    aside = np.abs(chroma[..., 0] - chroma[..., 1]) * np.float32(0.5**0.5)
    return np.asarray(rise(warm - aside, 3, 10) * (1 - rise(warm, 40, 55)), np.float32)


def _on_ramp(light: Plane, ramp: Ramp) -> Plane:
    """Lab HW3 of a ramp at lightness HW."""
    channels = np.array(list(ramp.values()), np.float32).T
    return np.stack([np.interp(light, list(ramp), channel) for channel in channels], -1).astype(np.float32)
