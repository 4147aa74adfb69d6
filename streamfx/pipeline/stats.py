"""Stats: how long each stage takes and how fast frames flow, in bounded memory."""

from __future__ import annotations

import math
import os
import threading
import time
from dataclasses import dataclass, field

from streamfx.hardware.cpu import usable_cores

_SMALLEST_SECONDS = 1e-6
_GROWTH = 1.02  # bins grow by 2 %, so a percentile is within 1 % of the true one


@dataclass(frozen=True, slots=True)
class Times:
    """What is known of one stage's times, all in seconds; None before the first measurement."""

    count: int
    mean_seconds: float | None
    p50_seconds: float | None
    p95_seconds: float | None
    p99_seconds: float | None
    max_seconds: float | None


class Timing:
    """Collects the times of one stage in about a thousand counters, whatever the number of frames.

    Bins are logarithmic from one microsecond up, so percentiles are within 1 % of the exact ones. Any thread
    may add.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bins: dict[int, int] = {}
        self._count = 0
        self._sum_seconds = 0.0
        self._max_seconds = 0.0

    def add(self, seconds: float) -> None:
        """Add one measurement; below a microsecond counts as a microsecond."""
        position = math.floor(math.log(max(seconds, _SMALLEST_SECONDS) / _SMALLEST_SECONDS, _GROWTH))
        with self._lock:
            self._bins[position] = self._bins.get(position, 0) + 1
            self._count += 1
            self._sum_seconds += seconds
            self._max_seconds = max(self._max_seconds, seconds)

    def times(self) -> Times:
        """Return the summary of everything added so far.

        Example:
            >>> timing = Timing()
            >>> for milliseconds in range(1, 101):
            ...     timing.add(milliseconds / 1000)
            >>> times = timing.times()
            >>> times.count, round(times.p50_seconds, 3), times.max_seconds
            (100, 0.05, 0.1)
        """
        with self._lock:
            if not self._count:
                return Times(0, None, None, None, None, None)
            mean = self._sum_seconds / self._count
            p50, p95, p99 = (self._percentile(share) for share in (0.50, 0.95, 0.99))
            return Times(self._count, mean, p50, p95, p99, self._max_seconds)

    def _percentile(self, share: float) -> float:
        rank, seen = math.ceil(share * self._count), 0
        for position in sorted(self._bins):
            seen += self._bins[position]
            if seen >= rank:
                middle = _SMALLEST_SECONDS * _GROWTH ** (position + 0.5)
                return float(min(middle, self._max_seconds))
        return self._max_seconds


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast the frames went, and what share of the machine that took.

    Attributes:
        frames_out: frames the sink accepted.
        wall_seconds: time from the start of the run to its end, or to now.
        fps: frames out per second; None before the first.
        cpu_seconds: processor time of the whole process in that span, all threads.
        cpu_seconds_per_frame: None before the first frame.
        cores: processors this process may use.
        share_of_bound: fps ÷ (cores ÷ cpu_seconds_per_frame): 1 means that every core was busy all the time.
    """

    frames_out: int
    wall_seconds: float
    fps: float | None
    cpu_seconds: float
    cpu_seconds_per_frame: float | None
    cores: int
    share_of_bound: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a run at one moment, for a progress display.

    Attributes:
        frames_in: frames captured, broken ones included.
        frames_out: frames the sink accepted.
        frames_dropped: frames given up so far.
        frames_failed: broken frames so far.
        frame_count: frames the source says it has; None when it does not say.
        elapsed_seconds: time since the run started.
        fps: recent rate of frames out (about the last two seconds); None before it is known.
        remaining_seconds: estimate; None when neither the frame count nor rate and duration are known.
        queue_fill: items waiting in each queue, by name.
        stages: times by stage: decode, generate, encode, and what generate reports (reduce, translate,
            fuse; or on device, for all three).
        stopping: True once a stop was asked for.
        frames_repeated: frames out that stand in for pictures that did not come.
        factors: factors of each effect, in force now.
        drops: frames given up so far, by cause.
        bytes_out: size of the output so far; None where it is not known.
    """

    frames_in: int
    frames_out: int
    frames_dropped: int
    frames_failed: int
    frame_count: int | None
    elapsed_seconds: float
    fps: float | None
    remaining_seconds: float | None
    queue_fill: dict[str, int]
    stages: dict[str, Times]
    stopping: bool = False
    frames_repeated: int = 0
    factors: tuple[float, ...] = ()
    drops: dict[str, int] = field(default_factory=dict)
    bytes_out: int | None = None


def process_cpu_seconds() -> float:
    """Return the processor time this process has used so far, all threads, user and system."""
    times = os.times()
    return times.user + times.system


@dataclass(slots=True)
class Stats:
    """Everything measured in one run. Stages add from their threads; any thread may read."""

    started_at: float = 0.0  # monotonic clock, seconds
    _stages: dict[str, Timing] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _cpu_at_start_seconds: float = 0.0
    _ended_at: float | None = None
    _cpu_at_end_seconds: float = 0.0
    _marks: list[tuple[float, int]] = field(default_factory=list)

    def start(self) -> None:
        """Begin the span that ``speed`` speaks of."""
        self.started_at, self._cpu_at_start_seconds = time.monotonic(), process_cpu_seconds()
        self._ended_at = None

    def end(self) -> None:
        """End the span that ``speed`` speaks of."""
        self._ended_at, self._cpu_at_end_seconds = time.monotonic(), process_cpu_seconds()

    def add(self, stage: str, seconds: float) -> None:
        """Add one measurement of a stage."""
        timing = self._stages.get(stage)
        if timing is None:
            with self._lock:
                timing = self._stages.setdefault(stage, Timing())
        timing.add(seconds)

    def stages(self) -> dict[str, Times]:
        """Return the times of every stage seen so far."""
        with self._lock:
            timings = dict(self._stages)
        return {name: timing.times() for name, timing in timings.items()}

    @property
    def elapsed_seconds(self) -> float:
        """Wall time of the span so far, or whole once it has ended."""
        return (time.monotonic() if self._ended_at is None else self._ended_at) - self.started_at

    def recent_fps(self, frames_out: int) -> float | None:
        """Return the rate over about the last two seconds. Call it regularly, from one thread."""
        now = time.monotonic()
        self._marks.append((now, frames_out))
        while len(self._marks) > 2 and now - self._marks[0][0] > 2.0:
            del self._marks[0]
        then, frames_then = self._marks[0]
        if frames_out == frames_then or now <= then:
            return None
        return (frames_out - frames_then) / (now - then)

    def speed(self, frames_out: int) -> Speed:
        """Return the speed of the span, for ``frames_out`` frames."""
        wall_seconds = self.elapsed_seconds
        cpu_now = process_cpu_seconds() if self._ended_at is None else self._cpu_at_end_seconds
        cpu_seconds, cores = cpu_now - self._cpu_at_start_seconds, usable_cores()
        known = frames_out > 0 and wall_seconds > 0
        return Speed(
            frames_out=frames_out,
            wall_seconds=wall_seconds,
            fps=frames_out / wall_seconds if known else None,
            cpu_seconds=cpu_seconds,
            cpu_seconds_per_frame=cpu_seconds / frames_out if known else None,
            cores=cores,
            share_of_bound=cpu_seconds / (wall_seconds * cores) if known else None,
        )
