"""The fused step by other libraries gives what the definition says, so that times are of the same thing."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.gpu import peers
from benchmarks.gpu.cases import Cases
from benchmarks.gpu.contenders import by_cupy, by_opencv, by_torch
from benchmarks.gpu.kernels import defined
from benchmarks.gpu.material import Material, material, planes_of
from streamfx.generate.ops.fuse.definition import bilinear
from tests import fake_cuda
from tests.generate.ops.test_gpu_kernels import needs_triton

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "inked"])
def one(request: pytest.FixtureRequest) -> Material:
    # Odd factors, sizes that are no power of two.
    return material("nv12", (66, 130), (33, 40), 0, "cpu", inked=request.param)


@pytest.fixture(scope="module")
def expected(one: Material) -> Any:
    return defined(one, 8, 1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_torch_gives_the_definition(one: Material, expected: Any, dtype: torch.dtype) -> None:
    by_torch(one, dtype)(one)
    inked_in_half = dtype == torch.float16 and one.seen is not None  # codes of half precision, times slopes
    assert peers.off(planes_of(one.out), expected)["largest_off_codes"] <= (2 if inked_in_half else 1)


def test_cupy_gives_the_definition(one: Material, expected: Any) -> None:
    def map_coordinates(image: Any, at: Any, order: int, mode: str, output: Any) -> Any:
        assert (order, mode) == (1, "nearest")
        return bilinear(image, at[0].astype(float), at[1].astype(float)).astype(output)

    by_cupy(one, (np, SimpleNamespace(map_coordinates=map_coordinates)))(one)
    assert peers.off(planes_of(one.out), expected)["largest_off_codes"] <= 1


def test_opencv_gives_the_definition(one: Material, expected: Any) -> None:
    pytest.importorskip("cv2")
    assert peers.off(by_opencv(one)(), expected)["largest_off_codes"] <= 1


def test_what_is_off_is_told(one: Material, expected: Any) -> None:
    wrong = [plane.copy() for plane in expected]
    wrong[0][3, 4] = expected[0][3, 4] ^ 64
    row = peers.off(wrong, expected)
    assert (row["agrees"], row["largest_off_codes"], row["pixels_off"]) == (False, 64, 1)


def rows_of(folder: Path) -> dict[str, Any]:
    written = json.loads((folder / "gpu_peers.json").read_text())
    assert written["config"]["failures"] == []
    return {row["case"]: row for row in written["rows"]}


def test_all_are_checked_and_take_turns_and_who_is_not_there_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(one: Material) -> Any:
        raise ImportError("no OpenCV")

    monkeypatch.setattr(peers, "by_opencv", without)
    # The kernel itself takes a process of its own, for Triton's interpreter.
    monkeypatch.setattr(peers, "ours", partial(by_torch, dtype=torch.float32))
    monkeypatch.setenv("TRITON_INTERPRET", "1")  # it is set by what is tested: be it gone afterwards
    monkeypatch.setattr(sys, "argv", ["peers", "--out", str(tmp_path)])
    assert peers.main() == 0
    rows = rows_of(tmp_path)
    for name in ("streamfx", "torch float32", "torch float16"):
        assert rows[f"tiny factor 2, {name}, check"]["agrees"]
        assert rows[f"tiny factor 2, {name}, time"]["median_us"] > 0
        assert rows[f"tiny factor 2 with ink, {name}, time"]["median_us"] > 0
    assert rows["tiny factor 2, streamfx, time"]["times_ours"] == 1
    assert rows["tiny factor 2, OpenCV on the processor"]["skipped"] == "ImportError: no OpenCV"
    assert rows["tiny factor 2"]["size"] == [32, 64]
    assert rows["tiny factor 2"]["bytes"] == 2 * 32 * 64 * 3 // 2 + 6 * 16 * 32 * 2
    assert rows["tiny factor 2 with ink"]["bytes"] == 2 * 32 * 64 * 3 // 2 + (11 + 3) * 16 * 32 * 2


def test_on_a_gpu_they_are_recorded_and_take_turns_on_pictures_that_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_cuda.install(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "NVIDIA Imaginary 1")
    monkeypatch.setattr(peers, "LAUNCHES", 3)
    cases = Cases("gpu_peers", tmp_path, {}, gpu=True)
    table = peers.Table(cases, "tiny", (32, 64), 2, "cpu", gpu=True)
    table.enter("streamfx", partial(by_torch, dtype=torch.float32))
    table.enter("torch float16", partial(by_torch, dtype=torch.float16), recorded=False)
    table.turns(4)
    rows = rows_of(tmp_path)
    assert rows["tiny, streamfx, check"]["recorded"]
    assert not rows["tiny, torch float16, check"]["recorded"]
    assert rows["tiny, streamfx, time"]["pictures"] == 3
    assert rows["tiny, torch float16, time"]["times_ours"] > 0


@pytest.mark.slow
def test_the_peers_run_without_a_gpu(tmp_path: Path) -> None:
    needs_triton()
    command = [sys.executable, "-m", "benchmarks.gpu.peers", "--out", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for name in ("tiny factor 2", "tiny factor 2 with ink"):
        assert rows_of(tmp_path)[f"{name}, streamfx, check"]["agrees"]
