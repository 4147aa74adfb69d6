from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamfx.capture.opening import open_source
from streamfx.capture.pattern import PatternSource, read_stamp
from streamfx.encode.encoding import Encoding
from streamfx.encode.files.picture_file import PictureWriter
from streamfx.encode.null import NullSink
from streamfx.encode.opening import open_sink
from streamfx.errors import ConfigError, DecodeError, SinkError, SourceOpenError
from streamfx.media.frame import CodeRange, Frame, Matrix, Subsampling
from streamfx.media.tracks import Photo
from tests.fakes import small_format, small_frame
from tests.media import stamped_planes
from tests.passing import pass_through


def pattern(count: int, extra: str = "") -> str:
    return f"test:bars?size=128x72&frames={count}{extra}"


def rgb_of(path: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    with av.open(str(path)) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24").astype(float)


def stamps_of(text: str) -> list[int | None]:
    source, stamps = open_source(text), []
    while (frame := source.read()) is not None:
        stamps.append(read_stamp(frame.planes[0]))
    source.close()
    return stamps


@pytest.mark.parametrize("name", ["%05d.png", "shot-%d.jpg", "%03d.jpeg"])
def test_frames_become_numbered_pictures_and_pictures_frames(tmp_path: Path, name: str) -> None:
    target = tmp_path / "out" / name
    sink = pass_through(pattern(12), target)
    assert sink.frames_written == sink.packets_written == 12
    assert sorted(path.name for path in target.parent.iterdir()) == sorted(name % n for n in range(1, 13))
    assert stamps_of(str(target)) == list(range(12))
    assert stamps_of(str(target.parent)) == list(range(12))  # by number, also where names sort otherwise


@pytest.mark.parametrize("extra", ["&subsampling=444", "&subsampling=420", "&subsampling=444&depth=10"])
def test_png_keeps_the_colours(tmp_path: Path, extra: str) -> None:
    pass_through(pattern(1, extra), tmp_path / "one.png")
    original, again = open_source(pattern(1, extra)).read(), open_source(str(tmp_path / "one.png")).read()
    assert original is not None
    assert again is not None
    assert (again.subsampling, again.colour.matrix, again.colour.code_range) == (
        Subsampling.YUV444,
        Matrix.BT709,
        CodeRange.LIMITED,
    )
    unit = 1 << (again.depth - original.depth)
    flat = slice(12, 40), slice(2, 16)  # inside one bar, away from the stamp
    step_y, step_x = original.subsampling.steps
    for number, (plane, other) in enumerate(zip(original.planes, again.planes, strict=True)):
        part = (slice(12 // step_y, 40 // step_y), slice(2 // step_x, 16 // step_x)) if number else flat
        mean = other[flat].astype(float).mean() / unit
        assert abs(plane[part].astype(float).mean() - mean) < 1.5, number


def test_the_rate_of_pictures_is_explicit(tmp_path: Path) -> None:
    pass_through(pattern(3), tmp_path / "%d.png")
    assert open_source(f"{tmp_path}/%d.png").format.rate_fps == 25
    source = open_source(f"{tmp_path}/%d.png?rate=30000/1001")
    source.read()
    frame = source.read()
    assert frame is not None
    assert frame.time_seconds * 30000 == 1001
    assert source.format.frame_count == 3
    with pytest.raises(ConfigError, match="unknown option 'fps'; there are: rate"):
        open_source(f"{tmp_path}/%d.png?fps=3")


def test_a_gap_in_the_numbers_is_noted(tmp_path: Path) -> None:
    pass_through(pattern(5), tmp_path / "%03d.png")
    (tmp_path / "003.png").unlink()
    source = open_source(f"{tmp_path}/%03d.png")
    assert "1 numbers are missing in the sequence, the first is 3; the rest closes up" in source.notes
    assert stamps_of(f"{tmp_path}/%03d.png") == [0, 1, 3, 4]


def test_a_broken_picture_fails_alone_and_another_size_is_scaled(tmp_path: Path) -> None:
    pass_through(pattern(3), tmp_path / "%d.png")
    pass_through("test:bars?size=256x144&frames=1", tmp_path / "4.png")
    (tmp_path / "2.png").write_bytes(b"broken")
    source = open_source(f"{tmp_path}/%d.png")
    frames: list[Frame] = []
    failures: list[str] = []
    for _ in range(4):
        try:
            frame = source.read()
        except DecodeError as error:
            failures.append(str(error))
            continue
        assert frame is not None
        frames.append(frame)
    assert source.read() is None
    assert [read_stamp(frame.planes[0]) for frame in frames] == [0, 2, 0]
    assert [frame.pts for frame in frames] == [0, 2, 3]
    assert {frame.size for frame in frames} == {(72, 128)}
    assert len(failures) == 1
    assert "2.png: not a picture that can be read" in failures[0]
    assert any("unlike the first (128x72)" in note for note in source.notes)


def test_pictures_that_are_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"nothing")
    for name, message in (
        ("%d.png", f"no picture of that pattern in {tmp_path}"),
        ("no/%d.png", f"there is no folder {tmp_path / 'no'}"),
        ("one.png", f"no such file in {tmp_path}"),
        ("bad.png", "not a picture that can be read"),
    ):
        with pytest.raises(SourceOpenError) as caught:
            open_source(f"{tmp_path}/{name}")
        assert message in str(caught.value)


def test_pictures_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    video = PatternSource(pattern(5)).format
    (tmp_path / "1.png").write_bytes(b"old")
    for name, settings, kind, message in (
        ("%d.bmp", {}, ConfigError, "pictures can be written as .png .jpg .jpeg .tif .tiff .webp .avif"),
        ("%d.png", {"quality": 3}, ConfigError, "PNG has no quality setting"),
        (
            "%d.jpg",
            {"quality": 99},
            ConfigError,
            "quality of JPEG must be 2 (best) to 31 (smallest)",
        ),
        ("one.png", {}, ConfigError, "names one picture, and there are 5 frames; write one%05d.png"),
        ("no/no/%d.png", {}, SinkError, "cannot be created"),
        ("%d.png", {"overwrite": False}, SinkError, "1.png: exists already"),
    ):
        with pytest.raises(kind) as caught:
            open_sink(f"{tmp_path}/{name}", format=video, encoding=Encoding(**settings))
        assert message in str(caught.value)


def test_better_jpeg_quality_costs_bytes_and_comes_closer(tmp_path: Path) -> None:
    pass_through(pattern(1), tmp_path / "exact.png")
    exact, sizes, errors = rgb_of(tmp_path / "exact.png"), [], []
    for quality in (2, 31):
        picture = tmp_path / f"{quality}.jpg"
        pass_through(pattern(1), picture, quality=quality)
        sizes.append(picture.stat().st_size)
        errors.append(np.abs(rgb_of(picture) - exact).mean())
    assert sizes[0] > 1.5 * sizes[1]
    assert errors[0] < errors[1]
    assert errors[0] < 6


def test_the_null_sink_counts() -> None:
    sink = pass_through(pattern(7), "null:")
    assert isinstance(sink, NullSink)
    assert (sink.frames_written, sink.packets_written) == (7, 7)


@pytest.mark.parametrize(
    ("ending", "codec", "depth", "close"),
    [("tiff", "tiff", 8, 0), ("tif", "tiff", 10, 0), ("webp", "webp", 8, 12), ("avif", "av1", 8, 12)],
)
def test_other_kinds_of_pictures_show_what_a_png_shows(
    tmp_path: Path, ending: str, codec: str, depth: int, close: int
) -> None:
    film = pattern(1, f"&depth={depth}")
    sink = pass_through(film, tmp_path / f"one.{ending}")
    pass_through(film, tmp_path / "one.png")
    with av.open(str(tmp_path / f"one.{ending}")) as file:
        assert file.streams.video[0].codec_context.name.replace("libdav1d", "av1") == codec
    difference = np.abs(rgb_of(tmp_path / f"one.{ending}") - rgb_of(tmp_path / "one.png"))
    flat = difference[12:40, 2:16]  # inside one bar, away from the stamp
    assert flat.max() <= close
    assert sink.notes == []
    assert stamps_of(str(tmp_path / f"one.{ending}")) == [0]


@pytest.mark.parametrize(("ending", "kept"), [("png", True), ("tiff", True), ("webp", True), ("avif", False)])
def test_alpha_is_kept_where_a_kind_of_picture_holds_it_and_else_said(
    tmp_path: Path, ending: str, kept: bool
) -> None:
    planes = stamped_planes((36, 64), 0)
    alpha = np.zeros((36, 64), np.uint8)
    alpha[:, 32:] = 200
    video = replace(small_format(1, (36, 64)), alpha=True)
    writer = PictureWriter(tmp_path / f"one.{ending}", video, None)
    data = writer.written(video.frame(planes, index=0, pts=0, alpha=alpha))
    (tmp_path / f"one.{ending}").write_bytes(data)
    assert any("alpha" in note for note in writer.notes) is not kept
    if kept:
        with av.open(str(tmp_path / f"one.{ending}")) as file:
            found = next(file.decode(video=0)).to_ndarray(format="rgba")[:, :, 3]
        assert np.array_equal(found, alpha)


def test_a_quality_makes_pictures_smaller_and_is_of_each_kind_its_own(tmp_path: Path) -> None:
    for ending, small in (("jpg", 31), ("webp", 10), ("avif", 60)):
        sizes = []
        for quality in (None, small):
            target = tmp_path / f"{quality}.{ending}"
            pass_through(pattern(1), target, quality=quality)
            sizes.append(target.stat().st_size)
        assert sizes[1] < sizes[0]
        with pytest.raises(ConfigError, match=r"must be \d+ \(best\) to \d+ \(smallest\), found 101"):
            PictureWriter(tmp_path / f"one.{ending}", small_format(1), 101)
    with pytest.raises(ConfigError, match="TIFF has no quality setting"):
        PictureWriter(tmp_path / "one.tiff", small_format(1), 3)


def test_what_a_kind_of_picture_does_not_hold_is_said(tmp_path: Path) -> None:
    fine = replace(small_format(1), depth=12, subsampling=Subsampling.YUV444)
    assert PictureWriter(tmp_path / "one.tiff", fine, None).notes == []
    assert PictureWriter(tmp_path / "one.avif", fine, None).notes == [
        "AVIF holds 10 bits of the 12",
        "AVIF holds colours at half the resolution",
    ]
    writer = PictureWriter(tmp_path / "one.webp", small_format(1), None)
    data = writer.written(small_frame(0), Photo("in.jpg", exif=b"II*\0"))
    assert data[8:12] == b"WEBP"
    assert writer.notes == ["EXIF data and colour profiles are left out of WebP"]
