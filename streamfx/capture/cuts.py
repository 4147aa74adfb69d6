"""Cuts: where one shot of a video ends and the next begins, seen from small thumbnails, frame after frame.

Two pictures are compared by how much of the later one's brightness pattern the earlier one does not explain
(what their correlation leaves over), and by how far their colours moved. Brightness and contrast as such do
not count, so fades do not, nor do most flashes. A cut is a value that is high and stands out from those of
the frames before it: quick motion is high all the time (adaptive thresholds: Yusoff, Christmas, Kittler,
"Video Shot Cut Detection Using Adaptive Thresholding", 2000). What is suspected is a cut only if the next
pictures do not go back to the one before it: a flash does, and so does a damaged frame (Zhang, Kankanhalli,
Smoliar, "Automatic Partitioning of Full-Motion Video", 1993). Pictures without content separate shots in
fades (Lienhart, "Comparison of Automatic Shot Boundary Detection Algorithms", 1999).

A dissolve, one scene melting into the next, is no cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamfx.media.frame import Frame, Plane

Thumbnail: TypeAlias = NDArray[np.float32]
"""(3, 18, 32): Y, U, V in code values of 8 bits."""

_GRID = (18, 32)
_SAMPLES = 4  # per cell and axis
_CHROMA_SPAN = 20.0  # codes that colours move on average from one scene to another
_LEAST = 0.9  # cuts have 0.9 to 2, the quickest motion up to 1, ordinary motion 0.1 to 0.4
_STANDS_OUT = 1.6  # times the most of the frames before
_FRAMES_BEFORE = 4
_BLANK_CODES = 3.0  # standard deviation of the luma below which there is nothing to see
_STEADY = 1.02  # growth of the contrast from one frame to the next that ends a fade
_CLEARER = 1.5  # growth of the contrast that is worth another look


class ShotBoundary(NamedTuple):
    """What a frame is in the order of shots.

    Attributes:
        begins: whether a shot begins with it.
        telling: whether it is the first of its shot to show what that is about, or shows it much better.
    """

    begins: bool
    telling: bool


_NOTHING_NEW = ShotBoundary(begins=False, telling=False)


def thumbnail(frame: Frame) -> Thumbnail:
    """Return a frame's thumbnail; takes a quarter of a millisecond, whatever its size."""
    counts = (_GRID[0] * _SAMPLES, _GRID[1] * _SAMPLES)
    sampled = [_sampled(plane, counts) for plane in frame.planes]
    if frame.device_pixels is not None:
        sampled = [*frame.device_pixels.sampled(*counts)]
    cells = [
        samples.reshape(_GRID[0], _SAMPLES, _GRID[1], _SAMPLES).mean(axis=(1, 3), dtype=np.float32)
        for samples in sampled
    ]
    return np.divide(cells, 1 << (frame.depth - 8), dtype=np.float32)


def _sampled(plane: Plane, counts: tuple[int, int]) -> Plane:
    """Return so many samples of a plane, evenly spread."""
    rows, columns = (
        ((np.arange(count) + 0.5) * side / count).astype(np.intp)
        for count, side in zip(counts, plane.shape, strict=True)
    )
    samples: Plane = plane[rows[:, None], columns]
    return samples


def unlike(before: Thumbnail, after: Thumbnail) -> float:
    """Return how little two pictures have in common: 0 the same scene, 1 another, more with other colours.

    Example:
        >>> ramp = np.broadcast_to(np.linspace(20, 200, 32, dtype=np.float32), (3, 18, 32))
        >>> brighter, mirrored = ramp + np.array([30, 0, 0], np.float32)[:, None, None], ramp[:, :, ::-1]
        >>> round(unlike(ramp, brighter), 3), unlike(ramp, mirrored) > 1
        (0.0, True)
    """
    first, second = (picture[0] - picture[0].mean() for picture in (before, after))
    spread = float(np.sqrt((first**2).mean() * (second**2).mean()))
    correlation = max(float((first * second).mean()) / spread, 0.0) if spread else 0.0
    moved = float(np.abs(after[1:] - before[1:]).mean())
    return float(np.sqrt(max(1 - correlation**2, 0.0))) + moved / _CHROMA_SPAN


def is_blank(picture: Thumbnail) -> bool:
    """Return whether there is nothing to see: black, white, or one colour."""
    return bool(picture[0].std() < _BLANK_CODES)


class Cuts:
    """Tells for each frame of a video, shown in order, whether a shot begins with it. Used by one thread."""

    def __init__(self) -> None:
        self._last: Thumbnail | None = None  # the last with something to see
        self._recent: deque[float] = deque(maxlen=_FRAMES_BEFORE)
        self._blank = True
        self._passing = 0  # frames of a flash that are still to come
        self._dim: float | None = None  # contrast with which a picture appeared, until its fade is over

    def copy(self) -> Cuts:
        """Return another that has seen the same."""
        copy = Cuts()
        copy._last, copy._blank, copy._passing, copy._dim = self._last, self._blank, self._passing, self._dim
        copy._recent.extend(self._recent)
        return copy

    def to_json(self) -> dict[str, object]:
        """Return what it has seen in a form that JSON holds, exact."""
        return {
            "last": None if self._last is None else [float(value) for value in self._last.ravel()],
            "recent": [float(value) for value in self._recent],
            "blank": self._blank,
            "passing": self._passing,
            "dim": self._dim,
        }

    @classmethod
    def from_json(cls, seen: Mapping[str, Any]) -> Cuts:
        """Return one that has seen what ``to_json`` gave."""
        cuts, last = cls(), seen["last"]
        cuts._last = None if last is None else np.array(last, np.float32).reshape(3, *_GRID)
        cuts._recent.extend(seen["recent"])
        cuts._blank, cuts._passing, cuts._dim = seen["blank"], seen["passing"], seen["dim"]
        return cuts

    def see(self, now: Thumbnail, ahead: Callable[[], Sequence[Thumbnail]]) -> ShotBoundary:
        """Return what the next frame is.

        Args:
            now: thumbnail.
            ahead: function that gives those of a few frames after it; called only where a cut is suspected.
        """
        if self._passing:
            self._passing -= 1
            return _NOTHING_NEW
        before, was_blank = self._last, self._blank
        self._blank = is_blank(now)
        if self._blank:
            return _NOTHING_NEW
        if was_blank or before is None:
            self._last = now
            other = before is None or unlike(before, now) >= _LEAST
            self._dim = float(now[0].std()) if other else None
            return ShotBoundary(begins=before is not None and other, telling=other)
        change = unlike(before, now)
        if change >= max(_LEAST, _STANDS_OUT * max(self._recent, default=0.0)):
            away = _frames_away(before, ahead())
            if away is None:
                self._last, self._dim = now, None
                return ShotBoundary(begins=True, telling=True)
            self._passing = away
            return _NOTHING_NEW
        self._recent.append(change)
        self._last = now
        return ShotBoundary(begins=False, telling=self._is_clear(before, now))

    def _is_clear(self, before: Thumbnail, now: Thumbnail) -> bool:
        """Return whether a fade ends here that has left much more to see than where it began."""
        contrast = float(now[0].std())
        if self._dim is None or contrast > _STEADY * float(before[0].std()):
            return False
        dim, self._dim = self._dim, None
        return contrast > _CLEARER * dim


def _frames_away(before: Thumbnail, ahead: Sequence[Thumbnail]) -> int | None:
    """Return how many of the next frames are not what was before either; None if none of them is."""
    back = (count for count, later in enumerate(ahead) if not is_blank(later))
    return next((count for count in back if unlike(before, ahead[count]) < _LEAST), None)
