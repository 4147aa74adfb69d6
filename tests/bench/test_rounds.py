"""Cases in processes of their own: rows by hand, one that breaks, one that is stopped."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from streamfx.bench import rounds as turns_module
from streamfx.bench import worker
from streamfx.bench.environment import MeterReadings, Surroundings
from streamfx.bench.level import FRAME, Setup
from streamfx.bench.result import ActualSettings, BenchConfig
from streamfx.bench.rounds import measure
from streamfx.bench.runner import Runner, row_of
from streamfx.bench.worker import Answer, Failure, Ready, Turn, peak_memory_bytes
from streamfx.errors import DeviceMemoryError, StreamfxError
from streamfx.pipeline.stats import Stats
from streamfx.run.placement import Placement
from tests.bench.figures import case

RAN = ActualSettings(backend="openvino", precision="f32", threads=2)
READY = Ready(RAN, "words", 7, 0.01, None, None)
LOOKS = [(MeterReadings(0.0, {}, None), MeterReadings(1.0, {}, None))]


def turns(*milliseconds: int) -> list[Turn]:
    """Return turns of one frame each of a given time."""
    stats, found = Stats(), []
    for each in milliseconds:
        stats.add(FRAME, each / 1e3)
        stats.add("fuse", each / 2e3)
        found.append(Turn(1, each / 1e3, 0.0, stats.stages(), each << 20, None))
    return found


def test_the_figures_of_a_row_are_those_of_all_its_turns() -> None:
    row = row_of(case(), READY, turns(*range(1, 101)), LOOKS)
    assert row.fps == pytest.approx(100 / 5.05)  # 1 + 2 + … + 100 ms
    assert row.p50_ms == pytest.approx(50, rel=0.011)
    assert row.p95_ms == pytest.approx(95, rel=0.011)
    assert row.p99_ms == pytest.approx(99, rel=0.011)
    assert row.max_ms == 100
    assert row.turns_fps[0] == pytest.approx(1000)
    assert (row.frames, row.warm_up_frames, row.ran) == (100, 7, RAN)
    assert row.peak_memory_mib == 100
    assert row.parts_p50_ms == {"fuse": pytest.approx(25, rel=0.011)}


def test_percentiles_of_too_few_frames_are_not_told() -> None:
    few, some = (row_of(case(), READY, turns(*range(1, count + 1)), LOOKS) for count in (19, 99))
    assert (few.p95_ms, few.p99_ms) == (None, None)
    assert some.p95_ms == pytest.approx(95, rel=0.011)
    assert some.p99_ms is None


def config(**other: object) -> BenchConfig:
    values = {
        "levels": ("model",), "effects": ("tiny",), "sizes": ((64, 96),), "factors": (2.0,),
        "backends": ("openvino",), "precisions": ("f32",), "threads": 1, "frames": 4,
        "seconds": 1.0, "rounds": 2,
    }  # fmt: skip
    return BenchConfig.model_validate(values | other)


@pytest.mark.usefixtures("at_home")
def test_stopped_in_the_middle_the_figures_are_those_until_then() -> None:
    def told(line: str) -> None:
        if line == "round 2 of 2":
            raise KeyboardInterrupt

    result = measure(config(), told)
    assert result.stopped
    assert [len(row.turns_fps) for row in result.rows] == [1]
    assert result.failed == ()


@pytest.mark.usefixtures("at_home")
def test_what_lacks_device_memory_beside_others_has_its_turn_after_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others: list[Runner] = []

    def crowded(setup: Setup, config: BenchConfig) -> Runner:
        runner = Runner(setup, config)
        start, end = runner.open, runner.close

        def opened() -> Answer:
            if others:
                return Failure("no device memory", lacks_device_memory=True)
            others.append(runner)
            return start()

        def closed() -> None:
            others[:] = [other for other in others if other is not runner]
            end()

        monkeypatch.setattr(runner, "open", opened)
        monkeypatch.setattr(runner, "close", closed)
        return runner

    monkeypatch.setattr(turns_module, "Runner", crowded)
    told: list[str] = []
    result = measure(config(factors=(2.0, 4.0), rounds=1), told.append)
    assert [row.case.factor for row in result.rows] == [2.0, 4.0]
    assert result.failed == ()
    last = "opening model tiny 96x64 factor 4 openvino f32, 0 to come"
    assert told[1:] == [last, "round 1 of 1", last, "round 1 of 1"]


def test_a_process_says_whether_it_was_device_memory_that_it_lacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(error: StreamfxError) -> Failure:
        def fail(setup: Setup, place: Placement) -> Any:
            raise error

        ours, theirs = multiprocessing.Pipe()
        monkeypatch.setattr(worker, "LEVELS", {"model": fail})
        worker.work(theirs, Setup(case(), 1, 2, None, "x264", tmp_path, "cpu"))
        answer = ours.recv()
        assert isinstance(answer, Failure)
        return answer

    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert opened(DeviceMemoryError("too large")) == Failure("too large", lacks_device_memory=True)
    assert opened(StreamfxError("no")) == Failure("no")


@pytest.mark.usefixtures("at_home")
def test_where_memory_is_short_cases_do_not_wait_for_one_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns_module, "available_memory_bytes", lambda: 1 << 20)
    told: list[str] = []
    result = measure(config(factors=(2.0, 4.0), rounds=1), told.append)
    assert [row.case.factor for row in result.rows] == [2.0, 4.0]
    assert told == [
        "opening model tiny 96x64 factor 2 openvino f32, 1 to come",
        "round 1 of 1",
        "opening model tiny 96x64 factor 4 openvino f32, 0 to come",
        "round 1 of 1",
    ]


def test_what_is_measured_is_a_process_that_did_not_have_to_compile(
    at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMFX_CACHE", str(at_home / "cache"))
    opened: list[Runner] = []

    def counted(setup: Setup, config: BenchConfig) -> Runner:
        opened.append(Runner(setup, config))
        return opened[-1]

    monkeypatch.setattr(turns_module, "Runner", counted)
    for processes in (2, 3):  # compiled by the first; the second time it is there
        assert len(measure(config(rounds=1)).rows) == 1
        assert len(opened) == processes


def test_a_process_that_is_killed_is_a_case_that_failed(at_home: Path) -> None:
    asked = case(
        effect="tiny", width_pixels=96, height_pixels=64, factor=2.0, backend="openvino", precision="f32"
    )
    runner = Runner(Setup(asked, 1, 2, None, "x264", at_home), config())
    ready = runner.open()
    assert isinstance(ready, Ready)
    around = Surroundings()
    assert isinstance(runner.turn(around), Turn)
    assert runner.row().peak_memory_mib
    assert runner.process_id is not None
    os.kill(runner.process_id, signal.SIGKILL)
    answer = runner.turn(around)
    runner.close()
    around.close()
    assert answer == Failure("its process was ended by signal 9, perhaps for lack of memory")


def test_the_most_memory_is_what_the_system_counted_for_this_program(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t  2048 kB\nVmRSS:\t 100 kB\n")
    assert peak_memory_bytes(tmp_path / "status") == 2 << 20
    assert peak_memory_bytes(tmp_path / "nothing") is None
