"""The benchmarks for GPUs as programs: one after the other, each under its limit, whatever becomes of one."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import __main__ as quick
from benchmarks.gpu import facts, parts, plans, sanitize, tensorrt_rtx, video
from benchmarks.gpu.cases import Cases, NotHereError
from benchmarks.gpu.parts import Part, run, run_all

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="it would measure this GPU, for minutes")


def test_engines_are_checked_without_a_gpu_too(tmp_path: Path) -> None:
    assert run(Part("engines", 120), 120, tmp_path) is None
    written = json.loads((tmp_path / "gpu_engines.json").read_text())
    assert [row["backend"] for row in written["rows"]] == ["eager"]
    assert written["rows"][0]["agrees"]
    assert written["rows"][0]["p99_ms"] >= written["rows"][0]["p50_ms"] > 0


@pytest.mark.parametrize(
    ("module", "case", "lacks"),
    [
        (facts, "nvidia-smi", "nvidia-smi is not installed"),
        (tensorrt_rtx, "kit", "no kit in nowhere: python -m benchmarks.gpu.pack makes one"),
        (plans, "tensorrt", "NVIDIA's driver knows of no GPU here"),
        (sanitize, "memcheck", "there is no GPU"),
    ],
)
def test_what_the_machine_lacks_is_named_and_is_no_failure(
    module: object, case: str, lacks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no tools
    kit = ["--kit", "nowhere"] if module is tensorrt_rtx else []
    monkeypatch.setattr(sys, "argv", ["benchmark", "--out", str(tmp_path), *kit])
    assert module.main() == 0  # type: ignore[attr-defined]
    (path,) = tmp_path.glob("gpu_*.json")
    rows = {row["case"]: row for row in json.loads(path.read_text())["rows"]}
    assert rows[case]["skipped"] == lacks


def test_decoded_pictures_take_the_way_through_dlpack_without_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["video", "--out", str(tmp_path)])
    assert video.main() == 0
    rows = {row["case"]: row for row in json.loads((tmp_path / "gpu_video.json").read_text())["rows"]}
    assert rows["h264 128x96, equal"]["pictures_equal"] == 4
    assert rows["h264 128x96, speed"]["device_fps"] is None


def test_planes_that_differ_are_told_with_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = video.clip(tmp_path, "h264", (96, 128), 2)
    there = list(video.pictures(clip, on_device=False))
    given = iter([there, there[::-1]])
    monkeypatch.setattr(video, "pictures", lambda path, *, on_device: next(given))
    with pytest.raises(AssertionError, match=r"picture 0, luma: up to \d+ codes apart"):
        video.compare(clip, gpu=False)


def test_a_part_that_fails_or_hangs_does_not_keep_the_others_from_being_measured(
    capfd: pytest.CaptureFixture[str],
) -> None:
    given = [Part("facts", 0.01), Part("missing", 60, vital=False), Part("missing", 60, ("--odd",))]
    assert run_all(given, None) == 1
    said = capfd.readouterr().out.splitlines()
    assert said[-3:] == [
        "FAILED facts: took longer than 0.01 s; the figures until then are written",
        "not available: missing: ended with code 1; see above",
        "FAILED missing --odd: ended with code 1; see above",
    ]


def test_what_is_only_tried_is_no_failure_of_the_whole() -> None:
    assert run_all([Part("missing", 60, vital=False)], None) == 0


def test_what_a_part_leaves_of_its_time_the_next_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []

    def runs(part: Part, limit_seconds: float, out: Path | None) -> None:
        limits.append(round(limit_seconds))

    monkeypatch.setattr(parts, "run", runs)
    assert run_all([Part("one", 50), Part("two", 30), Part("three", 20)], None) == 0
    assert limits == [50, 80, 100]


def test_all_parts_of_the_quick_call_together_stay_below_nine_minutes() -> None:
    assert sum(part.limit_seconds for part in quick.parts(Path("kit"))) <= 540


def test_nothing_that_a_part_started_outlives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = tmp_path / "pid"
    code = (
        "import subprocess, sys, pathlib, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setattr(Part, "command", [sys.executable, "-c", code])
    wrong = run(Part("any", 1), 2, None)
    assert wrong == "took longer than 2 s; the figures until then are written"
    child = Path(f"/proc/{int(note.read_text())}/stat")
    for _ in range(200):
        if not child.exists() or child.read_text().split()[2] == "Z":
            return
        time.sleep(0.02)
    pytest.fail("the process that the part started still runs")


def test_cases_go_on_after_a_failure_and_everything_is_on_disk(tmp_path: Path) -> None:
    cases = Cases("gpu_try", tmp_path, {"rounds": 3}, gpu=False)

    def fails() -> dict[str, object]:
        raise ValueError("too hot")

    def lacks() -> dict[str, object]:
        raise NotHereError("no sensor")

    assert not cases.attempt("first", fails)
    assert not cases.attempt("second", lacks)
    assert cases.attempt("third", lambda: {"degrees": 21})
    written = json.loads((tmp_path / "gpu_try.json").read_text())
    assert written["rows"] == [{"case": "second", "skipped": "no sensor"}, {"case": "third", "degrees": 21}]
    assert [failure.splitlines()[0] for failure in written["config"]["failures"]] == [
        "first: ValueError: too hot"
    ]
    assert cases.end() == 1


def test_fields_that_nvidia_smi_does_not_know_do_not_spoil_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "nvidia-smi"
    script.write_text(
        "#!/bin/sh\n"
        'case "$1" in *clocks*) echo "Field is not valid"; exit 2;; *) echo " NVIDIA H100";; esac\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (gpu,) = facts.smi()["gpus"]
    assert gpu["name"] == "NVIDIA H100"
    assert gpu["clocks.sm"] == "Field is not valid"


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        (
            'echo "========= ERROR SUMMARY: 2 errors"; exit 9',
            AssertionError,
            "memcheck found errors:\n.*2 errors",
        ),
        (
            'echo "========= Error: Device not supported"; exit 1',
            NotHereError,
            "cannot work here: .*Device not",
        ),
    ],
)
def test_memcheck_tells_errors_from_a_machine_on_which_it_cannot_work(
    script: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    tool = tmp_path / "compute-sanitizer"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    with pytest.raises(error, match=message):
        sanitize.memcheck(str(tool), ["true"], 10)


def test_memcheck_without_errors_is_a_row(tmp_path: Path) -> None:
    tool = tmp_path / "compute-sanitizer"
    tool.write_text('#!/bin/sh\necho "========= ERROR SUMMARY: 0 errors"\n')
    tool.chmod(0o755)
    assert sanitize.memcheck(str(tool), ["true"], 10)["errors"] == 0
    with pytest.raises(RuntimeError, match="fail without memcheck already, with code 1"):
        sanitize.memcheck(str(tool), ["false"], 10)
