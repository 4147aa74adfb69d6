"""Backdrops: a picture fills the frames, its middle is kept, and its colours are those of the frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfx.capture.backdrop import read_backdrop
from streamfx.errors import ConfigError, SourceOpenError
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
    y, u, v = read_backdrop(str(write(tmp_path / f"room.{ending}", size)))(VIDEO)
    assert (y.shape, u.shape, v.shape) == ((48, 64), (24, 32), (24, 32))
    assert abs(int(y[24, 32]) - 235) <= 2  # limited range, whatever that of the file
    assert abs(int(u[12, 16]) - 128) <= 2
    wide = size[1] > 2 * size[0]  # then only the white third is left
    assert (abs(int(y[24, 2]) - 235) <= 3) is wide


@pytest.mark.parametrize("depth", [8, 10])
def test_a_backdrop_has_the_depth_and_the_subsampling_of_the_frames(tmp_path: Path, depth: int) -> None:
    video = VideoFormat((20, 30), Subsampling.YUV444, depth, VIDEO.colour, Fraction(1))
    planes = read_backdrop(str(write(tmp_path / "room.png", (40, 60))))(video)
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
    planes = read_backdrop(str(path))(video)
    video.frame(planes, index=0, pts=0)  # checks the sizes
    assert planes[0].min() >= 233, "nothing beside the picture is black"


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceOpenError, match="no such file"):
        read_backdrop(str(tmp_path / "nothing.png"))
    with pytest.raises(ConfigError, match="comes live; give a picture"):
        read_backdrop("test:bars?size=64x48&fps=25&frames=1&live=1")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises((SourceOpenError, ConfigError)):
        read_backdrop(str(tmp_path / "text.png"))
