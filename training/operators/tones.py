"""Tones that the operators share: brighter middle tones, fresher colours, soft steps.

Source: steps of lightness that are soft where it changes slowly (Winnemoeller, Olsen, Gooch, "Real-Time Video
Abstraction", 2006).
"""

from __future__ import annotations

import cv2
import numpy as np

from training.operators.planes import Plane, blur, rise


def fresh(lab: Plane, light: Plane, gain: float) -> Plane:
    """Lab HW3 with lightness HW in 0..1 and chroma multiplied by `gain`, by less where it is high."""
    more = gain - (gain - 1) * rise(np.hypot(lab[..., 1], lab[..., 2]), 30, 80)
    return np.stack([100 * light, lab[..., 1] * more, lab[..., 2] * more], axis=-1).astype(np.float32)


def bright(light: Plane) -> Plane:
    """Lightness 0..1 with lighter middle tones and more contrast around them."""
    lifted = light.clip(0, 1) ** np.float32(0.85)
    return np.asarray(lifted + np.float32(0.55) * lifted * (1 - lifted) * (2 * lifted - 1), np.float32)


def soft_steps(light: Plane, steps: float, scale: float) -> Plane:
    """Lightness HW in 0..1 in steps whose borders are the sharper the faster it changes."""
    across = cv2.Scharr(light, cv2.CV_32F, 1, 0, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    down = cv2.Scharr(light, cv2.CV_32F, 0, 1, scale=1 / 32, borderType=cv2.BORDER_REPLICATE)
    slope = blur(np.asarray(np.hypot(across, down), np.float32), 1.5 * scale) * np.float32(scale)
    sharpness = 1 + 5 * rise(slope, 0.002, 0.02)
    middle = np.floor(light * np.float32(steps)) + np.float32(0.5)
    part = (light * np.float32(steps) - middle) * 2
    bent = np.tanh(sharpness * part) / np.tanh(sharpness)
    return np.asarray((middle + bent / 2) / steps, np.float32)
