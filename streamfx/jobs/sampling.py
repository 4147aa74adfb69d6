"""Sampling: a source that gives short stretches from all over a film, to see what the whole will take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from streamfx.capture.files.file import FileSource
from streamfx.capture.source import Source
from streamfx.errors import DecodeError
from streamfx.media.frame import Frame
from streamfx.media.tracks import OtherTracks

_STRETCHES, _EACH = 3, 24  # frames in each
_LEAST, _MOST_SECONDS = 4, 8.0  # frames of a stretch, and time for it, after which the next one begins


class SampledSource:
    """Gives stretches of a film where it can be sought in, else its beginning. Frames are counted anew.

    Args:
        inner: film, as it was opened.
        whole: whether all of it is wanted; of a part, the beginning is given.

    Attributes:
        begins: indices of the frames with which stretches begin; grows while reading.
        (the others are those of ``Source``)
    """

    def __init__(self, inner: Source, *, whole: bool = True) -> None:
        self.name, self.live, self.notes = inner.name, False, list[str]()
        self.other_tracks: OtherTracks | None = None
        self.shortfall, self.format = 0, inner.format
        self.begins = set[int]()
        self._inner = inner
        self._places = _places(inner) if whole else []
        self._frames = self._all()

    def read(self) -> Frame | None:
        """Return the next frame, or None at the end."""
        return next(self._frames, None)

    def close(self) -> None:
        """Do nothing: the film is closed by whoever opened it."""

    def _all(self) -> Iterator[Frame]:
        index, places = 0, self._places
        for place in places or [Fraction(0)]:
            if place and isinstance(self._inner, FileSource):
                self._inner.seek(place)
            self.begins.add(index)
            begun = time.monotonic()
            for number in range(_EACH if places else _STRETCHES * _EACH):
                if number >= _LEAST and time.monotonic() - begun > _MOST_SECONDS:
                    break
                frame = self._next()
                if frame is None:
                    break
                yield replace(frame, index=index)
                index += 1

    def _next(self) -> Frame | None:
        """Return the next frame that is whole; what else is in the film waits nowhere."""
        while True:
            if self._inner.other_tracks is not None:
                self._inner.other_tracks.take()
            try:
                return self._inner.read()
            except DecodeError:
                continue


def _places(source: Source) -> list[Fraction]:
    """Return where stretches begin; none where the film cannot be sought in, or is done as quickly whole."""
    duration, count = source.format.duration_seconds, source.format.frame_count
    if not isinstance(source, FileSource) or not source.can_seek or not duration:
        return []
    if count is None or count <= 2 * _STRETCHES * _EACH:
        return []
    return [Fraction(duration) * number / _STRETCHES for number in range(_STRETCHES)]
