"""Times that pictures are given in containers that cannot state their own: GIF, and Y4M."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import count

from streamfx.encode.files.gif_times import LEAST_TICKS, TICK_SECONDS, GifTimes
from streamfx.encode.plan import OutputPlan
from streamfx.encode.video_stream import steady_rate
from streamfx.media.frame import Frame

Times = tuple[int, int, Fraction]
"""Time and duration, in units of a time base, and that."""


def given_times(plan: OutputPlan) -> Callable[[Frame], Times | None] | None:
    """Return what gives the next picture its times, or None to leave it out; None where all keep theirs."""
    if plan.container.muxer == "gif":
        gif = GifTimes()
        return lambda frame: _in_gif(gif, frame)
    if plan.container.times:
        return None
    numbers, step_seconds = count(), 1 / steady_rate(plan.video)
    return lambda _: (next(numbers), 1, step_seconds)


def _in_gif(gif: GifTimes, frame: Frame) -> Times | None:
    ticks = gif.place(frame.time_seconds)
    if ticks is None:
        return None
    lasting = round((frame.duration or 0) * frame.time_base / TICK_SECONDS)
    return ticks, max(lasting, LEAST_TICKS), TICK_SECONDS
