"""A film that goes to standard output: what reads it there gets all of it, and nothing else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

import streamfx
from streamfx.capture.pattern import read_stamp
from streamfx.cli import main
from streamfx.config.loading import load_config
from streamfx.errors import ConfigError
from streamfx.jobs.verify import verify
from streamfx.media.frame import CodeRange, Colour, Matrix
from tests.media import make_clip, stamped_planes

FRAMES = 8
COMMAND = [sys.executable, "-m", "streamfx", "transcode", "in.mkv", "-", "--effect", "tiny", "--factor", "2"]
CONTAINERS = {
    None: "matroska,webm",
    "nut": "nut",
    "y4m": "yuv4mpegpipe",
    "ts": "mpegts",
    "mp4": "mov,mp4,m4a,3gp,3g2,mj2",
}


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_clip(tmp_path / "in.mkv", frames=FRAMES, lossless=True)


@pytest.mark.usefixtures("at_home", "clip")
@pytest.mark.parametrize("container", [None, "nut", "y4m"])
def test_a_pipe_gets_the_film_and_stderr_what_is_told(tmp_path: Path, container: str | None) -> None:
    asked = ["--container", container] if container else []
    ran = subprocess.run([*COMMAND, *asked], capture_output=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    told = ran.stderr.decode()
    assert "complete" in told
    assert f"{FRAMES} in, {FRAMES} encoded" in told
    written = tmp_path / "out"
    written.write_bytes(ran.stdout)
    with av.open(str(written)) as file:
        assert file.format.name == CONTAINERS[container]
        assert len(file.streams.audio) == (container != "y4m")
        pictures = [frame.to_ndarray() for frame in file.decode(video=0)]
    assert len(pictures) == FRAMES


@pytest.mark.usefixtures("at_home", "clip")
@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_pictures_in_a_pipe_begin_with_the_sound(tmp_path: Path, container: str) -> None:
    ran = subprocess.run([*COMMAND, "--container", container], capture_output=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    written = tmp_path / "out"
    written.write_bytes(ran.stdout)
    with av.open(str(written)) as file:
        (video,) = file.streams.video
        assert video.codec_context.has_b_frames
        found = [packet for packet in file.demux(video) if packet.size and packet.pts is not None]
    times = sorted(float((packet.pts or 0) * packet.time_base) for packet in found)
    assert times == pytest.approx([number / 25 for number in range(FRAMES)], abs=0.002)


@pytest.mark.parametrize("ending", [".nut", ".y4m"])
def test_samples_are_written_as_they_are(clip: Path, tmp_path: Path, ending: str) -> None:
    report = streamfx.transcode(clip, tmp_path / f"out{ending}")
    assert report.exit_code == 0
    with av.open(str(tmp_path / f"out{ending}")) as file:
        found = list(file.decode(video=0))
        assert file.streams.video[0].average_rate == 25
    for number, frame in enumerate(found):
        luma, *_ = stamped_planes((72, 128), number)
        assert np.array_equal(np.asarray(frame.to_ndarray())[:72], luma)
        assert frame.time is not None
        assert frame.time - (found[0].time or 0) == pytest.approx(number / 25, abs=0.001)


@pytest.mark.parametrize("pix_fmt", ["yuv422p10le", "yuv444p", "yuv420p12le"])
def test_depth_and_chroma_stay(tmp_path: Path, pix_fmt: str) -> None:
    codec = "libx265" if "12" in pix_fmt else "libx264"
    source = make_clip(tmp_path / "in.mkv", frames=4, pix_fmt=pix_fmt, codec=codec, audio=False)
    for ending in (".nut", ".y4m"):
        out = tmp_path / f"out{ending}"
        assert streamfx.transcode(source, out).exit_code == 0
        with av.open(str(out)) as file:
            assert file.streams.video[0].codec_context.pix_fmt == pix_fmt


def test_what_a_container_does_not_say_is_told_and_verify_knows(tmp_path: Path) -> None:
    colour = Colour(Matrix.BT709, CodeRange.FULL, primaries=1, transfer=1)
    source = make_clip(
        tmp_path / "in.mkv", frames=4, colour=colour, sample_aspect_ratio=Fraction(64, 45), audio=False
    )
    for ending in (".nut", ".y4m"):
        out, told = tmp_path / f"out{ending}", tmp_path / "r.json"
        report = streamfx.transcode(source, out, report=told)
        assert report.exit_code == 0
        left_out = " ".join(report.left_out)
        assert "matrix, primaries, transfer" in left_out
        assert "pixels are 64/45 wide to high" in left_out
        assert any("limited range" in note for note in report.notes) == (ending == ".nut")
        assert verify(source, out, report=told).exit_code == 0
        assert verify(source, out).exit_code == 1


def test_pictures_without_times_are_shown_at_a_steady_rate(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", frames=4, times=[0, 100, 120, 400], audio=False)
    report = streamfx.transcode(source, tmp_path / "out.y4m")
    assert (report.exit_code, report.differences) == (0, ())
    assert any("whatever their times" in note for note in report.notes)
    report = streamfx.transcode(source, tmp_path / "steady.y4m", fps=10)
    with av.open(str(tmp_path / "steady.y4m")) as file:
        stamps = [read_stamp(np.asarray(frame.to_ndarray(), np.uint8)[:72]) for frame in file.decode(video=0)]
    assert stamps == [0, 2, 2, 2]


@pytest.mark.usefixtures("at_home", "clip")
def test_a_terminal_is_refused() -> None:
    ours, its = pty.openpty()
    try:
        ran = subprocess.run(COMMAND, stdout=its, stderr=subprocess.PIPE, timeout=240)
    finally:
        os.close(ours)
        os.close(its)
    assert ran.returncode == 2
    assert b"standard output: is a terminal, which shows no films" in ran.stderr


@pytest.mark.usefixtures("at_home", "clip")
def test_a_reader_that_goes_away_ends_the_run_in_one_line() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = subprocess.run(
            [*COMMAND, "--container", "y4m"], stdout=writer, stderr=subprocess.PIPE, timeout=240
        )
    finally:
        os.close(writer)
    assert ran.returncode in (1, 2)
    assert b"nobody reads it any more" in ran.stderr
    assert b"Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"output": "-"}, "/dev/stdout.mkv"),
        ({"output": "-", "container": "y4m"}, "/dev/stdout.y4m"),
        ({"output": "/dev/stdout.nut"}, "/dev/stdout.nut"),
        ({"output": "./-"}, "./-"),
    ],
)
def test_standard_output_has_the_ending_of_its_container(given: dict[str, str], expected: str) -> None:
    assert load_config(options={"input": "in.mp4", **given}).output == expected


def test_a_container_beside_a_file_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"give container with the output '-' alone, found 'out\.mp4'"):
        load_config(options={"input": "in.mp4", "output": "out.mp4", "container": "mkv"})
    with pytest.raises(ConfigError, match="container: must be 'mkv'"):
        load_config(options={"input": "in.mp4", "output": "-", "container": "avi"})


@pytest.mark.usefixtures("at_home", "clip")
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["--size-limit", "1M"], "error: --size-limit: standard output is no video file"),
        (["--resume"], "error: --resume: standard output: only a video file"),
        (["--cluster", "auto"], "error: --cluster: standard output: only a video file"),
        (["--dry-run"], "would write: standard output, 128x72"),
    ],
)
def test_standard_output_is_named_as_such(
    asked: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*COMMAND[3:], *asked])
    told = capsys.readouterr()
    assert expected in told.out + told.err
    assert "/dev/stdout" not in told.out + told.err
