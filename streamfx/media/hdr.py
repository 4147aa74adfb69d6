"""Static HDR metadata of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class HdrMetadata:
    """Static HDR metadata: the display a picture was graded on (SMPTE ST 2086) and how bright it gets.

    Attributes:
        primaries: chromaticity (x, y) of red, green, blue; None when not stated.
        white_point: chromaticity (x, y) of white; None when not stated.
        luminance_nits: (darkest, brightest) of the display in cd/m²; None when not stated.
        content_light_nits: (brightest pixel, brightest frame average) in cd/m²; None when not stated.
    """

    primaries: tuple[tuple[Fraction, Fraction], ...] | None = None
    white_point: tuple[Fraction, Fraction] | None = None
    luminance_nits: tuple[Fraction, Fraction] | None = None
    content_light_nits: tuple[int, int] | None = None
