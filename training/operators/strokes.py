"""Strokes of a brush: waves that run along the edges of a picture and repeat them beside them.

Across the flow, lightness is filtered by a wave in a Gaussian window, so that an edge is echoed on both sides
by lines of one width; along the flow it is smoothed. Divided by their own strength around them, faint texture
and clear edges give strokes alike. They come from the picture and move with it; noise is too weak for any.

Sources: a wave in a Gaussian window (Gabor, "Theory of communication", 1946), along edges to bring out
ridges (Hong, Wan, Jain, "Fingerprint Image Enhancement: Algorithm and Performance Evaluation", 1998); flow
see `flow.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.operators import kernels
from training.operators.flow import along
from training.operators.planes import Plane, blur, rise

_AROUND = 1.5  # periods
_SHARE = 0.7  # of the strength around, that strokes are divided by
_GAIN = 1.3


@dataclass(frozen=True)
class Brush:
    """How strokes lie beside each other.

    Attributes:
        period_pixels: Distance from one stroke to the next.
        reach_pixels: Deviation of the window: how far an edge is echoed.
        length_pixels: Deviation of the smoothing along strokes.
        floor: Strength, of lightness in 0..1, from which strokes are clear.
        noise: Strength up to which there are none, and from which they are not weakened; that of noise of
            two 8-bit codes is about 0.0002.
    """

    period_pixels: float = 6.0
    reach_pixels: float = 9.0
    length_pixels: float = 6.0
    floor: float = 0.002
    noise: tuple[float, float] = (0.0005, 0.0025)


def strokes(light: Plane, direction: Plane, brush: Brush, scale: float = 1.0) -> Plane:
    """Strokes HW, dark -1 to light 1, of lightness HW along the flow HW2; `scale` multiplies all lengths."""
    period, reach = brush.period_pixels * scale, brush.reach_pixels * scale
    wave = waves(light, direction, period, reach, brush.length_pixels * scale)
    strength = np.sqrt(blur(wave * wave, _AROUND * period))
    bent = np.tanh(np.float32(_GAIN) * wave / (np.float32(_SHARE) * strength + np.float32(brush.floor)))
    return np.asarray(bent * rise(strength, *brush.noise), np.float32)


def waves(light: Plane, direction: Plane, period: float, reach: float, length: float) -> Plane:
    """Lightness HW filtered by a wave across the flow HW2 and smoothed along it; all lengths in pixels.

    Args:
        light: Lightness.
        direction: Flow.
        period: Period of the wave.
        reach: Deviation of its window.
        length: Deviation of the smoothing along the flow.
    """
    wave = np.empty_like(light)
    kernels.wave_across(np.ascontiguousarray(light), direction, window(period, reach), wave)
    return along(wave[..., None], direction, length)[..., 0]


def window(period: float, reach: float) -> Plane:
    """Weights of a wave in a Gaussian window at the distances 0, 1, … pixels; with both sides they sum to 0,
    so that even lightness gives no strokes."""
    away = np.arange(int(2.2 * reach) + 1)
    bell = np.exp(-(away**2) / (2 * reach**2))
    whole = bell[0] + 2 * bell[1:].sum()
    wave = bell * np.cos(2 * np.pi * away / period)
    wave -= bell * (wave[0] + 2 * wave[1:].sum()) / whole
    return np.asarray(2 * wave / whole, np.float32)


def lit(strokes: Plane, scale: float = 1.0) -> Plane:
    """Light HW, -1 to 1, that falls from above left on strokes HW of thick paint."""
    across = cv2.Scharr(strokes, cv2.CV_32F, 1, 0, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Scharr(strokes, cv2.CV_32F, 0, 1, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.tanh(np.float32(scale / 2) * (across + down)), np.float32)
