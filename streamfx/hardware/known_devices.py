"""Known devices: attributes of some that people ask about, so that an estimate needs none of them here.

Only attributes are listed, from the vendors' public data; rates follow from them as they do for the device at
hand (`rates.py`). The clock is the one a vendor states for sustained or boost use. A GPU card is taken to sit
in `HOST`, which matters for what it cannot decode or encode itself.
"""

from __future__ import annotations

from streamfx.errors import ConfigError, did_you_mean
from streamfx.hardware.cpu import Cpu
from streamfx.hardware.machine import Machine
from streamfx.hardware.nvidia import Gpu

_AVX2 = ("AVX2", "FMA", "F16C")
_AVX512_AMX = (*_AVX2, "AVX-512", "AVX-512 VNNI", "AVX-512 BF16", "AMX BF16", "AMX INT8")
HOST = Cpu("8 cores with AVX2", "x86_64", 8, _AVX2, 32 << 30, "GenuineIntel", 8, 3.5e9)


def _card(name: str, gpu: Gpu, source: str) -> Machine:
    return Machine(name, HOST, gpu, 50e9, source)


def _computer(name: str, cpu: Cpu, bandwidth_bytes_per_second: float, source: str) -> Machine:
    return Machine(name, cpu, None, bandwidth_bytes_per_second, source)


KNOWN = {
    machine.name.lower(): machine
    for machine in (
        _card(
            "T4",
            Gpu("NVIDIA T4", (7, 5), 40, 1.59e9, 320e9, 16 << 30, 2, 1),
            "NVIDIA T4 datasheet: 2560 cores, 320 GB/s, 65 TFLOPS of half precision",
        ),
        _card(
            "L4",
            Gpu("NVIDIA L4", (8, 9), 58, 2.04e9, 300e9, 24 << 30, 4, 2),
            "NVIDIA L4 datasheet: 7424 cores, 300 GB/s, 121 TFLOPS dense, 4 decoders, 2 encoders",
        ),
        _card(
            "A10",
            Gpu("NVIDIA A10", (8, 6), 72, 1.695e9, 600e9, 24 << 30, 2, 1),
            "NVIDIA A10 datasheet: 9216 cores, 600 GB/s, 125 TFLOPS dense",
        ),
        _card(
            "RTX 3060",
            Gpu("NVIDIA GeForce RTX 3060", (8, 6), 28, 1.777e9, 360e9, 12 << 30, 1, 1),
            "NVIDIA GeForce RTX 3060: 3584 cores, 1.78 GHz boost, 192 bits of GDDR6 at 15 Gbit/s",
        ),
        _card(
            "RTX 4090",
            Gpu("NVIDIA GeForce RTX 4090", (8, 9), 128, 2.52e9, 1008e9, 24 << 30, 1, 2),
            "NVIDIA Ada architecture white paper: 16384 cores, 2.52 GHz boost, 1008 GB/s",
        ),
        _card(
            "H100",
            Gpu("NVIDIA H100 SXM", (9, 0), 132, 1.83e9, 3350e9, 80 << 30, 7, 0),
            "NVIDIA H100 datasheet: 989 TFLOPS dense, 3.35 TB/s, 7 decoders, no encoder",
        ),
        Machine(
            "Jetson AGX Orin",
            Cpu("Arm Cortex-A78AE", "aarch64", 12, ("NEON",), 64 << 30, "ARM", 12, 2.2e9),
            Gpu("NVIDIA Jetson AGX Orin 64GB", (8, 7), 16, 1.3e9, 204.8e9, 64 << 30, 1, 1),
            204.8e9,
            "NVIDIA Jetson AGX Orin series technical brief: 2048 cores at 1.3 GHz, 204.8 GB/s, shared memory",
        ),
        _computer(
            "laptop",
            Cpu("laptop with 8 cores and AVX2", "x86_64", 16, _AVX2, 16 << 30, "AuthenticAMD", 8, 3.3e9),
            60e9,
            "AMD Ryzen 7 6800U and its like: 8 cores, 2.7 GHz base to 4.7 GHz boost, two channels of DDR5",
        ),
        _computer(
            "Apple M2",
            Cpu("Apple M2", "arm64", 8, ("NEON",), 16 << 30, "Apple", 6, 3.4e9),
            100e9,
            "Apple M2: 4 performance cores at 3.5 GHz and 4 efficiency cores (counted as 2), 100 GB/s",
        ),
        _computer(
            "Raspberry Pi 5",
            Cpu("Arm Cortex-A76", "aarch64", 4, ("NEON",), 8 << 30, "ARM", 4, 2.4e9),
            17e9,
            "Raspberry Pi 5 product brief: 4 Cortex-A76 at 2.4 GHz, 32 bits of LPDDR4X-4267",
        ),
        _computer(
            "AMX server",
            Cpu("Intel Xeon with AMX, 4 cores", "x86_64", 4, _AVX512_AMX, 16 << 30, "GenuineIntel", 4, 2.7e9),
            40e9,
            "4 cores of an Intel Xeon Scalable of the 4th generation: AVX-512 with two units, AMX; "
            "eight channels of DDR5-4800, shared with its other cores",
        ),
    )
}


def known_machine(name: str) -> Machine:
    """Return the device that ``name`` means, in capital or small letters.

    Raises:
        ConfigError: it is not listed; says which are, and which is near.

    Example:
        >>> known_machine("t4").gpu.multiprocessors
        40
    """
    found = KNOWN.get(name.strip().lower())
    if found is None:
        meant = did_you_mean(name.strip(), [machine.name for machine in KNOWN.values()])
        hint = meant and f" {meant}"
        listed = ", ".join(machine.name for machine in KNOWN.values())
        raise ConfigError(f"there are no figures for a device {name!r};{hint} listed are: {listed}")
    return found
