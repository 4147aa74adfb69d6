"""Worker: the process that measures one case and nothing else, turn by turn, as it is told.

So its memory is that of the case, everything is given back when it ends, and if it breaks the others go on.
"""

from __future__ import annotations

import math
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

from streamfx.bench.level import Opened, Setup
from streamfx.bench.levels import LEVELS
from streamfx.bench.result import ActualSettings
from streamfx.errors import DeviceMemoryError, StreamfxError
from streamfx.pipeline.stats import Stats, Times, process_cpu_seconds
from streamfx.run.placement import MOST_IN_FLIGHT, find_placement

_WARM_UP_SECONDS = 0.5
_WARM_UP_FRAMES = 30  # at most


@dataclass(frozen=True, slots=True)
class Ready:
    """The case can be measured.

    Attributes:
        ran: engine and settings that run.
        includes: content of a frame's time, in words.
        warm_up_frames: warm up frames that were processed.
        frame_seconds: approximate time that each frame will take.
        most_frames: most frames of one turn; None: any number.
        peak_memory_bytes: peak memory of this process so far; None where the system does not show it.
    """

    ran: ActualSettings
    includes: str
    warm_up_frames: int
    frame_seconds: float
    most_frames: int | None
    peak_memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What is known after a turn.

    Attributes:
        frames: frames of this turn.
        seconds: time that they took together.
        cpu_seconds: processor time of this process meanwhile, all threads.
        stages: times of frames and their parts, of all turns so far.
        peak_memory_bytes: peak memory of this process so far.
        device_memory_bytes: most memory of the GPU that was in use; None where none is.
    """

    frames: int
    seconds: float
    cpu_seconds: float
    stages: dict[str, Times]
    peak_memory_bytes: int | None
    device_memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Failure:
    """The case cannot be measured, or not any further.

    Attributes:
        reason: reason in words.
        lacks_device_memory: whether it may be measured when others have given theirs back.
    """

    reason: str
    lacks_device_memory: bool = False


Answer: TypeAlias = Ready | Turn | Failure


def work(connection: Connection, setup: Setup) -> None:
    """Open the case and measure as many frames as ``connection`` says, again and again, until it says 0.

    Args:
        connection: gets a number of frames for each turn, and gives an `Answer` for each, the first unasked.
        setup: setup of the case.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started this process, and ends it
    try:
        place = find_placement(setup.device, setup.case.backend, MOST_IN_FLIGHT)
        with LEVELS[setup.case.level](setup, place) as opened:
            connection.send(_warm_up(opened))
            stats = Stats()
            while frames := connection.recv():
                connection.send(_turn(opened, frames, stats))
    except (EOFError, BrokenPipeError):
        return  # whoever asks is gone
    except StreamfxError as error:
        connection.send(Failure(str(error), isinstance(error, DeviceMemoryError)))
    except Exception as error:
        connection.send(Failure(f"unexpected {type(error).__name__}: {error}"))


def _warm_up(opened: Opened) -> Ready:
    frames = 1
    seconds = opened.run(1, Stats())
    if more := min(
        math.floor(_WARM_UP_SECONDS / max(seconds, 1e-6)), _WARM_UP_FRAMES, opened.most_frames or 99
    ):
        frames += more
        seconds = opened.run(more, Stats()) / more
    return Ready(opened.ran, opened.includes, frames, seconds, opened.most_frames, peak_memory_bytes())


def _turn(opened: Opened, frames: int, stats: Stats) -> Turn:
    begun = process_cpu_seconds()
    seconds = opened.run(frames, stats)
    return Turn(
        frames,
        seconds,
        process_cpu_seconds() - begun,
        stats.stages(),
        peak_memory_bytes(),
        opened.device_memory_bytes(),
    )


def peak_memory_bytes(status: Path = Path("/proc/self/status")) -> int | None:
    """Return the most main memory this process has held so far; None where the system does not show it.

    Not from ``getrusage``: there a process takes over the peak of the one that started it.
    """
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return next((int(kibibytes) * 1024 for kibibytes in found), None)
