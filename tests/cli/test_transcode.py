"""The command `streamfx transcode` as it is run: what works, what is refused, how a run that breaks ends."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from streamfx.cli import main
from streamfx.cli.progress import progress
from streamfx.pipeline.stats import Snapshot, Times
from tests import engines, media
from tests.servers import wait_until

ROOT = Path(__file__).parents[2]
FRAMES = 20
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(at_home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process, in a folder of its own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = main(arguments)
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run


@pytest.fixture
def run_process(environment: dict[str, str], tmp_path: Path) -> Run:
    """Run the command in a process of its own, without standard input."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "streamfx", *arguments],
            cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def made_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.make_clip(tmp_path_factory.mktemp("clip") / "in.mp4", frames=FRAMES)


@pytest.fixture
def clip(made_clip: Path, tmp_path: Path) -> Path:
    """A short video with sound, in the folder the command runs in."""
    return Path(shutil.copy(made_clip, tmp_path / "in.mp4"))


def refused(ran: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Fail unless the run was refused with one line that has all the parts."""
    assert ran.returncode == 2, (ran.returncode, ran.stdout, ran.stderr)
    assert ran.stdout == ""
    lines = ran.stderr.splitlines()
    assert len(lines) == 1, ran.stderr
    assert lines[0].startswith("streamfx: error: ")
    for part in parts:
        assert part in lines[0]


def counts(path: Path) -> tuple[int, int]:
    """Return how many pictures and how many packets of sound a file holds."""
    with av.open(str(path)) as container:
        pictures = sum(1 for _ in container.decode(video=0))
    with av.open(str(path)) as container:
        return pictures, sum(1 for packet in container.demux(audio=0) if packet.size)


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# ---------------------------------------------------------------- what works


def test_a_clip_is_changed_with_its_sound_and_every_frame_is_accounted_for(
    run_process: Run, clip: Path, tmp_path: Path
) -> None:
    ran = run_process(
        "transcode", "in.mp4", "out.mp4", "--effect", "tiny:strength=0.8", "--report", "report.json"
    )
    assert ran.returncode == 0, ran.stderr
    assert "error" not in ran.stderr + ran.stdout
    assert "out.mp4: complete" in ran.stdout
    assert counts(tmp_path / "out.mp4") == counts(clip)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["result"]["account"]["encoded"] == FRAMES
    assert report["config"]["effects"] == ["tiny:strength=0.8"]
    assert left(tmp_path) == {"in.mp4", "out.mp4", "report.json"}


def test_every_option_reaches_the_configuration(run: Run, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "slow.yaml").write_text("preset: slow\nquality: 30\nfactor: 2\n")
    ran = run(
        "transcode", "in.mp4", "out.mkv", "--effect", "tiny", "--effect", "tiny:strength=0.5",
        "--config", "slow.yaml", "--set", "quality=31", "--set", "limits.frames=7", "--factor", "4",
        "--backend", "eager", "--codec", "h264", "--threads", "1", "--report", "report.json",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    config = json.loads((tmp_path / "report.json").read_text())["config"]
    assert config["effects"] == ["tiny", "tiny:strength=0.5"]
    assert (config["factor"], config["backend"], config["codec"]) == (4, "eager", "h264")
    assert (config["preset"], config["quality"], config["threads"]) == ("slow", 31, 1)
    assert counts(tmp_path / "out.mkv")[0] == 7


def test_an_existing_output_is_replaced_only_when_asked(run: Run, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_text("precious")
    refused(run("transcode", "in.mp4", "out.mp4", "--effect", "tiny"), "out.mp4", "--overwrite")
    assert out.read_text() == "precious"
    assert run("transcode", "in.mp4", "out.mp4", "--effect", "tiny", "--overwrite").returncode == 0
    assert counts(out)[0] == FRAMES


# ---------------------------------------------------------------- what is refused


def test_without_an_effect_the_ones_there_are_listed(run: Run, clip: Path) -> None:
    refused(run("transcode", "in.mp4", "out.mp4"), "no effect given", "--effect NAME", "tiny")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--effect", "tny"], ["'tny'", "tiny"]),
        (["--effect", "tiny:strenght=1"], ["strenght", "strength"]),
        (["--effect", "tiny:strength=2"], ["strength", "2", "0", "1"]),
        (["--effect", "tiny:strength=much"], ["strength", "much"]),
        (["--effect", "tiny:"], ["tiny:"]),
        (["--effect", "tiny", "--factor", "5"], ["factor", "5", "1.5"]),
        (["--effect", "tiny", "--threads", "0"], ["threads", "0"]),
        (["--effect", "tiny", "--codec", "h263b"], ["codec", "h263b"]),
        (["--effect", "tiny", "--backend", "cuda"], ["backend", "cuda", "openvino"]),
        (["--effect", "tiny", "--backend", "tensorrt"], ["tensorrt", "cannot run here", "openvino"]),
        (["--effect", "tiny", "--config", "none.yaml"], ["none.yaml"]),
        (["--effect", "tiny", "--set", "qualty=3"], ["qualty", "did you mean 'quality'?"]),
        (["--effect", "tiny", "--report", "nowhere/report.json"], ["nowhere"]),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_written(
    arguments: list[str], parts: list[str], run: Run, clip: Path, tmp_path: Path
) -> None:
    refused(run("transcode", "in.mp4", "out.mp4", *arguments), *parts)
    assert left(tmp_path) == {"in.mp4"}


@pytest.mark.parametrize(
    ("output", "parts"),
    [
        ("out.xyz", ["out.xyz"]),
        ("out", ["out"]),
        ("nowhere/out.mp4", ["nowhere"]),
        ("in.mp4", ["in.mp4"]),
        ("./in.mp4", ["in.mp4"]),
        ("linked.mp4", ["linked.mp4"]),
        ("/proc/out.mp4", ["/proc"]),
    ],
)
def test_an_output_that_cannot_be_is_refused(
    output: str, parts: list[str], run: Run, clip: Path, tmp_path: Path
) -> None:
    before = clip.read_bytes()
    (tmp_path / "linked.mp4").hardlink_to(clip)
    refused(run("transcode", "in.mp4", output, "--effect", "tiny", "--overwrite"), *parts)
    assert clip.read_bytes() == before
    assert left(tmp_path) == {"in.mp4", "linked.mp4"}


def make_bad(kind: str, path: Path, clip: Path) -> None:
    """Write a source that is bad in one way."""
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("this is no video\n" * 50)
    elif kind == "folder":
        path.mkdir()
    elif kind == "headless":
        path.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    elif kind == "audio only":
        with av.open(str(path), "w") as out, av.open(str(clip)) as source:
            stream = out.add_stream_from_template(source.streams.audio[0])
            for packet in source.demux(audio=0):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "folder", "headless", "audio only"])
def test_a_source_that_is_no_video_is_refused(kind: str, run: Run, clip: Path, tmp_path: Path) -> None:
    make_bad(kind, tmp_path / "bad.mp4", clip)
    before = left(tmp_path)
    refused(run("transcode", "bad.mp4", "out.mp4", "--effect", "tiny"), "bad.mp4")
    assert left(tmp_path) == before


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("weights.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        ("weights.safetensors", lambda data: data[:100]),
        ("engine.yaml", lambda data: data.replace(b"stride: 4", b"stride: 4\nhook: run")),
    ],
)
def test_a_tampered_engine_is_refused(
    file: str,
    change: Callable[[bytes], bytes],
    run: Run,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = engines.make_engine(tmp_path / "engines", "changed")
    (folder / file).write_bytes(change((folder / file).read_bytes()))
    monkeypatch.setenv("STREAMFX_ENGINES", str(folder.parent))
    refused(run("transcode", "in.mp4", "out.mp4", "--effect", "changed"), "changed", file)
    assert left(tmp_path) == {"in.mp4", "engines"}


# ---------------------------------------------------------------- what breaks on the way


def test_a_truncated_source_gives_a_playable_output_and_exit_code_1(run: Run, tmp_path: Path) -> None:
    whole = media.make_clip(
        tmp_path / "whole.mp4", frames=60, container_options={"movflags": "faststart"}, audio=False
    )
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    ran = run("transcode", "cut.mp4", "out.mp4", "--effect", "tiny", "--report", "report.json")
    assert ran.returncode == 1, (ran.stdout, ran.stderr)
    assert "Traceback" not in ran.stderr
    assert "missing or wrong" in ran.stderr
    account = json.loads((tmp_path / "report.json").read_text())["result"]["account"]
    assert account["encoded"] + sum(account["failed"].values()) == account["frames_in"]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == account["encoded"] > 0
    assert left(tmp_path) == {"whole.mp4", "cut.mp4", "out.mp4", "report.json"}


def test_a_full_disk_keeps_what_was_written_under_a_name_that_says_so(
    environment: dict[str, str], tmp_path: Path
) -> None:
    # A limit on file sizes, set in a shell of its own, fails a write as a full disk does.
    source, settings = "test:bars?size=640x360&frames=60", ["--effect", "tiny", "--quality", "1"]
    command = [sys.executable, "-m", "streamfx", "transcode", source, "out.mp4", *settings]
    ran = subprocess.run(
        ["bash", "-c", 'ulimit -f 1000; exec "$@"', "bash", *command],
        cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert ran.returncode == 1, (ran.returncode, ran.stdout, ran.stderr)
    assert "Traceback" not in ran.stderr
    assert "limit" in ran.stderr
    assert left(tmp_path) == {"out.partial.mp4"}
    pictures = 0
    # The picture that the end of the disk cut in two is an error; those before it are good.
    with contextlib.suppress(av.FFmpegError), av.open(str(tmp_path / "out.partial.mp4")) as container:
        for _ in container.decode(video=0):
            pictures += 1
    assert pictures > 0


def test_a_source_without_one_good_picture_is_refused(run: Run, clip: Path, tmp_path: Path) -> None:
    with av.open(str(clip)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(clip.read_bytes())
    for place, size in places:
        assert place is not None
        data[place : place + size] = bytes(size)
    (tmp_path / "bad.mp4").write_bytes(data)
    ran = run(
        "transcode", "bad.mp4", "out.mp4", "--effect", "tiny", "--set", "limits.decode_failures_in_a_row=9"
    )
    refused(ran, "bad.mp4")
    assert left(tmp_path) == {"in.mp4", "bad.mp4"}


# ---------------------------------------------------------------- stopping


@contextlib.contextmanager
def started(environment: dict[str, str], folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run that is long, and over after the test; should the test be killed, it ends by itself."""
    with subprocess.Popen(
        [sys.executable, "-m", "streamfx", "transcode", *arguments],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_first_interrupt_completes_the_output(
    number: signal.Signals, environment: dict[str, str], tmp_path: Path
) -> None:
    arguments = (
        "test:bars?size=320x180&frames=100000",
        "out.mp4",
        "--effect",
        "tiny",
        "--backend",
        "openvino",
    )
    with started(environment, tmp_path, *arguments) as process:
        wait_until(lambda: any(path.stat().st_size > 100_000 for path in tmp_path.iterdir()))
        process.send_signal(number)
        out, err = process.communicate(timeout=200)
    assert process.returncode == 130, (out, err)
    assert "stopped" in err
    assert "Traceback" not in err
    assert left(tmp_path) == {"out.mp4"}
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0


def test_a_second_interrupt_stops_at_once_and_leaves_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    arguments = ("test:bars?size=320x180&frames=100000", "out.mp4", "--effect", "tiny")
    with started(environment, tmp_path, *arguments) as process:
        wait_until(lambda: any(path.stat().st_size > 100_000 for path in tmp_path.iterdir()))
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=200)
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err
    assert left(tmp_path) in (set(), {"out.mp4"})  # the second may come when the first has done its work


def test_readers_that_leave_early_do_not_end_the_run(environment: dict[str, str], tmp_path: Path) -> None:
    # stdout and stderr go to a program that is gone at once; the source lasts until progress was told of.
    command = [sys.executable, "-m", "streamfx", "transcode", "test:bars?size=320x180&frames=40", "out.mp4"]
    ran = subprocess.run(
        ["bash", "-c", '"$@" 2>&1 | true; exit ${PIPESTATUS[0]}', "bash", *command, "--effect", "tiny"],
        cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, timeout=240,
    )  # fmt: skip
    assert ran.returncode == 0
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 40


def test_progress_in_lines_survives_a_reader_that_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfx.cli.progress.LINE_EVERY_SECONDS", 0.0)
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "w") as stream, progress(stream) as show:
        for frames in range(3):
            show(Snapshot(frames, frames, 0, 0, None, 1.0, None, None, {}, {}))


def test_a_terminal_gets_a_bar_with_rate_time_left_and_stage_times() -> None:
    leader, follower = pty.openpty()
    times = {"generate": Times(9, 0.0123, 0.012, 0.013, 0.013, 0.013)}
    with open(follower, "w") as stream:
        with progress(stream) as show:
            show(Snapshot(10, 9, 0, 0, 100, 0.5, 18.0, 5.0, {}, times))
        shown = b""
        while select.select([leader], [], [], 1.0)[0]:  # one read gives what one write has brought
            shown += os.read(leader, 100_000)
    os.close(leader)
    plain = " ".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).split())
    assert "9 of 100 frames, 18.0 fps, 0:05 left, generate 12.3 ms" in plain
