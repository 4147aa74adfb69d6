"""Test picture: moving colour bars with the frame number stamped into the luma plane.

The stamp is two rows of sixteen cells over the top eighth of the picture. Each cell is black or white: two
guard cells of each colour, twenty bits of frame number, eight bits of check sum. Cells are read in the
middle, by their mean, against the guards: compression, scaling, a change of contrast, even an inverted
picture do no harm.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from streamfx.capture.options import frame_rate, picture_size, split_options, whole_number
from streamfx.errors import ConfigError
from streamfx.media.frame import (
    ChromaLocation,
    CodeRange,
    Colour,
    Frame,
    Matrix,
    Plane,
    Planes,
    Subsampling,
    VideoFormat,
)
from streamfx.media.tracks import OtherTracks

STAMP_ROWS, STAMP_COLUMNS = 2, 16
STAMP_LIMIT = 1 << 20  # frame numbers are stamped modulo this
_GUARDS = (1, 0, 0, 1)
_SMALLEST = (32, 64)  # (height, width): two pixels high, four wide for each cell
# Every shipped engine gives 0.83 and a lead of 0.06 or more, at every factor and from 160x90 up.
_LIKE, _CLEARLY_MORE_LIKE = 0.7, 0.02
_BARS_YUV = (  # 75 % bars, BT.709 limited range, 8 bit
    (180, 128, 128),
    (168, 44, 136),
    (145, 147, 44),
    (134, 63, 52),
    (63, 193, 204),
    (51, 109, 212),
    (28, 212, 120),
)
_OPTIONS = {
    "size": "1280x720",
    "fps": "30",
    "frames": "300",
    "depth": "8",
    "subsampling": "420",
    "live": "1",
}
_SUBSAMPLINGS = {"420": Subsampling.YUV420, "422": Subsampling.YUV422, "444": Subsampling.YUV444}


def _stamp_bits(number: int) -> list[int]:
    number %= STAMP_LIMIT
    check = zlib.crc32(number.to_bytes(4, "big")) & 0xFF
    value = number << 8 | check
    return [*_GUARDS, *(value >> shift & 1 for shift in range(27, -1, -1))]


def _cell_middle(size: tuple[int, int], position: int) -> tuple[slice, slice]:
    """Return the middle half, each way, of the part of a luma plane that cell ``position`` covers."""
    row, column = divmod(position, STAMP_COLUMNS)
    cell_height, cell_width = size[0] / 8 / STAMP_ROWS, size[1] / STAMP_COLUMNS
    top, bottom = (row + 0.25) * cell_height, (row + 0.75) * cell_height
    left, right = (column + 0.25) * cell_width, (column + 0.75) * cell_width
    return slice(round(top), max(round(bottom), round(top) + 1)), slice(
        round(left), max(round(right), round(left) + 1)
    )


def write_stamp(luma: Plane, number: int, depth: int = 8) -> None:
    """Write ``number`` over the top eighth of ``luma``, in place."""
    height, width = luma.shape
    white, black = 235 << (depth - 8), 16 << (depth - 8)
    cells = np.array([white if bit else black for bit in _stamp_bits(number)], dtype=luma.dtype)
    rows = np.diff([round(row * height / 8 / STAMP_ROWS) for row in range(STAMP_ROWS + 1)])
    columns = np.diff([round(column * width / STAMP_COLUMNS) for column in range(STAMP_COLUMNS + 1)])
    lines = cells.reshape(STAMP_ROWS, STAMP_COLUMNS).repeat(columns, axis=1)
    luma[: rows.sum()] = lines.repeat(rows, axis=0)


def read_stamp(luma: Plane) -> int | None:
    """Return the frame number stamped into ``luma``, or None where no intact stamp is found.

    Works on any depth and on a picture scaled, compressed, inverted or changed in contrast since.
    """
    means = _cell_means(luma)
    if means is None:
        return None
    white, black = (means[0] + means[3]) / 2, (means[1] + means[2]) / 2
    if abs(white - black) < 4:
        return None
    bits = [int((mean - black) / (white - black) > 0.5) for mean in means]
    number = int("".join(map(str, bits[4:24])), 2)
    return number if bits == _stamp_bits(number) else None


def nearest_stamp(luma: Plane, numbers: Sequence[int]) -> int | None:
    """Return which of ``numbers`` is stamped into ``luma``; None where it looks like none of them.

    For pictures painted over by an effect, whose cells are no longer of two shades: all cells together are
    compared with those of each number (normalized correlation), and the most similar is taken where it is
    similar enough and no other is as similar. Any two of 128 numbers in a row differ in three cells or more.
    """
    means = _cell_means(luma)
    if means is None or not numbers:
        return None
    seen = np.array(means) - np.mean(means)
    if np.abs(seen).max() < 2:
        return None
    stamps = np.array([_cells(number % STAMP_LIMIT) for number in numbers])
    likeness = np.abs(stamps @ seen) / np.linalg.norm(seen)  # inverted pictures are good, too
    best = int(likeness.argmax())
    others = np.delete(likeness, best)
    clear = not len(others) or likeness[best] - others.max() > _CLEARLY_MORE_LIKE
    return numbers[best] if likeness[best] > _LIKE and clear else None


@lru_cache(maxsize=1024)
def _cells(number: int) -> NDArray[np.float64]:
    """Return the cells of a stamp around 0, of length 1."""
    bits = np.array(_stamp_bits(number), dtype=np.float64)
    bits -= bits.mean()
    return bits / np.linalg.norm(bits)


def _cell_means(luma: Plane) -> list[float] | None:
    """Return the mean of each cell of the stamp; None where the picture is too small to hold one."""
    height, width = luma.shape
    if height < _SMALLEST[0] // 2 or width < _SMALLEST[1] // 2:
        return None
    return [float(luma[_cell_middle((height, width), place)].mean()) for place in range(len(_GUARDS) + 28)]


def _moving_planes(size: tuple[int, int], subsampling: Subsampling, depth: int) -> Planes:
    """Return planes twice as wide as the picture: each part of picture width is one step of the movement."""
    height, width = size
    columns = np.arange(2 * width) % width
    bars = np.array(_BARS_YUV, dtype=np.uint16)[columns * len(_BARS_YUV) // width] * (1 << (depth - 8))
    dtype = np.dtype(np.uint8 if depth == 8 else np.uint16)
    luma = np.tile(bars[:, 0].astype(dtype), (height, 1))
    # Below the bars: rings that become finer to the right, so that sharpness and movement show.
    rows = np.arange(height * 2 // 3, height)
    radius_sq = (rows[:, None] - height * 5 / 6) ** 2 + (columns[None, :] - width / 2) ** 2
    rings = 126 + 90 * np.cos(radius_sq * (np.pi / (2 * width)))
    luma[rows] = (rings * (1 << (depth - 8))).astype(dtype)
    step_y, step_x = subsampling.steps
    chroma_rows = -(-height // step_y)
    chroma = [np.tile(bars[::step_x, c].astype(dtype), (chroma_rows, 1)) for c in (1, 2)]
    for plane in chroma:
        plane[chroma_rows * 2 // 3 :] = 128 << (depth - 8)
    return luma, chroma[0], chroma[1]


class PatternSource:
    """The test picture as a source. Every pixel follows from the frame number alone.

    Args:
        text: ``test:bars`` with options, as in
            ``test:bars?size=1280x720&fps=30&frames=300&depth=8&subsampling=420``; ``frames=0`` never ends;
            ``live=1`` delivers frames at their times instead of as fast as they are read.
        endless: whether the picture never ends where the text gives no number of frames.

    Raises:
        ConfigError: unknown picture, or an option out of its range.
    """

    def __init__(self, text: str, *, endless: bool = False) -> None:
        head, options = split_options(text, _OPTIONS)
        if head != "test:bars":
            raise ConfigError(f"{text}: unknown test picture; there is: test:bars")
        size = picture_size(text, "size", options.get("size", "1280x720"))
        if size[0] < _SMALLEST[0] or size[1] < _SMALLEST[1]:
            raise ConfigError(
                f"{text}: size must be at least {_SMALLEST[1]}x{_SMALLEST[0]} to hold the frame number"
            )
        rate_fps = frame_rate(text, "fps", options.get("fps", "30"))
        depth = whole_number(text, "depth", options.get("depth", "8"), 8, 16)
        subsampling = _SUBSAMPLINGS.get(options.get("subsampling", "420"))
        if subsampling is None:
            raise ConfigError(f"{text}: subsampling must be 420, 422 or 444, found {options['subsampling']}")
        frames = whole_number(text, "frames", options.get("frames", "0" if endless else "300"), 0, 10**9)
        self.name = text
        self.live = options.get("live", "0") not in ("0", "false", "no")
        self.notes: list[str] = []
        self.other_tracks: OtherTracks | None = None
        self.shortfall = 0
        self.format = VideoFormat(
            size=size,
            subsampling=subsampling,
            depth=depth,
            colour=Colour(Matrix.BT709, CodeRange.LIMITED, 1, 1, ChromaLocation.LEFT),
            time_base=1 / rate_fps,
            rate_fps=rate_fps,
            sample_aspect_ratio=Fraction(1),
            frame_count=frames or None,
            duration_seconds=float(frames / rate_fps) if frames else None,
        )
        self._wide = _moving_planes(size, subsampling, depth)
        self._index = 0
        self._started_ns: int | None = None
        self._closed = threading.Event()

    def read(self) -> Frame | None:
        """Return the next frame, or None at the end or once closed.

        When live, it waits until the frame is due, and counts it as captured then, however late it is read.
        """
        if self._closed.is_set() or self._index == self.format.frame_count:
            return None
        index, captured_ns = self._index, time.monotonic_ns()
        if self.live:
            captured_ns = self._due_ns(index)
            if self._closed.wait(max(captured_ns - time.monotonic_ns(), 0) / 1e9):
                return None
        self._index += 1
        return self.format.frame(
            self.planes(index),
            index=index,
            pts=index,
            duration=1,
            captured_ns=captured_ns,
        )

    def planes(self, index: int) -> Planes:
        """Return the planes of frame ``index``: the ground truth, without reading up to it."""
        width, step_x = self.format.size[1], self.format.subsampling.steps[1]
        shift = index * 2 % width // step_x
        chroma_width = self.format.subsampling.chroma_size(self.format.size)[1]
        luma = self._wide[0][:, shift * step_x : shift * step_x + width].copy()
        write_stamp(luma, index, self.format.depth)
        u, v = (plane[:, shift : shift + chroma_width] for plane in self._wide[1:])
        neutral_rows = -(-luma.shape[0] // 8 // self.format.subsampling.steps[0])
        u, v = u.copy(), v.copy()
        u[:neutral_rows] = v[:neutral_rows] = 128 << (self.format.depth - 8)
        return luma, u, v

    def close(self) -> None:
        """End the source: a waiting read returns at once, every later one returns None."""
        self._closed.set()

    def _due_ns(self, index: int) -> int:
        if self._started_ns is None:
            self._started_ns = time.monotonic_ns()
        return self._started_ns + int(index * self.format.time_base * 1_000_000_000)
