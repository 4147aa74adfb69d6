"""Bit rates and sizes: rates are reached, sizes kept; what cannot be is refused before the first frame."""

from __future__ import annotations

from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import streamfx
from streamfx.config.sizes import number_of
from streamfx.config.transcode import TranscodeConfig
from streamfx.encode.encoding import Encoding, Pass
from streamfx.errors import SinkError, TooLargeError
from streamfx.jobs.settings import load_batch
from streamfx.resume.resuming import resume_problem
from streamfx.run import size_limit
from streamfx.run.assembly import Parts
from tests import media
from tests.many_tracks import make_film, of_kind
from tests.passing import pass_file
from tests.test_films import Run, complete, run

__all__ = ["run"]  # the fixture
SIZE, FRAMES = (96, 128), 50


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of two seconds with sound, of which the second half is harder to code."""
    path, random = tmp_path_factory.mktemp("sizes") / "in.mkv", np.random.default_rng(1)
    row, column = np.mgrid[: SIZE[0] * 3 // 2, : SIZE[1]]
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=25)
        (video.height, video.width), video.pix_fmt = SIZE, "yuv420p"
        video.options = {"preset": "ultrafast", "crf": "12"}
        tone = media._add_tone(out, "aac", "mono", "eng")
        for number in range(FRAMES):
            waves = 128 + 50 * np.sin((column + 3 * number) / 9) * np.cos((row - 2 * number) / 7)
            grain = random.normal(0, 3 if number < FRAMES // 2 else 12, waves.shape)
            samples = np.clip(waves + grain, 16, 235).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(samples, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        media._write_tone(out, tone, FRAMES / 25, 330.0, 0.0)
    return path


def bits_per_second(path: str | Path) -> float:
    """Return the average bit rate of the pictures."""
    with av.open(str(path)) as file:
        sizes = [packet.size for packet in file.demux(video=0)]
    return sum(sizes) * 8 / (FRAMES / 25)


@pytest.mark.parametrize(("ending", "codec"), [("mp4", "h264"), ("webm", "vp9")])
def test_a_bit_rate_is_reached_on_average(film: Path, tmp_path: Path, ending: str, codec: str) -> None:
    rates = []
    for asked in ("150k", "300k"):
        streamfx.transcode(film, tmp_path / f"{asked}.{ending}", codec=codec, bitrate=asked)
        rates.append(bits_per_second(tmp_path / f"{asked}.{ending}"))
    assert rates == pytest.approx([150_000, 300_000], rel=0.6)  # the harder half comes as a surprise
    assert rates[1] / rates[0] == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize(
    ("target", "codec", "limit"),
    [
        ("out.mp4", "h264", 64_000),
        ("out.mkv", "hevc", 56_000),
        ("out.ts", "h264", 77_000),
        ("out.webm", "vp9", 67_000),
        ("out.mkv", "av1", 62_000),
    ],
)
def test_a_size_is_kept_with_all_frames_and_tracks(
    film: Path, tmp_path: Path, target: str, codec: str, limit: int
) -> None:
    output = tmp_path / target
    report = streamfx.transcode(film, output, codec=codec, size_limit=limit)
    assert (report.exit_code, report.differences) == (0, ())
    assert report.output.size_bytes == output.stat().st_size <= limit
    assert output.stat().st_size > 0.5 * limit
    assert report.result.account.encoded == FRAMES
    assert any("to keep within" in note for note in report.notes)
    assert len(of_kind(output, "audio")) == 1
    assert list(tmp_path.iterdir()) == [output]


def test_the_second_pass_of_h264_and_hevc_knows_what_the_first_found_out(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[Pass | None] = []
    opened = size_limit._opened

    def noted(config: TranscodeConfig, encoding: Encoding, *given: Any) -> AbstractContextManager[Parts]:
        turns.append(encoding.turn)
        return opened(config, encoding, *given)

    monkeypatch.setattr(size_limit, "_opened", noted)
    for codec in ("h264", "hevc"):
        turns.clear()
        streamfx.transcode(film, tmp_path / f"{codec}.mkv", codec=codec, size_limit="60k")
        assert [turn and turn.number for turn in turns[:2]] == [1, 2]


def test_a_generous_limit_makes_no_film_larger_than_quality_does(film: Path, tmp_path: Path) -> None:
    plain, output = tmp_path / "plain.mp4", tmp_path / "out.mp4"
    streamfx.transcode(film, plain)
    report = streamfx.transcode(film, output, size_limit="25M")
    assert output.stat().st_size == pytest.approx(plain.stat().st_size, rel=0.02)
    assert "one pass by quality kept within the size" in report.notes


def test_a_part_with_chosen_and_converted_tracks_keeps_its_size(run: Run) -> None:
    make_film("in.mkv", frames=60)
    asked = ("--audio", "aac", "--audio-bitrate", "24k", "--audio-tracks", "eng", "--attachments", "none")
    complete(run("in.mkv", "out.mkv", *asked, "--start", "0.5", "--end", "2", "--size-limit", "16k"))
    assert Path("out.mkv").stat().st_size <= 16_000
    assert streamfx.verify("in.mkv", "out.mkv", report="report.json").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("out.mp4", "--size-limit", "20k"),
            "20000 bytes are too few for 2.0 s of 128x96; sound and all else",
        ),
        (("out.mp4", "--size-limit", "1M", "--quality", "20"), "cannot be given together with quality"),
        (("out.mp4", "--size-limit", "1M", "--bitrate", "1M"), "cannot be given together with bitrate"),
        (("out.mp4", "--bitrate", "1M", "--quality", "20"), "cannot be given together with quality"),
        (("out.mp4", "--bitrate", "fast"), "must be bits a second, such as 2M, 800k"),
        (("out.mp4", "--size-limit", "10"), "must be a size, such as 25M"),
        (("out.mkv", "--codec", "ffv1", "--size-limit", "1M"), "codec ffv1 has no bit rate"),
        (("out.mkv", "--codec", "ffv1", "--bitrate", "1M"), "take one of: h264, hevc, av1, vp9, vp8"),
        (("out.gif", "--size-limit", "1M"), "codec gif has no bit rate"),
        (("out%d.png", "--size-limit", "1M"), "is no video file whose size can be kept"),
        (("out%d.png", "--bitrate", "1M"), "pictures have no bit rate; leave it out"),
        (("out.mp4", "--size-limit", "1M", "--resume"), "two passes over all of it are needed"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_the_first_frame(
    run: Run, film: Path, arguments: tuple[str, ...], says: str
) -> None:
    for dry in ((), ("--dry-run",)):
        ran = run(str(film), *arguments, *dry)
        assert ran.code == 2, ran.err + ran.out
        assert says in ran.err
    assert [path.name for path in Path().iterdir()] == []


def test_the_limit_that_a_refusal_names_can_be_kept(run: Run, film: Path) -> None:
    said = run(str(film), "out.mp4", "--size-limit", "20k").err
    named = said.partition("give --size-limit ")[2].partition(" ")[0]
    complete(run(str(film), "out.mp4", "--size-limit", named))
    assert Path("out.mp4").stat().st_size <= (number_of(named) or 0)


def test_what_would_stay_too_large_is_not_kept_and_replaces_nothing(
    run: Run, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out.mp4").write_bytes(b"old")
    monkeypatch.setattr(size_limit, "_MOST_TRIES", 1)
    monkeypatch.setattr(size_limit, "_after", lambda budget, *_: (budget, 10**6))  # never less
    ran = run(str(film), "out.mp4", "--size-limit", "60k", "--overwrite")
    assert ran.code == 2
    assert "however few bits the pictures are given; give a higher --size-limit" in ran.err
    assert Path("out.mp4").read_bytes() == b"old"
    assert {path.name for path in Path().iterdir()} <= {"out.mp4", "report.json"}


def test_a_file_that_is_larger_than_it_may_be_never_gets_its_name(film: Path, tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match=r"out\.mp4: would be \d+ bytes large, and 9000 are allowed"):
        pass_file(film, tmp_path / "out.mp4", most_bytes=9000)
    assert list(tmp_path.iterdir()) == []


def test_another_failure_is_told_as_ever(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise SinkError("the disk is full")

    monkeypatch.setattr("streamfx.encode.files.file.FileSink.write", full)
    with pytest.raises(streamfx.StageFailedError, match="the disk is full"):
        streamfx.transcode(film, tmp_path / "out.mp4", size_limit="60k")


def test_a_dry_run_tells_how_many_passes_it_takes(run: Run, film: Path) -> None:
    said = run(str(film), "out.mp4", "--size-limit", "60k", "--dry-run").out
    assert "note: two passes, and pictures at about " in said
    assert (
        "note: one pass by quality keeps" in run(str(film), "out.mp4", "--size-limit", "9M", "--dry-run").out
    )


def test_a_batch_does_films_whose_size_is_kept_in_one_piece(film: Path, tmp_path: Path) -> None:
    own = {"inputs": (str(film),), "output_dir": str(tmp_path / "out")}
    config = load_batch(options={**own, "size_limit": "25M"}).config_of(film, tmp_path / "out.mkv")
    assert (config.size_limit, config.resume) == (25_000_000, True)
    assert "two passes" in (resume_problem(config) or "")  # so that it is done without
