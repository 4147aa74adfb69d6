"""Times that pictures are given in containers that cannot state their own: animations, and Y4M."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import count

from streamfx.encode.files.animation_times import PACES, AnimationTimes
from streamfx.encode.plan import OutputPlan
from streamfx.encode.video_stream import steady_rate
from streamfx.media.frame import Frame

Times = tuple[int, int, Fraction]
"""Time and duration, in units of a time base, and that."""


def given_times(plan: OutputPlan) -> Callable[[Frame], Times | None] | None:
    """Return what gives the next picture its times, or None to leave it out; None where all keep theirs."""
    if (pace := PACES.get(plan.container.muxer)) is not None:
        times = AnimationTimes(pace, plan.video.time_base)
        return lambda frame: _in_animation(times, frame)
    if plan.container.times:
        return None
    numbers, step_seconds = count(), 1 / steady_rate(plan.video)
    return lambda _: (next(numbers), 1, step_seconds)


def _in_animation(times: AnimationTimes, frame: Frame) -> Times | None:
    ticks = times.place(frame.time_seconds)
    if ticks is None:
        return None
    lasting = round((frame.duration or 0) * frame.time_base / times.tick_seconds)
    return ticks, max(lasting, times.least_ticks), times.tick_seconds
