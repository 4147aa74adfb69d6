"""Device: what processor this is and which of its abilities matter here."""

from __future__ import annotations

import math
import os
import platform
from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_PROCESSORS = Path("/sys/devices/system/cpu")

# Linux's name for a processor flag, and the name people know it by. In order of what they give.
_EXTENSIONS = {
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
    "avx_vnni": "AVX VNNI",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_bf16": "AMX BF16",
    "amx_int8": "AMX INT8",
    "asimd": "NEON",
    "sve": "SVE",
    "bf16": "BF16",
    "i8mm": "I8MM",
}


@dataclass(frozen=True, slots=True)
class Cpu:
    """A processor. What is not known is None.

    Attributes:
        name: name as the system reports it.
        architecture: x86_64, aarch64, ….
        usable_cores: processors this process can keep busy; containers and `taskset` can make it fewer.
        extensions: vector and matrix extensions that matter for networks and pixels; empty where unknown.
        memory_bytes: size of the main memory.
        vendor: maker, as the processor says: GenuineIntel, AuthenticAMD.
        physical_cores: cores behind ``usable_cores``: two processors that share a core count once.
        clock_hz: the highest clock where the system says it, else the one it runs at.
    """

    name: str
    architecture: str
    usable_cores: int
    extensions: tuple[str, ...]
    memory_bytes: int | None
    vendor: str | None = None
    physical_cores: int | None = None
    clock_hz: float | None = None

    @property
    def has_bf16(self) -> bool:
        """Whether it multiplies in bf16; without, that is emulated, several times slower than float32."""
        return not {"AMX BF16", "AVX-512 BF16"}.isdisjoint(self.extensions)

    @property
    def has_int8(self) -> bool:
        """Whether it adds products of integers of 8 bits at once."""
        return not {"AMX INT8", "AVX-512 VNNI", "AVX VNNI"}.isdisjoint(self.extensions)


def cpu() -> Cpu:
    """Return the facts about this machine's processor."""
    facts = _read_facts(Path("/proc/cpuinfo"))
    flags = set((facts.get("flags") or facts.get("Features") or "").split())
    cores = usable_cores()
    physical = physical_cores()
    return Cpu(
        name=facts.get("model name") or platform.processor() or "unknown processor",
        architecture=platform.machine(),
        usable_cores=cores,
        extensions=tuple(name for flag, name in _EXTENSIONS.items() if flag in flags),
        memory_bytes=_memory_bytes(_read_facts(Path("/proc/meminfo")).get("MemTotal")),
        vendor=facts.get("vendor_id"),
        physical_cores=None if physical is None else min(physical, cores),
        clock_hz=_highest_clock_hz(_PROCESSORS) or _megahertz(facts.get("cpu MHz")),
    )


def available_memory_bytes(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Return how much main memory could be taken now without swapping; None where the system does not say."""
    return _memory_bytes(_read_facts(meminfo).get("MemAvailable"))


def physical_cores(root: Path = _PROCESSORS) -> int | None:
    """Return how many cores the processors that this process may run on belong to; None where unknown."""
    found = set()
    for number in _allowed():
        topology = root / f"cpu{number}" / "topology"
        try:
            found.add(((topology / "physical_package_id").read_text(), (topology / "core_id").read_text()))
        except OSError:
            return None
    return len(found)


def usable_cores() -> int:
    """Return how many processors this process can keep busy.

    That is how many it may run on; or the share of time that its container grants it, rounded up, if less.
    """
    allowed, quota = len(_allowed()), cgroup_cores()
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def cgroup_cores(root: Path = _CGROUPS, membership: Path = _OWN_CGROUP) -> float | None:
    """Return the processor time that control groups grant this process, in processors; None: no limit.

    Args:
        root: place where control groups are mounted, of version 1 or 2.
        membership: file that says which groups this process is in.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "cpu" if controllers else root
        group = base / path.lstrip("/")
        # A limit of any group above holds as well; above the mount there is nothing to see.
        while group.is_relative_to(base):
            limits.append(_cgroup_limit(group))
            group = group.parent
    return min((limit for limit in limits if limit is not None), default=None)


def _allowed() -> set[int]:
    """Return the numbers of the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _highest_clock_hz(root: Path) -> float | None:
    clocks = []
    for number in _allowed():
        try:
            clocks.append(float((root / f"cpu{number}/cpufreq/cpuinfo_max_freq").read_text()) * 1e3)
        except (OSError, ValueError):
            return None
    return max(clocks)


def _megahertz(text: str | None) -> float | None:
    try:
        return float(text or "") * 1e6
    except ValueError:
        return None


def _cgroup_limit(group: Path) -> float | None:
    """Return the limit of one control group, from ``cpu.max`` (version 2) or ``cpu.cfs_*`` (version 1)."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text().strip()
        return float(quota) / float(period) if quota not in ("max", "-1") else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _read_facts(path: Path) -> dict[str, str]:
    """Return the first value of each "name : value" line; nothing where the file is not there."""
    facts: dict[str, str] = {}
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return facts
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            facts.setdefault(name.strip(), value.strip())
    return facts


def _memory_bytes(text: str | None) -> int | None:
    number = (text or "").removesuffix("kB").strip()
    return int(number) * 1024 if number.isdigit() else None
