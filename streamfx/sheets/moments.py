"""Moments: the frames that a film shows at given times, or at times spread over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from streamfx.capture.files.file import FileSource
from streamfx.capture.files.timed import SETTLING_SECONDS
from streamfx.capture.source import Source
from streamfx.errors import ConfigError, DecodeError, SourceOpenError
from streamfx.media.frame import Frame

_ROUNDED_SECONDS = Fraction(1, 2000)  # times are written, and stored in many files, in whole milliseconds
_NEAR_SECONDS = 5.0  # up to here, reading on is no slower than looking for the place
_KEPT = 4  # for each frame wanted, where the end is not known
_BROKEN_FRAMES = 1000  # in a row, after which reading is given up


def frames_at(source: Source, moments: Sequence[float]) -> list[Frame]:
    """Return the frame that is shown at each time: the last that has begun, to the millisecond.

    Args:
        source: film, as it was opened.
        moments: times in seconds.

    Raises:
        ConfigError: a time is past the end.
        DecodeError: nothing more of the film can be decoded.
        SourceLostError: the source broke off.
    """
    reader = _Reader(source)
    found: dict[float, Frame] = {}
    for moment in sorted(set(moments)):
        found[moment] = reader.shown_at(moment)
    return [found[moment] for moment in moments]


def spread_frames(source: Source, count: int) -> list[Frame]:
    """Return up to so many different frames, from the middles of as many equal parts of the film.

    Raises:
        SourceOpenError: there is no frame that can be decoded.
        DecodeError, SourceLostError: see `frames_at`.
    """
    duration = source.format.duration_seconds
    if isinstance(source, FileSource) and not source.can_seek:
        duration = None  # what a pipe states is often that of its first part, and nearly all is read anyway
    elif duration is None and source.format.frame_count and source.format.rate_fps:
        duration = float(source.format.frame_count / source.format.rate_fps)
    if not duration:
        return _spread_over_all(source, count)
    reader, frames = _Reader(source), list[Frame]()
    for number in range(count):
        frame = reader.shown_at(duration * (number + 0.5) / count, clamped=True)
        if all(frame.pts != other.pts for other in frames):
            frames.append(frame)
    return frames


def _spread_over_all(source: Source, count: int) -> list[Frame]:
    """Return frames of a film whose length shows only at its end; few are kept on the way there."""
    kept, step = list[Frame](), 1
    for number, frame in enumerate(_frames(source)):
        if number % step == 0:
            kept.append(frame.fetched())
        if len(kept) > _KEPT * count:
            kept, step = kept[::2], step * 2
    if not kept:
        raise SourceOpenError(f"{source.name}: holds no frame that can be decoded")
    places = [int(len(kept) * (number + 0.5) / count) for number in range(count)]
    return [kept[place] for place in dict.fromkeys(places)]


class _Reader:
    """Goes to moments of a film, in order."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._frames = _frames(source)
        self._last: Frame | None = None  # the last frame read but one: the one that may be shown
        self._next: Frame | None = None
        self._ended = False
        self._begin()

    def shown_at(self, moment: float, *, clamped: bool = False) -> Frame:
        """Return the frame shown at a time; ``clamped``: past the end, the last one."""
        sought = self._seek(moment)
        self._go_on_to(moment)
        if sought and (self._last is None or not _begun(self._last, moment)):
            self._seek_beginning()  # the file's index is wrong
            self._go_on_to(moment)
        if self._last is None:
            raise SourceOpenError(f"{self._source.name}: holds no frame that can be decoded")
        if self._ended and not clamped:
            self._refuse_past_the_end(self._last, moment)
        return self._last

    def _begin(self) -> None:
        self._last, self._ended = None, False
        self._next = next(self._frames, None)

    def _go_on_to(self, moment: float) -> None:
        # The first frame stands for all times before it.
        while self._next is not None and (self._last is None or _begun(self._next, moment)):
            self._last, self._next = self._next, next(self._frames, None)
        self._ended = self._next is None

    def _seek(self, moment: float) -> bool:
        """Move to shortly before a time where that spares reading much; say whether that was done."""
        source = self._source
        reached = 0.0 if self._last is None else float(self._last.time_seconds)
        if not isinstance(source, FileSource) or not source.can_seek or moment - reached < _NEAR_SECONDS:
            return False
        source.seek(Fraction(moment) - SETTLING_SECONDS)
        self._frames = _frames(source)
        self._begin()
        return True

    def _seek_beginning(self) -> None:
        assert isinstance(self._source, FileSource)
        self._source.seek(Fraction(-1))
        self._frames = _frames(self._source)
        self._begin()

    def _refuse_past_the_end(self, last: Frame, moment: float) -> None:
        rate = self._source.format.rate_fps
        lasts = last.duration * last.time_base if last.duration else 1 / rate if rate else Fraction(1, 25)
        end = float(last.time_seconds + lasts)
        if moment >= end:
            raise ConfigError(
                f"--at {moment:g}: {self._source.name} ends at {end:.3f} s, so nothing is shown then; "
                f"give a time before that, --at {float(last.time_seconds):.3f} for its last frame"
            )


def _begun(frame: Frame, moment: float) -> bool:
    return frame.time_seconds <= Fraction(moment) + _ROUNDED_SECONDS


def _frames(source: Source) -> Iterator[Frame]:
    """Yield frames; broken ones are passed over."""
    broken = 0
    while True:
        try:
            frame = source.read()
        except DecodeError:
            broken += 1
            if broken > _BROKEN_FRAMES:
                raise
            continue
        if frame is None:
            return
        broken = 0
        yield frame
