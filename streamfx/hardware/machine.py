"""Machine: what a pipeline runs on, as far as an estimate needs to know it."""

from __future__ import annotations

from dataclasses import dataclass

from streamfx.hardware.cpu import Cpu
from streamfx.hardware.nvidia import Gpu


@dataclass(frozen=True, slots=True)
class Machine:
    """What a pipeline runs on.

    Attributes:
        name: name for people.
        cpu: processor.
        gpu: place where networks run; None: on the processor.
        bandwidth_bytes_per_second: bandwidth of the main memory; None where unknown:
            bytes then cost nothing.
        source: place where its figures are from; empty for the machine at hand.
    """

    name: str
    cpu: Cpu
    gpu: Gpu | None = None
    bandwidth_bytes_per_second: float | None = None
    source: str = ""
