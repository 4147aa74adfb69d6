"""Times of packets and frames: exact where the file states them, made to go forward where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from streamfx.media.frame import VideoFormat

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

_JUMP_SECONDS = (
    10  # a step larger than this, either way, is a clock that was set anew (FFmpeg's threshold too)
)

_LATE_SECONDS = 1  # up to here a picture behind the last one is made up for by smaller steps


class PacketClock:
    """Keeps the clock of a transport stream going when it is set anew in the middle.

    All streams share the clock, so the correction found on one is applied to all that follow: sound and
    picture stay together. A single packet far off the others is a damaged time stamp, not a new clock: it
    gets the time it should have had.

    Args:
        discontinuous: whether the container is of a kind whose clock may jump; else nothing is ever
            corrected.
    """

    def __init__(self, discontinuous: bool) -> None:
        self._discontinuous = discontinuous
        self._offset_seconds = Fraction(0)
        self._due: dict[int, Fraction] = {}  # when the next packet of a stream should come, by stream
        self._suspected: dict[int, Fraction] = {}  # by how much the last packet of a stream was off

    def correct(self, packet: Packet[Stream]) -> None:
        """Set the times of ``packet`` right in place."""
        if not self._discontinuous or packet.dts is None:
            return
        number = packet.stream_index
        time = packet.dts * packet.time_base + self._offset_seconds
        due = self._due.get(number, time)
        off = due - time
        damaged = False
        if abs(off) > _JUMP_SECONDS:
            damaged = abs(off - self._suspected.get(number, Fraction(0))) > _JUMP_SECONDS
            if damaged:
                self._suspected[number] = off
            else:
                self._offset_seconds += off
            time = due
        else:
            self._suspected.pop(number, None)
        self._set_times(packet, time, damaged)
        self._due[number] = time + (packet.duration or 0) * packet.time_base

    def _set_times(self, packet: Packet[Stream], time: Fraction, damaged: bool) -> None:
        delay = None if packet.pts is None or packet.dts is None else packet.pts - packet.dts
        if delay is not None and abs(delay) * packet.time_base > _JUMP_SECONDS:
            delay = None
        dts = round(time / packet.time_base)
        packet.dts = dts
        if damaged:  # a decoder puts pictures without a time in their place; sound needs one
            packet.pts = None if packet.stream.type == "video" else dts
        else:
            packet.pts = None if delay is None else dts + delay

    def start_shift_seconds(self, container: InputContainer) -> Fraction:
        """Return what to take off every time so that the output starts at zero: nothing unless the clock is
        free."""
        if not self._discontinuous:
            return Fraction(0)
        starts = [
            stream.start_time * stream.time_base
            for stream in container.streams
            if stream.start_time is not None
            and stream.time_base is not None
            and stream.type in ("video", "audio")
        ]
        return min(starts, default=Fraction(0))


class FrameClock:
    """Gives every frame a time that is later than the one before it.

    Args:
        video: format of the frames; its rate fills in where durations are missing.

    Attributes:
        step: usual duration of a frame, in units of the time base.
    """

    def __init__(self, video: VideoFormat) -> None:
        step_seconds = 1 / video.rate_fps if video.rate_fps else Fraction(1, 25)
        self._time_base = video.time_base
        self.step = max(round(step_seconds / video.time_base), 1)
        self._last: int | None = None
        self._last_duration: int | None = None
        self._derived = self._moved = 0

    def time_of(self, picture: VideoFrame, next_pts: int | None, shift: int) -> tuple[int, int | None]:
        """Return (pts, duration) of a decoded picture in units of the time base, ``shift`` taken off.

        A picture without a time, or far from where its neighbours put it, follows the last one by its
        duration. One that is a little late (two recordings that overlap, say) follows by half of it, so that
        pictures fall into step with the sound again after a few.

        Args:
            picture: picture as decoded.
            next_pts: time of the picture after it, not shifted; None when there is none or it has no time.
            shift: offset to subtract.
        """
        duration = picture.duration or None
        pts = None if picture.pts is None else picture.pts - shift
        if self._last is None:
            pts = pts or 0
        else:
            step = self._last_duration or self.step
            after = None if next_pts is None else next_pts - shift
            if pts is None:
                self._derived += 1
                pts = self._last + step
            elif pts <= self._last:
                self._moved += 1
                late = (self._last - pts) * self._time_base < _LATE_SECONDS
                pts = self._last + (max(step // 2, 1) if late else step)
            elif after is not None and self._last + 1 < after <= pts:
                self._moved += 1
                pts = min(self._last + step, after - 1)
        self._last, self._last_duration = pts, duration
        return pts, duration

    @property
    def stated(self) -> bool:
        """Whether all times so far are those that the file states."""
        return not self._derived and not self._moved

    def notes(self) -> Iterator[str]:
        """Yield what had to be made up, for the report."""
        if self._derived:
            yield f"{self._derived} pictures have no time in the source; they follow the one before"
        if self._moved:
            yield f"{self._moved} pictures have times out of order; they were moved behind the one before"
