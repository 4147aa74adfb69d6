"""Black bars: found in pictures spread over a film, and cut off where that was asked for (``crop: auto``).

A line of the picture is black where its mean is hardly above black, as FFmpeg's filter ``cropdetect`` has it
(which the builds of FFmpeg that PyAV brings do not have). Of all pictures the smallest bars count, so that a
dark scene cuts off nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamfx.capture.source import Source
from streamfx.config.transcode import TranscodeConfig
from streamfx.errors import ConfigError, DecodeError, SourceOpenError
from streamfx.media.frame import CodeRange, Frame
from streamfx.media.geometry import LEAST_SIDE, Geometry
from streamfx.media.notes import NOTE
from streamfx.run.film import preparation_for

log = logging.getLogger(__name__)

_PICTURES = 24
_ABOVE_CODES = 8  # of 8 bits: what is no more than this above black is black
_FRAMES_APART = 10  # where no place in the film can be found by its time


class Bars(NamedTuple):
    """Black bars: lines of pixels at each side."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def none(self) -> bool:
        """Whether there are none."""
        return not any(self)

    def __str__(self) -> str:
        """Return them in words."""
        sides = ((self.top, "above"), (self.bottom, "below"), (self.left, "left"), (self.right, "right"))
        return ", ".join(f"{lines} {side}" for lines, side in sides if lines)


def with_bars_found(config: TranscodeConfig) -> TranscodeConfig:
    """Return the settings with the part of the picture that is kept, where it is to be found out.

    Raises:
        ConfigError: the source cannot be looked at before it is read.
        SourceOpenError: it cannot be opened.
    """
    if config.crop != "auto":
        return config
    if not Path(config.input).is_file():
        raise ConfigError(
            f"{config.input}: only a file can be looked at for black bars before it is read; give --crop the "
            "part of the picture that is to be kept, 1920x800 or 16:9 for instance"
        )
    from streamfx.capture.opening import open_source

    preparation = replace(preparation_for(config), geometry=Geometry(), rate_fps=None, part=None)
    with closing(open_source(config.input, threads=1, preparation=preparation)) as source:
        found = [bars for frame in _spread(config, source) if (bars := bars_of(frame)) is not None]
        height, width = source.format.size
    least = map(min, zip(*found, strict=True)) if found else (0, 0, 0, 0)
    bars = Bars(*(lines + lines % 2 for lines in least))  # chroma samples are not cut in two
    kept = (height - bars.top - bars.bottom, width - bars.left - bars.right)
    if bars.none or min(kept) < LEAST_SIDE:
        log.log(NOTE, "%s: no black bars found; all of the picture is kept", config.input)
        return config.model_copy(update={"crop": None})
    crop = f"{kept[1]}x{kept[0]}+{bars.left}+{bars.top}"
    log.log(NOTE, "%s: black bars are cut off (%s): --crop %s", config.input, bars, crop)
    return config.model_copy(update={"crop": crop})


def bars_of(frame: Frame) -> Bars | None:
    """Return the black bars of a picture; None where all of it is black.

    Example:
        >>> from streamfx.capture.pattern import PatternSource
        >>> bars_of(PatternSource("test:bars?size=64x48&frames=1").read()).none
        True
    """
    luma, scale = frame.planes[0], 1 << (frame.depth - 8)
    black_codes = 0 if frame.colour.code_range is CodeRange.FULL else 16
    limit = (black_codes + _ABOVE_CODES) * scale
    rows = _lit(luma.mean(axis=1), limit)
    if rows is None:
        return None
    columns = _lit(luma[rows[0] : rows[1]].mean(axis=0), limit)
    if columns is None:
        return None
    height, width = luma.shape
    return Bars(rows[0], height - rows[1], columns[0], width - columns[1])


def _lit(means: NDArray[np.floating], limit: float) -> tuple[int, int] | None:
    """Return where the first line that is not black is, and where those after the last are."""
    lit = np.flatnonzero(means > limit)
    return (int(lit[0]), int(lit[-1]) + 1) if lit.size else None


def _spread(config: TranscodeConfig, source: Source) -> Iterator[Frame]:
    """Yield pictures spread over the part of a film that is wanted."""
    from streamfx.capture.files.file import FileSource

    if not isinstance(source, FileSource):
        raise ConfigError(
            f"{config.input}: is no video file, and is not looked at for black bars; give --crop the part of "
            "the picture that is to be kept, 1920x800 or 16:9 for instance"
        )
    start = Fraction(config.start or 0)
    seconds = source.format.duration_seconds
    end = config.end if config.end is not None else seconds
    if config.duration is not None:
        end = float(start) + config.duration
    if source.can_seek and end is not None and seconds is not None:
        length = Fraction(min(end, seconds)) - start
        for number in range(_PICTURES):
            yield from _at(source, start + length * Fraction(2 * number + 1, 2 * _PICTURES))
        return
    for number in range(_PICTURES * _FRAMES_APART):
        frame = _read(source)
        if frame is not None and number % _FRAMES_APART == 0:
            yield frame


def _at(source: Source, seconds: Fraction) -> Iterator[Frame]:
    """Yield the picture from which decoding can begin before a moment, if there is one."""
    from streamfx.capture.files.file import FileSource

    assert isinstance(source, FileSource)
    try:
        source.seek(seconds)
    except SourceOpenError:
        return
    if (frame := _read(source)) is not None:
        yield frame


def _read(source: Source) -> Frame | None:
    if source.other_tracks is not None:
        source.other_tracks.take()
    try:
        return source.read()
    except DecodeError:
        return None
