"""A batch on a cluster: every file is a task, with the outcomes of a batch on one machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from streamfx.cluster.pool import Task, TaskEnd
from streamfx.errors import ConfigError
from streamfx.jobs.batch import BatchObserver, run_batch
from streamfx.jobs.settings import load_batch
from streamfx.jobs.summary import Summary
from tests import media
from tests.cluster.pools import PoolHere
from tests.resume.contents import contents


class InterruptedPool(PoolHere):
    """Gets a Ctrl-C with its first task, and ends no task before it is cancelled."""

    def __init__(self) -> None:
        super().__init__({"left": 4})
        self._cancelled: list[TaskEnd] = []

    def submit(self, task: Task, asked: Any, *, cpus: float, gpus: float) -> int:
        number = super().submit(task, asked, cpus=cpus, gpus=gpus)
        os.kill(os.getpid(), signal.SIGINT)
        return number

    def ended(self, wait_seconds: float) -> list[TaskEnd]:
        found, self._cancelled = self._cancelled, []
        return found

    def cancel(self, number: int | None = None) -> None:
        if number is not None:
            self._cancelled.append(TaskEnd(number, None, "The task was cancelled."))


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "films"
    folder.mkdir()
    for name in ("a.mp4", "b.mkv"):
        media.make_clip(folder / name, frames=5)
    (folder / "c.mkv").write_bytes(b"no film")
    return folder


def do(pool: PoolHere, show: BatchObserver | None = None, **settings: Any) -> Summary:
    named = {"inputs": ("films",), "output_dir": "out", "cluster": "auto", "effects": (), "device": "cpu"}
    asked = load_batch(options={**named, **settings})
    return run_batch(asked, show, opened=lambda _address, _retries: pool)


def test_every_file_is_a_task_and_one_that_fails_holds_up_no_other(films: Path) -> None:
    pool = PoolHere({"left": 4, "right": 4})
    summary = do(pool, threads=2)
    assert pool.closed
    assert summary.jobs == 3
    assert pool.asked_for == [(2, 0)] * 2  # what is no film is not even begun
    assert summary.counts == {"finished": 2, "failed": 1}
    failed = next(outcome for outcome in summary.outcomes if outcome.state == "failed")
    assert "c.mkv" in failed.problems[0]
    again = PoolHere()
    assert do(again, threads=2).counts == {"skipped": 2, "failed": 1}
    assert again.asked_for == []
    do(PoolHere(), threads=2, output_dir="there")
    assert contents(Path("there/a.mp4")) == contents(Path("out/a.mp4"))


def test_a_file_whose_workers_are_lost_for_good_fails(films: Path) -> None:
    summary = do(PoolHere({"left": 4}, fails=(1,)), threads=4)
    lost = summary.outcomes[0]
    assert (lost.state, lost.problems) == ("failed", ("The worker died unexpectedly.",))


def test_what_a_machine_says_of_a_file_is_told(films: Path) -> None:
    said: list[tuple[str, str, str]] = []
    show = BatchObserver(log=lambda output, level, text: said.append((output, level, text)))
    media.make_clip(films / "a.mp4", frames=5, subtitles=["one"])
    do(PoolHere(), show, ending=".gif")
    assert any(output == "out/a.gif" and "left out" in text for output, _, text in said)


def test_machines_that_would_do_otherwise_are_refused_before_the_first_file(films: Path) -> None:
    def other(asked: dict[str, Any]) -> dict[str, Any]:
        return asked | {"decisions": asked["decisions"] | {"versions": {"streamfx": "9.9.9"}}}

    pool = PoolHere({"left": 2}, other)
    with pytest.raises(ConfigError, match=r"--cluster: left would decide otherwise: versions.streamfx"):
        do(pool)
    assert pool.closed
    assert not list(Path("out").glob("*.mp4"))


def test_ctrl_c_gives_up_what_is_not_done(films: Path) -> None:
    assert do(InterruptedPool(), threads=2).counts == {"stopped": 1, "not begun": 2}
