"""Films on a real cluster of Ray, of this machine alone; left out where Ray is not installed."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamfx.cluster.ray_pool import NOWHERE
from streamfx.resume.work import work_folder
from tests import media
from tests.resume.contents import contents

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra cluster)"
    ),
    pytest.mark.slow,
]
FRAMES = 240
HOW = ("--effect", "tiny", "--factor", "2", "--backend", "eager", "--device", "cpu", "--threads", "1")
SEGMENTS = ("--set", "segment_seconds=1", "--set", "preset=veryslow")


@pytest.fixture(scope="module")
def home(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment of a user who has nothing yet but the secret that a cluster asks for."""
    with tempfile.TemporaryDirectory(
        prefix="r"
    ) as folder:  # short: names of sockets have 107 letters at most
        yield environment | NOWHERE | {"HOME": folder, "RAY_AUTH_MODE": "token", "RAY_worker_niceness": "0"}


@pytest.fixture(scope="module")
def cluster(home: dict[str, str]) -> Iterator[str]:
    """The address of a cluster of two processors; Ray takes 127.0.0.1 for another of the machine's names."""
    ray = (sys.executable, "-m", "ray.scripts.scripts")
    subprocess.run([*ray, "get-auth-token", "--generate"], env=home, check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.2", 0))
        port = free.getsockname()[1]
    command = [
        *(*ray, "start", "--block", "--head", "--disable-usage-stats", "--include-dashboard=false"),
        *(f"--port={port}", "--num-cpus=2", "--node-ip-address=127.0.0.2", f"--temp-dir={home['HOME']}/r"),
        "--object-store-memory=100000000",
    ]
    head = subprocess.Popen(
        command, env=home, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: reachable(port) or head.poll() is not None, 60)
    yield f"127.0.0.2:{port}"
    head.terminate()
    try:
        head.wait(30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGKILL)


def reachable(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.2", port), 1):
        return True
    return False


def wait_for(happened: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return media.make_clip(
        tmp_path_factory.mktemp("film") / "in.mkv",
        times=[number * 40 + number % 7 * 5 for number in range(FRAMES)],
        size=(180, 320),
        subtitles=["one", "two"],
        chapters=["A", "B"],
        options={"g": "12"},
    )


Begin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def begin(film: Path, home: dict[str, str]) -> Begin:
    """Begin a run; its options are given."""

    def begun(output: Path, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "streamfx", "transcode", str(film), str(output), *HOW, *SEGMENTS]
        return subprocess.Popen(
            [*command, *options],
            env=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return begun


@pytest.fixture(scope="module")
def whole(film: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> object:
    """What one machine makes of the film."""
    output = tmp_path_factory.mktemp("whole") / "out.mkv"
    command = [sys.executable, "-m", "streamfx", "transcode", str(film), str(output), *HOW, *SEGMENTS]
    subprocess.run([*command, "--resume"], env=environment, check=True, capture_output=True)
    return contents(output)


def ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = run.communicate(timeout=240)
    return run.returncode, said


def workers_at_it(output: Path) -> list[int]:
    """Return the processes of a cluster that are writing a segment of an output."""
    folder, found = work_folder(output), list[int]()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            files = [os.readlink(each) for each in (process / "fd").iterdir()]
            if any(name.startswith(f"{folder}/alone-") for name in files):
                found.append(int(process.name))
    return found


def segments(output: Path) -> list[str]:
    return [path.name for path in work_folder(output).glob("*.packets")]


def test_a_film_on_a_cluster_is_what_one_machine_makes_of_it(
    begin: Begin, cluster: str, tmp_path: Path, whole: object
) -> None:
    output = tmp_path / "out.mkv"
    code, said = ended(begin(output, "--cluster", cluster))
    assert code == 0, said
    assert "done in segments by 1 machine" in said
    assert contents(output) == whole
    assert not work_folder(output).exists()


def test_a_segment_whose_worker_is_killed_is_done_again(
    begin: Begin, cluster: str, tmp_path: Path, whole: object
) -> None:
    output = tmp_path / "out.mkv"
    run = begin(output, "--cluster", cluster)
    wait_for(lambda: workers_at_it(output) or run.poll() is not None)
    for worker in workers_at_it(output):
        os.kill(worker, signal.SIGKILL)
    code, said = ended(run)
    assert code == 0, said
    assert contents(output) == whole


def test_a_driver_that_was_killed_goes_on_from_the_finished_segments(
    begin: Begin, cluster: str, tmp_path: Path, whole: object
) -> None:
    output = tmp_path / "out.mkv"
    run = begin(output, "--cluster", cluster)
    wait_for(lambda: segments(output) or run.poll() is not None)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert not output.exists()
    code, said = ended(begin(output, "--cluster", cluster))
    assert code == 0, said
    assert "anew" not in said
    assert contents(output) == whole


def test_ctrl_c_at_the_terminal_stops_and_the_same_command_goes_on(
    begin: Begin, cluster: str, tmp_path: Path, whole: object
) -> None:
    output = tmp_path / "out.mkv"
    run = begin(output, "--cluster", cluster)
    wait_for(lambda: segments(output) or run.poll() is not None)
    os.killpg(run.pid, signal.SIGINT)
    code, said = ended(run)
    assert (code, "stopped before the end; the same command goes on from there" in said) == (130, True), said
    wait_for(lambda: not workers_at_it(output))
    code, said = ended(begin(output, "--cluster", cluster))
    assert code == 0, said
    assert contents(output) == whole


def test_a_cluster_that_is_not_there_is_named(begin: Begin, tmp_path: Path) -> None:
    code, said = ended(begin(tmp_path / "out.mkv", "--cluster", "127.0.0.1:9"))
    assert code == 2, said
    assert "--cluster 127.0.0.1:9: cannot be joined" in said
    assert "ray start --head --disable-usage-stats" in said


def test_files_of_a_batch_are_done_by_a_cluster(
    home: dict[str, str], cluster: str, film: Path, tmp_path: Path
) -> None:
    for name in ("a.mkv", "b.mkv"):
        (tmp_path / "films" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "films" / name).write_bytes(film.read_bytes())
    command = [sys.executable, "-m", "streamfx", "batch", "films", "--output-dir", "out", *HOW]
    ran = subprocess.run(
        [*command, "--cluster", cluster], env=home, cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert "2 finished" in ran.stdout
    first, second = (contents(tmp_path / "out" / name) for name in ("a.mkv", "b.mkv"))
    assert first == second
