"""Operators: slow, good ways to redraw a picture, whose results small networks learn in pairs.

The same picture gives the same result, always; it is as large as the picture, and nothing in it depends on
where in the picture something is. Each operator takes its settings as a second argument, with defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from training.operators.caricature import Caricature, caricature
from training.operators.engraving import Engraving, engraving
from training.operators.ink import Ink, ink
from training.operators.oil import Oil, oil
from training.operators.painting import Painting
from training.operators.pencil import Pencil, pencil
from training.operators.scream import SCREAM, scream
from training.operators.starry import STARRY, starry
from training.operators.toon import Toon, toon
from training.operators.watercolour import Watercolour, watercolour
from training.operators.woodblock import Woodblock, woodblock
from training.pictures import Picture

__all__ = [
    "OPERATORS",
    "SCREAM",
    "STARRY",
    "Caricature",
    "Engraving",
    "Ink",
    "Oil",
    "Operator",
    "Painting",
    "Pencil",
    "Toon",
    "Watercolour",
    "Woodblock",
    "caricature",
    "engraving",
    "ink",
    "oil",
    "pencil",
    "scream",
    "starry",
    "toon",
    "watercolour",
    "woodblock",
]

Operator: TypeAlias = Callable[[Picture], Picture]
"""Redraws an RGB picture HW3 of 8 bits, as large."""

OPERATORS: Mapping[str, Operator] = {
    "engraving": engraving,
    "caricature": caricature,
    "ink": ink,
    "oil": oil,
    "pencil": pencil,
    "scream": scream,
    "starry": starry,
    "toon": toon,
    "watercolour": watercolour,
    "woodblock": woodblock,
}
