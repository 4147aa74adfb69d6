"""The benchmark of frames that stay on a GPU runs where there is none, on tiny pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="it would measure this GPU, for minutes")


def test_the_benchmark_runs_without_a_gpu_and_writes_what_it_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu.resident", "--out", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    written = json.loads((tmp_path / "gpu_resident.json").read_text())
    rows = {row["case"]: row for row in written["rows"]}
    assert len(rows) == 15
    for case in ("eager tiny factor 2", "eager tiny factor 4", "eager with ink tiny factor 4"):
        assert rows[f"{case}, error"]["largest_error_codes"] <= 1
        for flow in ("device", "alone", "memory"):
            assert rows[f"{case}, {flow}"]["frames"] == 8
        assert rows[f"{case}, astray"]["astray"] is None  # not known without a GPU
    assert written["config"]["failures"] == []
