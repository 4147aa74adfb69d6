"""What `--progress` shows: lines for people, objects for programs, or nothing."""

from __future__ import annotations

import io
import json
import os
import pty
import select
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamfx.cli import main
from streamfx.cli.progress import describe, progress_lines, shown_as
from streamfx.cli.progress_json import batch_shown, objects_shown
from streamfx.jobs.batch import BatchState
from streamfx.pipeline.stats import Snapshot
from tests import media

KEYS = {
    "progress": {
        "format", "type", "frames", "frames_total", "elapsed_seconds", "fps", "eta_seconds", "bytes",
        "factors", "dropped", "broken", "repeated", "stopping",
    },
    "batch": {"format", "type", "files", "files_total", "running"},
    "end": {
        "format", "type", "exit_code", "output", "frames", "elapsed_seconds", "fps", "bytes", "missing",
        "left_out",
    },
}  # fmt: skip
"""Part of the format that docs/films.md promises: keys may be added, and none may go."""

Objects = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def objects(at_home: Path, capsys: pytest.CaptureFixture[str]) -> Objects:
    """Run the command in a folder of its own with `--progress json`; return its code, objects and stdout."""
    media.make_clip(at_home / "in.mp4", frames=20)

    def run(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        code = main([*arguments, "--effect", "tiny", "--progress", "json"])
        out, err = capsys.readouterr()
        found = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
        for one in found:
            assert set(one) >= KEYS[one["type"]]
            assert one["format"] == 1
        return code, found, out

    return run


def of(frames: int, **more: Any) -> Snapshot:
    return Snapshot(frames, frames, 0, 0, 100, 0.5, 18.0, 5.0, {}, {}, **more)


@pytest.mark.parametrize("more", [(), ("--resume",)])
def test_a_transcode_tells_programs_how_far_it_is_and_how_it_ended(
    objects: Objects, more: tuple[str, ...]
) -> None:
    code, found, out = objects("transcode", "in.mp4", "out.mp4", *more)
    assert code == 0
    assert out.startswith("out.mp4: complete")
    last, end = found[-2:]
    assert last["type"] == "progress"
    assert (last["frames"], last["frames_total"], last["factors"]) == (20, 20, last["factors"][:1])
    assert 0 < last["bytes"] <= Path("out.mp4").stat().st_size
    size = Path("out.mp4").stat().st_size
    assert end | {"type": "end", "exit_code": 0, "output": "out.mp4", "frames": 20, "bytes": size} == end
    assert end["missing"] == end["left_out"] == []


def test_pictures_and_live_runs_are_told_of_alike(objects: Objects) -> None:
    code, found, _ = objects("transcode", "in.mp4", "out/%d.png")
    assert code == 0
    assert found[-2]["bytes"] == sum(path.stat().st_size for path in Path("out").iterdir())
    code, found, _ = objects("live", "test:bars?size=64x48&frames=4", "null:")
    assert code == 0
    assert (found[-2]["frames"], found[-2]["bytes"], found[-1]["type"]) == (4, None, "end")


def test_a_batch_tells_programs_how_many_films_are_done(objects: Objects) -> None:
    code, found, _ = objects("batch", "in.mp4", "--output-dir", "out")
    assert code == 0
    assert found[-1] == {"format": 1, "type": "batch", "files": 1, "files_total": 1, "running": []}


def test_a_run_that_is_refused_ends_with_an_error_and_no_object(objects: Objects) -> None:
    assert objects("transcode", "missing.mp4", "out.mp4")[:2] == (2, [])


def test_the_first_and_the_last_state_are_always_told() -> None:
    stream = io.StringIO()
    with objects_shown(stream) as show:
        for frames in range(50):
            show(of(frames))
    frames_told = [json.loads(line)["frames"] for line in stream.getvalue().splitlines()]
    assert (frames_told[0], frames_told[-1]) == (0, 49)
    assert frames_told == sorted(set(frames_told))


def test_objects_are_ascii_whatever_files_are_called() -> None:
    stream = io.StringIO()
    with batch_shown(stream) as show:
        show(BatchState(0, 1, {"é\udce9{.mp4": (1, None)}))
    assert stream.getvalue().isascii()
    assert json.loads(stream.getvalue())["running"][0]["frames_total"] is None


@pytest.mark.parametrize("kind", ["none", "json"])
def test_no_progress_and_objects_put_no_plain_line_anywhere(
    kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamfx.cli.progress.LINE_EVERY_SECONDS", 0.0)
    with shown_as(kind, progress_lines) as show:
        show(of(1))
        show(of(2))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (0 if kind == "none" else 2)
    assert all(line.startswith("{") for line in lines)


def test_plain_progress_is_lines_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfx.cli.progress.LINE_EVERY_SECONDS", 0.0)
    leader, follower = pty.openpty()
    with open(follower, "w") as stream, progress_lines(stream) as show:
        show(of(9, bytes_out=3_400_000, factors=(2.0,)))
        assert select.select([leader], [], [], 10.0)[0]
        shown = os.read(leader, 10_000).decode()
    os.close(leader)
    assert shown == "streamfx: 9 of 100 frames, 18.0 fps, 0:05 left, 3.4 MB, factor 2\r\n"


def test_what_is_not_known_is_not_told() -> None:
    assert describe(Snapshot(1, 1, 0, 0, None, 0.5, None, None, {}, {})) == "1 frames"
