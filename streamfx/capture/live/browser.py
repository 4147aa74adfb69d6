"""A visitor's camera as a source: pictures that another thread has received and hands over."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from streamfx.capture.live.connection import Arrival, Connection, PacketArrived, PictureArrived
from streamfx.capture.live.settings import LiveSettings
from streamfx.capture.live.source import LiveSource
from streamfx.errors import ConfigError, SourceAwayError, SourceLostError, SourceOpenError
from streamfx.media.frame import CodeRange, Matrix, Subsampling, VideoFormat
from streamfx.media.frame_queue import FrameQueue, Policy

if TYPE_CHECKING:
    from av import VideoFrame
    from av.packet import Packet
    from av.stream import Stream

_MOST_SOUNDS = 250  # five seconds
_WAITING = 4  # the receiving thread takes them at once
_DECODED_PIXELS = 3840 * 2160  # pictures up to there are scaled down, whatever is allowed


class IncomingPictures:
    """Where the thread of the connection puts pictures; it never waits. Give it to one source.

    Args:
        dropped: callback that is called when a source that others may come to takes no more of them.
    """

    def __init__(self, dropped: Callable[[], object] = lambda: None) -> None:
        self.dropped = dropped
        self.queue = FrameQueue[PictureArrived](_WAITING, Policy.DROP_OLDEST)
        self.joined = False  # whether they were waited for once
        self.sounds: deque[Packet[Stream]] = deque(maxlen=_MOST_SOUNDS)
        self.others: list[Stream] = []  # known before the first picture comes

    def put(self, picture: VideoFrame) -> None:
        """Hand a picture over, which must not be changed afterwards. Safe from any thread."""
        self.queue.put(PictureArrived(picture, time.monotonic_ns()))

    def put_sound(self, packet: Packet[Stream]) -> None:
        """Hand a packet of sound over, of the first of ``others``. Safe from any thread."""
        self.sounds.append(packet)

    def end(self) -> None:
        """Say that nothing more comes: the source ends after what waits. Safe from any thread, and twice."""
        self.queue.close()


def open_browser(
    name: str,
    arrivals: IncomingPictures,
    settings: LiveSettings,
    *,
    size: tuple[int, int] | None = None,
    largest: tuple[int, int] | None = None,
    rate_fps: Fraction | None = None,
) -> LiveSource:
    """Return the camera of a visitor's browser, received through WebRTC by whoever fills ``arrivals``.

    A browser begins with small pictures and changes their size with the connection, so the size is the one
    that the camera is said to have; pictures of another size are scaled into it.

    Args:
        name: name for messages and the report.
        arrivals: the pictures.
        settings: time limits and more.
        size: (height, width) of the camera's pictures; None: that of the first one that comes.
        largest: (height, width) that frames have at most, turned either way; None: no limit.
        rate_fps: rate of the camera; None when not known.

    Raises:
        ConfigError: options are set, and a browser's camera has none.
        SourceOpenError: no picture came in time.
    """
    if settings.options:
        raise ConfigError(f"{name}: a browser's camera has no options; leave out the setting source.options")
    most_pixels = None if largest is None else max(_DECODED_PIXELS, largest[0] * largest[1])

    def connect() -> Connection:
        return BrowserConnection(name, arrivals, settings, rate_fps, most_pixels)

    def expected(first: VideoFormat) -> VideoFormat:
        return replace(_as_browsers_mean(first), size=within(size or first.size, largest))

    return LiveSource(name, connect, settings, expected=expected, close_waits=arrivals.queue.cancel)


def open_published(
    name: str,
    arrivals: Callable[[float], IncomingPictures | None],
    settings: LiveSettings,
    close_waits: Callable[[], None],
) -> LiveSource:
    """Return what is published to this machine through WebRTC, by whoever comes, one after the other.

    Args:
        name: name for messages and the report.
        arrivals: function that waits so many seconds for the pictures of the next who comes; gives None where
            nobody came.
        settings: time limits and more.
        close_waits: callback that ends such a wait.

    Raises:
        ConfigError: options are set, and such a source has none.
        SourceAwayError: nobody publishes.
    """
    if settings.options:
        raise ConfigError(f"{name}: this source has no options; leave out the setting source.options")

    def connect() -> Connection:
        found = arrivals(settings.open_seconds)
        if found is None:
            raise SourceAwayError(f"{name}: nobody publishes")
        try:
            inner = BrowserConnection(name, found, settings, None, _DECODED_PIXELS)
            return _Published(name, inner, found.dropped)
        except SourceOpenError as error:  # the next who comes may do better
            found.dropped()
            raise SourceAwayError(str(error)) from error

    return LiveSource(name, connect, settings, expected=_as_browsers_mean, close_waits=close_waits)


class _Published:
    """The pictures of one who publishes; another may come afterwards. See ``Connection``."""

    def __init__(self, name: str, inner: BrowserConnection, dropped: Callable[[], object]) -> None:
        self.rate_fps, self.codec, self.finite = inner.rate_fps, inner.codec, inner.finite
        self.sample_aspect_ratio, self.others, self.notes = (
            inner.sample_aspect_ratio,
            inner.others,
            inner.notes,
        )
        self._name, self._inner, self._dropped = name, inner, dropped

    def receive(self) -> Sequence[Arrival] | None:
        found = self._inner.receive()
        if found is None:
            raise SourceLostError(f"{self._name}: whoever published has left")
        return found

    def close(self) -> None:
        self._dropped()


class BrowserConnection:
    """Pictures of a browser for as long as they come; see ``Connection``.

    Only its page can bring a browser back that went away: after the first time, a connection is what has come
    already.

    Args:
        name: name for messages.
        arrivals: the pictures.
        settings: time limits.
        rate_fps: rate of the camera; None when not known.
        most_pixels: most pixels that a picture may have; None: no limit.

    Raises:
        SourceOpenError: no picture came in time.
    """

    def __init__(
        self,
        name: str,
        arrivals: IncomingPictures,
        settings: LiveSettings,
        rate_fps: Fraction | None,
        most_pixels: int | None,
    ) -> None:
        self.rate_fps, self.codec, self.finite = rate_fps, "", False
        self.sample_aspect_ratio: Fraction | None = None
        self.notes: list[str] = []
        self._name, self._queue, self._most_pixels = name, arrivals.queue, most_pixels
        self._wait_seconds = settings.read_seconds
        again, arrivals.joined = arrivals.joined, True
        try:
            self._first = self._queue.get(0.0 if again else self._wait_seconds)
        except TimeoutError as error:
            nothing = f"no picture came in {self._wait_seconds:g} s"
            why = self._silence() if again else f"{name}: connected, but {nothing}"
            raise SourceOpenError(why) from error
        if self._first is None:
            raise SourceOpenError(f"{name}: it left before a picture came")
        self.others, self._sounds = arrivals.others, arrivals.sounds

    def receive(self) -> Sequence[Arrival] | None:
        """Return the next picture; None when the browser has ended the connection.

        Raises:
            SourceLostError: nothing came for too long.
            SourceOpenError: a picture is larger than is allowed.
        """
        arrived, self._first = self._first, None
        if arrived is None:
            try:
                arrived = self._queue.get(self._wait_seconds)
            except TimeoutError as error:
                raise SourceLostError(self._silence()) from error
        if arrived is None:
            return None
        self._check(arrived.picture)
        sounds = [self._sounds.popleft() for _ in range(len(self._sounds))]
        return [*(PacketArrived(self.others[0].index, sound) for sound in sounds), arrived]

    def close(self) -> None:
        """Do nothing: whoever fills the arrivals ends them."""

    def _silence(self) -> str:
        return f"{self._name}: no picture came for {self._wait_seconds:g} s; was the camera taken away?"

    def _check(self, picture: VideoFrame) -> None:
        """Refuse pictures that are too large even to be scaled down: a browser may send what it likes."""
        if self._most_pixels is not None and picture.width * picture.height > self._most_pixels:
            raise SourceOpenError(
                f"{self._name}: a picture of {picture.width}x{picture.height} came, larger than is allowed"
            )


def _as_browsers_mean(first: VideoFormat) -> VideoFormat:
    """Return the format of pictures that came through WebRTC, with what it leaves out."""
    colour = first.colour
    if colour.matrix is Matrix.UNKNOWN:  # BT.601 is meant, whatever the size
        colour = replace(colour, matrix=Matrix.SMPTE170M)
    if colour.code_range is CodeRange.UNKNOWN:
        colour = replace(colour, code_range=CodeRange.LIMITED)
    return replace(first, subsampling=Subsampling.YUV420, depth=8, colour=colour)  # what every browser sends


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
