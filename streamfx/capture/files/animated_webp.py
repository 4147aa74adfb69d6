"""Animated WebP, which FFmpeg 8.1 does not read: taken apart, decoded picture by picture, and put together.

The layout of the file and how pictures are put onto each other are those of the WebP container specification.
"""

from __future__ import annotations

import io
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from streamfx.capture.files.geometry import shaped
from streamfx.capture.files.preparation import Preparation, filtered
from streamfx.capture.planar import Planarizer, colour_of
from streamfx.errors import DecodeError, SourceOpenError
from streamfx.media.frame import Frame, VideoFormat
from streamfx.media.notes import Converted, LeftOut
from streamfx.media.photo_metadata import chunks, is_animated
from streamfx.media.tracks import OtherTracks

_HEAD_BYTES = 1 << 12
_SHORTEST_MS, _INSTEAD_MS = 10, 100  # what browsers do with delays too short to be meant
_HAS_ALPHA, _NO_BLENDING, _DISPOSED = 16, 2, 1
_Canvas = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Part:
    """One picture of an animation.

    Attributes:
        place: (top, left, height, width) in the whole picture.
        duration_ms: time for which it is shown.
        blended: whether it is laid over what is there, and does not replace it.
        disposed: whether its place is emptied after it.
        data: the picture as a WebP file of its own.
    """

    place: tuple[int, int, int, int]
    duration_ms: int
    blended: bool
    disposed: bool
    data: bytes


def is_animated_webp(text: str) -> bool:
    """Return whether ``text`` names a WebP file with several pictures."""
    try:
        with Path(text).open("rb") as file:
            head = file.read(_HEAD_BYTES) if Path(text).is_file() else b""
    except (OSError, ValueError):
        return False
    return head.startswith(b"RIFF") and is_animated(head)


class AnimatedWebpSource:
    """An animated WebP file as a source: each picture whole, with its time. See ``Source``.

    Args:
        text: a path.
        preparation: whether alpha is kept, and the geometry of pictures.

    Raises:
        SourceOpenError: it cannot be read, or its first picture cannot be decoded.
    """

    def __init__(self, text: str, preparation: Preparation | None = None) -> None:
        self.name, self.live, self.notes, self.shortfall = text, False, list[str](), 0
        self.other_tracks: OtherTracks | None = None
        try:
            data = Path(text).read_bytes()
        except OSError as error:
            raise SourceOpenError(f"{text}: cannot be read: {error.strerror}") from error
        self._size, parts = _taken_apart(data)
        self._parts, self._index, self._pts = parts, 0, 0
        self._canvas: _Canvas = np.zeros((*self._size, 4), np.uint8)
        if not parts:
            raise SourceOpenError(f"{text}: no picture in it")
        try:
            first = _whole(_decoded(parts[0]), self._canvas.copy(), parts[0])
        except DecodeError as error:
            raise SourceOpenError(f"{text}: {error}") from error
        picture = VideoFrame.from_ndarray(first, "rgba")
        try:
            found = shaped(picture, (), (preparation or Preparation()).geometry, None)
        except ValueError as error:
            raise SourceOpenError(f"{text}: {error}; give another --crop") from error
        self._filters = found.filters
        self.notes.extend(map(Converted, found.notes))
        picture = filtered(picture, self._filters)
        self._planarizer = Planarizer(picture)
        shows = self._planarizer.shows_through(picture, seen=True)
        alpha = shows and (preparation or Preparation()).alpha
        if shows and not alpha:
            self.notes.append(LeftOut("alpha is left out: the output does not hold it"))
        steps = {part.duration_ms for part in parts}
        self.format = VideoFormat(
            size=self._planarizer.size,
            subsampling=self._planarizer.layout.subsampling,
            depth=8,
            colour=colour_of(picture, "webp"),
            sample_aspect_ratio=found.pixel_shape,
            time_base=Fraction(1, 1000),
            rate_fps=Fraction(1000, steps.pop()) if len(steps) == 1 else None,
            frame_count=len(parts),
            duration_seconds=sum(part.duration_ms for part in parts) / 1000,
            alpha=alpha,
        )

    def read(self) -> Frame | None:
        """Return the next picture, or None at the end or once closed.

        Raises:
            DecodeError: it is broken; the next call goes on after it.
        """
        if self._index >= len(self._parts):
            return None
        part, pts = self._parts[self._index], self._pts
        self._index += 1
        self._pts += part.duration_ms
        try:
            shown = _whole(_decoded(part), self._canvas, part)
        except DecodeError as error:
            raise DecodeError(f"{self.name}: picture {self._index}: {error}") from error
        picture = filtered(VideoFrame.from_ndarray(shown, "rgba"), self._filters)
        planes, alpha = (
            self._planarizer.with_alpha(picture)
            if self.format.alpha
            else (self._planarizer.planes(picture), None)
        )
        if part.disposed:
            top, left, height, width = part.place
            self._canvas[top : top + height, left : left + width] = 0
        return self.format.frame(
            planes,
            index=self._index - 1,
            pts=pts,
            duration=part.duration_ms,
            captured_ns=time.monotonic_ns(),
            alpha=alpha,
        )

    def close(self) -> None:
        """End the source: every later read returns None."""
        self._index = len(self._parts)


def _taken_apart(data: bytes) -> tuple[tuple[int, int], list[_Part]]:
    """Return the (height, width) of the whole picture, and what it is put together from."""
    size, parts = (0, 0), []
    for kind, inner in chunks(data):
        if kind == b"VP8X" and len(inner) >= 10:
            size = (_number(inner[7:10]) + 1, _number(inner[4:7]) + 1)
        elif kind == b"ANMF" and len(inner) >= 16:
            parts.append(_part(inner))
    return size, [part for part in parts if _is_inside(part, size)]


def _part(inner: bytes) -> _Part:
    left, top, width, height = (_number(inner[at : at + 3]) for at in (0, 3, 6, 9))
    duration_ms, flags = _number(inner[12:15]), inner[15]
    place = (2 * top, 2 * left, height + 1, width + 1)
    # A picture with alpha is a file of the extended kind, which says its size once more.
    extended = struct.pack("<I", _HAS_ALPHA) + inner[6:12]
    body = inner[16:] + bytes(len(inner) % 2)
    if not body.startswith(b"VP8L"):
        body = b"VP8X" + struct.pack("<I", len(extended)) + extended + body
    return _Part(
        place,
        duration_ms if duration_ms > _SHORTEST_MS else _INSTEAD_MS,
        not flags & _NO_BLENDING,
        bool(flags & _DISPOSED),
        b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body,
    )


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _is_inside(part: _Part, size: tuple[int, int]) -> bool:
    top, left, height, width = part.place
    return top + height <= size[0] and left + width <= size[1]


def _decoded(part: _Part) -> _Canvas:
    """Return a picture by itself, as RGBA.

    Raises:
        DecodeError: it is broken.
    """
    try:
        with av.open(io.BytesIO(part.data), "r", format="webp_pipe") as file:
            rgba: Any = next(_frames(file)).to_ndarray(format="rgba")
    except (StopIteration, av.FFmpegError, OSError, ValueError) as error:
        raise DecodeError(f"cannot be decoded: {getattr(error, 'strerror', None) or error}") from error
    if rgba.shape[:2] != part.place[2:]:
        raise DecodeError(f"is {rgba.shape[1]}x{rgba.shape[0]}, not {part.place[3]}x{part.place[2]}")
    return np.asarray(rgba, np.uint8)


def _frames(file: av.container.InputContainer) -> Iterator[VideoFrame]:
    yield from file.decode(video=0)


def _whole(rgba: _Canvas, canvas: _Canvas, part: _Part) -> _Canvas:
    """Put a picture onto the canvas, and return a copy of that."""
    top, left, height, width = part.place
    below = canvas[top : top + height, left : left + width]
    if part.blended:
        over = rgba[..., 3:].astype(np.float32) / 255
        under = below[..., 3:].astype(np.float32) / 255 * (1 - over)
        alpha = over + under
        colours = rgba[..., :3] * over + below[..., :3] * under
        below[..., :3] = np.rint(np.divide(colours, alpha, out=np.zeros_like(colours), where=alpha > 0))
        below[..., 3:] = np.rint(alpha * 255)
    else:
        below[:] = rgba
    return np.ascontiguousarray(canvas.copy())
