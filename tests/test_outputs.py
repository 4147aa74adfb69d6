"""Where outputs and reports go: devices, pipes, links, names of all kinds, and what appears meanwhile."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest

from streamfx.capture.opening import open_source
from streamfx.cli import main
from streamfx.encode.encoding import Encoding
from streamfx.encode.opening import open_sink
from streamfx.errors import SinkError
from streamfx.hardware.memory import memory_hint
from streamfx.media.paths import beside, put, visible_beside
from tests import media
from tests.passing import pass_through
from tests.test_films import QUICK, Run, complete, run

__all__ = ["run"]  # the fixture
SOURCE = "test:bars?size=64x48&frames=8"


def pictures_in(path: Path | str) -> int:
    with av.open(str(path)) as file:
        return sum(1 for _ in file.decode(video=0))


@contextmanager
def reading(pipe: Path, into: Path) -> Iterator[None]:
    """Make a pipe, and read what is written into it meanwhile."""
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: into.write_bytes(pipe.read_bytes()))
    reader.start()
    yield
    reader.join()


@pytest.mark.parametrize("ending", [".mkv", ".mp4", ".mov", ".webm", ".ts", ".gif"])
def test_a_pipe_is_written_through_and_what_comes_out_plays(run: Run, tmp_path: Path, ending: str) -> None:
    media.make_clip("in.mkv", frames=8, size=(48, 64))
    pipe, got = Path(f"pipe{ending}"), Path(f"got{ending}")
    with reading(pipe, got):
        ran = complete(run("in.mkv", str(pipe)))
    assert "is written through, and not read again" in ran.err
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert pictures_in(got) == 8
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv", pipe.name, got.name, "report.json"}


def test_a_reader_that_leaves_ends_the_run_in_one_line(run: Run) -> None:
    os.mkfifo("pipe.mkv")
    opened = threading.Thread(target=lambda: os.close(os.open("pipe.mkv", os.O_RDONLY)))
    opened.start()
    ran = run("test:bars?size=640x480&frames=200", "pipe.mkv", "--quality", "1")
    opened.join()
    assert ran.code in (1, 2)
    assert "nobody reads it any more" in ran.err
    assert "Traceback" not in ran.err


def test_a_device_stays_a_device(run: Run) -> None:
    Path("sink.mkv").symlink_to("/dev/null")
    complete(run(SOURCE, "sink.mkv"))
    assert Path("sink.mkv").is_symlink()
    assert Path("/dev/null").is_char_device()
    ran = run(SOURCE, "/dev/null")
    assert ran.code == 2
    assert "null: to keep nothing" in ran.err
    assert main(["transcode", SOURCE, "null:", *QUICK, "--report", "/dev/null"]) == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_followed(run: Run, tmp_path: Path, there: bool) -> None:
    Path("films").mkdir()
    Path("link.mp4").symlink_to("films/real.mp4")
    Path("picture.png").symlink_to("films/real.png")
    if there:
        Path("films/real.mp4").write_bytes(b"old")
    complete(run(SOURCE, "link.mp4", "--overwrite"))
    assert Path("link.mp4").is_symlink()
    assert not Path("films/real.mp4").is_symlink()
    assert pictures_in("films/real.mp4") == 8
    pass_through("test:bars?size=64x48&frames=1", "picture.png")
    assert Path("picture.png").is_symlink()
    assert pictures_in("films/real.png") == 1
    assert {path.name for path in Path("films").iterdir()} == {"real.mp4", "real.png"}


def test_a_report_goes_where_its_name_leads(at_home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert at_home.is_dir()
    Path("link.json").symlink_to("real.json")
    quick = ["transcode", SOURCE, "null:", *QUICK]
    assert main([*quick, "--report", "link.json"]) == 0
    assert Path("link.json").is_symlink()
    assert json.loads(Path("real.json").read_text())["exit_code"] == 0
    with reading(Path("pipe.json"), Path("got.json")):
        assert main([*quick, "--report", "pipe.json"]) == 0
    assert json.loads(Path("got.json").read_text())["exit_code"] == 0
    capfd.readouterr()
    assert main([*quick, "--report", "/dev/stdout"]) == 0
    said = capfd.readouterr().out
    assert '"exit_code": 0' in said
    Path("film.mp4").symlink_to("other.mp4")
    for output in ("film.mp4", "other.mp4"):
        assert main(["transcode", SOURCE, output, *QUICK, "--report", "film.mp4"]) == 2


def appearing(path: Path, what: Callable[[Path], object]) -> None:
    """Write a film while something of its name appears; it must stay."""
    opened = open_source(SOURCE)
    sink = open_sink(str(path), format=opened.format, encoding=Encoding(overwrite=False))
    for frame in iter(opened.read, None):
        sink.write(frame)
    what(path)
    with pytest.raises(SinkError, match="appeared meanwhile, and is not replaced; the finished film is in"):
        sink.finish()
    sink.abort()


def test_what_appeared_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    appearing(path, lambda path: path.write_bytes(b"precious"))
    assert path.read_bytes() == b"precious"
    assert pictures_in(tmp_path / "out.partial.mp4") == 8
    path.unlink()
    appearing(path, os.mkfifo)
    assert path.is_fifo()
    assert pictures_in(tmp_path / "out.partial-2.mp4") == 8


def test_only_a_file_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, target = tmp_path / "made", tmp_path / "target"
    made.write_bytes(b"new")
    os.mkfifo(target)
    with pytest.raises(FileExistsError, match="is no file any more"):
        put(made, target, replace=True)
    target.unlink()
    target.write_bytes(b"old")
    put(made, target, replace=True)
    assert target.read_bytes() == b"new"
    made.write_bytes(b"newer")

    def without_links(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", without_links)
    with pytest.raises(FileExistsError):
        put(made, target, replace=False)
    put(made, tmp_path / "other", replace=False)
    assert (tmp_path / "other").read_bytes() == b"newer"


@pytest.mark.parametrize("stem", ["x" * 251, "日" * 83, "é" * 100])
@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_name_may_be_as_long_as_the_system_allows(run: Run, stem: str, ending: str) -> None:
    name = f"{stem}{ending}"
    complete(run(SOURCE, name))
    assert pictures_in(name) == 8
    assert {path.name for path in Path().iterdir()} == {name, "report.json"}


def test_a_name_that_is_too_long_is_refused_before_the_work(run: Run) -> None:
    for name in (f"{'x' * 252}.mp4", f"{'日' * 84}.mp4", f"{'x' * 252}.png"):
        ran = run(SOURCE, name, "--set", "limits.frames=1")
        assert ran.code == 2
        assert "bytes, and 255 are allowed; choose a shorter one" in ran.err
    ran = run(f"{'x' * 300}.mp4", "out.mp4")
    assert ran.code == 2
    assert "unexpected" not in ran.err


def test_names_beside_a_long_name_fit() -> None:
    long = Path("日" * 83 + ".mp4")
    assert len(os.fsencode(beside(long, "partial-00000000").name)) <= 255
    assert len(os.fsencode(visible_beside(long, "partial").name)) <= 255


def test_names_that_are_no_text_are_read_and_written(run: Run) -> None:
    media.make_clip("in.mp4", frames=3)
    odd = os.fsdecode(b"caf\xe9.mp4")
    os.rename("in.mp4", odd)
    written = os.fsdecode(b"\xff\xfe.mkv")
    ran = complete(run(odd, written))
    assert ran.report["config"]["input"] == r"caf\udce9.mp4"
    assert ran.report["output"]["name"] == r"\udcff\udcfe.mkv"
    assert pictures_in(written) == 3
    missing = run(os.fsdecode(b"\xe9.mp4"), "out.mp4")
    assert missing.code == 2
    assert "no such file" in missing.err


def test_closed_streams_and_narrow_encodings_harm_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    python = [sys.executable, "-m", "streamfx"]
    quick = ["transcode", SOURCE, "out.mp4", *QUICK]
    ran = subprocess.run(
        ["bash", "-c", '"$@" <&- >&- 2>&-', "bash", *python, *quick],
        cwd=tmp_path, env=environment, timeout=240,
    )  # fmt: skip
    assert ran.returncode == 0
    assert pictures_in(tmp_path / "out.mp4") == 8
    shown = subprocess.run(
        [*python, "transcode", "--help"],
        env=environment | {"PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=240,
    )  # fmt: skip
    assert shown.returncode == 0
    assert rb"KEY=VALUE,\u2026" in shown.stdout


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (MemoryError(), 2, "there is not enough memory; fewer threads (--threads 1) need less"),
        (
            RuntimeError("Exception from core.cpp:117:\nResource temporarily unavailable\n\n"),
            1,
            "unexpected RuntimeError: Resource temporarily unavailable",
        ),
    ],
)
def test_too_little_memory_is_told_in_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, told: str
) -> None:
    import resource

    def exhausted(*_: object, **__: object) -> None:
        raise error

    assert memory_hint() == ""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 30, 1 << 30))
    monkeypatch.setattr("streamfx.run.film.open_decoded", exhausted)
    ran = run(SOURCE, "out.mp4")
    assert ran.code == code
    assert ran.err.splitlines() == [
        f"streamfx: error: {told} (memory is limited to 1024 MB, which may be too little: see ulimit -v)"
    ]
