"""From a source to a checked output and its report, with real clips, a tiny engine and real encoders."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import streamfx
from streamfx.capture.opening import open_source
from streamfx.config.loading import load_config
from streamfx.encode.files.file import FileSink
from streamfx.errors import BackendUnavailableError, ConfigError, SinkError, SourceOpenError, StageFailedError
from streamfx.generate.chain import Chain
from streamfx.pipeline.flow import Ending
from streamfx.pipeline.stats import Snapshot
from streamfx.run.completeness import differences
from streamfx.run.report import Report
from tests import media
from tests.fakes import failing_at

FRAMES = 24
pytestmark = pytest.mark.usefixtures("at_home")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip with sound."""
    folder = tmp_path_factory.mktemp("transcoding")
    media.make_clip(folder / "in.mkv", frames=FRAMES, codec="ffv1", pix_fmt="yuv420p")
    return folder


def pixels(path: Path | str) -> list[NDArray[Any]]:
    """Return every picture of a file, as stored."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray() for frame in container.decode(video=0)]


def times(path: Path | str) -> list[object]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def test_at_strength_0_every_picture_comes_through_bit_for_bit(folder: Path) -> None:
    source = folder / "in.mkv"
    report = streamfx.transcode(
        source, "out.mkv", effects=["tiny:strength=0", "tiny:strength=0"], codec="ffv1"
    )
    assert report.exit_code == 0
    assert all(np.array_equal(a, b) for a, b in zip(pixels(source), pixels("out.mkv"), strict=True))
    assert times("out.mkv") == times(source)


def test_an_effect_changes_every_picture_and_no_time(folder: Path) -> None:
    report = streamfx.transcode(folder / "in.mkv", "out.mkv", effects=["tiny"], factor=4, codec="ffv1")
    assert report.exit_code == 0
    before, after = pixels(folder / "in.mkv"), pixels("out.mkv")
    assert len(before) == len(after) == FRAMES
    assert not any(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert times("out.mkv") == times(folder / "in.mkv")


def test_the_number_of_workers_and_threads_changes_no_pixel(folder: Path) -> None:
    for workers, threads in ((1, 1), (1, 2), (3, 3)):
        streamfx.transcode(
            folder / "in.mkv", f"{workers}{threads}.mkv", effects=["tiny"], codec="ffv1", backend="openvino",
            factor=4, workers=workers, threads=threads,
        )  # fmt: skip
    one, two, three = pixels("11.mkv"), pixels("12.mkv"), pixels("33.mkv")
    # Sums may be made in another order with other threads: the same to one code, and mostly to the bit.
    for a, b, c in zip(one, two, three, strict=True):
        assert np.abs(a.astype(int) - b).max() <= 1
        assert np.abs(a.astype(int) - c).max() <= 1


def test_the_report_says_what_was_done_with_what_and_can_be_read_back(folder: Path) -> None:
    report = streamfx.transcode(
        folder / "in.mkv", "out.mp4", effects=["tiny:strength=0.5"], factor=2, report="report.json"
    )
    stored = json.loads(Path("report.json").read_text())
    assert stored == json.loads(report.model_dump_json())
    assert stored["exit_code"] == 0
    assert stored["source"]["width_pixels"] == 128
    assert stored["effects"][0]["name"] == "tiny"
    assert stored["effects"][0]["controls"] == {"strength": 0.5, "factor": 2.0}
    assert stored["result"]["account"]["encoded"] == stored["result"]["packets_written"] == FRAMES
    assert {"decode", "reduce", "translate", "fuse", "encode"} <= set(stored["result"]["stages"])
    assert stored["result"]["stages"]["fuse"]["count"] == FRAMES
    assert stored["output"]["size_bytes"] == Path("out.mp4").stat().st_size
    assert stored["seconds_to_first_frame"] > 0
    assert stored["versions"]["av"] == av.__version__
    del stored["exit_code"]
    assert Report.model_validate(stored).config == report.config
    assert load_config(options=stored["config"]) == report.config


def test_progress_is_shown_up_to_the_last_frame(folder: Path) -> None:
    seen: list[Snapshot] = []
    streamfx.transcode(folder / "in.mkv", "null:", progress=seen.append)
    assert seen[-1].frames_out == FRAMES


def test_the_summary_tells_the_run_in_words(folder: Path) -> None:
    lines = streamfx.transcode(folder / "in.mkv", "out.mp4").summary().splitlines()
    assert lines[:2] == ["out.mp4: complete", f"frames: {FRAMES} in, {FRAMES} encoded"]
    assert lines[2].startswith("speed: ")
    assert len(lines) == 3


# ---------------------------------------------------------------- what is not all there


def test_a_file_that_states_no_frame_count_and_was_cut_off_is_found_out(tmp_path: Path) -> None:
    whole = media.make_clip(tmp_path / "whole.mkv", frames=100, lossless=True)
    Path("cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    report = streamfx.transcode("cut.mkv", "out.mp4")
    assert report.exit_code == 1
    assert report.result.ending is Ending.COMPLETE
    assert len(report.losses) == 1
    assert report.losses[0].startswith("cut.mkv: promises 4.0")
    assert "it may have been cut off" in report.losses[0]
    assert "out.mp4: finished, but not everything is there" in report.summary()


def test_a_video_that_ends_before_its_sound_is_complete(tmp_path: Path) -> None:
    media.make_clip(tmp_path / "late.mkv", frames=20, audio_delay_seconds=3.0)
    assert streamfx.transcode("late.mkv", "out.mp4").losses == []


def test_a_frame_limit_is_no_loss(folder: Path) -> None:
    config = load_config(None, ["limits.frames=5"], {"input": str(folder / "in.mkv"), "output": "out.mp4"})
    report = streamfx.run_config(config)
    assert (report.exit_code, report.result.account.encoded) == (0, 5)


def test_an_output_that_was_changed_behind_our_back_is_found_out(folder: Path) -> None:
    report = streamfx.transcode(folder / "in.mkv", "out.mkv")
    assert report.differences == ()
    source = open_source(str(folder / "in.mkv"))
    sink = FileSink(Path("again.mkv"), source.format)
    while (frame := source.read()) is not None:
        sink.write(frame)
    sink.finish()
    media.make_clip(Path("again.mkv"), frames=FRAMES // 2, audio=False)
    wrong, _ = differences(source, sink, report.result, whole=True, verify=True)
    source.close()
    assert f"again.mkv: video packets: {FRAMES} sent, {FRAMES // 2} found" in wrong


def test_a_run_that_fails_still_has_its_report(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chain, "process", lambda self, frame: failing_at(6)(frame))
    with pytest.raises(StageFailedError, match="generate failed at frame 6: cannot generate 6") as caught:
        streamfx.transcode(folder / "in.mkv", "out.mkv", report="report.json")
    report = caught.value.report
    assert report is not None
    assert (report.exit_code, report.result.ending) == (1, Ending.FAILED)
    assert report.losses == ["generate failed at frame 6: cannot generate 6"]
    assert "out.mkv: failed" in report.summary()
    assert json.loads(Path("report.json").read_text())["result"]["account"]["encoded"] == 6
    assert len(pixels("out.mkv")) == 6, "the good frames before the failure are kept"


# ---------------------------------------------------------------- what is refused before anything is written


def test_what_cannot_work_is_refused_and_nothing_is_left(folder: Path) -> None:
    source = str(folder / "in.mkv")
    with pytest.raises(SourceOpenError, match=r"none\.mp4: no such file"):
        streamfx.transcode("none.mp4", "out.mp4")
    with pytest.raises(BackendUnavailableError, match="backend tensorrt cannot run here"):
        streamfx.transcode(source, "out.mp4", effects=["tiny"], backend="tensorrt")
    with pytest.raises(SinkError, match=r"nowhere/report.json: cannot write the report: there is no folder"):
        streamfx.transcode(source, "out.mp4", report="nowhere/report.json")
    with pytest.raises(SinkError, match=r": cannot write the report: is a folder; give a file name"):
        streamfx.transcode(source, "out.mp4", report=".")
    with pytest.raises(ConfigError, match=r"report: \./out\.mp4 is the output itself; choose another name"):
        streamfx.transcode(source, "out.mp4", report="./out.mp4")
    with pytest.raises(ConfigError, match="is the source itself; choose another name"):
        streamfx.transcode(source, "out.mp4", report=source)
    with pytest.raises(ConfigError, match=r"factor: must be 'auto' or one of 1, 1\.5, 2, .*, found 5"):
        streamfx.transcode(source, "out.mp4", factor=5)
    assert list(Path().iterdir()) == []


# ---------------------------------------------------------------- the package


def test_the_function_stays_what_the_package_offers_whatever_was_imported_before() -> None:
    code = (
        "import streamfx.transcoding, streamfx.cli.transcode, streamfx; print(callable(streamfx.transcode))"
    )
    root = Path(__file__).parent.parent
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert ran.stdout == "True\n"


def test_everything_the_package_names_is_there() -> None:
    assert all(getattr(streamfx, name) is not None for name in streamfx.__all__)
    with pytest.raises(AttributeError, match="module 'streamfx' has no attribute 'transcod'"):
        _ = streamfx.transcod
