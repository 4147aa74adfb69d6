"""The command `streamfx live` as it is run: stopped, killed, refused."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from streamfx.cli import main
from tests.servers import wait_until

ROOT = Path(__file__).parents[2]
SOURCE = "test:bars?size=320x180&fps=30&frames=0&live=1"


@contextlib.contextmanager
def started(environment: dict[str, str], folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "streamfx", "live", *arguments, "--effect", "tiny", "--threads", "1"]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def size_bytes(folder: Path) -> int:
    return max((path.stat().st_size for path in folder.iterdir()), default=0)


def test_ctrl_c_completes_every_output(environment: dict[str, str], tmp_path: Path) -> None:
    with started(environment, tmp_path, SOURCE, "one.mp4", "two.mkv", "--report", "r.json") as process:
        wait_until(lambda: size_bytes(tmp_path) > 60_000)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=100)
    assert process.returncode == 130, (out, err)
    assert "one.mp4, two.mkv: stopped" in err
    assert "Traceback" not in err
    assert {path.name for path in tmp_path.iterdir()} == {"one.mp4", "two.mkv", "r.json"}
    for name in ("one.mp4", "two.mkv"):
        with av.open(str(tmp_path / name)) as container:
            assert sum(1 for _ in container.decode(video=0)) > 0


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_recording_plays_after_the_process_was_killed(
    ending: str, environment: dict[str, str], tmp_path: Path
) -> None:
    with started(environment, tmp_path, SOURCE, f"out.{ending}", "--preset", "ultrafast") as process:
        wait_until(lambda: size_bytes(tmp_path) > 400_000)
        process.kill()
        process.wait()
    (recording,) = tmp_path.iterdir()
    pictures = 0
    with contextlib.suppress(av.FFmpegError), av.open(str(recording)) as container:
        for _ in container.decode(video=0):
            pictures += 1
    assert pictures > 10


@pytest.mark.usefixtures("at_home")
def test_status_comes_in_lines_and_the_summary_on_stdout(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamfx.cli.progress.LINE_EVERY_SECONDS", 0.3)
    assert main(["live", SOURCE, "null:", "--seconds", "1", "--effect", "tiny", "--threads", "1"]) == 0
    shown = capsys.readouterr()
    assert "frames out" in shown.err
    assert "factor " in shown.err
    assert "null:: complete" in shown.out
    assert "latency, captured to written: p50" in shown.out
    assert "of it, p50 and p99 in ms: capture " in shown.out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["'input' is missing"]),
        ([SOURCE], ["'outputs' is missing"]),
        ([SOURCE, "null:", "--seconds", "soon"], ["limits.seconds", "soon"]),
        ([SOURCE, "null:", "--gap", "blak"], ["source.gap", "did you mean 'black'"]),
        (
            ["rtsp://me:hidden@127.0.0.1:9/1", "null:", "--no-wait"],
            ["rtsp://***@127.0.0.1:9/1: cannot be opened"],
        ),
        ([SOURCE, "null:", "--speed", "2"], ["'--speed' is not an option or argument of 'live'"]),
        (
            ["rtsp://me:hidden@127.0.0.1:9/1", "null:", "--seconds", "0.1"],
            ["rtsp://***@127.0.0.1:9/1: cannot"],
        ),
        ([SOURCE, "null:", "--loop"], ["only a file can be played again and again"]),
        (["fault:frost:x", "null:"], ["write fault:SCENARIO:SOURCE"]),
    ],
)
def test_what_cannot_be_is_refused_without_secrets(
    arguments: list[str], parts: list[str], at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--debug", "live", *arguments, "--effect", "tiny"]) == 2
    shown = capsys.readouterr()
    for part in parts:
        assert part in shown.err
    assert "hidden" not in shown.err + shown.out


def test_a_configuration_alone_says_what_is_read_and_written(
    at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (at_home / "scene.yaml").write_text(
        "input: test:bars?size=96x64&fps=50&live=1&frames=10\n"
        "outputs: [one.mp4, 'null:']\neffects: [tiny]\nfactor: 2\nthreads: 1\nreport: report.json\n"
    )
    assert main(["live", "--config", "scene.yaml"]) == 0, capsys.readouterr().err
    assert {path.name for path in at_home.iterdir()} == {"scene.yaml", "one.mp4", "report.json"}
    assert "one.mp4, null:: complete" in capsys.readouterr().out
    assert main(["live", "--config", "scene.yaml", "--overwrite", "--set", "outputs=['null:']"]) == 0
    assert "null:: complete" in capsys.readouterr().out


def test_the_schema_of_live_configurations_is_printed_when_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    described = {}
    for command in ("live", "transcode"):
        assert main(["schema", "--for", command]) == 0
        described[command] = json.loads(capsys.readouterr().out)["properties"]
    assert "outputs" in described["live"]
    assert "output" in described["transcode"]
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"] == described["transcode"]
    assert main(["schema", "--for", "liv"]) == 2
    assert "did you mean 'live'?" in capsys.readouterr().err


def test_without_an_effect_the_ones_there_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", SOURCE, "null:"]) == 2
    assert "no effect given: add --effect NAME" in capsys.readouterr().err
