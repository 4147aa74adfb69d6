"""What the processor is, and how much of it this process may use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from streamfx.hardware import cpu as device
from streamfx.hardware.cpu import available_memory_bytes, cgroup_cores, cpu, physical_cores, usable_cores

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux says")


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    (tmp_path / "membership").write_text("9:cpuset:/other\n4:cpu,cpuacct:/outer/inner\n0::/outer/inner\n")
    return tmp_path


def limit(groups: Path, group: str, **files: str) -> None:
    (groups / group).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (groups / group / name.replace("__", ".")).write_text(text + "\n")


def cores(groups: Path) -> float | None:
    return cgroup_cores(groups, groups / "membership")


def test_a_processor_has_a_name_and_usable_cores() -> None:
    found = cpu()
    assert found.name
    assert 1 <= found.usable_cores <= (os.cpu_count() or 1)


@linux_only
def test_cores_that_the_process_may_not_run_on_do_not_count() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@linux_only
def test_a_share_of_time_counts_as_cores_rounded_up(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    for share, expected in ((None, 8), (0.2, 1), (1.5, 2), (64.0, 8)):
        monkeypatch.setattr("streamfx.hardware.cpu.cgroup_cores", lambda share=share: share)
        assert usable_cores() == expected


def test_no_control_group_is_no_limit(tmp_path: Path) -> None:
    assert cgroup_cores(tmp_path, tmp_path / "membership") is None


def test_the_smallest_limit_of_the_group_and_those_above_it_holds(groups: Path) -> None:
    limit(groups, "outer/inner", cpu__max="max 100000")
    assert cores(groups) is None
    limit(groups, "outer", cpu__max="150000 100000")
    assert cores(groups) == 1.5
    limit(groups, "outer/inner", cpu__max="400000 100000")
    assert cores(groups) == 1.5
    limit(groups, ".", cpu__max="50000 100000")
    assert cores(groups) == 0.5


def test_limits_of_version_1_are_read(groups: Path) -> None:
    limit(groups, "cpu/outer/inner", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert cores(groups) is None
    limit(groups, "cpu", cpu__cfs_quota_us="300000", cpu__cfs_period_us="100000")
    assert cores(groups) == 3


@pytest.mark.parametrize("text", ["", "max", "1 0", "many few"])
def test_a_limit_that_cannot_be_read_is_no_limit(groups: Path, text: str) -> None:
    limit(groups, "outer", cpu__max=text)
    assert cores(groups) is None


@linux_only
def test_processors_that_share_a_core_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 5})
    assert physical_cores(tmp_path) is None
    for number, (package, core) in {0: (0, 0), 1: (0, 1), 2: (0, 0), 5: (1, 0)}.items():
        topology = tmp_path / f"cpu{number}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{package}\n")
        (topology / "core_id").write_text(f"{core}\n")
    assert physical_cores(tmp_path) == 3


@linux_only
def test_the_highest_clock_counts_where_the_system_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert device._highest_clock_hz(tmp_path) is None
    for number, kilohertz in ((0, "3400000\n"), (1, "4700000\n")):
        folder = tmp_path / f"cpu{number}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "cpuinfo_max_freq").write_text(kilohertz)
    assert device._highest_clock_hz(tmp_path) == 4.7e9


def test_a_quota_also_limits_the_physical_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "physical_cores", lambda: 16)
    monkeypatch.setattr(device, "usable_cores", lambda: 3)
    assert cpu().physical_cores == 3
    monkeypatch.setattr(device, "physical_cores", lambda: None)
    assert cpu().physical_cores is None


def test_available_memory_is_what_the_system_says_or_unknown(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:       8000 kB\nMemFree: 10 kB\nMemAvailable:    5000 kB\n")
    assert available_memory_bytes(tmp_path / "meminfo") == 5000 * 1024
    assert available_memory_bytes(tmp_path / "nothing") is None
