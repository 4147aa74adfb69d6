"""The GPU's kernels without a GPU: numbers from Triton's interpreter, and binaries for real GPUs."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PIXELS = 256  # of a block that averages heads
MOST_REGISTERS = 64  # half of the threads an SM holds can then run on it at least
ARCHITECTURES = ("80", "86", "89", "90", "100", "120")
OF_EACH_KIND = ("80", "89", "90", "120")


def needs_triton() -> None:
    """Skip without Triton, but fail where it was promised: see `.ci/run`."""
    if importlib.util.find_spec("triton") is None:
        promised = "triton" in os.environ.get("STREAMFX_TESTS_NEED", "").split()
        (pytest.fail if promised else pytest.skip)("Triton is not installed: pip install 'streamfx[gpu]'")


def output_of(
    module: str, *arguments: str, interpreted: bool, cache: Path, package: str = "tests.generate.ops"
) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(cache)
    if interpreted:
        environment["TRITON_INTERPRET"] = "1"
    ran = subprocess.run(
        [sys.executable, "-m", f"{package}.{module}", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """How far the kernels are off in the interpreter, by kind of case."""
    needs_triton()
    output = output_of("interpreted_kernels", interpreted=True, cache=tmp_path_factory.mktemp("triton"))
    results: dict[str, list[dict[str, Any]]] = json.loads(output)
    return results


@pytest.fixture(scope="module")
def named(interpreted: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    return {result["name"]: result for result in interpreted["named"]}


def test_the_fused_kernel_is_within_one_code_of_the_reference_on_anything(
    interpreted: dict[str, list[dict[str, Any]]],
) -> None:
    assert len(interpreted["fuse"]) >= 20
    assert [
        result for result in interpreted["fuse"] if result["difference"] > 1 or any(result["flags"])
    ] == []


def test_placing_and_adding_are_within_one_code_of_the_reference_on_anything(
    interpreted: dict[str, list[dict[str, Any]]],
) -> None:
    assert len(interpreted["place"]) >= 30
    assert [result for result in interpreted["place"] if result["difference"] > 1] == []


def test_the_reduction_equals_the_reference_on_anything(
    interpreted: dict[str, list[dict[str, Any]]],
) -> None:
    assert len(interpreted["reduce"]) >= 40
    assert [result for result in interpreted["reduce"] if result["difference"] > 1e-5] == []


def test_heads_are_averaged_with_those_of_the_frames_before_as_the_reference_says(
    interpreted: dict[str, list[dict[str, Any]]],
) -> None:
    results = interpreted["steady"]
    assert len(results) == 2 * 3 * 7
    for result in results:
        assert result["difference"] <= (0.1 if "half: True" in result["name"] else 1e-4), result
    for number, averaged in enumerate((False, True, True, False, True, False, True)):
        of_frame = [result for result in results if result["name"].startswith(f"frame {number},")]
        assert all((result["changed"] > 1) == averaged for result in of_frame), of_frame


@pytest.mark.parametrize(
    "name",
    [
        "strengths of 0, 0.3 and 1 in one batch",
        "half precision",
        "channels last",
        "heads as large as numbers get",
        "displacements far beyond the frame",
        "ink as large as numbers get",
    ],
)
def test_the_fused_kernel_is_within_one_code_of_the_reference_with(
    name: str, named: dict[str, dict[str, Any]]
) -> None:
    assert named[name]["difference"] <= 1
    assert not any(named[name]["flags"])


@pytest.mark.parametrize("kind", ["at 8 bits", "of P010", "at 16 bits"])
def test_strength_zero_is_the_identity_on_a_gpu_too(kind: str, named: dict[str, dict[str, Any]]) -> None:
    assert named[f"strength 0 {kind} is the identity"]["difference"] == 0


@pytest.mark.parametrize("name", ["not a number", "infinite", "not a number at the edge"])
def test_heads_that_are_not_finite_raise_the_flag_of_their_picture_and_spoil_no_other(
    name: str, named: dict[str, dict[str, Any]]
) -> None:
    assert named[name]["flags"] == [1, 0]
    assert named[name]["difference"] <= 1


def test_each_head_of_the_ink_that_is_not_finite_raises_the_flag_of_its_picture(
    named: dict[str, dict[str, Any]],
) -> None:
    assert named["not a number in the ink"]["flags"] == [0, 1, 1, 1, 1]
    assert named["not a number in the ink"]["difference"] <= 1


def test_fine_luma_is_exact_and_half_precision_holds_it_to_a_quarter_of_a_code_of_ten_bits(
    named: dict[str, dict[str, Any]],
) -> None:
    assert named["fine luma of P010"]["difference"] == 0
    assert 0 < named["fine luma in half precision"]["difference"] <= 0.25


def test_another_strength_than_the_one_compared_with_would_be_noticed(
    named: dict[str, dict[str, Any]],
) -> None:
    assert named["control"]["difference"] > 1


def compiled(cache: Path, *arguments: str) -> list[dict[str, Any]]:
    needs_triton()
    output = output_of("compiled_kernels", *arguments, interpreted=False, cache=cache)
    return [json.loads(line) for line in output.splitlines()]


def assert_fits(build: dict[str, Any]) -> None:
    assert build["registers"] <= MOST_REGISTERS, build
    assert build["local_bytes"] == build["stack_bytes"] == 0, build
    shared = 4 * PIXELS if build["build"] == "agree" else 0  # by which the threads add up what they count
    assert build["shared_bytes"] <= shared, build


def test_the_kernels_compile_for_real_gpus_within_the_registers_and_without_spilling(tmp_path: Path) -> None:
    first, *later = OF_EACH_KIND
    names = (
        "nv12_factor_4",
        "nv12_inked_factor_4",
        "reduce_nv12_factor_4",
        "fine_nv12_factor_4",
        "agree",
        "average",
    )
    builds = compiled(tmp_path, first, *names, "--later", *later)
    assert [str(build["architecture"]) for build in builds] == len(names) * list(OF_EACH_KIND)
    for build in builds:
        assert_fits(build)
    fused, inked, reduced, fine, agree, average = builds[:: len(OF_EACH_KIND)]
    # Half of it is luma: 8 pixels in a row have 4 columns of 4 heads, above and below, and 4 samples each.
    # Chroma: 4 pairs in a row, 4 columns of 5 heads, and 4 pairs each. And the strength.
    assert fused["loads"] <= 2 * 4 * 4 + 8 * 4 + 2 * 4 * 5 + 4 * 4 + 1
    assert fused["stores"] <= 2 + 2 + 2  # words of 4 bytes, and the flags
    # Luma: 4 pixels in a row have 3 columns of 9 heads and of the reduced luma, 4 samples each, and one of
    # their own. Chroma: 2 pairs in a row, 3 columns of 6 heads and of both reduced planes, pairs likewise.
    assert inked["loads"] <= 2 * 3 * 10 + 4 * 5 + 2 * 3 * 8 + 2 * 5 + 1
    assert inked["stores"] <= 1 + 1 + 3
    assert reduced["loads"] < 60
    # Luma: where it begins, 5 weights for each of 4 samples in a row, which are kept, and 4 rows of as many
    # samples and 5 weights; no sample is loaded twice. The rest is chroma's.
    assert fine["loads"] <= 2 + 5 * 4 + 4 * (4 + 5) + 20
    assert fine["stores"] == 1 + 16 + 2
    # Two pixels a thread, 9 places of 3 planes of two pictures each.
    assert agree["loads"] <= 2 * 9 * 3 * 2
    # Heads, and for each of two frames before heads, agreement, how many are known and how many agree; the
    # same again for the reduced planes.
    assert average["loads"] <= 2 * (1 + 2 * 2 + 1 + 2) + 2 * 2
    assert average["stores"] <= 2 * (1 + 2 + 2)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_build_fits_every_architecture(architecture: str, tmp_path: Path) -> None:
    for build in compiled(tmp_path, architecture):
        assert_fits(build)


def test_the_benchmark_of_the_kernels_runs_without_a_gpu(tmp_path: Path) -> None:
    needs_triton()
    command = [sys.executable, "-m", "benchmarks.gpu.kernels", "--out", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    rows = json.loads((tmp_path / "gpu_kernels.json").read_text())["rows"]
    assert {row["step"] for row in rows if "step" in row} == {"fuse", "reduce"}
    assert {row["inked"] for row in rows if "fuse_off_codes" in row} == {False, True}
    assert {row["inked"] for row in rows if "median_us" in row} == {False, True}
