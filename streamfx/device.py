"""Device: what processor this is and which of its abilities matter here."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from streamfx.stats import usable_cores

# Linux's name for a processor flag, and the name people know it by. In order of what they give.
_EXTENSIONS = {
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
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
    """A processor.

    Attributes:
        name: as the system reports it.
        architecture: x86_64, aarch64, ….
        usable_cores: processors this process may use; a container or `taskset` can make it fewer than there are.
        extensions: vector and matrix extensions that matter for networks and pixels; empty where unknown.
        memory_bytes: size of the main memory; None where unknown.
    """

    name: str
    architecture: str
    usable_cores: int
    extensions: tuple[str, ...]
    memory_bytes: int | None


def cpu() -> Cpu:
    """Return the facts about this machine's processor."""
    facts = _read_facts(Path("/proc/cpuinfo"))
    flags = set((facts.get("flags") or facts.get("Features") or "").split())
    return Cpu(
        name=facts.get("model name") or platform.processor() or "unknown processor",
        architecture=platform.machine(),
        usable_cores=usable_cores(),
        extensions=tuple(name for flag, name in _EXTENSIONS.items() if flag in flags),
        memory_bytes=_memory_bytes(_read_facts(Path("/proc/meminfo")).get("MemTotal")),
    )


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
