"""Clocks, energy and other programs, read from files and drivers as Linux and NVIDIA show them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from streamfx.bench.energy import Rapl
from streamfx.bench.environment import MeterReadings, Surroundings, busy_seconds, processor_mhz
from streamfx.bench.runner import taken_by_others, watts
from streamfx.hardware import nvidia as gpu
from tests.hardware.test_nvidia import T4, Cuda, Nvml, install


def package(root: Path, name: str, microjoules: int) -> Path:
    (root / name).mkdir(parents=True, exist_ok=True)
    (root / name / "max_energy_range_uj").write_text("999999\n")
    (root / name / "energy_uj").write_text(f"{microjoules}\n")
    return root / name


def test_the_energy_of_all_packages_adds_up_across_their_wrap_around(tmp_path: Path) -> None:
    package(tmp_path, "intel-rapl:0", 900_000)
    package(tmp_path, "intel-rapl:1", 100)
    package(tmp_path, "intel-rapl:0:0", 5)  # part of the first package
    meter = Rapl(tmp_path)
    assert meter.joules() == 0
    package(tmp_path, "intel-rapl:0", 100_000)  # wrapped: 200000 more
    package(tmp_path, "intel-rapl:1", 300_100)
    package(tmp_path, "intel-rapl:0:0", 500_000)
    assert meter.joules() == pytest.approx(0.5)
    package(tmp_path, "intel-rapl:1", 400_100)
    assert meter.joules() == pytest.approx(0.6)
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
    assert meter.joules() is None


def test_energy_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"the system shows no energy counters \(RAPL\)"):
        Rapl(tmp_path)
    package(tmp_path, "intel-rapl:0", 1).joinpath("energy_uj").unlink()
    with pytest.raises(OSError, match="energy_uj"):
        Rapl(tmp_path)


def test_the_clock_is_the_mean_of_all_processors(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\ncpu MHz\t\t: 2000.5\n\nprocessor\t: 1\ncpu MHz\t\t: 3000.5\n"
    )
    assert processor_mhz(tmp_path / "cpuinfo") == 2500.5
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n")
    assert processor_mhz(tmp_path / "cpuinfo") is None
    assert processor_mhz(tmp_path / "nothing") is None


def test_processors_are_busy_with_everything_but_idling_and_waiting(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  100 20 30 5000 700 4 6 40 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n")
    assert busy_seconds(tmp_path / "stat") == 200 / os.sysconf("SC_CLK_TCK")
    assert busy_seconds(tmp_path / "nothing") is None


def test_others_took_what_was_busy_and_not_ours() -> None:
    cores = os.cpu_count() or 1
    looks = [
        (MeterReadings(0.0, {}, 10.0), MeterReadings(2.0, {}, 10.0 + cores)),
        (MeterReadings(5.0, {}, 50.0), MeterReadings(7.0, {}, 50.0 + cores)),
    ]  # of four seconds on all cores, half was busy
    assert taken_by_others(looks, 0.0) == 0.5
    assert taken_by_others(looks, cores) == 0.25
    assert taken_by_others(looks, 100.0 * cores) == 0
    assert taken_by_others([(MeterReadings(0.0, {}, None), MeterReadings(1.0, {}, None))], 1.0) is None


def test_power_is_energy_by_time_of_meters_that_could_be_read_all_the_time() -> None:
    looks = [
        (
            MeterReadings(0.0, {"processor": 0.0, "GPU": 5.0}, None),
            MeterReadings(1.0, {"processor": 30.0, "GPU": 105.0}, None),
        ),
        (
            MeterReadings(9.0, {"processor": 90.0, "GPU": 900.0}, None),
            MeterReadings(12.0, {"GPU": 1200.0}, None),
        ),
    ]
    assert watts(looks) == {"GPU": 100.0}
    assert watts(looks[:1]) == {"GPU": 100.0, "processor": 30.0}


class Meter(Nvml):
    """A management library that knows clocks and energy, unless ``answer`` is an error."""

    def __init__(self, answer: int = 0) -> None:
        super().__init__(decode=0, encode=0)
        self._answer = answer

    def nvmlSystemGetDriverVersion(self, text: Any, size: int) -> int:
        text.value = b"580.65"
        return self._answer

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, value: Any) -> int:
        value._obj.value = 12_500
        return self._answer

    def nvmlDeviceGetClockInfo(self, handle: Any, code: int, value: Any) -> int:
        value._obj.value = {1: 1980, 2: 2619}[code]
        return self._answer


def test_a_gpu_tells_its_driver_clocks_and_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Meter()
    install(monkeypatch, Cuda(T4), nvml)
    around = Surroundings()
    assert around.look().joules["GPU"] == 12.5
    device = around.device()
    assert device.driver == "580.65"
    clocks = {name: clock for name, clock in device.clocks_mhz.items() if name.startswith("GPU")}
    assert clocks == {"GPU": (1980, 1980), "GPU memory": (2619, 2619)}
    assert device.gpus[0]["name"] == "Tesla T4"
    around.close()
    assert not nvml.running


def test_what_a_gpu_does_not_tell_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Cuda(T4), Meter(answer=3))
    meter = gpu.open_gpu_meter()
    assert meter is not None
    assert (meter.driver(), meter.joules(), meter.clocks_mhz()) == (None, None, {})
    meter.close()


def test_without_a_gpu_or_its_library_there_is_no_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, nvml in ((None, Meter()), (Cuda(T4), None), (Cuda(T4, error=100), Meter())):
        install(monkeypatch, cuda, nvml)
        assert gpu.open_gpu_meter() is None
    lost = Meter()
    lost.nvmlDeviceGetHandleByPciBusId_v2 = lambda text, handle: 6  # type: ignore[method-assign]
    install(monkeypatch, Cuda(T4), lost)
    assert gpu.open_gpu_meter() is None
    assert not lost.running


def test_the_device_of_these_tests_is_described() -> None:
    around = Surroundings()
    device = around.device()
    around.close()
    assert device.processor["usable_cores"] >= 1
    assert device.system
    assert all("power of the processor is not known: " in note for note in around.notes)
