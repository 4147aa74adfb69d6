"""Rates: what a processor and a GPU can do in a second, worked out from their attributes alone.

Peak rates are the vendors' figures; the shares of them that are reached in practice were measured with
networks and clips of this project where a device was at hand, and are assumed elsewhere, as noted.
Calibration replaces them where an engine really runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamfx.hardware.cpu import Cpu
from streamfx.hardware.nvidia import Gpu

USUAL_CLOCK_HZ = 2.5e9  # where a processor does not say its clock
BUS_BYTES_PER_SECOND = 12e9  # PCI Express 3.0 with 16 lanes, as copies reach it
GPU_BANDWIDTH_SHARE = 0.7  # assumed: streaming kernels reach 70 to 90 % of the nominal bandwidth
LAUNCH_SECONDS = 4e-6  # assumed: from the launch of one kernel to the next

# Operations of one core in a cycle, a multiplication with an addition counting as two.
_VECTOR_F32 = {"AVX-512": 64, "AVX2": 32, "NEON": 16}
_AMX_BF16 = (
    1024  # Intel Architecture Optimization Reference Manual: a tile product of 16 x 16 x 32 in 16 cycles
)
_NARROWEST_F32 = 8
# Shares of the peak. f32 and bf16: 0.64 to 1.0 measured on Xeon and EPYC, whose clock is above the nominal
# one. AMX: 0.2 measured; layers this narrow leave most of a tile's width empty.
_SHARES = {"f32": 0.8, "bf16": 0.7, "amx": 0.2}
# What networks gain by integers of 8 bits: convolutions 1.9, what stands between them nothing. Measured on an
# EPYC against bf16; against f32 assumed.
_INT8_GAINS = {"bf16": 1.4, "f32": 2.0}

# Half-precision operations of one multiprocessor in a cycle, dense, by compute capability: NVIDIA's
# architecture white papers (Turing, Ampere GA100 and GA102, Orin, Ada, Hopper, Blackwell).
_TENSOR_F16 = {
    (7, 0): 1024,
    (7, 5): 1024,
    (8, 0): 2048,
    (8, 6): 1024,
    (8, 7): 2048,
    (8, 9): 1024,
    (9, 0): 4096,
    (10, 0): 8192,
    (12, 0): 1024,
}
_PLAIN_F16 = 256  # older ones, without matrix units that matter here
_TENSOR_SHARE = 0.25  # assumed: layers of 16 to 48 channels fill matrix units badly

# Engines for video: pixels in a second for one engine. Assumed, at the lower end of what NVIDIA publishes for
# H.264 8 bit since Turing (Video Codec SDK: some 700 frames of 1080p decoded, 350 encoded at preset P4).
DECODER_PIXELS_PER_SECOND = 700 * 1920 * 1080.0
ENCODER_PIXELS_PER_SECOND = 350 * 1920 * 1080.0


@dataclass(frozen=True, slots=True)
class ComputeRate:
    """What a device reaches with the networks of this project.

    Attributes:
        operations_per_second: operations per second of the whole device.
        value_bytes: size of one number in the precision that is used.
        how: the product it comes from.
    """

    operations_per_second: float
    value_bytes: int
    how: str


@dataclass(frozen=True, slots=True)
class Cycles:
    """What a full-size step costs one core.

    Attributes:
        per_sample: cycles per sample of the frame, all planes.
        per_reduced_pixel: cycles per pixel of the network's picture; what counts at small factors.
    """

    per_sample: float
    per_reduced_pixel: float

    def times(self, factor: float) -> Cycles:
        """Return so many times the cycles."""
        return Cycles(factor * self.per_sample, factor * self.per_reduced_pixel)


def cpu_rate(cpu: Cpu, *, integers: bool = False) -> ComputeRate:
    """Return what a processor reaches, in the precision that is fastest on it.

    Args:
        cpu: the processor.
        integers: whether the network may compute in integers of 8 bits.
    """
    f32 = next((rate for name, rate in _VECTOR_F32.items() if name in cpu.extensions), _NARROWEST_F32)
    if cpu.vendor == "AuthenticAMD":
        f32 = min(f32, 32)  # Zen 4 runs AVX-512 in two halves (AMD's optimization guide for it)
    if cpu.vendor == "Apple":
        f32 = 32  # four units of 128 bits in a performance core
    if "AMX BF16" in cpu.extensions:
        operations, share, precision = _AMX_BF16, _SHARES["amx"], "bf16"
    elif "AVX-512 BF16" in cpu.extensions:
        operations, share, precision = 2 * f32, _SHARES["bf16"], "bf16"
    else:
        operations, share, precision = f32, _SHARES["f32"], "f32"
    if integers and cpu.has_int8:
        share, precision = share * _INT8_GAINS[precision], "int8"
    cores, clock = real_cores(cpu), cpu.clock_hz or USUAL_CLOCK_HZ
    return ComputeRate(
        cores * clock * operations * share,
        4 if precision == "f32" else 2,
        f"{cores} cores x {clock / 1e9:.2f} GHz x {operations} {precision} operations x {share:g} reached",
    )


def gpu_rate(gpu: Gpu) -> ComputeRate | None:
    """Return what a GPU reaches in half precision; None where its clock or size is not known."""
    if gpu.multiprocessors is None or gpu.clock_hz is None:
        return None
    operations = _TENSOR_F16.get(gpu.compute_capability or (0, 0), _PLAIN_F16)
    return ComputeRate(
        gpu.multiprocessors * gpu.clock_hz * operations * _TENSOR_SHARE,
        2,
        f"{gpu.multiprocessors} multiprocessors x {gpu.clock_hz / 1e9:.2f} GHz x {operations} f16 operations "
        f"x {_TENSOR_SHARE:g} reached",
    )


def cycles_per_second(cpu: Cpu) -> float:
    """Return the cycles of all cores for work on pixels, on vectors of 256 bits as they are counted here.

    Vectors of 128 bits take 1.6 times as long (assumed: not all of such work is on vectors).
    """
    wide = {"AVX2", "AVX-512"} & set(cpu.extensions) or cpu.vendor == "Apple"
    return real_cores(cpu) * (cpu.clock_hz or USUAL_CLOCK_HZ) / (1 if wide else 1.6)


def real_cores(cpu: Cpu) -> int:
    """Return the cores that count: two processors on one core do the work of little more than one."""
    return min(cpu.usable_cores, cpu.physical_cores or cpu.usable_cores)


# Cycles of one core for one pixel (luma sample) of 4:2:0, 8 bit. Measured with PyAV 18.1 on one thread of an
# EPYC (Zen 4) at its nominal clock, the demo clip at 1280x720 and default qualities; what was not is marked.
DECODE_CYCLES = {
    "h264": 7.0, "hevc": 13.0, "av1": 5.0, "vp9": 7.0, "vp8": 10.0, "ffv1": 57.0, "prores": 22.0,
    "mjpeg": 6.0,
    "png": 40.0,  # assumed
    "raw": 1.5,  # assumed: a copy
}  # fmt: skip
ENCODE_CYCLES = {
    ("h264", "ultrafast"): 20.0, ("h264", "superfast"): 30.0, ("h264", "veryfast"): 45.0,
    ("h264", "faster"): 60.0, ("h264", "fast"): 72.0, ("h264", "medium"): 83.0,  # faster and fast: assumed
    ("h264", "slow"): 140.0, ("h264", "slower"): 280.0, ("h264", "veryslow"): 500.0,  # assumed
    ("hevc", "ultrafast"): 122.0, ("hevc", "superfast"): 160.0, ("hevc", "veryfast"): 264.0,
    ("hevc", "medium"): 450.0,  # superfast and medium: assumed
    ("av1", "12"): 62.0, ("av1", "10"): 75.0, ("av1", "8"): 160.0, ("av1", "6"): 400.0,  # 8 and 6: assumed
    ("vp9", "5"): 266.0, ("vp8", "5"): 37.0, ("ffv1", None): 47.0, ("prores", "hq"): 217.0,
    ("mjpeg", None): 13.0, ("gif", None): 60.0, ("png", None): 150.0,  # gif and png: assumed, as for these:
    ("apng", None): 300.0, ("webp", None): 300.0,
}  # fmt: skip
# Cycles for one sample of any plane, and for one pixel of the reduced picture. Measured in the same way, on
# 360p to 1080p and factors 1 to 6; those without detail at factor 4 only, and otherwise in proportion.
REDUCE_CYCLES = Cycles(0.4, 6.4)
FUSE_CYCLES = Cycles(3.6, 16.0)
FUSE_CYCLES_WITH_DETAIL = Cycles(4.5, 26.0)
FUSE_CYCLES_WITH_INK = Cycles(4.7, 33.0)
FINE_LUMA_CYCLES = 14.0  # for a reduced pixel, at the factors at which the source's own samples are taken
FINE_LUMA_CYCLES_BETWEEN = 60.0  # where they are interpolated
MEMORY_CYCLES = 45.0  # for a reduced pixel
FUSE_UNEVEN = 1.35  # times as many cycles where the factor is not a power of two
FRAME_SECONDS = 0.8e-3  # until a frame that comes alone is begun with
HAND_OVER_SECONDS = 0.4e-3  # until the threads of the network, and those of the fused step, are all at work


def encode_cycles(codec: str, preset: str | None) -> float:
    """Return the cycles for a pixel; where a preset is not known, those of the codec's costliest."""
    if (codec, preset) in ENCODE_CYCLES:
        return ENCODE_CYCLES[codec, preset]
    known = [cycles for (name, _), cycles in ENCODE_CYCLES.items() if name == codec]
    return max(known, default=100.0)
