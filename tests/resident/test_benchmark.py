"""The benchmarks for GPUs run where there is none, on tiny pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import __main__ as all_parts

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="it would measure this GPU, for minutes")


def test_the_benchmark_runs_without_a_gpu_and_writes_what_it_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu.resident", "--out", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    written = json.loads((tmp_path / "gpu_resident.json").read_text())
    rows = {row["case"]: row for row in written["rows"]}
    assert len(rows) == 10
    for factor in (2, 4):
        assert rows[f"eager tiny factor {factor}, error"]["largest_error_codes"] <= 1
        for flow in ("device", "alone", "memory"):
            assert rows[f"eager tiny factor {factor}, {flow}"]["frames"] == 8
        assert rows[f"eager tiny factor {factor}, astray"]["astray"] is None  # not known without a GPU
    assert written["config"]["failures"] == []


def test_engines_are_checked_without_a_gpu_too(tmp_path: Path) -> None:
    assert all_parts.run("engines", 120, tmp_path) is None
    written = json.loads((tmp_path / "gpu_engines.json").read_text())
    assert [row["backend"] for row in written["rows"]] == ["eager"]
    assert written["rows"][0]["agrees"]
    assert written["rows"][0]["p99_ms"] >= written["rows"][0]["p50_ms"] > 0


def test_a_part_that_fails_or_hangs_does_not_keep_the_others_from_being_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(all_parts, "PARTS", {"missing": 60, "engines": 0.01, "resident": 120})
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu"])
    assert all_parts.main() == 1
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if line.startswith("FAILED")] == [
        "FAILED missing: ended with code 1; see above",
        "FAILED engines: took longer than 0.01 s; the figures until then are written",
    ]
