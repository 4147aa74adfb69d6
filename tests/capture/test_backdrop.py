"""Backdrops: a picture fills the frames, its middle is kept, and its colours are those of the frames."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamfx.capture.backdrop import read_backdrop
from streamfx.errors import ConfigError, FrameError, SourceOpenError
from streamfx.media.frame import CodeRange, Colour, Matrix, Subsampling, VideoFormat

VIDEO = VideoFormat((48, 64), Subsampling.YUV420, 8, Colour(Matrix.BT709, CodeRange.LIMITED), Fraction(1, 25))


def write(path: Path, size: tuple[int, int]) -> Path:
    """Write a picture of three upright stripes of a third each: red, white, blue."""
    picture = np.zeros((*size, 3), np.uint8)
    third = size[1] // 3
    picture[:, :third] = (0, 0, 255)
    picture[:, third : size[1] - third] = 255
    picture[:, size[1] - third :] = (255, 0, 0)
    assert cv2.imwrite(str(path), picture)
    return path


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("size", [(48, 192), (240, 960), (48, 64)])
def test_a_picture_fills_the_frames_and_its_middle_is_kept(
    tmp_path: Path, size: tuple[int, int], ending: str
) -> None:
    y, u, v = read_backdrop(str(write(tmp_path / f"room.{ending}", size)))(VIDEO, Fraction(0))
    assert (y.shape, u.shape, v.shape) == ((48, 64), (24, 32), (24, 32))
    assert abs(int(y[24, 32]) - 235) <= 2  # limited range, whatever that of the file
    assert abs(int(u[12, 16]) - 128) <= 2
    wide = size[1] > 2 * size[0]  # then only the white third is left
    assert (abs(int(y[24, 2]) - 235) <= 3) is wide


@pytest.mark.parametrize("depth", [8, 10])
def test_a_backdrop_has_the_depth_and_the_subsampling_of_the_frames(tmp_path: Path, depth: int) -> None:
    video = VideoFormat((20, 30), Subsampling.YUV444, depth, VIDEO.colour, Fraction(1))
    planes = read_backdrop(str(write(tmp_path / "room.png", (40, 60))))(video, Fraction(0))
    assert [plane.shape for plane in planes] == [(20, 30)] * 3
    assert abs(int(planes[0][10, 15]) - (235 << (depth - 8))) <= 4
    video.frame(planes, index=0, pts=0)  # checks the rest


@pytest.mark.parametrize("size", [(47, 63), (1, 1), (2, 200), (200, 2)])
@pytest.mark.parametrize("subsampling", list(Subsampling))
def test_frames_of_any_shape_are_filled(
    tmp_path: Path, size: tuple[int, int], subsampling: Subsampling
) -> None:
    video = VideoFormat(size, subsampling, 8, VIDEO.colour, Fraction(1))
    path = tmp_path / "white.png"
    assert cv2.imwrite(str(path), np.full((40, 60, 3), 255, np.uint8))
    planes = read_backdrop(str(path))(video, Fraction(0))
    video.frame(planes, index=0, pts=0)  # checks the sizes
    assert planes[0].min() >= 233, "nothing beside the picture is black"


def shades(planes: tuple[np.ndarray, ...]) -> int:
    return int(planes[0][24, 32])


@pytest.fixture
def film(tmp_path: Path) -> str:
    """A video of four pictures, each brighter than the one before, a tenth of a second each."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(4):
            picture = av.VideoFrame(64, 48, "yuv420p")
            for plane, code in zip(picture.planes, (50 + 40 * number, 128, 128), strict=True):
                plane.update(bytes([code]) * plane.buffer_size)
            picture.pts, picture.time_base = number, Fraction(1, 10)
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    return str(path)


def test_a_video_goes_on_with_the_time_of_the_run_and_begins_again_when_it_ends(film: str) -> None:
    backdrop = read_backdrop(film)
    seen = [shades(backdrop(VIDEO, Fraction(hundredths, 100))) for hundredths in range(0, 90, 5)]
    once = [50, 50, 90, 90, 130, 130, 170, 170]
    assert seen == (once * 3)[: len(seen)]
    backdrop.close()
    backdrop.close()


def test_frames_that_come_out_of_order_get_what_belongs_to_their_time(film: str) -> None:
    backdrop = read_backdrop(film)
    for tenths, shade in ((3, 170), (1, 90), (2, 130), (6, 130), (5, 90), (0, 50)):
        assert shades(backdrop(VIDEO, Fraction(tenths, 10))) == shade
    backdrop.close()


def test_a_video_is_the_same_for_any_number_of_threads(film: str) -> None:
    backdrop = read_backdrop(film)
    times = [Fraction(number, 10) for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda time: shades(backdrop(VIDEO, time)), times))
    assert seen == [50, 90, 130, 170] * 10
    backdrop.close()


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    line = read_backdrop(str(write(tmp_path / "line.png", (2, 8000))))
    with pytest.raises(FrameError, match="a picture of 8000x2 is too narrow to fill frames of 1280x720"):
        line(replace(VIDEO, size=(720, 1280)), Fraction(0))
    with pytest.raises(SourceOpenError, match="no such file"):
        read_backdrop(str(tmp_path / "nothing.png"))
    with pytest.raises(ConfigError, match="comes live; give a picture, or a video file"):
        read_backdrop("test:bars?size=64x48&fps=25&frames=1&live=1")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises((SourceOpenError, ConfigError)):
        read_backdrop(str(tmp_path / "text.png"))
