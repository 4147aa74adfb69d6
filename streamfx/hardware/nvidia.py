"""GPU: what NVIDIA's driver says of each, asked directly: nothing is installed for it and nothing heavy
loads.

The driver's library (CUDA driver API) knows the chip; its management library (NVML) knows whether there
are engines that decode and encode video. Both come with the driver. Where they are not there, there is no
GPU.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

_CUDA, _NVML = "libcuda.so.1", "libnvidia-ml.so.1"
_NOT_SUPPORTED = 3  # NVML_ERROR_NOT_SUPPORTED

_NVML_CLOCK_SM, _NVML_CLOCK_MEMORY = 1, 2  # nvmlClockType_t in nvml.h

# CUdevice_attribute in cuda.h.
_CLOCK_KHZ, _MULTIPROCESSORS, _MEMORY_CLOCK_KHZ, _BUS_BITS, _MAJOR, _MINOR = 13, 16, 36, 37, 75, 76


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics processor. What is not known is None.

    Attributes:
        name: name as the driver reports it.
        compute_capability: (major, minor), which says what its multiprocessors can do.
        multiprocessors: number of multiprocessors.
        clock_hz: the highest clock of the multiprocessors.
        bandwidth_bytes_per_second: bandwidth of its memory, by clock and bus width.
        memory_bytes: size of its memory.
        decoders: engines that decode video; for a GPU that is here, 1 means at least one.
        encoders: engines that encode video; likewise.
        driver: version of the driver.
    """

    name: str
    compute_capability: tuple[int, int] | None = None
    multiprocessors: int | None = None
    clock_hz: float | None = None
    bandwidth_bytes_per_second: float | None = None
    memory_bytes: int | None = None
    decoders: int | None = None
    encoders: int | None = None
    driver: str | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """What besides its name decides on what is built for it, and on how fast that is."""
        major, minor = self.compute_capability or (0, 0)
        return f"compute capability {major}.{minor}", f"driver {self.driver}"


def gpus() -> tuple[Gpu, ...]:
    """Return the NVIDIA GPUs that this process can use; none where there is no driver."""
    cuda = _load(_CUDA)
    if cuda is None or cuda.cuInit(0) != 0:
        return ()
    count = ctypes.c_int()
    if cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    nvml = _load(_NVML)
    if nvml is not None and nvml.nvmlInit_v2() != 0:
        nvml = None
    try:
        return tuple(_describe(cuda, nvml, number) for number in range(count.value))
    finally:
        if nvml is not None:
            nvml.nvmlShutdown()


def _describe(cuda: Any, nvml: Any, number: int) -> Gpu:
    device = ctypes.c_int()
    if cuda.cuDeviceGet(ctypes.byref(device), number) != 0:
        return Gpu("unknown GPU")
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    named = cuda.cuDeviceGetName(name, len(name), device) == 0
    sized = cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device) == 0

    def attribute(code: int) -> int | None:
        value = ctypes.c_int()
        known = cuda.cuDeviceGetAttribute(ctypes.byref(value), code, device) == 0
        return value.value if known and value.value > 0 else None

    major, minor = attribute(_MAJOR), attribute(_MINOR) or 0
    clock_khz, memory_khz, bus_bits = (
        attribute(_CLOCK_KHZ),
        attribute(_MEMORY_CLOCK_KHZ),
        attribute(_BUS_BITS),
    )
    decoders, encoders = _engines(cuda, nvml, device)
    return Gpu(
        name=name.value.decode(errors="replace") if named else "unknown GPU",
        compute_capability=None if major is None else (major, minor),
        multiprocessors=attribute(_MULTIPROCESSORS),
        clock_hz=None if clock_khz is None else clock_khz * 1e3,
        # Two transfers a clock, as the driver counts the clocks of all kinds of memory.
        bandwidth_bytes_per_second=(
            None if memory_khz is None or bus_bits is None else 2 * memory_khz * 1e3 * bus_bits / 8
        ),
        memory_bytes=memory.value if sized else None,
        decoders=decoders,
        encoders=encoders,
        driver=_driver(nvml),
    )


def _driver(nvml: Any) -> str | None:
    text = ctypes.create_string_buffer(80)
    if nvml is None or nvml.nvmlSystemGetDriverVersion(text, len(text)) != 0:
        return None
    return text.value.decode(errors="replace")


def _engines(cuda: Any, nvml: Any, device: ctypes.c_int) -> tuple[int | None, int | None]:
    """Return whether there are engines that decode and encode, as 1 or 0; None where NVML does not say."""
    bus_id, handle = ctypes.create_string_buffer(32), ctypes.c_void_p()
    if nvml is None or cuda.cuDeviceGetPCIBusId(bus_id, len(bus_id), device) != 0:
        return None, None
    if nvml.nvmlDeviceGetHandleByPciBusId_v2(bus_id, ctypes.byref(handle)) != 0:
        return None, None
    value, period = ctypes.c_uint(), ctypes.c_uint()
    decode = nvml.nvmlDeviceGetDecoderUtilization(handle, ctypes.byref(value), ctypes.byref(period))
    encode = nvml.nvmlDeviceGetEncoderCapacity(handle, 0, ctypes.byref(value))
    return _present(decode), _present(encode)


def _present(answer: int) -> int | None:
    return {0: 1, _NOT_SUPPORTED: 0}.get(answer)


def _load(library: str) -> Any | None:
    try:
        return ctypes.CDLL(library)
    except OSError:
        return None


class GpuMeter:
    """Reads clocks and energy of the first GPU, as NVML gives them; close it afterwards."""

    def __init__(self, nvml: Any, handle: ctypes.c_void_p) -> None:
        self._nvml, self._handle = nvml, handle

    def driver(self) -> str | None:
        """Return the version of the driver."""
        text = ctypes.create_string_buffer(96)
        if self._nvml.nvmlSystemGetDriverVersion(text, len(text)) != 0:
            return None
        return text.value.decode(errors="replace")

    def joules(self) -> float | None:
        """Return the energy taken since the driver was loaded; None where the GPU does not count it."""
        millijoules = ctypes.c_ulonglong()
        if self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle, ctypes.byref(millijoules)) != 0:
            return None
        return millijoules.value / 1e3

    def clocks_mhz(self) -> dict[str, float]:
        """Return the clocks of multiprocessors and memory at this moment; those that are known."""
        found = {}
        for name, code in (("GPU", _NVML_CLOCK_SM), ("GPU memory", _NVML_CLOCK_MEMORY)):
            clock = ctypes.c_uint()
            if self._nvml.nvmlDeviceGetClockInfo(self._handle, code, ctypes.byref(clock)) == 0:
                found[name] = float(clock.value)
        return found

    def close(self) -> None:
        """Let go of the library."""
        self._nvml.nvmlShutdown()


def open_gpu_meter() -> GpuMeter | None:
    """Return what reads the first GPU that this process can use; None where there is none, or no NVML."""
    cuda, nvml = _load(_CUDA), _load(_NVML)
    if cuda is None or nvml is None or cuda.cuInit(0) != 0 or nvml.nvmlInit_v2() != 0:
        return None
    device, bus_id, handle = ctypes.c_int(), ctypes.create_string_buffer(32), ctypes.c_void_p()
    if (
        cuda.cuDeviceGet(ctypes.byref(device), 0) != 0
        or cuda.cuDeviceGetPCIBusId(bus_id, len(bus_id), device) != 0
        or nvml.nvmlDeviceGetHandleByPciBusId_v2(bus_id, ctypes.byref(handle)) != 0
    ):
        nvml.nvmlShutdown()
        return None
    return GpuMeter(nvml, handle)
