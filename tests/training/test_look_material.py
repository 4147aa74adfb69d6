"""What looks are judged on: pictures as video, with the noise of cameras, in clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfx.media.colour import rgb_to_code
from tests.media import make_clip
from training.evaluation.camera_noise import FRAMES, change, restlessness
from training.evaluation.material import Material, Variant, compressed, dark, noisy
from training.evaluation.video import COLOUR, as_video, from_video, to_video
from training.pictures import Picture


def flat(value: int, size: tuple[int, int] = (64, 96)) -> Picture:
    return np.full((*size, 3), value, np.uint8)


def test_a_colour_becomes_the_codes_that_the_runtime_takes_it_for() -> None:
    frame = to_video(np.full((16, 32, 3), (200, 30, 90), np.uint8), index=3)
    codes = rgb_to_code(COLOUR, 8) @ np.array([200 / 255, 30 / 255, 90 / 255, 1])
    assert [int(plane[4, 5]) for plane in frame.planes] == np.rint(codes).tolist()
    assert [plane.shape for plane in frame.planes] == [(16, 32), (8, 16), (8, 16)]
    assert (frame.index, frame.pts) == (3, 3)


def test_a_colour_that_changes_evenly_comes_back_where_it_was() -> None:
    x, y = np.meshgrid(np.arange(96.0), np.arange(64.0))
    picture = np.stack([60 + x, 100 + y, 180 - x], axis=-1).astype(np.uint8)
    back = as_video(picture)
    assert np.abs(back[4:-4, 4:-4].astype(int) - picture[4:-4, 4:-4]).max() <= 3
    shifted = np.abs(back[4:-4, 4:-4].astype(int) - picture[4:-4, 2:-6]).mean()
    assert np.abs(back[4:-4, 4:-4].astype(int) - picture[4:-4, 4:-4]).mean() < 1 < shifted


def test_luma_is_kept_pixel_by_pixel_and_colour_is_not() -> None:
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, ::2] = 255
    assert (as_video(stripes) == stripes).all()
    red_and_blue = np.zeros((16, 16, 3), np.uint8)
    red_and_blue[:, ::2, 0], red_and_blue[:, 1::2, 2] = 255, 255
    assert np.abs(from_video(to_video(red_and_blue).planes).astype(int) - red_and_blue).mean() > 40


def test_noise_has_the_deviation_that_it_is_said_to_have() -> None:
    rng = np.random.default_rng(3)
    assert noisy(flat(120), rng).astype(float).std() == pytest.approx(2, rel=0.05)
    gloomy = dark(flat(120), rng).astype(float)
    assert (gloomy.mean(), gloomy.std()) == pytest.approx((36, 4), rel=0.05)
    blocks = compressed(flat(120), rng).astype(float)
    assert 0 < blocks.std() < 2


def test_frames_of_a_clip_are_brought_to_size_and_each_has_noise_of_its_own(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", size=(120, 200), frames=9)
    plain = Material(path=clip, short_side=64, first=2, every=3, count=3).read()
    assert [frame.shape for frame in plain] == [(64, 96, 3)] * 3
    one, other = (Material(path=clip, short_side=64, count=2, variant="noisy").read(seed) for seed in (1, 2))
    assert (one[0] != other[0]).any()
    assert (one[0].astype(int) - plain[0] != one[1].astype(int) - plain[0]).any()
    assert Material(path=clip, variant="noisy").name == "clip, noisy"


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"cannot read .*no\.png: no picture could be decoded"):
        Material(path=tmp_path / "no.png").read()


def test_change_is_the_mean_difference_of_neighbouring_frames() -> None:
    assert change([flat(10), flat(14), flat(12)]) == 3


def halved(frames: Sequence[Picture], factor: float) -> list[Picture]:
    """Of half the contrast at factor 2, as they are at factor 1."""
    shown = [as_video(frame) for frame in frames]
    return shown if factor == 1 else [64 + frame // 2 for frame in shown]


def test_restlessness_is_one_for_the_source_and_half_of_it_at_half_the_contrast() -> None:
    scene = cv2.resize(np.random.default_rng(5).integers(60, 200, (4, 6, 3), np.uint8), (192, 128))
    found = restlessness(halved, (1.0, 2.0), [np.asarray(scene, np.uint8)], seed=4)
    kinds: tuple[Variant, ...] = ("noisy", "dark", "compressed")
    assert set(found) == {(kind, factor) for kind in kinds for factor in (1.0, 2.0)}
    assert all(found[kind, 1.0] == 1 for kind in kinds)
    assert found["dark", 2.0] == pytest.approx(0.5, abs=0.1)
    assert FRAMES >= 2
