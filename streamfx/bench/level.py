"""What a level of measurement is given and gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streamfx.backends.backend import CompiledEngine, DeviceEngine
from streamfx.bench.result import ActualSettings, Case
from streamfx.config.transcode import TranscodeConfig
from streamfx.pipeline.stats import Stats

FRAME = "frame"
"""Name in the stats of the time of a whole frame."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a level needs to open a case.

    Attributes:
        case: case to be measured.
        threads: processor threads to use.
        frames: frames that a turn should have.
        clip: video to take the pictures from; None: the test picture.
        encoder: ``auto``, ``x264`` or ``null:``.
        folder: folder for files that are needed meanwhile.
        device: auto, cpu or cuda: the one of this process.
    """

    case: Case
    threads: int
    frames: int
    clip: str | None
    encoder: str
    folder: Path
    device: str = "auto"


def config_of(setup: Setup, source: str, output: str = "null:") -> TranscodeConfig:
    """Return the settings of a run from ``source`` to ``output`` that does what the case asks for."""
    return TranscodeConfig(
        input=source,
        output=output,
        effects=(setup.case.effect,),
        factor=setup.case.factor,
        backend=setup.case.backend,
        device=setup.device,
        threads=setup.threads,
        overwrite=True,
    )


class Opened(Protocol):
    """A case, ready to be measured: engines open, pictures at hand."""

    @property
    def ran(self) -> ActualSettings:
        """What runs."""

    @property
    def includes(self) -> str:
        """What is in the time of a frame, in words."""

    @property
    def most_frames(self) -> int | None:
        """Most frames of one turn; None: any number."""

    def run(self, frames: int, stats: Stats) -> float:
        """Process at least so many frames, and return the seconds that ``frames`` of them took together.

        What is needed to get going again, caches and queues, is not measured.

        Args:
            frames: frames to measure.
            stats: receiver of the seconds of each as ``FRAME``, and those of its parts where they are known.
        """

    def device_memory_bytes(self) -> int | None:
        """Return the most memory of the GPU that was in use; None where none is."""


def ran_of(
    compiled: CompiledEngine,
    *,
    threads: int,
    at_a_time: int = 1,
    frames: str = "cpu",
    encoder: str | None = None,
) -> ActualSettings:
    """Return what runs where a network was compiled; see `ActualSettings`."""
    return ActualSettings(
        backend=compiled.backend,
        precision=compiled.precision.value,
        threads=threads,
        at_a_time=at_a_time,
        device=compiled.device.type if isinstance(compiled, DeviceEngine) else "cpu",
        frames=frames,
        encoder=encoder,
    )
