"""A visitor's camera as a source: pictures that another thread has received and hands over."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from streamfx.capture.live.timeline import TIME_BASE
from streamfx.capture.picture_conversion import Refit
from streamfx.capture.planar import Planarizer, colour_of
from streamfx.capture.timestamps import FrameClock
from streamfx.errors import DecodeError, FrameError, SourceLostError, SourceOpenError
from streamfx.media.frame import CodeRange, Frame, Matrix, VideoFormat
from streamfx.media.frame_queue import FrameQueue, Policy
from streamfx.media.tracks import Extras

if TYPE_CHECKING:
    from av import VideoFrame

_WAITING = 4  # the capture thread takes them at once; more wait only while the effects are prepared
_DECODED_PIXELS = 3840 * 2160  # pictures up to there are scaled down, whatever is allowed
_SIZES_NOTED = 8  # a browser that adapts to its connection has a few; a hostile one could have thousands


@dataclass(frozen=True, slots=True)
class Arrived:
    """A picture that came; ``arrived_ns`` is when it was decoded (monotonic clock)."""

    picture: VideoFrame
    arrived_ns: int


class Arrivals:
    """Where the thread of the connection puts pictures; it never waits. Give it to one `BrowserSource`."""

    def __init__(self) -> None:
        self.queue = FrameQueue[Arrived](_WAITING, Policy.DROP_OLDEST)

    def put(self, picture: VideoFrame) -> None:
        """Hand a picture over, which must not be changed afterwards. Safe from any thread."""
        self.queue.put(Arrived(picture, time.monotonic_ns()))

    def end(self) -> None:
        """Say that nothing more comes: the source ends after what waits. Safe from any thread, and twice."""
        self.queue.close()


class BrowserSource:
    """The camera of a visitor's browser, received through WebRTC by whoever fills ``arrivals``.

    A browser begins with small pictures and changes their size with the connection, so the size is the one
    that the camera is said to have; pictures of another size are scaled into it.

    Args:
        name: for messages and the report.
        arrivals: the pictures.
        size: (height, width) of the camera's pictures; None: that of the first one that comes.
        largest: (height, width) that frames have at most, turned either way; None: no limit.
        rate_fps: of the camera; None when not known.
        wait_seconds: the longest time without a picture: before the first one, and later.

    Raises:
        SourceOpenError: no picture came in time.
    """

    def __init__(
        self,
        name: str,
        arrivals: Arrivals,
        *,
        size: tuple[int, int] | None = None,
        largest: tuple[int, int] | None = None,
        rate_fps: Fraction | None = None,
        wait_seconds: float = 10.0,
    ) -> None:
        self.name, self.live, self.shortfall = name, True, 0
        self.notes: list[str] = []
        self.extras: Extras | None = None
        self._queue, self._wait_seconds = arrivals.queue, wait_seconds
        self._index, self._fresh_from_ns = 0, 0
        self._sizes: set[tuple[int, int]] = set()
        self._most_pixels = None if largest is None else max(_DECODED_PIXELS, largest[0] * largest[1])
        first = self._first_picture()
        size = within(size or (first.height, first.width), largest)
        whole = Planarizer(av.VideoFrame(size[1], size[0], "yuv420p"))  # what every browser sends
        colour = colour_of(first, "")
        if colour.matrix is Matrix.UNKNOWN:  # WebRTC leaves it out, and means BT.601 whatever the size
            colour = replace(colour, matrix=Matrix.SMPTE170M)
        if colour.code_range is CodeRange.UNKNOWN:
            colour = replace(colour, code_range=CodeRange.LIMITED)
        self.format = VideoFormat(
            size=size,
            subsampling=whole.layout.subsampling,
            depth=whole.layout.depth,
            colour=colour,
            time_base=TIME_BASE,
            rate_fps=rate_fps,
        )
        self._refit, self._clock = Refit(self.format, whole), FrameClock(self.format)

    def read(self) -> Frame | None:
        """Return the next frame, or None when the connection has ended, or once closed.

        Raises:
            DecodeError: a picture cannot be used; the next call goes on after it.
            SourceLostError: nothing came for too long.
        """
        if not self._fresh_from_ns:  # what came while the effects were prepared is old by now
            self._fresh_from_ns = time.monotonic_ns()
        while True:
            try:
                arrived = self._queue.get(self._wait_seconds)
            except TimeoutError as error:
                raise SourceLostError(
                    f"{self.name}: no picture came for {self._wait_seconds:g} s; was the camera taken away?"
                ) from error
            if arrived is None:
                self._note_times()
                return None
            if arrived.arrived_ns >= self._fresh_from_ns:
                return self._frame(arrived)

    def close(self) -> None:
        """End the source: a waiting read returns at once."""
        self._queue.cancel()

    def _first_picture(self) -> VideoFrame:
        try:
            first = self._queue.get(self._wait_seconds)
        except TimeoutError as error:
            raise SourceOpenError(
                f"{self.name}: connected, but no picture came in {self._wait_seconds:g} s"
            ) from error
        if first is None:
            raise SourceOpenError(f"{self.name}: it left before a picture came")
        self._check(first.picture)
        return first.picture

    def _check(self, picture: VideoFrame) -> None:
        """Refuse pictures that are too large even to be scaled down: a browser may send what it likes."""
        if self._most_pixels is not None and picture.width * picture.height > self._most_pixels:
            raise SourceLostError(
                f"{self.name}: a picture of {picture.width}x{picture.height} came, larger than is allowed"
            )

    def _frame(self, arrived: Arrived) -> Frame:
        picture = arrived.picture
        self._check(picture)
        try:
            planes = self._refit.planes(picture)
        except (av.FFmpegError, FrameError, ValueError) as error:
            raise DecodeError(f"{self.name}: picture {self._index} cannot be used: {error}") from error
        self._note_size((picture.height, picture.width))
        pts, _ = self._clock.time_of(picture, None, 0)
        frame = self.format.frame(planes, index=self._index, pts=pts, captured_ns=arrived.arrived_ns)
        self._index += 1
        return frame

    def _note_size(self, size: tuple[int, int]) -> None:
        if size == self.format.size or size in self._sizes or len(self._sizes) >= _SIZES_NOTED:
            return
        self._sizes.add(size)
        (height, width), (into_height, into_width) = size, self.format.size
        self.notes.append(
            f"pictures came as {width}x{height} too; they are scaled into {into_width}x{into_height}"
        )

    def _note_times(self) -> None:
        self.notes.extend(note for note in self._clock.notes() if note not in self.notes)


def within(size: tuple[int, int], largest: tuple[int, int] | None) -> tuple[int, int]:
    """Return (height, width) reduced to the largest that is allowed, whichever way a picture is turned; even.

    Example:
        >>> within((2560, 1440), (720, 1280)), within((97, 161), (720, 1280)), within((97, 161), None)
        ((1280, 720), (96, 160), (97, 161))
    """
    if largest is None:
        return size
    (short, long), (least, most) = sorted(largest), sorted(size)
    scale = min(1.0, short / least, long / most)
    height, width = (max(round(side * scale / 2) * 2, 2) for side in size)
    return height, width
