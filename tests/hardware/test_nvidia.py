"""GPUs as the driver describes them, with drivers that answer in every way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from streamfx.hardware import nvidia as gpu
from streamfx.hardware.nvidia import Gpu, gpus

T4 = {13: 1_590_000, 16: 40, 36: 5_001_000, 37: 256, 75: 7, 76: 5}


class Cuda:
    """A driver with one GPU, answering as the real one does: 0 and the value, or an error."""

    def __init__(self, attributes: Mapping[int, int], *, devices: int = 1, error: int = 0) -> None:
        self._attributes, self._devices, self._error = attributes, devices, error

    def cuInit(self, flags: int) -> int:
        return self._error

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self._devices
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:
        name.value = b"Tesla T4"
        return 0

    def cuDeviceTotalMem_v2(self, size: Any, device: Any) -> int:
        size._obj.value = 16 << 30
        return 0

    def cuDeviceGetAttribute(self, value: Any, code: int, device: Any) -> int:
        value._obj.value = self._attributes.get(code, 0)
        return 0 if code in self._attributes else 1

    def cuDeviceGetPCIBusId(self, text: Any, size: int, device: Any) -> int:
        return 0


class Nvml:
    """A management library that gives the same answer about decoding, and about encoding."""

    def __init__(self, decode: int, encode: int, *, start: int = 0) -> None:
        self._decode, self._encode, self._start, self.running = decode, encode, start, False

    def nvmlInit_v2(self) -> int:
        self.running = self._start == 0
        return self._start

    def nvmlShutdown(self) -> int:
        self.running = False
        return 0

    def nvmlSystemGetDriverVersion(self, text: Any, length: int) -> int:
        text.value = b"580.65.06"
        return 0

    def nvmlDeviceGetHandleByPciBusId_v2(self, text: Any, handle: Any) -> int:
        return 0

    def nvmlDeviceGetDecoderUtilization(self, handle: Any, value: Any, period: Any) -> int:
        return self._decode

    def nvmlDeviceGetEncoderCapacity(self, handle: Any, codec: int, value: Any) -> int:
        return self._encode


def install(monkeypatch: pytest.MonkeyPatch, cuda: Cuda | None, nvml: Nvml | None) -> None:
    libraries = {"libcuda.so.1": cuda, "libnvidia-ml.so.1": nvml}
    monkeypatch.setattr(gpu, "_load", libraries.__getitem__)


def test_a_gpu_is_described_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml(decode=0, encode=0)
    install(monkeypatch, Cuda(T4), nvml)
    (found,) = gpus()
    bandwidth: Any = pytest.approx(320e9, rel=0.01)
    assert found == Gpu("Tesla T4", (7, 5), 40, 1.59e9, bandwidth, 16 << 30, 1, 1, "580.65.06")
    assert not nvml.running


def test_what_the_driver_does_not_say_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Cuda({}), None)
    assert gpus() == (Gpu("Tesla T4", memory_bytes=16 << 30),)


@pytest.mark.parametrize(("answer", "expected"), [(0, 1), (3, 0), (999, None)])
def test_an_engine_is_there_or_not_or_not_known(
    monkeypatch: pytest.MonkeyPatch, answer: int, expected: int | None
) -> None:
    install(monkeypatch, Cuda(T4), Nvml(decode=0, encode=answer))
    assert [(found.decoders, found.encoders) for found in gpus()] == [(1, expected)]


def test_without_a_driver_or_a_device_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda in (None, Cuda(T4, error=100), Cuda(T4, devices=0)):
        install(monkeypatch, cuda, None)
        assert gpus() == ()


def test_a_management_library_that_does_not_start_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Cuda(T4), Nvml(0, 0, start=9))
    assert [(found.decoders, found.encoders) for found in gpus()] == [(None, None)]


def test_a_library_that_is_not_there_is_none() -> None:
    assert gpu._load("libthere-is-none-of-this-name.so.1") is None
