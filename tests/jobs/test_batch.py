"""Many files: which they are, where they go, what is skipped, and that one that fails holds up no other."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path

import pytest

import streamfx
from streamfx.cli import main
from streamfx.errors import ConfigError, EngineNotFoundError
from streamfx.jobs.batch import BatchObserver, BatchState, run_batch
from streamfx.jobs.inputs import find_items
from streamfx.jobs.settings import load_batch
from streamfx.jobs.summary import Outcome, Summary
from streamfx.resume.work import work_folder
from tests import media

OUT = Path("out")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of names, not of videos, which the test runs in."""
    for name in ("a.mp4", "b.avi", "sub/a.mov", "sub/deep/c.MKV", "notes.txt", ".hidden.mp4", "out/old.mp4"):
        path = tmp_path / "films" / name if not name.startswith("out") else tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outputs(*inputs: str, **options: str) -> list[str]:
    return [str(item.output) for item in find_items(inputs, OUT, **options)]


def test_the_tree_below_a_folder_is_kept_and_what_is_no_video_left_alone(
    tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert outputs("films") == ["out/a.mp4", "out/b.mkv", "out/sub/a.mov", "out/sub/deep/c.mkv"]
    assert "films: files that are no videos by their ending are left out: 1 .txt" in caplog.text


def test_outputs_of_an_earlier_batch_are_no_inputs(tree: Path) -> None:
    assert not any("old" in output for output in outputs("."))


def test_a_glob_keeps_the_tree_below_its_fixed_part(tree: Path) -> None:
    assert outputs("films/**/*.mo?") == ["out/sub/a.mov"]
    assert outputs("films/*") == ["out/a.mp4", "out/b.mkv", "out/sub/a.mov", "out/sub/deep/c.mkv"]


def test_a_file_named_twice_is_done_once(tree: Path) -> None:
    assert outputs("films/a.mp4", "films/../films/a.mp4") == ["out/a.mp4"]


def test_a_list_names_inputs_line_by_line(tree: Path) -> None:
    (tree / "list.txt").write_text("films/a.mp4\n\nfilms/sub\n")
    assert outputs(list_file="list.txt") == ["out/a.mp4", "out/a.mov", "out/deep/c.mkv"]


def test_sources_that_would_share_an_output_keep_their_whole_names(tree: Path) -> None:
    (tree / "films" / "b.wmv").write_bytes(b"x")
    found = outputs("films/b.avi", "films/b.wmv", "films/a.mp4", ending=".mp4")
    assert found == ["out/b.avi.mp4", "out/b.wmv.mp4", "out/a.mp4"]


@pytest.mark.parametrize(
    ("inputs", "options", "part"),
    [
        (["nowhere.mp4"], {}, "nowhere.mp4: no such file or folder"),
        (["films/*.flac"], {}, "nothing has such a name"),
        (["films/notes.txt", "other/notes.txt"], {}, "give them separate batches"),
        ([], {}, "no input given"),
        ([], {"list_file": "none.txt"}, "--list none.txt: cannot be read"),
        (["films"], {"ending": ".flac"}, "stands for no kind of video file; there are: .mp4"),
        (["empty"], {}, "no video found in empty"),
        (["out/old.mp4"], {}, "is the source itself"),
    ],
)
def test_what_cannot_be_a_batch_is_refused(
    tree: Path, inputs: list[str], options: dict[str, str], part: str
) -> None:
    (tree / "empty").mkdir()
    (tree / "other").mkdir()
    (tree / "other" / "notes.txt").write_bytes(b"x")
    with pytest.raises(ConfigError, match=part):
        outputs(*inputs, **options)


def test_a_batch_goes_on_past_a_failure_and_skips_next_time_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    media.make_clip(tmp_path / "in" / "a.mp4", frames=5)
    (tmp_path / "in" / "b.mp4").write_bytes(b"no video")
    media.make_clip(tmp_path / "in" / "sub" / "c.mkv", frames=4)
    first = streamfx.batch(["in"], "out")
    assert [outcome.state for outcome in first.outcomes] == ["finished", "failed", "finished"]
    assert "not a video" in first.outcomes[1].problems[0]
    assert first.exit_code == 1
    assert json.loads(Path("out/batch.json").read_text())["counts"] == {"finished": 2, "failed": 1}
    assert json.loads(Path("out/sub/c.mkv.json").read_text())["result"]["account"]["encoded"] == 4

    media.make_clip(tmp_path / "in" / "b.mp4", frames=3)
    media.make_clip(tmp_path / "in" / "sub" / "c.mkv", frames=6)  # another film of the same name
    lines: list[Outcome] = []
    second = streamfx.batch(["in"], "out", show=BatchObserver(ended=lines.append))
    assert [outcome.state for outcome in second.outcomes] == ["skipped", "finished", "finished"]
    assert [outcome.frames for outcome in second.outcomes] == [None, 3, 6]
    assert second.exit_code == 0
    assert len(lines) == 3


def test_what_is_there_and_of_no_batch_is_not_replaced(tmp_path: Path) -> None:
    source = media.make_clip(tmp_path / "a.mp4", frames=2)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.mp4").write_bytes(b"precious")
    summary = streamfx.batch([source], tmp_path / "out")
    assert summary.exit_code == 1
    assert "exists already" in summary.summary()
    assert (tmp_path / "out" / "a.mp4").read_bytes() == b"precious"


def test_what_a_worker_finished_after_its_batch_was_killed_is_known_to_the_next(tmp_path: Path) -> None:
    media.make_clip(tmp_path / "in.mp4", frames=12)
    out, folder = tmp_path / "out" / "in.mp4", tmp_path / "out"
    journal = folder / ".streamfx" / "finished.jsonl"

    def run(quality: int = 20) -> dict[str, int]:
        return dict(streamfx.batch([tmp_path / "in.mp4"], folder, quality=quality).counts)

    assert run() == {"finished": 1}
    noted = journal.read_bytes().splitlines(keepends=True)
    made, left = out.read_bytes(), work_folder(out)
    journal.write_bytes(b"".join(noted[:-1]))  # killed before it heard from its worker
    left.mkdir()  # and the worker's machine, while it removed this
    assert run() == {"skipped": 1}
    assert not left.exists()
    journal.write_bytes(b"".join(noted[:-1]))
    assert run(quality=40) == {"finished": 1}
    assert len(out.read_bytes()) < len(made)
    journal.write_bytes(b"".join(noted[:-1]))
    out.write_bytes(b"somebody else's")
    assert run() == {"failed": 1}
    assert out.read_bytes() == b"somebody else's"


def test_a_process_that_dies_fails_its_file_alone(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    asked = load_batch(options={"inputs": (str(tmp_path),), "output_dir": str(tmp_path / "out")})
    dies = "import os, sys; sys.stdin.readline(); print('oh no', file=sys.stderr, flush=True); os.abort()"
    summary = run_batch(asked, command=[sys.executable, "-c", dies])
    assert [outcome.state for outcome in summary.outcomes] == ["failed", "failed"]
    assert "ended with SIGABRT: oh no" in summary.summary()


def test_two_batches_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    asked = load_batch(options={"inputs": (str(tmp_path),), "output_dir": str(tmp_path / "out")})
    quick = 'import sys\nfor _ in sys.stdin: print(\'{"ended": {"stopped": true}}\', flush=True)'

    def meanwhile(_outcome: Outcome) -> None:
        with pytest.raises(ConfigError, match="another run is at work"):
            run_batch(asked, command=[sys.executable, "-c", quick])

    stopped = run_batch(asked, BatchObserver(ended=meanwhile), command=[sys.executable, "-c", quick])
    assert stopped.exit_code == 130
    assert "the same command goes on" in stopped.summary()


def test_settings_come_from_a_file_and_options_and_wrong_ones_are_told(tmp_path: Path) -> None:
    (tmp_path / "batch.yaml").write_text("inputs: [films]\noutput_dir: done\nquality: 30\njobs: 2\n")
    asked = load_batch(tmp_path / "batch.yaml", ["quality=31"], {"ending": "mkv", "start": "0:01:00.5"})
    assert (asked.inputs, asked.jobs, asked.ending) == (("films",), 2, ".mkv")
    assert (asked.config_of("a", "b").quality, asked.config_of("a", "b").start) == (31, 60.5)
    with pytest.raises(ConfigError, match=r"end: must come after the start, 60\.5 s"):
        load_batch(tmp_path / "batch.yaml", ["end=60"], {"start": "0:01:00.5"})
    with pytest.raises(ConfigError, match="did you mean 'output_dir'"):
        load_batch(options={"output_dirr": "x"})


def test_an_effect_that_is_not_there_refuses_the_batch(tmp_path: Path) -> None:
    media.make_clip(tmp_path / "a.mp4", frames=2)
    with pytest.raises(EngineNotFoundError):
        streamfx.batch([tmp_path / "a.mp4"], tmp_path / "out", effects=["nosuch"])
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_with_one_line(
    tree: Path, capsys: pytest.CaptureFixture[str], at_home: Path
) -> None:
    assert main(["batch", "nowhere", "--output-dir", "out", "--effect", "tiny"]) == 2
    assert capsys.readouterr().err == "streamfx: error: nowhere: no such file or folder\n"


def test_a_stopped_batch_has_the_exit_code_of_ctrl_c() -> None:
    outcome = Outcome(source="a", output="b", state="not begun")
    summary = Summary(outcomes=(outcome,), settings={}, jobs=1, started_at="", seconds=1)
    assert summary.exit_code == 130


def test_ctrl_c_stops_what_runs_and_begins_nothing_more(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"x")
    asked = load_batch(options={"inputs": (str(tmp_path),), "output_dir": str(tmp_path / "out")})
    stops = (
        "import sys, time\nsys.stdin.readline()\n"
        'print(\'{"progress": {"frames_out": 1, "frame_count": 9}}\', flush=True)\n'
        "try:\n    time.sleep(200)\nexcept KeyboardInterrupt:\n"
        '    print(\'{"ended": {"stopped": true}}\', flush=True)\n    sys.stdin.read()'
    )

    def meanwhile(state: BatchState) -> None:
        if state.running:
            os.kill(os.getpid(), signal.SIGINT)

    summary = run_batch(asked, BatchObserver(state=meanwhile), command=[sys.executable, "-c", stops])
    assert [outcome.state for outcome in summary.outcomes] == ["stopped", "not begun"]
    assert summary.exit_code == 130
