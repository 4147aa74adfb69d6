"""Geometry of pictures as a user asks for it: cut, turned, mirrored, scaled; what each makes of a size."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Layout = Literal["split", "side", "stack"]
"""Before and after in one picture: half and half, beside each other, or one above the other."""

LEAST_SIDE, MOST_SIDE = 16, 16384
"""Pixels of a side that can be asked for."""

_SIZE = re.compile(r"(?:(\d{1,5})x(\d{1,5})|(\d{1,5})x|x(\d{1,5})|(\d{1,5})p)", re.ASCII)
_CROP = re.compile(r"(\d{1,5})x(\d{1,5})(?:\+(\d{1,5})\+(\d{1,5}))?", re.ASCII)
_SHAPE = re.compile(r"(\d{1,4}(?:\.\d{1,4})?):(\d{1,4}(?:\.\d{1,4})?)", re.ASCII)
_STRETCH = Fraction(1, 100)  # up to here a stretched picture is what rounding to whole pixels makes of it


@dataclass(frozen=True, slots=True)
class Scaling:
    """A size that was asked for; a side that is not given follows from the shape of the picture.

    Attributes:
        width: width in pixels.
        height: height in pixels.
        shorter: length of the shorter side in pixels, instead of either.

    Example:
        >>> scaling_of("720p").size_of((1080, 1920)), scaling_of("720p").size_of((1920, 1080))
        ((720, 1280), (1280, 720))
        >>> scaling_of("640x").size_of((1080, 1918))
        (360, 640)
    """

    width: int | None = None
    height: int | None = None
    shorter: int | None = None

    def size_of(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (height, width) that a picture of (height, width) gets; a side that follows is even."""
        height, width = size
        wanted_height, wanted_width = self.height, self.width
        if self.shorter is not None:
            wanted_height, wanted_width = (self.shorter, None) if height <= width else (None, self.shorter)
        if wanted_height is None:
            assert wanted_width is not None
            return _even(Fraction(height * wanted_width, width)), wanted_width
        if wanted_width is None:
            return wanted_height, _even(Fraction(width * wanted_height, height))
        return wanted_height, wanted_width

    def stretch_of(self, size: tuple[int, int]) -> Fraction:
        """Return how many times the width of a pixel grows against its height, so that a player shows the
        picture in its shape; 1 where only rounding changes it.
        """
        (height, width), (new_height, new_width) = size, self.size_of(size)
        stretch = Fraction(width * new_height, height * new_width)
        return Fraction(1) if abs(stretch - 1) <= _STRETCH else stretch


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of the picture that was asked for: a size, or a shape; from the middle where no place is given.

    Attributes:
        size: (height, width) in pixels; None where a shape is given.
        shape: width of the part for each of its height as a player shows it; None where a size is given.
        place: (top, left) in pixels.
    """

    size: tuple[int, int] | None = None
    shape: Fraction | None = None
    place: tuple[int, int] | None = None

    def box_of(
        self, size: tuple[int, int], steps: tuple[int, int], pixel_shape: Fraction
    ) -> tuple[int, int, int, int]:
        """Return (top, left, height, width) within a picture.

        Top and left are multiples of the steps, for chroma samples are not cut in two.

        Args:
            size: (height, width) of the picture, in pixels.
            steps: (vertical, horizontal) luma samples for each chroma sample.
            pixel_shape: width of a pixel for each of its height.

        Raises:
            ValueError: the part is not within the picture.

        Example:
            >>> Crop(shape=Fraction(1)).box_of((720, 1280), (2, 2), Fraction(1))
            (0, 280, 720, 720)
        """
        height, width = size
        if self.shape is not None:
            shape = self.shape / pixel_shape
            part = (min(height, _even(width / shape)), min(width, _even(height * shape)))
        else:
            assert self.size is not None
            part = self.size
        spare = (height - part[0], width - part[1])
        place = self.place or (max(spare[0], 0) // 2, max(spare[1], 0) // 2)
        if place[0] > spare[0] or place[1] > spare[1]:
            at = "" if self.place is None else f" at {place[1]},{place[0]}"
            raise ValueError(
                f"a part of {part[1]}x{part[0]}{at} was asked for, and pictures are {width}x{height}"
            )
        return place[0] - place[0] % steps[0], place[1] - place[1] % steps[1], *part


@dataclass(frozen=True, slots=True)
class Geometry:
    """What is done to the picture as a player would show it, in this order.

    Attributes:
        crop: part that is kept; None: all of it.
        rotate_degrees: clockwise turn: 0, 90, 180 or 270.
        flip: "horizontal" exchanges left and right, "vertical" top and bottom; None: neither.
        scaling: size to scale to; None: as large as it is.
    """

    crop: Crop | None = None
    rotate_degrees: int = 0
    flip: str | None = None
    scaling: Scaling | None = None


def geometry_of(
    size: str | None = None, crop: str | None = None, rotate: int | None = None, flip: str | None = None
) -> Geometry | None:
    """Return the geometry that settings ask for; None where they leave pictures as they are.

    Raises:
        ValueError: a size or a crop is none.
    """
    if not (size or crop or rotate or flip):
        return None
    return Geometry(crop_of(crop) if crop else None, rotate or 0, flip, scaling_of(size) if size else None)


def scaling_of(text: str) -> Scaling:
    """Return what ``1280x720``, ``1280x``, ``x720`` or ``720p`` asks for.

    Raises:
        ValueError: it is none of them, or too small or too large.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("must be a size: 1280x720, 1280x (a width), x720 (a height) or 720p, for instance")
    width, height, only_width, only_height, shorter = (
        None if side is None else _side(int(side)) for side in found.groups()
    )
    return Scaling(width or only_width, height or only_height, shorter)


def crop_of(text: str) -> Crop:
    """Return what ``640x480``, ``640x480+100+20`` or ``16:9`` asks for.

    Raises:
        ValueError: it is none of them, or too small or too large.
    """
    if found := _SHAPE.fullmatch(text):
        across, down = map(Fraction, found.groups())
        if across and down and Fraction(1, 20) <= across / down <= 20:
            return Crop(shape=across / down)
    elif found := _CROP.fullmatch(text):
        width, height, left, top = found.groups()
        place = None if left is None else (int(top), int(left))
        return Crop((_side(int(height)), _side(int(width))), place=place)
    raise ValueError(
        "must be a part of the picture: 640x480 (from its middle), 640x480+LEFT+TOP or a shape, 16:9, "
        "for instance; or auto, without the black bars"
    )


def _side(pixels: int) -> int:
    if not LEAST_SIDE <= pixels <= MOST_SIDE:
        raise ValueError(f"must have sides of {LEAST_SIDE} to {MOST_SIDE} pixels, not {pixels}")
    return pixels


def _even(exact: Fraction) -> int:
    return max(2 * round(exact / 2), 2)
