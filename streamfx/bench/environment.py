"""Surroundings: the device that is measured on, its clocks, its power, and how busy others keep it."""

from __future__ import annotations

import os
import platform
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Protocol

from streamfx.bench.energy import Rapl
from streamfx.bench.result import DeviceInfo
from streamfx.hardware.cpu import cpu
from streamfx.hardware.nvidia import gpus, open_gpu_meter

_CPUINFO, _STAT = Path("/proc/cpuinfo"), Path("/proc/stat")


class EnergyMeter(Protocol):
    """Counts energy."""

    def joules(self) -> float | None:
        """Return the energy counted so far, from any beginning; None where it cannot be read."""


@dataclass(frozen=True, slots=True)
class MeterReadings:
    """What was read at one moment.

    Attributes:
        at_seconds: monotonic clock.
        joules: joules by meter, from any beginning.
        busy_seconds: time in use of all processors together, whoever used them; None where the system
            does not say.
    """

    at_seconds: float
    joules: dict[str, float]
    busy_seconds: float | None


class Surroundings:
    """Reads meters and clocks, and says what the device is.

    Attributes:
        notes: values that cannot be read, with the reasons.
    """

    def __init__(self) -> None:
        self.notes: tuple[str, ...] = ()
        self._meters: dict[str, EnergyMeter] = {}
        self._clocks_mhz: dict[str, tuple[float, float]] = {}
        try:
            self._meters["processor"] = Rapl()
        except (OSError, ValueError) as error:
            self.notes = (f"power of the processor is not known: {error}",)
        self._gpu = open_gpu_meter()
        if self._gpu is not None:
            self._meters["GPU"] = self._gpu
        self._look_at_clocks()

    def look(self) -> MeterReadings:
        """Read everything that counts up; once before a turn and once after it."""
        self._look_at_clocks()
        read = {name: meter.joules() for name, meter in self._meters.items()}
        return MeterReadings(
            time.monotonic(),
            {name: joules for name, joules in read.items() if joules is not None},
            busy_seconds(),
        )

    def device(self) -> DeviceInfo:
        """Return what is measured on, with the clocks seen so far."""
        return DeviceInfo(
            processor=asdict(cpu()),
            gpus=tuple(asdict(gpu) for gpu in gpus()),
            driver=None if self._gpu is None else self._gpu.driver(),
            system=platform.platform(),
            clocks_mhz=self._clocks_mhz,
        )

    def close(self) -> None:
        """Let go of the GPU's meter."""
        if self._gpu is not None:
            self._gpu.close()

    def _look_at_clocks(self) -> None:
        now = {} if self._gpu is None else self._gpu.clocks_mhz()
        if (processor := processor_mhz()) is not None:
            now["processor"] = processor
        for name, clock in now.items():
            low, high = self._clocks_mhz.get(name, (clock, clock))
            self._clocks_mhz[name] = min(low, clock), max(high, clock)


def processor_mhz(cpuinfo: Path = _CPUINFO) -> float | None:
    """Return the clock that the processors run at now, their mean; None where the system does not say."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    clocks = [float(found) for found in re.findall(r"^cpu MHz\s*:\s*([0-9.]+)", text, re.MULTILINE)]
    return mean(clocks) if clocks else None


def busy_seconds(stat: Path = _STAT) -> float | None:
    """Return how long the processors were at work since the system started, all together; None where unknown.

    Time that a virtual machine wanted and did not get counts as work of others.
    """
    try:
        name, *ticks = stat.read_text(encoding="ascii").splitlines()[0].split()
    except (OSError, IndexError, ValueError):
        return None
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = map(int, ticks[:8])
    busy = user + nice + system + interrupts + soft_interrupts + stolen
    return busy / os.sysconf("SC_CLK_TCK") if name == "cpu" else None
