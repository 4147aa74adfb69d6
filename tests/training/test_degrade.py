"""Degradations: each does what its name says, and all are repeatable."""

from __future__ import annotations

import numpy as np
import pytest

from training.degrade import (
    KINDS,
    SHARES,
    Degradation,
    Mix,
    codec,
    degrade,
    draw,
    draw_of,
    draw_one,
    gaussian_blur,
    gaussian_noise,
    jpeg,
    line_kernel,
    motion_blur,
    poisson_noise,
    resampling,
    salt_and_pepper,
)
from training.pictures import Picture


def random(seed: int = 5) -> np.random.Generator:
    return np.random.default_rng(seed)


def flat(level: int, side: int = 96) -> Picture:
    return np.full((side, side, 3), level, np.uint8)


def scene(seed: int = 3) -> Picture:
    return random(seed).integers(0, 256, (8, 10, 3), np.uint8).repeat(8, 0).repeat(8, 1)


def dot() -> Picture:
    picture = flat(0, 31)
    picture[15, 15] = 255
    return picture


def error(picture: Picture, truth: Picture) -> float:
    return float(np.abs(picture.astype(float) - truth).mean())


def test_gaussian_blur_spreads_a_dot_evenly_as_far_as_its_kernel() -> None:
    blurred = gaussian_blur(dot(), kernel=7)
    assert blurred[15, 18].max() > 0
    assert blurred[15, 19].max() == 0
    assert (blurred == blurred.transpose(1, 0, 2)).all()


def test_motion_blur_spreads_a_dot_along_its_line_only() -> None:
    level = motion_blur(dot(), length_pixels=8, angle_degrees=0)
    assert (level[15, 12:19] > 0).all()
    assert level[:14].max() == level[17:].max() == 0
    upright = motion_blur(dot(), length_pixels=8, angle_degrees=90)
    assert (upright == level.transpose(1, 0, 2)).all()


def test_motion_without_length_changes_nothing() -> None:
    assert (motion_blur(scene(), length_pixels=0, angle_degrees=30) == scene()).all()


@pytest.mark.parametrize("length", [0.0, 0.7, 5.0, 12.0])
@pytest.mark.parametrize("angle", [0.0, 33.0, 45.0, 90.0])
def test_a_line_kernel_sums_to_one_and_is_centred(length: float, angle: float) -> None:
    kernel = line_kernel(length, angle)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-5)


def test_a_slanted_line_goes_up_to_the_right() -> None:
    kernel = line_kernel(8, 45)
    middle = kernel.shape[0] // 2
    assert kernel[middle - 2, middle + 2] > 0
    assert kernel[middle + 2, middle + 2] == 0


def test_resampling_keeps_size_and_mean_and_takes_detail() -> None:
    picture = random().integers(0, 256, (60, 62, 3), np.uint8)
    for enlargement in ("nearest", "bilinear", "bicubic"):
        found = resampling(picture, factor=2, enlargement=enlargement)
        assert found.shape == picture.shape
        assert found.mean() == pytest.approx(picture.mean(), abs=1)
        assert found.std() < 0.7 * picture.std()


def test_gaussian_noise_has_the_deviation_asked_for() -> None:
    noise = gaussian_noise(flat(128), random(), deviation=12).astype(float) - 128
    assert noise.std() == pytest.approx(12, rel=0.03)
    assert noise.mean() == pytest.approx(0, abs=0.3)


def test_poisson_noise_grows_with_the_root_of_brightness() -> None:
    dark, bright = (poisson_noise(flat(level), random(), photons=200).astype(float) for level in (30, 120))
    assert dark.mean() == pytest.approx(30, abs=0.5)
    assert bright.std() == pytest.approx(255 * np.sqrt(120 / 255 / 200), rel=0.05)
    assert bright.std() / dark.std() == pytest.approx(2, rel=0.07)


def test_salt_and_pepper_hits_its_share_of_whole_pixels_half_each() -> None:
    found = salt_and_pepper(flat(128, 300), random(), share=0.04)
    white, black = (found == 255).all(axis=2).mean(), (found == 0).all(axis=2).mean()
    assert white == pytest.approx(0.02, rel=0.1)
    assert black == pytest.approx(0.02, rel=0.1)
    assert (found == 128).all(axis=2).mean() == pytest.approx(1 - white - black)


def test_jpeg_is_worse_at_lower_quality_and_keeps_the_order_of_colours() -> None:
    rough, fine = (error(jpeg(scene(), quality=quality), scene()) for quality in (50, 100))
    assert fine < rough < 30
    red = flat(0)
    red[..., 0] = 200
    assert error(jpeg(red, quality=95), red) < 5


@pytest.mark.parametrize(("encoder", "fine", "rough"), [("libx264", 18, 44), ("mpeg2video", 2, 30)])
def test_the_codec_gives_every_frame_back_worse_at_a_higher_level(
    encoder: str, fine: int, rough: int
) -> None:
    wide = scene()
    frames = [np.ascontiguousarray(wide[:, step : step + 64]) for step in (0, 2, 4)]
    errors = []
    for level in (fine, rough):
        found = codec(frames, encoder=encoder, level=level)
        assert len(found) == 3
        # Each frame is nearest to its own original, so none was swapped or lost.
        table = [[error(picture, truth) for truth in frames] for picture in found]
        assert list(np.argmin(table, axis=1)) == [0, 1, 2]
        errors.append(float(np.trace(table)))
    assert errors[0] < errors[1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_drawn_keeps_the_form_and_is_repeatable(kind: str) -> None:
    frames = [scene()] * 2
    drawn = draw_one(kind, random())
    found, again = (degrade(frames, [drawn], random(6)) for _ in range(2))
    assert all((one == other).all() for one, other in zip(found, again, strict=True))
    assert [picture.shape for picture in found] == [(64, 80, 3)] * 2
    assert all(picture.dtype == np.uint8 for picture in found)
    assert (frames[0] == scene()).all()


def test_combinations_hold_each_kind_as_often_as_its_share_and_compression_last() -> None:
    rng = random()
    drawn = [[d.kind for d in draw(rng)] for _ in range(600)]
    for kind, share in SHARES.items():
        assert np.mean([kind in kinds for kinds in drawn]) == pytest.approx(share, abs=0.06)
    assert any(not kinds for kinds in drawn)
    assert all("codec" not in kinds[:-1] for kinds in drawn)
    assert any(kinds[:2] == ["gaussian_noise", "gaussian_blur"] for kinds in drawn)


def test_a_mix_has_its_shares_of_single_kinds_and_of_pictures_left_alone() -> None:
    rng = random()
    drawn = [draw_of(Mix(single=0.5, none=0.5), rng) for _ in range(600)]
    assert np.mean([not kinds for kinds in drawn]) == pytest.approx(0.5, abs=0.06)
    alone = [found[0].kind for found in drawn if found]
    assert all(len(found) <= 1 for found in drawn)
    for kind in SHARES:
        assert np.mean([kind == found for found in alone]) == pytest.approx(1 / len(SHARES), abs=0.06)


def test_a_kind_alone_can_be_drawn_more_often_or_never() -> None:
    rng, kinds = random(), {"jpeg": 7.0, "codec": 0.0}
    drawn = [draw_of(Mix(single=1.0, kinds=kinds), rng)[0].kind for _ in range(600)]
    assert np.mean([kind == "jpeg" for kind in drawn]) == pytest.approx(7 / 13, abs=0.06)
    assert "codec" not in drawn


def test_without_a_mix_all_get_combinations() -> None:
    rng, same = random(), random()
    same.random()  # what decided that it is a combination
    assert draw_of(Mix(), rng) == draw(same)


def test_settings_stay_within_what_the_family_asks_for() -> None:
    rng = random()
    blurs = {draw_one("gaussian_blur", rng).settings["kernel"] for _ in range(200)}
    assert blurs == {3, 5, 7, 9, 11, 13}
    motions = [draw_one("motion_blur", rng).settings for _ in range(200)]
    assert all(0 <= m["length_pixels"] <= 12 and 0 <= m["angle_degrees"] <= 90 for m in motions)
    qualities = [draw_one("jpeg", rng).settings["quality"] for _ in range(300)]
    assert min(qualities) == 50
    assert max(qualities) == 100


def test_noise_is_new_in_every_frame_and_blur_is_not() -> None:
    frames = [scene()] * 2
    noisy = degrade(frames, [Degradation("gaussian_noise", {"deviation": 5.0})], random())
    assert (noisy[0] != noisy[1]).any()
    blurred = degrade(frames, [Degradation("gaussian_blur", {"kernel": 5})], random())
    assert (blurred[0] == blurred[1]).all()
