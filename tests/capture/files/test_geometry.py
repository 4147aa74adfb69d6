"""Pictures cut, turned, mirrored and scaled as asked for, and their rate changed: pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import streamfx
from streamfx.capture.files.file import FileSource
from streamfx.capture.files.pictures import PictureSource
from streamfx.capture.files.preparation import Preparation
from streamfx.capture.files.steady_rate import SteadyRate
from streamfx.capture.opening import open_source
from streamfx.capture.pattern import read_stamp
from streamfx.errors import ConfigError, DecodeError, SourceOpenError
from streamfx.jobs.verify import verify
from streamfx.media.frame import Colour, Frame, Matrix
from streamfx.media.geometry import geometry_of
from streamfx.media.rates import rate_of
from tests.media import make_clip, stamped_planes

SIZE = (72, 128)


def frames(path: Path | str, rate: str | None = None, **asked: Any) -> tuple[list[Frame], FileSource]:
    preparation = Preparation(geometry=geometry_of(**asked), rate_fps=rate_of(rate) if rate else None)
    source = FileSource(str(path), preparation=preparation)
    assert source.other_tracks is not None
    source.other_tracks.claim()
    return list(iter(source.read, None)), source


def luma(number: int) -> NDArray[Any]:
    return stamped_planes(SIZE, number)[0]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mkv", size=SIZE, frames=6, lossless=True, audio=False)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"crop": "64x32+10+20"}, lambda y: y[20:52, 10:74]),
        ({"crop": "64x32"}, lambda y: y[20:52, 32:96]),
        ({"crop": "1:1"}, lambda y: y[:, 28:100]),
        ({"crop": "4:1"}, lambda y: y[20:52]),
        ({"rotate": 90}, lambda y: np.rot90(y, -1)),
        ({"rotate": 180}, lambda y: y[::-1, ::-1]),
        ({"rotate": 270}, np.rot90),
        ({"flip": "horizontal"}, lambda y: y[:, ::-1]),
        ({"flip": "vertical"}, lambda y: y[::-1]),
        (
            {"crop": "64x32+10+20", "rotate": 90, "flip": "vertical"},
            lambda y: np.rot90(y[20:52, 10:74], -1)[::-1],
        ),
    ],
)  # fmt: skip
def test_pixels_are_where_they_should_be(
    clip: Path, asked: dict[str, Any], expected: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    found, source = frames(clip, **asked)
    assert len(found) == 6
    for number, frame in enumerate(found):
        assert source.format.size == frame.size == expected(luma(number)).shape
        assert np.array_equal(frame.planes[0], expected(luma(number)))


def test_a_part_begins_where_chroma_samples_do_and_that_is_told(clip: Path) -> None:
    found, source = frames(clip, crop="64x32+11+21")
    assert np.array_equal(found[0].planes[0], luma(0)[20:52, 10:74])
    assert np.array_equal(found[0].planes[1], stamped_planes(SIZE, 0)[1][10:26, 5:37])
    assert any("begins at 10,20" in note for note in source.notes)


@pytest.mark.parametrize(
    ("size", "expected"),
    [("64x", (36, 64)), ("x36", (36, 64)), ("36p", (36, 64)), ("256x144", (144, 256)), ("62x35", (35, 62))],
)
def test_scaled_pictures_show_the_same(clip: Path, size: str, expected: tuple[int, int]) -> None:
    found, source = frames(clip, size=size)
    assert source.format.size == expected
    assert source.format.sample_aspect_ratio in (None, Fraction(1))
    for number, frame in enumerate(found):
        assert frame.planes[0].shape == expected
        assert frame.planes[0].mean() == pytest.approx(luma(number).mean(), abs=2)
    if expected == (144, 256):
        assert [read_stamp(frame.planes[0]) for frame in found] == list(range(6))


def test_a_size_of_another_shape_changes_the_shape_of_pixels_not_of_the_picture(clip: Path) -> None:
    _, source = frames(clip, size="72x72")
    assert source.format.size == (72, 72)
    assert source.format.sample_aspect_ratio == Fraction(16, 9)
    assert any("pixels are 16:9" in note for note in source.notes)


def test_pixels_that_are_not_square_stay_so_and_count_for_a_shape(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "in.mp4", size=(576, 720), frames=2, audio=False, sample_aspect_ratio=Fraction(64, 45)
    )
    assert frames(path, size="x288")[1].format.sample_aspect_ratio == Fraction(64, 45)
    assert frames(path, rotate=90)[1].format.sample_aspect_ratio == Fraction(45, 64)
    assert frames(path, crop="16:9")[1].format.size == (576, 720)
    assert frames(path, crop="4:3")[1].format.size == (576, 540)


def test_geometry_is_that_of_the_picture_as_a_player_shows_it(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "in.mp4", size=SIZE, frames=2, lossless=True, audio=False, rotation_degrees=90
    )
    found, source = frames(path, crop="72x100+0+0")
    assert source.format.rotation_degrees == 0
    assert np.array_equal(found[0].planes[0], np.rot90(luma(0))[:100])


def test_colours_and_depth_stay_as_tagged(tmp_path: Path) -> None:
    colour = Colour(Matrix.BT709, primaries=1, transfer=1)
    path = make_clip(
        tmp_path / "in.mkv", size=SIZE, frames=2, pix_fmt="yuv422p10le", audio=False, colour=colour
    )
    plain, shaped = frames(path)[1].format, frames(path, size="64x", rotate=90)[1].format
    assert (shaped.colour, shaped.depth) == (plain.colour, 10)


def test_pictures_of_another_size_than_the_first_are_cut_alike(tmp_path: Path) -> None:
    one = make_clip(tmp_path / "1.ts", size=SIZE, frames=5, audio=False)
    two = make_clip(tmp_path / "2.ts", size=(36, 64), frames=5, audio=False)
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    found, source = frames(both, crop="100x40")
    assert {frame.size for frame in found} == {(40, 100)}
    assert any("another size than the first's are scaled to 128x72" in note for note in source.notes)


def test_a_part_that_is_not_in_the_picture_is_refused(clip: Path) -> None:
    with pytest.raises(SourceOpenError, match=r"a part of 200x50 was asked for, and pictures are 128x72"):
        frames(clip, crop="200x50")
    with pytest.raises(SourceOpenError, match="100x50 at 30,0"):
        frames(clip, crop="100x50+30+0")


def test_fields_that_are_to_stay_are_not_mixed(tmp_path: Path) -> None:
    path = make_clip(
        tmp_path / "in.mkv", size=SIZE, frames=4, audio=False, options={"x264-params": "interlaced=1:tff=1"}
    )
    with pytest.raises(SourceOpenError, match="would mix their fields; leave --deinterlace off out"):
        FileSource(str(path), preparation=Preparation("off", geometry=geometry_of(size="64x")))
    assert frames(path, size="64x")[1].format.top_field_first is None


def test_photographs_are_cut_and_scaled_each_by_itself(tmp_path: Path) -> None:
    for name, size in (("a.png", (40, 80)), ("b.png", (80, 40))):
        with av.open(str(tmp_path / name), "w", format="image2", options={"update": "1"}) as file:
            stream: Any = file.add_stream("png", rate=1)
            stream.width, stream.height, stream.pix_fmt = size[1], size[0], "rgb24"
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((*size, 3), np.uint8), "rgb24")))
            file.mux(stream.encode(None))
    asked = Preparation(alone=True, geometry=geometry_of(size="20p"))
    source = PictureSource(str(tmp_path), preparation=asked)
    assert [frame.size for frame in iter(source.read, None)] == [(20, 40), (40, 20)]
    source = PictureSource(
        str(tmp_path), preparation=Preparation(alone=True, geometry=geometry_of(crop="60x30"))
    )
    assert source.read() is not None
    with pytest.raises(DecodeError, match="60x30 was asked for, and pictures are 40x80"):
        source.read()


@pytest.mark.parametrize(
    ("source", "asked", "told"),
    [
        ("test:bars", {"geometry": geometry_of(size="64x")}, "its option size"),
        ("test:bars", {"rate_fps": Fraction(10)}, "its option fps"),
        ("rtsp://127.0.0.1:1/x", {"rate_fps": Fraction(10)}, "leave --fps out"),
        ("camera:0", {"geometry": geometry_of(flip="vertical")}, "leave --size, --crop, --rotate and --flip"),
    ],
)
def test_what_cannot_be_done_to_a_source_is_refused(source: str, asked: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        open_source(source, preparation=Preparation(**asked))


def test_the_rate_of_pictures_is_not_changed(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"rate=25"):
        open_source(str(tmp_path / "%d.png"), preparation=Preparation(rate_fps=Fraction(10)))


# -- rate --


@pytest.mark.parametrize(
    ("rate", "stamps"),
    [
        ("25", [0, 1, 2, 3, 4, 5]),
        ("12.5", [0, 2, 4]),
        ("50", [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
        ("30", [0, 1, 2, 2, 3, 4, 5]),
    ],
)
def test_pictures_are_dropped_and_repeated_by_their_times(clip: Path, rate: str, stamps: list[int]) -> None:
    found, source = frames(clip, rate)
    assert [read_stamp(frame.planes[0]) for frame in found] == stamps
    assert [frame.pts for frame in found] == list(range(len(stamps)))
    assert [frame.again for frame in found] == [a == b for a, b in pairwise([None, *stamps])]
    assert {frame.time_base for frame in found} == {1 / Fraction(rate)} == {source.format.time_base}
    assert source.format.rate_fps == Fraction(rate)


def test_what_was_dropped_and_repeated_is_told(clip: Path) -> None:
    assert any("3 pictures were dropped, 0 shown again" in note for note in frames(clip, "12.5")[1].notes)
    assert any("0 pictures were dropped, 6 shown again" in note for note in frames(clip, "50")[1].notes)
    assert not any("shown again" in note for note in frames(clip, "25")[1].notes)


@pytest.mark.parametrize(
    ("stated", "wanted"), [(60, 30), (50, 25), (60, 24), (30, 25), (24, 30), (30, 30), (25, 50)]
)
def test_times_rounded_to_milliseconds_give_the_same_as_exact_ones(stated: int, wanted: int) -> None:
    kept = []
    for base in (Fraction(1, stated), Fraction(1, 1000)):
        one = round(1 / (stated * base))
        pictures: Any = iter([(number, round(number / (stated * base)), one) for number in range(100)])
        steady = SteadyRate(partial(next, pictures, None), base, Fraction(wanted))
        kept.append([timed[0] for timed in iter(steady.next, None)])
    assert kept[0] == kept[1]
    assert abs(len(kept[0]) - 100 * wanted / stated) <= 1


def test_a_variable_rate_becomes_steady_and_keeps_its_times(tmp_path: Path) -> None:
    times = [0, 40, 80, 500, 540, 1000]
    path = make_clip(tmp_path / "in.mkv", size=SIZE, frames=6, times=times, audio=False, lossless=True)
    found, _ = frames(path, "25")
    shown = [read_stamp(frame.planes[0]) for frame in found]
    assert shown[:12] == [0, 1] + [2] * 10 or shown[:13] == [0, 1] + [2] * 11
    for frame, stamp in zip(found, shown, strict=True):
        assert stamp is not None
        assert times[stamp] <= float(frame.time_seconds) * 1000 + 22.5


def test_a_broken_picture_is_told_and_the_one_before_stands_in(clip: Path) -> None:
    pictures: list[Any] = [("a", 0, 1), DecodeError("broken"), ("c", 2, 1), ("d", 3, 1)]

    def following() -> Any:
        item = pictures.pop(0) if pictures else None
        if isinstance(item, Exception):
            raise item
        return item

    steady, seen = SteadyRate(following, Fraction(1, 25), Fraction(25)), list[Any]()
    while len(seen) < 20:
        try:
            seen.append(steady.next())
        except DecodeError:
            seen.append("broken")
        if seen[-1] is None:
            break
    assert seen == ["broken", ("a", 0, 1), ("a", 1, 1), ("c", 2, 1), ("d", 3, 1), None]


def test_a_film_of_one_picture_keeps_it_at_any_rate(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "in.mkv", size=SIZE, frames=1, audio=False)
    assert [len(frames(path, rate)[0]) for rate in ("1", "5", "25")] == [1, 1, 1]


# -- whole runs --


def test_a_run_says_and_verifies_what_was_asked_for(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "in.mp4", size=(96, 160), frames=30, audio=True)
    out, report = tmp_path / "out.mkv", tmp_path / "r.json"
    told = streamfx.transcode(path, out, size="80x", crop="4:3", rotate=90, fps=10, report=report)
    assert (told.exit_code, told.result.account.encoded) == (0, 12)
    with av.open(str(out)) as file:
        video = file.streams.video[0]
        assert (video.width, video.height) == (80, 106)
        assert video.average_rate == 10
    checked = verify(path, out, report=report)
    assert (checked.exit_code, checked.output.frames) == (0, 12)
    assert not any(found.about in ("frames", "times", "size", "sound") for found in checked.differences)
