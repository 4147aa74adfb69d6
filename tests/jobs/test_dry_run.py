"""`--dry-run`: says what a transcode would do, refuses what it would refuse, and writes nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess

import av
import pytest

from streamfx.cli import main
from tests import media

Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def run(at_home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a transcode in a folder of its own, with a clip in it, dry or not."""
    media.make_clip(at_home / "in.mkv", frames=40, subtitles=["hello"], size=(96, 128))

    def run(*arguments: str) -> CompletedProcess[str]:
        code = main(["transcode", *arguments, "--effect", "tiny", "--factor", "4"])
        return CompletedProcess(arguments, code, *capsys.readouterr())

    return run


def everything(folder: Path) -> Mapping[str, bytes | None]:
    """Return what lies in a folder, files by what is in them."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_a_dry_run_says_what_is_read_kept_converted_and_left_out_and_writes_nothing(
    run: Run, at_home: Path
) -> None:
    before = everything(at_home)
    done = run("in.mkv", "out.mp4", "--dry-run", "--report", "report.json")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "would read: in.mkv, 128x96, 4:2:0, 8 bit, 25 fps, about 41 frames"
    assert lines[1] == "would write: out.mp4, 128x96, h264 (libx264), yuv420p"
    assert "factor: 4" in lines
    assert any(line.startswith("kept: stream 1 (audio") for line in lines)
    assert not any(line.startswith("kept: stream 2") for line in lines)
    assert any(line.startswith("converted: ") and "subtitle" in line for line in lines)
    assert any(re.fullmatch(r"time: about \d+ s, measured on 40 frames", line) for line in lines)
    assert lines[-1] == "nothing was written"
    assert done.stderr == ""
    assert everything(at_home) == before
    done = run("in.mkv", "out.gif", "--dry-run")
    assert "left out: stream 1 (audio" in done.stdout
    assert everything(at_home) == before


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_the_estimate_of_the_size_is_near_what_comes_out(run: Run, ending: str) -> None:
    media.make_clip("long.mp4", frames=200, audio=False, size=(96, 128), options={"g": "25"})
    dry = run("long.mp4", f"out.{ending}", "--dry-run")
    found = re.search(r"size: about ([\d.]+) MB without sound, measured on 72 frames", dry.stdout)
    assert found, dry.stdout + dry.stderr
    assert run("long.mp4", f"out.{ending}").returncode == 0
    with av.open(f"out.{ending}") as container:
        size = sum(packet.size for packet in container.demux(video=0))
    assert size / 2 <= float(found[1]) * 1e6 <= size * 2


def test_of_a_part_its_own_frames_are_measured_and_counted(run: Run) -> None:
    media.make_clip("long.mp4", frames=200, audio=False, size=(96, 128))
    done = run("long.mp4", "out.mp4", "--dry-run", "--start", "6", "--end", "7")
    assert done.returncode == 0, done.stderr
    assert "25 fps, about 25 frames" in done.stdout
    assert "measured on 25 frames" in done.stdout


@pytest.mark.parametrize(
    "asked",
    [
        ("missing.mkv", "out.mp4"),
        ("in.mkv", "in.mkv", "--overwrite"),
        ("in.mkv", "old.mp4"),
        ("in.mkv", "nowhere/out.mp4"),
        ("in.mkv", "nowhere/below/%d.png"),
        ("in.mkv", "old.mp4/%d.png"),
        ("in.mkv", "out.xyz"),
        ("test:bars?size=64x48&frames=4", "one.png"),
        ("in.mkv", "out.mp4", "--codec", "vp8"),
        ("in.mkv", "out.mp4", "--quality", "99"),
        ("in.mkv", "out.gif", "--strict"),
        ("in.mkv", "out.gif", "--resume"),
        ("in.mkv", "out.mp4", "--report", "in.mkv"),
        ("in.mkv", "out.mp4", "--report", "nowhere/report.json"),
    ],
)
def test_a_dry_run_refuses_what_the_run_refuses(run: Run, at_home: Path, asked: tuple[str, ...]) -> None:
    Path("old.mp4").write_bytes(b"old")
    before = everything(at_home)
    dry = run(*asked, "--dry-run")
    assert dry.returncode == 2, dry.stdout + dry.stderr
    assert dry.stdout == ""
    assert everything(at_home) == before
    real = run(*asked)
    assert real.returncode == 2
    if "%d" not in asked[1]:  # there the system's own words are added
        assert errors(dry) == errors(real)


def errors(done: CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("streamfx: error: ")]


@pytest.mark.parametrize("output", ["out/%d.png", "null:", "out.mkv", "old.mkv"])
def test_pictures_nothing_and_films_can_be_tried_alike(run: Run, at_home: Path, output: str) -> None:
    Path("old.mkv").write_bytes(b"old")
    before = everything(at_home)
    done = run("in.mkv", output, "--dry-run", "--overwrite")
    assert done.returncode == 0, done.stderr
    assert "time: about" in done.stdout
    assert ("size: not known" in done.stdout) == (output in ("out/%d.png", "null:"))
    assert everything(at_home) == before


def test_a_pipe_is_not_opened(run: Run) -> None:
    os.mkfifo("pipe.mkv")  # who opens it waits for a reader
    assert run("in.mkv", "pipe.mkv", "--dry-run").returncode == 0


def test_an_output_that_only_opening_can_try_is_refused_by_name(run: Run) -> None:
    done = run("in.mkv", "rtmp://127.0.0.1:9/app/key", "--dry-run")
    assert done.returncode == 2
    assert "--dry-run: whether rtmp://127.0.0.1:9/" in done.stderr
    assert "key" not in done.stderr
