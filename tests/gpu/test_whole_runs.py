"""Whole runs, as the benchmark for machines with everything starts them, where there is no GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu import full, whole
from benchmarks.gpu.cases import NotHereError
from streamfx.cli.parser import parse

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="it would measure this GPU, for minutes")
TINY = (64, 96)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> whole.Setup:
    return whole.Setup(tmp_path_factory.mktemp("whole"), gpu=False, frames=6)


def test_a_run_is_told_from_its_report(setup: whole.Setup) -> None:
    row = whole.whole(setup, TINY)
    assert (row["frames"], row["backend"], row["precision"]) == (6, "eager", "f32")
    assert row["fps"] > 0
    assert {"decode", "translate", "fuse", "encode", "latency"} <= set(row["p50_ms"])


def test_a_run_that_fails_is_told_with_what_it_said(setup: whole.Setup) -> None:
    with pytest.raises(RuntimeError, match=r"ended with code 2: (.|\n)*nowhere\.mp4"):
        setup.run(Path("nowhere.mp4"))


@pytest.mark.parametrize("options", [*whole.BENCHES.values(), whole.TINY_BENCH])
def test_bench_knows_the_options_it_is_given(options: tuple[str, ...]) -> None:
    parse(["bench", "run", "--effect", "wave", *options])  # refuses what is none


def test_nvidias_encoders_need_a_gpu(setup: whole.Setup) -> None:
    with pytest.raises(NotHereError, match="there is no GPU"):
        whole.encoded(setup, TINY, "h264_nvenc")


@pytest.mark.parametrize(("long_bytes", "grows"), [(110 << 20, False), (200 << 20, True)])
def test_memory_that_grows_with_the_frames_is_a_failure(
    setup: whole.Setup, monkeypatch: pytest.MonkeyPatch, long_bytes: int, grows: bool
) -> None:
    def watched(setup: whole.Setup, clip: Path) -> tuple[dict[str, Any], dict[str, int]]:
        return {}, {"process": long_bytes if "-8." in clip.name else 100 << 20, "gpu": 0}

    monkeypatch.setattr(whole, "watched", watched)
    if grows:
        with pytest.raises(AssertionError, match="memory grew with the frames, 2 to 8, by"):
            whole.memory(setup, TINY, 8)
    else:
        assert whole.memory(setup, TINY, 8)["grown_bytes"]["process"] == 10 << 20


def test_the_most_memory_that_a_run_held_is_known(
    setup: whole.Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import time; held = bytes(range(256)) * (200 << 12); time.sleep(0.5)"
    monkeypatch.setattr(whole.Setup, "command", lambda self, clip, *options: [sys.executable, "-c", code])
    monkeypatch.setattr(whole.Setup, "told", lambda self, log: {"log": log})
    row, most = whole.watched(setup, Path("any.mp4"))
    assert row == {"log": ""}
    assert most["process"] > 200 << 20
    assert most["gpu"] == 0


@pytest.mark.slow
def test_everything_runs_without_a_gpu_and_says_what_it_could_not(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu.full", "--out", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=Path(full.__file__).parents[2])
    assert ran.returncode == 0, ran.stdout + ran.stderr
    written = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("gpu_*.json")}
    assert set(written) == {f"gpu_{part.name}" for part in full.PARTS} | {"gpu_bench_tiny"}
    rows = {row["case"]: row for row in written["gpu_whole"]["rows"]}
    assert rows["bench, tiny"]["rows"] == 1
    assert rows["tiny, hevc_nvenc"]["skipped"] == "there is no GPU"
    assert set(rows["memory"]["grown_bytes"]) == {"process", "gpu"}
