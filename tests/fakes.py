"""Sources, generators and sinks that misbehave on purpose, for what no real clip can be made to do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from streamfx.errors import DecodeError, SinkError, SourceLostError
from streamfx.media.frame import Colour, Frame, Subsampling, VideoFormat
from streamfx.media.tracks import OtherTracks

TIME_BASE = Fraction(1, 25)
SIZE = (4, 6)


def small_frame(index: int, size: tuple[int, int] = SIZE) -> Frame:
    """Return a frame whose luma is its index modulo 256."""
    chroma_size = Subsampling.YUV420.chroma_size(size)
    planes = (
        np.full(size, index % 256, np.uint8),
        np.full(chroma_size, 128, np.uint8),
        np.full(chroma_size, 128, np.uint8),
    )
    return Frame(planes, Subsampling.YUV420, 8, Colour(), index, index, TIME_BASE, 1)


def small_format(frame_count: int | None = None, size: tuple[int, int] = SIZE) -> VideoFormat:
    """Return the format of ``small_frame``."""
    return VideoFormat(
        size, Subsampling.YUV420, 8, Colour(), TIME_BASE, Fraction(25), frame_count=frame_count
    )


@dataclass
class FakeSource:
    """Delivers ``count`` frames (None: no end), and misbehaves at the frame numbers it is told.

    Attributes:
        broken: reads that raise DecodeError instead of delivering.
        lost_at: the read that raises SourceLostError.
        hang_at: the read that blocks until the source is closed (for ever with ``deaf``).
        deaf: ``close`` does not end a blocked read; only ``release`` does.
        picture: makes the frames.
    """

    count: int | None = 10
    live: bool = False
    broken: Callable[[int], bool] = lambda index: False
    lost_at: int | None = None
    hang_at: int | None = None
    deaf: bool = False
    before_read: Callable[[int], None] = lambda index: None
    picture: Callable[[int], Frame] = small_frame
    name: str = "fake"
    notes: list[str] = field(default_factory=list)
    other_tracks: OtherTracks | None = None
    shortfall: int = 0
    format: VideoFormat = field(default_factory=small_format)
    reads: int = 0
    closes: int = 0
    hanging: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def read(self) -> Frame | None:
        index, self.reads = self.reads, self.reads + 1
        self.before_read(index)
        if index == self.hang_at:
            self.hanging.set()
            self.released.wait(30)
            raise ValueError("the file was closed while it was read")
        if index == self.lost_at:
            raise SourceLostError(f"fake: gone at read {index}")
        if self.broken(index):
            raise DecodeError(f"fake: read {index} is broken")
        if self.count is not None and index >= self.count:
            return None
        return self.picture(index)

    def close(self) -> None:
        self.closes += 1
        if not self.deaf:
            self.released.set()

    def release(self) -> None:
        """Let a deaf source's blocked read return."""
        self.released.set()


@dataclass
class FakeSink:
    """Keeps the numbers of the frames it is given, and fails where it is told.

    Attributes:
        fail_at: the write that raises ``error``.
        error: a SinkError of some kind.
        finish_fails: ``finish`` raises SinkError.
        loses: packets that never reach the output.
        hang_at: the write that blocks until ``released`` is set.
    """

    fail_at: int | None = None
    error: SinkError = field(default_factory=lambda: SinkError("fake-out: no space left on device"))
    finish_fails: bool = False
    loses: int = 0
    hang_at: int | None = None
    name: str = "fake-out"
    notes: list[str] = field(default_factory=list)
    frames_written: int = 0
    packets_written: int = 0
    written: list[int] = field(default_factory=list)
    lumas: list[int] = field(default_factory=list)
    finishes: int = 0
    aborts: int = 0
    hanging: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def write(self, frame: Frame) -> None:
        if len(self.written) == self.hang_at:
            self.hanging.set()
            self.released.wait(30)
        if len(self.written) == self.fail_at:
            raise self.error
        self.frames_written += 1
        self.written.append(frame.index)
        self.lumas.append(int(frame.planes[0][0, 0]))

    def finish(self) -> None:
        self.finishes += 1
        self.packets_written = self.frames_written - self.loses
        if self.finish_fails:
            raise SinkError("fake-out: cannot write the index")

    def abort(self) -> None:
        self.aborts += 1


def plus_one(frame: Frame) -> Frame:
    """Return the frame with luma one higher: a generator whose work can be seen."""
    luma = frame.planes[0] + np.uint8(1)
    return frame.with_planes((luma, frame.planes[1], frame.planes[2]))


def failing_at(index: int, error: Exception | None = None) -> Callable[[Frame], Frame]:
    """Return a generator that fails on the frame of that number."""

    def generate(frame: Frame) -> Frame:
        if frame.index == index:
            raise error or ValueError(f"cannot generate {index}")
        return plus_one(frame)

    return generate
