"""Levels: how much of a frame's way is measured, and what opens each. A new way to measure is an entry here.

``resident`` has two entries, because where the frames are in memory depends on what runs the network: in main
memory for a processor, in the GPU's for a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streamfx.backends.backend import choose
from streamfx.bench.result import Case, Ran
from streamfx.errors import BackendUnavailableError
from streamfx.stats import Stats

FRAME = "frame"
"""Name in the stats of the time of a whole frame."""

_GPU_BACKENDS = ("inductor", "tensorrt")


@dataclass(frozen=True, slots=True)
class Setup:
    """What a level needs to open a case.

    Attributes:
        case: what is measured.
        threads: processor threads to use.
        frames: that a turn should have.
        clip: video to take the pictures from; None: the test picture.
        encoder: ``x264`` or ``null:``.
        folder: for files that are needed meanwhile.
    """

    case: Case
    threads: int
    frames: int
    clip: str | None
    encoder: str
    folder: Path


class Opened(Protocol):
    """A case, ready to be measured: engines open, pictures at hand."""

    @property
    def ran(self) -> Ran:
        """What runs."""

    @property
    def most_frames(self) -> int | None:
        """Most frames of one turn; None: any number."""

    def run(self, frames: int, stats: Stats) -> float:
        """Process at least so many frames, and return the seconds that ``frames`` of them took together.

        What is needed to get going again, caches and queues, is not measured.

        Args:
            frames: to measure.
            stats: gets the seconds of each as ``FRAME``, and those of its parts where they are known.
        """

    def device_memory_bytes(self) -> int | None:
        """Return the most memory of the GPU that was in use; None where none is."""


@dataclass(frozen=True, slots=True)
class Level:
    """A level, for some backends.

    Attributes:
        name: as a user gives it.
        backends: names of those it is for; None: all others.
        includes: what is in the time of a frame, in words.
        open: opens a case; what it gives is closed with it.
    """

    name: str
    backends: Sequence[str] | None
    includes: str
    open: Callable[[Setup], AbstractContextManager[Opened]]


@contextmanager
def _model(setup: Setup) -> Iterator[Opened]:
    from streamfx.bench.in_memory import open_model

    with open_model(setup) as opened:
        yield opened


@contextmanager
def _resident(setup: Setup) -> Iterator[Opened]:
    from streamfx.bench.in_memory import open_resident

    with open_resident(setup) as opened:
        yield opened


@contextmanager
def _pipeline(setup: Setup) -> Iterator[Opened]:
    from streamfx.bench.whole_way import open_pipeline

    with open_pipeline(setup) as opened:
        yield opened


def _resident_on_gpu(setup: Setup) -> AbstractContextManager[Opened]:
    raise BackendUnavailableError(
        f"not available: {setup.case.level} on a GPU needs frames that stay in its memory all the way, which "
        "streamfx does not do yet; the levels model and pipeline can be measured"
    )


LEVELS = (
    Level(
        "model",
        None,
        "the calls of the compiled network that a frame needs, from and to memory, one frame at a time with "
        "all threads; not the way from the frame to its input and back",
        _model,
    ),
    Level(
        "resident",
        _GPU_BACKENDS,
        "reduce, network and fuse, from and to frames in the GPU's memory; neither decoding nor encoding, no "
        "copy to or from main memory",
        _resident_on_gpu,
    ),
    Level(
        "resident",
        None,
        "reduce, network and fuse, from and to full-size planes in main memory, one frame at a time with all "
        "threads; neither decoding nor encoding",
        _resident,
    ),
    Level(
        "pipeline",
        None,
        "decode an H.264 file (or --clip), reduce, network, fuse, encode, each stage in threads of its own; "
        "the time of a frame is that from one written to the next, the mean over as many as are generated at "
        "a time; the first and last frames of a turn, while queues fill and drain, are left out",
        _pipeline,
    ),
)  # fmt: skip


def level_names() -> tuple[str, ...]:
    """Return the names of the levels, the shortest way first."""
    return tuple(dict.fromkeys(level.name for level in LEVELS))


def level_of(case: Case) -> Level:
    """Return the level that a case is measured at, which depends on the backend that will run it.

    Raises:
        ConfigError, BackendUnavailableError: see `streamfx.backends.backend.choose`.
    """
    backend = choose(case.backend).name
    named = [level for level in LEVELS if level.name == case.level]
    return next(level for level in named if level.backends is None or backend in level.backends)
