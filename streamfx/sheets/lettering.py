"""Lettering: short labels drawn with a round pen, so that sheets need no font and no library for one.

Each character is a few strokes on a grid: capitals are 16 units high, small letters begin at 6, tails end at
20. A coordinate is one digit of base 36, x before y. A stroke is a line through its points; with ``~`` before
them, a smooth curve (Edwin Catmull, Raphael Rom, A class of local interpolating splines, 1974); with ``o``,
the ellipse in the box between two corners. A single point is a dot.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Coverage = NDArray[np.float32]

_CAPITAL, _BOTTOM = 16, 21  # heights in units: of a capital, and of what a line of text needs
_GAP, _SPACE = 4.5, 6.0  # widths in units: between characters, and of a space
_PEN = 1.1  # radius in units
_CURVE_STEPS, _ELLIPSE_STEPS = 8, 28
_UNKNOWN = "00808g0g00"
_STROKES = {
    "a": "o068g 868g", "b": "o068g 000g", "c": "~88460b4g8e", "d": "o068g 808g", "e": "0b8b ~8b460b4g8e",
    "f": "~705142 424g 0666", "g": "o068g 868h ~8h4k1j", "h": "000g ~09468a 8a8g", "i": "161g 11",
    "j": "363i ~3i2k0k 31", "k": "000g 760c 398g", "l": "101g", "m": "060g ~09366a 6a6g ~6996ca cacg",
    "n": "060g ~09468a 8a8g", "o": "o068g", "p": "o068g 060k", "q": "o068g 868k", "r": "060g ~0a3666",
    "s": "~7846184b7e4g0e", "t": "313d ~3d4f6g 0666", "u": "060c ~0c4g8d 868g", "v": "064g86",
    "w": "063g679gc6", "x": "068g 860g", "y": "064f 862k", "z": "06860g8g",
    "A": "0g50ag 2b8b", "B": "000g 0050 0858 0g5g ~509458 ~58ac5g", "C": "~a350085gad",
    "D": "000g 0040 0g4g ~40a84g", "E": "90000g9g 0878", "F": "90000g 0878", "G": "~a350085gac aca969",
    "H": "000g a0ag 08a8", "I": "303g 0060 0g6g", "J": "707c ~7c4g0d", "K": "000g 900a 37ag", "L": "000g9g",
    "M": "0g006ac0cg", "N": "0g00aga0", "O": "o00ag", "P": "000g 0050 0959 ~509459", "Q": "o00ag 6cbh",
    "R": "000g 0050 0959 ~509459 59ag", "S": "~935014589c5g0d", "T": "00a0 505g", "U": "000b ~0b5gab aba0",
    "V": "005ga0", "W": "003g74bge0", "X": "00ag a00g", "Y": "0058a0 585g", "Z": "00a00gag",
    "0": "o008g", "1": "13404g", "2": "~0440845a0g 0g8g", "3": "~03407448 ~488c4g0d", "4": "6g600b8b",
    "5": "801007 ~07468b4g0e", "6": "o068g ~71320b", "7": "00803g", "8": "o1077 o078g", "9": "o008a ~855e1f",
    ".": "1g", ",": "1g0j", ":": "18 1g", ";": "18 1g0j", "-": "0b6b", "_": "0i8i", "=": "0888 0d8d",
    "+": "0b8b 474f", "/": "0i80", "\\": "008i", "(": "~40184g", ")": "~00380g", "[": "40000g4g",
    "]": "00404g0g", "%": "800g o0044 o4c8g", "×": "187e 781e", "…": "1g 6g bg", "'": "1014", "!": "101a 1g",
    "?": "~0340844a 4g", "#": "202g 606g 0585 0b8b", "*": "4048 1276 7216", "&": "ag1340750c4g9b",
}  # fmt: skip


def label(text: str, height_pixels: int, most_pixels: int) -> Coverage:
    """Return a line of text as coverage, 0 to 1, by row and column; a text too wide ends in an ellipsis.

    Args:
        text: text to write; a character without strokes is drawn as a box.
        height_pixels: height of capitals.
        most_pixels: no wider than this.

    Example:
        >>> label("wave", 16, 200).shape[1] < label("waves", 16, 200).shape[1] <= 200
        True
    """
    scale = height_pixels / _CAPITAL
    shown = text
    while len(shown) > 1 and _width_units(shown) * scale > most_pixels:
        shown = shown.rstrip("…")[:-1] + "…"
    width = min(int(np.ceil(_width_units(shown) * scale)), most_pixels)
    canvas = np.zeros((int(np.ceil((_BOTTOM + 2 * _PEN) * scale)) - 1, width), np.float32)
    left = _PEN
    for character in shown:
        if character != " ":
            for points in _points(_STROKES.get(character, _UNKNOWN)):
                _draw(canvas, (points + np.array([left, _PEN])) * scale, _PEN * scale)
        left += _advance(character)
    return canvas


def _width_units(text: str) -> float:
    return sum(map(_advance, text)) - _GAP + 2 * _PEN if text else 0.0


@lru_cache(maxsize=128)
def _advance(character: str) -> float:
    if character == " ":
        return _SPACE
    strokes = _points(_STROKES.get(character, _UNKNOWN))
    return float(max(points[:, 0].max() for points in strokes)) + _GAP


@lru_cache(maxsize=128)
def _points(strokes: str) -> tuple[NDArray[np.float64], ...]:
    """Return the points (x, y) of each stroke, curves and ellipses as short lines."""
    found = []
    for stroke in strokes.split():
        kind = stroke[0] if len(stroke) % 2 else ""
        digits = [float(int(digit, 36)) for digit in stroke[len(kind) :]]
        points = np.array(digits).reshape(-1, 2)
        found.append(_ellipse(*points) if kind == "o" else _curve(points) if kind == "~" else points)
    return tuple(found)


def _ellipse(corner: NDArray[np.float64], opposite: NDArray[np.float64]) -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, _ELLIPSE_STEPS + 1)[:, None]
    middle, radii = (corner + opposite) / 2, (opposite - corner) / 2
    ellipse: NDArray[np.float64] = middle + radii * np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    return ellipse


def _curve(points: NDArray[np.float64]) -> NDArray[np.float64]:
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0, 1, _CURVE_STEPS, endpoint=False)[:, None]
    parts = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        parts.append(
            b + t * (c - a) / 2 + t**2 * (2 * a - 5 * b + 4 * c - d) / 2 + t**3 * (3 * (b - c) + d - a) / 2
        )
    return np.concatenate([*parts, points[-1:]])


def _draw(canvas: Coverage, points: NDArray[np.float64], radius: float) -> None:
    """Draw lines between points, in pixels, with a round pen; edges are smooth."""
    segments = list(pairwise(points)) or [(points[0], points[0])]
    for start, end in segments:
        low = np.floor(np.minimum(start, end) - radius - 1).astype(int).clip(0)
        high = np.ceil(np.maximum(start, end) + radius + 1).astype(int)
        part = canvas[low[1] : high[1], low[0] : high[0]]
        if not part.size:
            continue
        y, x = np.mgrid[low[1] : low[1] + part.shape[0], low[0] : low[0] + part.shape[1]]
        offset_x, offset_y = x + 0.5 - start[0], y + 0.5 - start[1]
        step_x, step_y = end - start
        length = max(step_x**2 + step_y**2, 1e-9)
        along = np.clip((offset_x * step_x + offset_y * step_y) / length, 0, 1)
        distance = np.hypot(offset_x - along * step_x, offset_y - along * step_y)
        np.maximum(part, np.clip(radius + 0.5 - distance, 0, 1), out=part, casting="same_kind")
