"""Runs in segments: whatever breaks one off, the next gives what an uninterrupted one gives."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import streamfx
from streamfx.config.loading import load_config
from streamfx.config.transcode import TranscodeConfig
from streamfx.errors import ConfigError
from streamfx.pipeline.flow import Ending
from streamfx.pipeline.stats import Snapshot
from streamfx.resume.journal import checked_line
from streamfx.resume.work import Work, work_folder
from streamfx.run.report import Report
from tests import media
from tests.resume.contents import Contents, contents

FRAMES = 90


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film with a variable frame rate, a key frame every half second, sound, subtitles and chapters."""
    times = [number * 40 + number % 7 * 5 for number in range(FRAMES)]
    return media.make_clip(
        tmp_path_factory.mktemp("film") / "in.mkv",
        times=times,
        subtitles=["one", "two"],
        chapters=["A", "B"],
        options={"g": "12"},
    )


def config(film: Path, output: Path, *overrides: str) -> TranscodeConfig:
    return load_config(
        overrides=["resume=true", "segment_seconds=0.5", *overrides],
        options={"input": str(film), "output": str(output)},
    )


def run(film: Path, output: Path, *overrides: str) -> Report:
    return streamfx.run_config(config(film, output, *overrides))


@pytest.fixture(scope="module")
def whole(film: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Contents]:
    """What uninterrupted runs give, by ending."""
    folder = tmp_path_factory.mktemp("whole")
    for ending in (".mp4", ".mkv"):
        report = run(film, folder / f"out{ending}")
        assert (report.exit_code, report.result.account.encoded) == (0, FRAMES)
    return {ending: contents(folder / f"out{ending}") for ending in (".mp4", ".mkv")}


def kill(film: Path, output: Path, moment: str, count: int, *overrides: str) -> None:
    """Have a run killed at a moment; see ``killed.py``."""
    command = [sys.executable, "-m", "tests.resume.killed", moment, str(count), str(film), str(output)]
    command += overrides
    ran = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert ran.returncode == -9, ran.stderr


@pytest.mark.parametrize(
    ("moment", "count", "ending"),
    [("frame", 40, ".mp4"), ("packet", 70, ".mkv"), ("segment", 1, ".mp4"), ("joining", 33, ".mkv")],
)
def test_a_killed_run_goes_on_and_gives_what_an_uninterrupted_one_gives(
    film: Path,
    whole: dict[str, Contents],
    tmp_path: Path,
    moment: str,
    count: int,
    ending: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    output = tmp_path / f"out{ending}"
    kill(film, output, moment, count)
    assert not output.exists()
    with caplog.at_level(logging.INFO):
        report = run(film, output)
    assert ("goes on with frame" in caplog.text) == (moment != "joining")
    assert "read again" not in caplog.text  # what was done is not even decoded
    assert (report.exit_code, report.result.account.encoded) == (0, FRAMES)
    assert contents(output) == whole[ending]
    assert streamfx.verify(film, output).differences == ()
    assert not work_folder(output).exists()


def test_a_run_killed_after_its_output_was_there_ends_what_it_began(
    film: Path, whole: dict[str, Contents], tmp_path: Path
) -> None:
    output = tmp_path / "out.mp4"
    kill(film, output, "renamed", 1)
    assert output.exists()
    assert run(film, output).exit_code == 0
    assert contents(output) == whole[".mp4"]
    with pytest.raises(OSError, match="exists already"):  # now it is somebody's finished film
        run(film, output)


def stopped_after(film: Path, output: Path, frames: int) -> Report:
    """Run until so many frames are out, then stop as Ctrl-C does."""

    def show(snapshot: Snapshot) -> None:
        if snapshot.frames_out >= frames and not snapshot.stopping:
            raise KeyboardInterrupt

    slow = ["preset=veryslow", "workers=1"]
    return streamfx.run_config(config(film, output, *slow), show)


@pytest.mark.parametrize(("more", "frames"), [((), 50), (("limits.frames=40",), 40)])
def test_the_time_left_is_told_of_a_film_that_does_not_count_its_frames(
    tmp_path: Path, more: tuple[str, ...], frames: int
) -> None:
    film = media.make_clip(tmp_path / "in.mkv", frames=50, audio=False, options={"g": "12"})
    output, shown = tmp_path / "out.mkv", list[Snapshot]()
    kill(film, output, "segment", 1, *more)
    streamfx.run_config(config(film, output, *more), shown.append)
    assert [snapshot.remaining_seconds for snapshot in shown if snapshot.frames_out == frames][-1:] == [0]
    assert {snapshot.frame_count for snapshot in shown} == {frames if more else None}


def test_segments_without_a_gap_hold_all_frames(film: Path, tmp_path: Path) -> None:
    pairs = ((".mp4", "hevc"), (".mp4", "av1"), (".webm", "vp9"), (".mkv", "ffv1"), (".mov", "prores"))
    for ending, codec in pairs:
        output = tmp_path / f"{codec}{ending}"
        assert run(film, output, f"codec={codec}").exit_code == 0
        assert [found for found in streamfx.verify(film, output).differences if found.about != "depth"] == []


def test_other_settings_begin_anew_and_say_so(
    film: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "out.mp4"
    kill(film, output, "segment", 2)
    with caplog.at_level(logging.INFO):
        report = run(film, output, "quality=35")
    assert (
        "begins anew, for what decides the result has changed: settings.quality (was nothing, is 35)"
        in caplog.text
    )
    assert any("began anew" in note for note in report.notes)
    plain = tmp_path / "plain.mp4"
    run(film, plain, "quality=35")
    assert contents(output) == contents(plain)


def test_another_film_of_the_same_name_begins_anew(film: Path, tmp_path: Path) -> None:
    source, output = Path(shutil.copy(film, tmp_path / "in.mkv")), tmp_path / "out.mp4"
    kill(source, output, "segment", 1)
    media.make_clip(source, frames=30)
    assert run(source, output).result.account.encoded == 30


def killed_and_finished(film: Path, output: Path, segments: int, *asked: str) -> Report:
    """Have a run killed, finish it, compare it with an uninterrupted one, and return its report."""
    plain = output.with_name(f"plain{output.suffix}")
    kill(film, output, "segment", segments, *asked)
    report = run(film, output, *asked)
    run(film, plain, *asked)
    assert contents(output) == contents(plain)
    written = output.with_name("report.json")
    report.write(written)
    found = streamfx.verify(film, output, report=written)
    assert (report.exit_code, found.differences) == (0, ())
    assert found.output.frames == report.result.account.frames_in
    return report


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_killed_run_of_a_part_gives_that_part(
    film: Path, tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        report = killed_and_finished(film, tmp_path / f"out{ending}", 1, "start=1.2", "end=3.4")
    assert "goes on with frame" in caplog.text
    assert "read again" not in caplog.text
    assert report.result.account.frames_in < 60


@pytest.mark.parametrize("fps", ["10", "60"])
def test_a_killed_run_at_another_rate_and_geometry_gives_the_same(
    film: Path, tmp_path: Path, fps: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        killed_and_finished(
            film, tmp_path / "out.mkv", 2, f"fps={fps}", "crop=100x60", "rotate=90", "size=x128"
        )
    assert "goes on with frame" in caplog.text
    assert "read again" not in caplog.text


def test_the_report_of_a_comparison_in_segments_says_its_size(film: Path, tmp_path: Path) -> None:
    output, report = tmp_path / "out.mkv", tmp_path / "report.json"
    run(film, output, "compare=side", "limits.frames=20").write(report)
    assert "they show before and after" in report.read_text()
    found = streamfx.verify(film, output, report=report).differences
    assert [each.known for each in found if each.about == "size"] == [True]


def test_a_damaged_segment_is_done_again(film: Path, whole: dict[str, Contents], tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    kill(film, output, "end", 1)
    segment = work_folder(output) / "000001.packets"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    assert run(film, output).exit_code == 0
    assert contents(output) == whole[".mp4"]


def test_a_torn_journal_counts_up_to_the_tear(film: Path, whole: dict[str, Contents], tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    kill(film, output, "segment", 3)
    journal = work_folder(output) / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    assert run(film, output).exit_code == 0
    assert contents(output) == whole[".mp4"]


def test_frames_that_cannot_be_sought_are_read_again(tmp_path: Path) -> None:
    source = media.make_clip(tmp_path / "in.ts", frames=60, options={"g": "12"})
    kill(source, tmp_path / "out.mkv", "segment", 2)
    report = run(source, tmp_path / "out.mkv")
    assert (report.exit_code, report.result.account.encoded) == (0, 60)
    run(source, tmp_path / "plain.mkv")
    assert contents(tmp_path / "out.mkv") == contents(tmp_path / "plain.mkv")


def test_the_first_frames_alone_are_resumed_too(film: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    assert run(film, output, "limits.frames=50").result.account.encoded == 50
    assert len(contents(output)[0]) == 50


def test_ctrl_c_keeps_what_is_finished(film: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    report = stopped_after(film, output, 20)
    if report.result.ending is Ending.STOPPED:  # a quick machine may have been done before
        assert report.exit_code == 130
        assert "the same command goes on from there" in report.summary()
        assert not output.exists()
        assert stopped_after(film, output, FRAMES * 2).exit_code == 0
    assert len(contents(output)[0]) == FRAMES


@pytest.mark.parametrize(
    ("source", "output"), [("test:bars?frames=2", "out.mp4"), ("in.mkv", "out.gif"), ("in.mkv", "null:")]
)
def test_what_cannot_be_resumed_is_refused_with_what_can_be_done(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, output: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(film, "in.mkv")
    with pytest.raises(ConfigError, match="run with --no-resume"):
        streamfx.transcode(source, output, resume=True)
    assert streamfx.transcode(source, output, resume=False).exit_code == 0


def test_two_runs_at_once_on_one_output_are_refused(film: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    work = Work(output, {})
    with pytest.raises(ConfigError, match="another run is at work on this output"):
        run(film, output)
    work.close()
    assert not work_folder(output).exists()


def test_encoding_in_segments_gives_the_same_each_time(film: Path, tmp_path: Path) -> None:
    found = set()
    for number in range(3):
        run(film, tmp_path / f"{number}.mkv")
        found.add(str(contents(tmp_path / f"{number}.mkv")))
    assert len(found) == 1


def test_work_noted_in_an_older_format_is_begun_anew(tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    folder = work_folder(output)
    folder.mkdir()
    (folder / "journal.jsonl").write_text(checked_line({"format": 1, "decisions": {}, "decided": {}}))
    work = Work(output, {})
    assert work.anew == "format (was 1, is 2)"
    assert work.segments() == []
    work.close()
