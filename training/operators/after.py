"""After: a painting in the colours and strokes that are measured from a picture.

Each tone of a source becomes the colour that the picture has most often near that tone, and each hue the one
most like it there, if it has any; what hue it lacks falls to its other colours, as blue does to yellow in a
desert. Strokes are as wide, as long and as strong as those of the picture are against photographs.

Sources: the most frequent colour is the highest point of a smoothed histogram, as in the mean shift's search
for modes (Comaniciu, Meer, "Mean Shift: A Robust Approach Toward Feature Space Analysis", 2002); tones are
matched halfway to those of the picture (Reinhard, Ashikhmin, Gooch, Shirley, "Color Transfer between Images",
2001, of means and deviations; here of quantiles).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import exp, log
from pathlib import Path

import numpy as np

from training.operators.flow import edge_flow
from training.operators.lines import Pen, response
from training.operators.painting import Painting, paint
from training.operators.palette import Colour, Palette, Ramp
from training.operators.planes import Plane, blur, lightness, rise, to_lab, to_rgb
from training.operators.strokes import Brush, waves
from training.pictures import Picture, read_still, to_short_side

AFTER = "after"
"""What this operator is called where a style picture goes with it."""

_SHORT_SIDE = 512
_TONES = (0.04, 0.2, 0.36, 0.52, 0.68, 0.84, 1.0)
_HUES = (35, 85, 140, 200, 260, 320)
_DARKEST, _LIGHTEST = 22.0, 84.0  # lightness that the ends of a palette have at least
_NEAR_TONE = 7.0  # deviation, of lightness, of what counts for greys
_NEAR_HUE = 16.0  # and for hues, of which a picture has fewer
_VIVID = 20.0  # chroma that counts twice: vivid colours are what a picture is known by
_LIKE_HUE = 3.0  # concentration of the weights of hues
_ELSEWHERE = 0.003  # weight of colours of other hues
_BIN = 4  # of the histogram of chroma, in units of Lab
_MODE = 2.0  # deviation of its smoothing, in bins
_PERIODS = (4.0, 5.0, 6.0, 8.0, 11.0)
# Of photographs with 512 pixels on the short side: strength of the waves of these periods along the flow, and
# share of places that a pen would draw.
_USUAL_WAVES = (0.0102, 0.0141, 0.0163, 0.0189, 0.0206)
_USUAL_LINES = 0.06
_PEN = Pen(0.9, 3.0, noise=0.03)


def after(picture: Picture) -> Painting:
    """Settings of a painting in the colours and strokes of an RGB picture HW3 of 8 bits."""
    rgb = to_rgb(to_short_side(picture, _SHORT_SIDE))
    lab = to_lab(rgb)
    light = lightness(lab)
    flow, straightness = edge_flow(rgb, 3.0)
    drawn = float((response(light, flow, _PEN) > _PEN.full).mean())
    boldness = float(np.clip((drawn - 0.5 * _USUAL_LINES) / (2 * _USUAL_LINES), 0, 1))
    period = _period(light, flow)
    brush = Brush(
        period_pixels=period,
        reach_pixels=1.4 * period,
        length_pixels=float(np.interp(straightness.mean(), (0.35, 0.65), (4.0, 10.0))),
    )
    return Painting(
        measured_palette(lab),
        brush=brush,
        amplitude=0.06 + 0.08 * boldness,
        relief=0.01 + 0.05 * boldness,
    )


def painter_after(path: Path) -> Callable[[Picture], Picture]:
    """What paints pictures HW3 after a picture file.

    Raises:
        ValueError: It cannot be read.
    """
    picture = read_still(path)
    if picture is None:
        raise ValueError(f"{path} cannot be read: it is no picture file, or you may not read it")
    return partial(paint, look=after(picture))


def measured_palette(lab_HW3: Plane) -> Palette:
    """The palette of a picture in CIE Lab."""
    lab_P3 = lab_HW3.reshape(-1, 3)
    lights = _lights(lab_P3[:, 0])
    greys = _ramp(lab_P3, lights, None)
    return Palette(greys, {hue: _ramp(lab_P3, lights, hue) for hue in _HUES})


def _lights(light_P: Plane) -> list[float]:
    """Lightness that each tone gets: halfway between the picture's own quantiles and even steps."""
    lowest, highest = np.quantile(light_P, (0.02, 0.98))
    lowest, highest = min(lowest, _DARKEST), max(highest, _LIGHTEST)
    tones = np.array(_TONES)
    even = lowest + (highest - lowest) * (tones - tones[0]) / (tones[-1] - tones[0])
    own = np.quantile(light_P, 0.02 + 0.96 * tones).clip(lowest, highest)
    return [float(light) for light in 0.65 * even + 0.35 * own]


def _ramp(lab_P3: Plane, lights: list[float], hue: float | None) -> Ramp:
    return {tone: _colour(lab_P3, light, hue) for tone, light in zip(_TONES, lights, strict=True)}


def _colour(lab_P3: Plane, light: float, hue: float | None) -> Colour:
    """The most frequent colour near a lightness, of a hue if there is one."""
    near = _NEAR_TONE if hue is None else _NEAR_HUE
    chroma = np.hypot(lab_P3[:, 1], lab_P3[:, 2])
    weight_P = (np.exp(-(((lab_P3[:, 0] - light) / near) ** 2) / 2) + 1e-6) * (1 + chroma / _VIVID)
    if hue is not None:
        angle = np.arctan2(lab_P3[:, 2], lab_P3[:, 1]) - np.radians(hue)
        weight_P = weight_P * (_ELSEWHERE + rise(chroma, 5, 20) * np.exp(_LIKE_HUE * (np.cos(angle) - 1)))
    edges = np.arange(-128, 128 + _BIN, _BIN)
    counts = np.histogram2d(lab_P3[:, 1], lab_P3[:, 2], bins=(edges, edges), weights=weight_P)[0]
    smooth = blur(counts.astype(np.float32), _MODE)
    row, column = np.unravel_index(int(smooth.argmax()), smooth.shape)
    away = ((lab_P3[:, 1] - edges[row] - _BIN / 2) ** 2 + (lab_P3[:, 2] - edges[column] - _BIN / 2) ** 2) / (
        2 * (_MODE * _BIN) ** 2
    )
    near_P = weight_P * np.exp(-away)
    a, b = (float((lab_P3[:, axis] * near_P).sum() / near_P.sum()) for axis in (1, 2))
    return light, a, b


def _period(light: Plane, flow: Plane) -> float:
    """Pixels from stroke to stroke: the mean, in octaves, of the periods that photographs have less of."""
    shares = []
    for period, usual in zip(_PERIODS, _USUAL_WAVES, strict=True):
        strength = np.sqrt(np.square(waves(light, flow, period, 1.2 * period, 5.0)).mean())
        shares.append(float(strength / usual) ** 4)
    logs = [log(period) for period in _PERIODS]
    return exp(float(np.average(logs, weights=shares))) if sum(shares) > 0 else 6.0
