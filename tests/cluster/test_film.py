"""A film on a cluster: planned, done in segments by others, put together: what one machine makes of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

import streamfx
from streamfx.cluster.film import run_on_cluster
from streamfx.cluster.pool import Machine, Task, TaskEnd
from streamfx.config.loading import load_config
from streamfx.config.transcode import TranscodeConfig
from streamfx.errors import ConfigError, SinkError
from streamfx.jobs.dry_run import dry_run
from streamfx.pipeline.flow import Ending
from streamfx.pipeline.stats import Snapshot
from streamfx.resume.work import Work, work_folder
from streamfx.run.report import Report
from tests import media
from tests.cluster.pools import PoolHere
from tests.resume.contents import contents
from tests.resume.test_effects import EFFECTS
from tests.resume.test_effects import film as film_with_cuts

__all__ = ["film_with_cuts"]  # the fixture
FRAMES = 60


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film with a variable frame rate, a key frame every half second, sound, subtitles and chapters."""
    return media.make_clip(
        tmp_path_factory.mktemp("film") / "in.mkv",
        times=[number * 40 + number % 7 * 5 for number in range(FRAMES)],
        subtitles=["one", "two"],
        chapters=["A", "B"],
        options={"g": "12"},
    )


def config(film: Path, output: Path, *overrides: str, **options: Any) -> TranscodeConfig:
    how = ["segment_seconds=0.5", "threads=1", "device=cpu", *overrides]
    return load_config(overrides=how, options={"input": str(film), "output": str(output), **options})


def spread(film: Path, output: Path, pool: PoolHere, *overrides: str, **options: Any) -> Report:
    return run_on_cluster(
        config(film, output, "cluster=auto", *overrides, **options), None, lambda _address, _retries: pool
    )


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_a_film_on_a_cluster_is_what_one_machine_makes_of_it(film: Path, tmp_path: Path, ending: str) -> None:
    here, there = tmp_path / f"here{ending}", tmp_path / f"there{ending}"
    streamfx.run_config(config(film, here, "resume=true"))
    pool = PoolHere()
    report = spread(film, there, pool)
    assert pool.closed
    assert len(pool.done) >= 4
    assert set(pool.asked_for) == {(1, 0)}
    assert contents(there) == contents(here)
    assert (report.exit_code, report.differences) == (0, ())
    account = report.result.account
    assert (account.frames_in, account.encoded, report.result.packets_written) == (FRAMES, FRAMES, FRAMES)
    assert report.result.stages["generate"].count == FRAMES
    assert "speed: " in report.summary()
    assert not work_folder(there).exists()


def test_routes_and_noise_are_on_a_cluster_what_they_are_on_one_machine(
    film_with_cuts: Path, tmp_path: Path
) -> None:
    here, there = tmp_path / "here.mkv", tmp_path / "there.mkv"
    how = ("segment_seconds=0.8", "backend=eager", "factor=2")
    expected = streamfx.run_config(config(film_with_cuts, here, "resume=true", *how, effects=EFFECTS))
    report = spread(film_with_cuts, there, PoolHere(), *how, effects=EFFECTS)
    assert contents(there) == contents(here)
    assert report.routing == expected.routing


def test_a_segment_that_cannot_be_done_stops_the_run_and_the_next_run_does_only_what_is_left(
    film: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.mkv"
    first = PoolHere(fails=(2,))  # tasks are done from the last to the first
    with pytest.raises(SinkError, match=r"segment 1 could not be done: The worker died unexpectedly.; fin"):
        spread(film, output, first)
    assert [asked["place"]["number"] for asked in first.done][-1] == 2
    second = PoolHere()
    assert spread(film, output, second).exit_code == 0
    assert sorted(asked["place"]["number"] for asked in second.done) == [0, 1]


def test_one_machine_goes_on_with_what_a_cluster_has_begun(film: Path, tmp_path: Path) -> None:
    here, output = tmp_path / "here.mkv", tmp_path / "out.mkv"
    streamfx.run_config(config(film, here, "resume=true"))
    with pytest.raises(SinkError):
        spread(film, output, PoolHere({"left": 1}, fails=(3,), in_order=True), "threads=null", "device=auto")
    report = streamfx.run_config(config(film, output, "resume=true", "device=auto"))
    assert report.exit_code == 0
    assert not any("anew" in note for note in report.notes)
    assert any("went on at frame" in note for note in report.notes)
    assert contents(output) == contents(here)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"decisions": {"versions": {"streamfx": "9.9.9"}}},
            r"left would decide otherwise: versions.streamfx \(was 9.9.9, is .*\); make that alike, or take",
        ),
        (
            {"decisions": {"machine": {"processor": "Z80"}}},
            r"left would decide otherwise: machine.processor \(was Z80",
        ),
        (
            {"config": {"input": "/nowhere/in.mkv"}},
            r"left cannot see the input /nowhere/in.mkv; every machin",
        ),
        ({"folder": "/nowhere"}, r"left cannot see the folder /nowhere, where the work is kept"),
        ({"config": {"effects": ("nosuch",)}}, r"left cannot do it: .*nosuch"),
    ],
)
def test_a_machine_that_would_do_otherwise_or_sees_no_files_is_refused_before_the_first_frame(
    film: Path, tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    pool = PoolHere({"left": 2}, lambda asked: merged(asked, changed))
    with pytest.raises(ConfigError, match=f"--cluster: {says}"):
        spread(film, tmp_path / "out.mkv", pool)
    assert pool.closed
    assert pool.done == []


def test_a_machine_that_joins_later_is_asked_as_well(film: Path, tmp_path: Path) -> None:
    changed = {"decisions": {"versions": {"av": "1"}}}
    pool = PoolHere(change=lambda asked: merged(asked, changed) if "place" in asked else asked)
    with pytest.raises(SinkError, match=r"the machine that should do it would decide otherwise: versions.av"):
        spread(film, tmp_path / "out.mkv", pool)


def merged(asked: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    return asked | {
        name: merged(asked[name], value) if isinstance(value, dict) else value
        for name, value in changed.items()
    }


def test_a_machine_that_reads_other_frames_than_were_planned_is_found_out(film: Path, tmp_path: Path) -> None:
    def other(asked: dict[str, Any]) -> dict[str, Any]:
        if "place" not in asked:
            return asked
        prints = [(pts, 1) for pts, _ in asked["place"]["ends"]["fingerprints"]]
        return merged(asked, {"place": {"ends": {"fingerprints": prints}}})

    with pytest.raises(SinkError, match=r"holds other frames than were planned: fingerprints"):
        spread(film, tmp_path / "out.mkv", PoolHere(change=other))


def test_a_machine_that_answers_nothing_is_named(film: Path, tmp_path: Path) -> None:
    class Silent(PoolHere):
        def on_each(self, task: Task, asked: Any) -> dict[Machine, TaskEnd]:
            return {self.machines()[0]: TaskEnd(0, None, "ModuleNotFoundError: No module named 'streamfx'")}

    with pytest.raises(ConfigError, match=r"left has no streamfx \(.*\); install the same there"):
        spread(film, tmp_path / "out.mkv", Silent())


def test_ctrl_c_keeps_what_is_finished(film: Path, tmp_path: Path) -> None:
    output, pool = tmp_path / "out.mkv", PoolHere()

    def show(snapshot: Snapshot) -> None:
        if pool.done:
            raise KeyboardInterrupt

    stopped = run_on_cluster(config(film, output, "cluster=auto"), show, lambda _address, _retries: pool)
    assert (stopped.result.ending, stopped.exit_code) == (Ending.STOPPED, 130)
    assert 0 < stopped.result.account.encoded < FRAMES
    assert "the same command goes on from there" in stopped.summary()
    again = PoolHere()
    assert spread(film, output, again).exit_code == 0
    assert 0 < len(again.done) < len(pool.asked_for)


def test_progress_counts_the_frames_that_are_done_and_not_those_that_are_planned(
    film: Path, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    pool = PoolHere()

    def show(snapshot: Snapshot) -> None:
        seen.append((snapshot.frames_out, len(pool.done)))

    run_on_cluster(config(film, tmp_path / "o.mkv", "cluster=auto"), show, lambda _address, _retries: pool)
    assert all((frames == 0) == (done == 0) for frames, done in seen)
    assert seen[-1][0] == FRAMES


def test_threads_are_those_of_the_smallest_machine_and_four_at_most(film: Path, tmp_path: Path) -> None:
    for machines, threads in (({"a": 16, "b": 3}, 3), ({"a": 16}, 4)):
        pool = PoolHere(machines)
        spread(film, tmp_path / f"{threads}.mkv", pool, "threads=null", effects=())
        assert set(pool.asked_for) == {(threads, 0)}
    with pytest.raises(ConfigError, match=r"no machine gives more than 2; give --threads 2 or fewer"):
        spread(film, tmp_path / "8.mkv", PoolHere(), "threads=8")
    with pytest.raises(ConfigError, match="no machine of it gives a processor"):
        spread(film, tmp_path / "8.mkv", PoolHere({"head": 0}))


def test_frames_at_the_beginning_alone_are_done(film: Path, tmp_path: Path) -> None:
    report = spread(film, tmp_path / "out.mkv", PoolHere(), "limits.frames=40")
    assert (report.exit_code, report.result.account.encoded) == (0, 40)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "out.gif",
            "only a video file, and no GIF, APNG, WebP or Y4M, is put together of segments; run without",
        ),
        ("-", "only a video file"),
    ],
)
def test_what_is_not_put_together_of_segments_is_refused(film: Path, name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=f"--cluster: .*{says}"):
        spread(film, Path(name), PoolHere())


def test_a_film_in_which_no_place_is_found_by_its_time_is_refused(tmp_path: Path) -> None:
    film = media.make_clip(tmp_path / "in.ts", frames=10)
    says = r"in.ts: no place in it can be found by its time.*OUT.mkv\), or run without --cluster"
    with pytest.raises(ConfigError, match=says):
        spread(film, tmp_path / "out.mkv", PoolHere())
    with pytest.raises(ConfigError, match=says):
        dry_run(config(film, tmp_path / "out.mkv", "cluster=auto"))


def test_a_segment_whose_file_is_damaged_on_the_way_is_not_noted(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Work, "problem", lambda _work, _segment: "a packet in it is damaged")
    with pytest.raises(SinkError, match=r"segment \d could not be done: a packet in it is damaged"):
        spread(film, tmp_path / "out.mkv", PoolHere())


def test_a_missing_ray_is_named_with_the_extra_that_brings_it(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "ray" else found(name, *more)
    )
    with pytest.raises(
        ConfigError, match=r"--cluster needs Ray: pip install 'streamfx\[cluster\]', on every"
    ):
        streamfx.run_config(config(film, tmp_path / "out.mkv", "cluster=auto"))


def test_a_source_of_ones_own_is_refused(film: Path, tmp_path: Path) -> None:
    from streamfx.capture.opening import open_source

    source = open_source(str(film))
    with pytest.raises(ConfigError, match="cluster: a source or sink of one's own cannot be gone on with"):
        streamfx.run_config(config(film, tmp_path / "out.mkv", "cluster=auto"), source=source)
    source.close()
