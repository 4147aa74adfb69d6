"""Black bars are found in pictures spread over the film, and cut off; what is dark is no bar."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import streamfx
from streamfx.config.loading import load_config
from streamfx.config.transcode import TranscodeConfig
from streamfx.errors import ConfigError
from streamfx.jobs.dry_run import dry_run
from streamfx.jobs.verify import verify
from streamfx.run.black_bars import with_bars_found

SIZE = (96, 128)
Box = tuple[int, int, int, int]
"""Top, bottom, left, right: lines that are black."""


def make_film(
    path: Path, boxes: Sequence[Box | None], pix_fmt: str = "yuv420p", rotation: int = 0, noise: int = 2
) -> Path:
    """Write a film of noisy grey pictures with black bars, a key frame each; None is a black picture."""
    chance = np.random.default_rng(1)
    ten, full = "10" in pix_fmt, pix_fmt.startswith("yuvj")
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("mjpeg" if full else "ffv1" if ten else "libx264", rate=5)
        stream.height, stream.width = SIZE
        stream.pix_fmt, stream.time_base = pix_fmt, Fraction(1, 5)
        stream.options = {} if ten or full else {"crf": "1", "g": "1"}
        for number, box in enumerate(boxes):
            luma = np.full(SIZE, 0 if full else 16) + chance.integers(0, noise + 1, SIZE)
            if box is not None:
                top, bottom, left, right = box
                luma[top : SIZE[0] - bottom, left : SIZE[1] - right] = 120
            frame = av.VideoFrame(SIZE[1], SIZE[0], pix_fmt)
            for plane, samples in zip(frame.planes, (luma, None, None), strict=True):
                values = np.full((plane.height, plane.width), 128) if samples is None else samples
                kind = np.uint16 if ten else np.uint8
                values = (values << 2 if ten else values).astype(kind)
                rows = np.zeros((plane.height, plane.line_size // values.itemsize), kind)
                rows[:, : plane.width] = values
                plane.update(rows.tobytes())
            frame.pts = number
            if full:
                frame.color_range = 2
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def found(film: Path, **options: Any) -> str | None:
    return with_bars_found(config(film, **options)).crop


def config(film: Path, **options: Any) -> TranscodeConfig:
    named = {"input": str(film), "output": str(film.with_name("out.mkv")), "crop": "auto"}
    return load_config(options={**named, **options})


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([(12, 12, 0, 0)] * 5, "128x72+0+12"),
        ([(0, 0, 16, 16)] * 5, "96x96+16+0"),
        ([(12, 8, 16, 4)] * 5, "108x76+16+12"),
        ([(13, 11, 0, 0)] * 5, "128x70+0+14"),  # no black line is left, and no chroma sample cut in two
        ([None, (40, 40, 0, 0), (12, 12, 0, 0), None, (20, 12, 8, 8)], "128x72+0+12"),  # the smallest count
        ([(0, 0, 0, 0)] * 5, None),
        ([None] * 5, None),
        ([(44, 44, 0, 0)] * 5, None),  # fewer lines than a picture can have
    ],
)
def test_the_smallest_bars_of_all_pictures_are_found(
    tmp_path: Path, boxes: list[Box | None], expected: str | None
) -> None:
    assert found(make_film(tmp_path / "in.mkv", boxes)) == expected


@pytest.mark.parametrize(
    ("ending", "pix_fmt"), [(".mkv", "yuv420p10le"), (".mkv", "yuvj420p"), (".ts", "yuv420p")]
)
def test_bars_are_found_at_every_depth_and_range_and_where_no_place_can_be_sought(
    tmp_path: Path, ending: str, pix_fmt: str
) -> None:
    assert found(make_film(tmp_path / f"in{ending}", [(16, 16, 0, 0)] * 12, pix_fmt)) == "128x64+0+16"


def test_only_the_part_that_is_wanted_is_looked_at(tmp_path: Path) -> None:
    film = make_film(tmp_path / "in.mkv", [(0, 0, 0, 0)] * 10 + [(12, 12, 0, 0)] * 20)
    assert found(film) is None
    assert found(film, start=2.5) == "128x72+0+12"
    assert found(film, start=2.5, duration=1) == "128x72+0+12"
    assert found(film, end=1.5) is None


def test_what_is_found_is_said_cut_off_and_known_to_who_verifies(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film, report = make_film(tmp_path / "in.mkv", [(12, 12, 0, 0)] * 6), tmp_path / "report.json"
    output = tmp_path / "out.mkv"
    with caplog.at_level(logging.INFO):
        streamfx.transcode(film, output, crop="auto", report=report)
    assert "in.mkv: black bars are cut off (12 above, 12 below): --crop 128x72+0+12" in caplog.text
    with av.open(str(output)) as container:
        assert (container.streams.video[0].height, container.streams.video[0].width) == (72, 128)
    assert verify(film, output, report=report).differences == ()
    assert "128x72" in dry_run(config(film, output=str(tmp_path / "planned.mkv"))).output


def test_a_film_without_bars_is_kept_whole_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert found(make_film(tmp_path / "in.mkv", [(0, 0, 0, 0)] * 4)) is None
    assert "no black bars found; all of the picture is kept" in caplog.text


@pytest.mark.parametrize("name", ["-", "test:bars?size=64x48", "frames/%05d.png"])
def test_what_cannot_be_looked_at_before_it_is_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"only a file can be looked at for black bars.*; give --crop the part"
    ):
        found(tmp_path / "in.mkv", input=name)


def test_a_picture_is_refused(tmp_path: Path) -> None:
    picture = tmp_path / "one.png"
    streamfx.transcode("test:bars?size=64x48&frames=1", tmp_path / "%d.png")
    next(tmp_path.glob("*.png")).rename(picture)
    with pytest.raises(ConfigError, match="is no video file, and is not looked at for black bars"):
        found(picture)
