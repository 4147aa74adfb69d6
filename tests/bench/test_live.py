"""A measured live run: to an output that keeps nothing, to a file, to one that is received again."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamfx.bench.live import here_and_free, measure_live
from streamfx.config.live import LiveConfig
from streamfx.config.loading import load_config
from streamfx.errors import ConfigError, SinkError
from streamfx.media.frame import Frame
from streamfx.media.stage import LATENCY_STAGES
from streamfx.pipeline.stats import Snapshot

SOURCE = "test:bars?size=160x96&fps=50&frames=0&live=1"


def config(*outputs: str, source: str = SOURCE, seconds: float = 0.8) -> LiveConfig:
    options: dict[str, object] = {
        "input": source, "outputs": outputs, "effects": ("tiny:strength=0.5",), "threads": 1, "factor": 2,
        "preset": "ultrafast",
    }  # fmt: skip
    return load_config(None, [f"limits.seconds={seconds}"], options, model=LiveConfig)


@pytest.mark.usefixtures("at_home")
def test_every_picture_that_is_written_is_read_and_told_by_row_and_stage() -> None:
    seen: list[Frame] = []
    snapshots: list[Snapshot] = []
    figures = measure_live(config("null:"), 0.3, snapshots.append, seen.append)
    account = figures.report.result.account
    assert figures.at_output.pictures == account.encoded == len(seen)
    assert figures.wrong == 0
    assert figures.at_far_end is None
    assert figures.readings is figures.at_output
    assert sum(row.frames_in for row in figures.rows) == account.frames_in
    assert sum(row.frames_out for row in figures.rows) == account.encoded
    assert len(figures.rows) >= 2
    assert {row.factor for row in figures.rows} == {2.0}
    assert snapshots
    stages = figures.report.result.stages
    means = [stages[name].mean_seconds or 0 for name in LATENCY_STAGES]
    whole = stages["latency"].mean_seconds or 0
    # Frames that were dropped are in the mean of capture only; the parts of the others make the whole.
    assert sum(means[1:]) < whole + 1e-3
    assert whole < sum(means) + (stages["capture"].max_seconds or 0)


def test_a_file_is_read_again_and_its_pictures_are_those_of_their_times(at_home: Path) -> None:
    figures = measure_live(config("out.mp4"))
    assert figures.at_far_end is not None
    assert figures.at_far_end.pictures == figures.at_output.pictures > 0
    assert figures.wrong == 0
    assert not figures.received
    assert [path.name for path in at_home.iterdir()] == ["out.mp4"]


@pytest.mark.usefixtures("at_home")
def test_what_is_sent_is_received_decoded_and_read() -> None:
    figures = measure_live(config(here_and_free(), seconds=1.5))
    assert figures.received
    assert figures.readings is figures.at_far_end
    assert 0 < figures.readings.pictures <= figures.at_output.pictures
    assert figures.wrong == 0
    assert (figures.readings.latency.p50_seconds or 0) > 0


def test_what_cannot_be_measured_is_refused(at_home: Path) -> None:
    with pytest.raises(ConfigError, match=r"input: .* the test picture in its own pace.*; found test:bars$"):
        measure_live(config("null:", source="test:bars"))
    with pytest.raises(ConfigError, match=r"found in\.mp4"):
        measure_live(config("null:", source="in.mp4"))
    with pytest.raises(ConfigError, match="outputs: one at a time is measured, found 2"):
        measure_live(config("null:", "out.mp4"))
    with pytest.raises(SinkError, match="there is no folder"):
        measure_live(config(str(at_home / "nowhere" / "out.mp4")))
