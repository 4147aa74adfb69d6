"""The far end of an output: what is sent is received and decoded, what was written is read again."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from streamfx.bench.meter import REMEMBERED, PictureMeter, Readings, Tally
from streamfx.capture.live.settings import Gap, LiveSettings
from streamfx.capture.opening import open_source
from streamfx.capture.pattern import nearest_stamp
from streamfx.capture.source import Source
from streamfx.errors import SourceLostError, SourceOpenError
from streamfx.media.backoff import Backoff
from streamfx.media.frame import Plane

_SETTINGS = LiveSettings(open_seconds=1.5, read_seconds=1.5, gap=Gap.PAUSE, reconnect=Backoff(attempts=1))
_UNDER_WAY_SECONDS = 1.0


class Listener:
    """Receives an address on this machine, decodes, and has the pictures read, in a thread of its own.

    Args:
        address: a UDP address.
        meter: meter that reads the pictures.
    """

    def __init__(self, address: str, meter: PictureMeter) -> None:
        self._address, self._meter = address, meter
        self._source: Source | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="streamfx-listen", daemon=True)
        self._thread.start()

    def close(self, last: int) -> None:
        """Wait for picture ``last``, which is the last that was sent, but not for long; and end."""
        deadline = time.monotonic() + _UNDER_WAY_SECONDS
        while self._meter.last < last and time.monotonic() < deadline:
            self._closing.wait(0.01)
        self._closing.set()
        if self._source is not None:
            self._source.close()
        self._thread.join()

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                # One thread: it is to disturb as little as it can what it measures.
                source = self._source = open_source(self._address, threads=1, live=_SETTINGS)
            except SourceOpenError:
                continue  # nothing is sent yet: effects are still being opened
            try:
                while (frame := source.read()) is not None:
                    self._meter.seen(frame.planes[0], time.monotonic())
            except SourceLostError:
                continue
            finally:
                source.close()


def read_file(path: Path, rate_fps: float) -> Readings:
    """Return what the pictures of a recording of the test source say; their times tell which they should be.

    Raises:
        SourceOpenError: it cannot be opened.
        DecodeError: a picture is broken.
    """
    tally, ahead = Tally(), None
    source = open_source(str(path))
    try:
        while (frame := source.read()) is not None:
            place = round(float(frame.time_seconds) * rate_fps)
            number = _read_near(frame.planes[0], place + (ahead or 0))
            if ahead is None and number is not None:
                ahead = number - place  # pictures before the first that was written are in no file
            tally.count(number, None if ahead is None else place + ahead)
    finally:
        source.close()
    return tally.readings()


def _read_near(luma: Plane, number: int) -> int | None:
    first = max(number - REMEMBERED // 2, 0)
    return nearest_stamp(luma, range(first, first + REMEMBERED))
