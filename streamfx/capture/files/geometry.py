"""Geometry that a user asks for, as FFmpeg's filters."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from av import VideoFrame

from streamfx.capture.files.orientation import MIRROR, UPSIDE_DOWN, Filters, turn_of_degrees
from streamfx.media.geometry import Geometry

_FLIPS: dict[str | None, Filters] = {None: (), "horizontal": MIRROR, "vertical": UPSIDE_DOWN}
_SCALER = "flags=bicubic+accurate_rnd+full_chroma_int"


@dataclass(frozen=True, slots=True)
class Shaped:
    """What becomes of pictures.

    Attributes:
        filters: filters to apply.
        pixel_shape: width of a pixel for each of its height, after it; None where the video does not say.
        notes: deviations from what was asked for, and the reasons.
    """

    filters: Filters = ()
    pixel_shape: Fraction | None = None
    notes: tuple[str, ...] = ()


def shaped(picture: VideoFrame, turn: Filters, geometry: Geometry | None, shape: Fraction | None) -> Shaped:
    """Return what turns a picture upright, and gives it the geometry that was asked for.

    Args:
        picture: picture as decoded.
        turn: filters that turn it upright.
        geometry: geometry that was asked for; None: the picture's own.
        shape: width of a pixel of it for each of its height; None where the video does not say.

    Raises:
        ValueError: the picture does not hold the part that was asked for.
    """
    size, steps = (picture.height, picture.width), _chroma_steps(picture)
    if exchanges_sides(turn):
        size, steps, shape = _exchanged(size), _exchanged(steps), None if shape is None else 1 / shape
    if geometry is None:
        return Shaped(turn, shape)
    filters, notes = list(turn), list[str]()
    if geometry.crop is not None:
        top, left, height, width = geometry.crop.box_of(size, steps, shape or Fraction(1))
        filters.append(("crop", f"{width}:{height}:{left}:{top}:exact=1"))
        if geometry.crop.place not in (None, (top, left)):
            notes.append(f"the part of the picture begins at {left},{top}, where chroma samples begin")
        size = (height, width)
    rotation = turn_of_degrees(-geometry.rotate_degrees) or ()
    filters.extend(rotation + _FLIPS[geometry.flip])
    if exchanges_sides(rotation):
        size, shape = _exchanged(size), None if shape is None else 1 / shape
    scaling = geometry.scaling
    if scaling is not None and scaling.size_of(size) != size:
        height, width = scaling.size_of(size)
        filters.append(("scale", f"{width}:{height}:{_SCALER}"))
        if (stretch := scaling.stretch_of(size)) != 1:
            shape = (shape or 1) * stretch
            notes.append(
                f"pixels are {shape.numerator}:{shape.denominator} at {width}x{height}, so that players show "
                f"the picture in its own shape; --size x{height} keeps the shape of the pixels"
            )
    return Shaped(tuple(filters), shape, tuple(notes))


def exchanges_sides(filters: Filters) -> bool:
    """Return whether the height of pictures becomes their width."""
    return sum(name == "transpose" for name, _ in filters) % 2 == 1


def scaled_to(size: tuple[int, int]) -> Filters:
    """Return what gives pictures a (height, width)."""
    return (("scale", f"{size[1]}:{size[0]}:{_SCALER}"),)


def _chroma_steps(picture: VideoFrame) -> tuple[int, int]:
    """Return (vertical, horizontal) luma samples for each chroma sample."""
    return 64 // picture.format.chroma_height(64), 64 // picture.format.chroma_width(64)


def _exchanged(pair: tuple[int, int]) -> tuple[int, int]:
    return pair[1], pair[0]
