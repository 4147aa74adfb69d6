"""Backdrop: what stands behind a person in place of the room: a picture or a colour."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from streamfx.errors import ConfigError, did_you_mean
from streamfx.generate.effect import Backdrop
from streamfx.media.colour import rgb_to_code
from streamfx.media.frame import Planes, VideoFormat

COLOURS = {
    "black": "000000",
    "white": "FFFFFF",
    "grey": "808080",
    "green": "00B140",
    "blue": "0047BB",
    "red": "C8102E",
    "magenta": "FF00FF",
}
"""Colours that have a name; green and blue are those of screens that are keyed out."""

_HEX = re.compile(r"#?([0-9a-fA-F]{6})")


@dataclass(frozen=True, slots=True, eq=False)
class ColourBackdrop:
    """One colour all over.

    Attributes:
        rgb: red, green and blue in 0..1.
    """

    rgb: NDArray[np.float64]

    def __call__(self, video: VideoFormat, _time_seconds: Fraction, /) -> Planes:
        """Return the planes of the colour for frames of a format."""
        matrix = rgb_to_code(video.colour.assumed(video.size[0]), video.depth)
        codes = np.floor(matrix[:, :3] @ self.rgb + matrix[:, 3] + 0.5)
        y, u, v = (np.full_like(plane, code) for plane, code in zip(video.grey().planes, codes, strict=True))
        return y, u, v

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""


def colour_backdrop(text: str) -> Backdrop:
    """Return a backdrop of one colour.

    Raises:
        ConfigError: it is no colour.

    Example:
        >>> from fractions import Fraction
        >>> from streamfx.media.frame import CodeRange, Colour, Matrix, Subsampling
        >>> colour = Colour(Matrix.BT709, CodeRange.LIMITED)
        >>> video = VideoFormat((2, 2), Subsampling.YUV420, 8, colour, Fraction(1))
        >>> [int(plane[0, 0]) for plane in colour_backdrop("white")(video, Fraction(0))]
        [235, 128, 128]
    """
    digits = COLOURS.get(text.lower()) or ((found := _HEX.fullmatch(text)) and found[1])
    if not digits:
        meant = did_you_mean(text, COLOURS)
        raise ConfigError(
            f"backdrop: {text!r} is no colour{f'; {meant}' if meant else '.'} "
            f"Known are {', '.join(COLOURS)}, and any as RRGGBB, as in colour=1E90FF"
        )
    return ColourBackdrop(np.array([int(digits[at : at + 2], 16) for at in (0, 2, 4)]) / 255)
