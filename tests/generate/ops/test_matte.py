"""The matte at full size, and frames mixed by it: the kernels against the definition, and by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest

from streamfx.errors import FrameError
from streamfx.generate.ops.matte.definition import (
    OPAQUE,
    matte_reference,
    mean_over,
    mix_reference,
    replace_reference,
)
from streamfx.generate.ops.matte.operation import matte_of, mix, replace_behind
from streamfx.media.frame import Colour, Frame, Plane, Planes, Subsampling, VideoFormat

SIZES = (
    ((37, 53), (9, 13)),
    ((48, 64), (16, 24)),
    ((16, 16), (16, 16)),
    ((5, 7), (1, 1)),
    ((20, 20), (40, 40)),
)


def noise(size: tuple[int, int], subsampling: Subsampling, depth: int, seed: int) -> Frame:
    rng, kind = np.random.default_rng(seed), np.uint8 if depth == 8 else np.uint16
    sizes = (size, subsampling.chroma_size(size), subsampling.chroma_size(size))
    y, u, v = (cast("Plane", rng.integers(0, 1 << depth, each).astype(kind)) for each in sizes)
    return VideoFormat(size, subsampling, depth, Colour(), Fraction(1)).frame((y, u, v), index=0, pts=0)


def heads_of(small: tuple[int, int], seed: int = 1) -> np.ndarray:
    """Heads that are 0, 1 and in between, with slopes that reach across that."""
    heads = np.random.default_rng(seed).normal(0.5, 1, (3, *small)).astype(np.float32)
    heads[1:] *= 0.01
    return heads


def test_where_the_source_has_no_detail_the_matte_is_the_enlarged_head() -> None:
    heads = np.zeros((3, 1, 2), np.float32)
    heads[0] = [[0, 1]]
    heads[1:] = 9
    matte = matte_of(np.full((1, 4), 50, np.uint8), heads, np.full((1, 2), 50, np.float32))
    assert matte.tolist() == [[0, round(255 * 0.25), round(255 * 0.75), 255]]


def test_brighter_detail_follows_the_one_slope_and_darker_detail_the_other() -> None:
    heads = np.array([[[0.5]], [[0.01]], [[0.04]]], np.float32)
    luma = np.array([[100, 110, 95, 255, 0]], np.uint8)
    matte = matte_of(luma, heads, np.full((1, 1), 100, np.float32))
    assert matte.tolist() == [[128, 153, 77, 255, 0]]  # 0.5, 0.6, 0.3, above 1, below 0


@pytest.mark.parametrize(("size", "small"), SIZES)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_kernel_gives_the_matte_of_the_definition(
    size: tuple[int, int], small: tuple[int, int], kind: type, threads: int
) -> None:
    rng = np.random.default_rng(4)
    luma: Any = rng.integers(0, 256, size).astype(kind)
    reduced = rng.uniform(0, 255, small).astype(np.float32)
    heads = heads_of(small)
    found, right = matte_of(luma, heads, reduced, threads), matte_reference(luma, heads, reduced)
    assert np.abs(found.astype(int) - right).max() <= 1


@pytest.mark.parametrize("subsampling", list(Subsampling))
@pytest.mark.parametrize("depth", [8, 10, 16])
@pytest.mark.parametrize("size", [(37, 53), (48, 64), (1, 1)])
def test_the_kernel_mixes_as_the_definition_does(
    size: tuple[int, int], depth: int, subsampling: Subsampling
) -> None:
    over, under = (noise(size, subsampling, depth, seed) for seed in (1, 2))
    matte = np.random.default_rng(3).integers(0, 256, size).astype(np.uint8)
    for found, right in zip(mix(over, under, matte), mix_reference(over, under, matte), strict=True):
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_full_matte_shows_the_one_frame_and_an_empty_one_the_other_bit_for_bit(depth: int) -> None:
    over, under = (noise((32, 48), Subsampling.YUV420, depth, seed) for seed in (1, 2))
    for value, shown in ((OPAQUE, over), (0, under)):
        for found, plane in zip(
            mix(over, under, np.full((32, 48), value, np.uint8)), shown.planes, strict=True
        ):
            np.testing.assert_array_equal(found, plane)


@pytest.mark.parametrize("subsampling", list(Subsampling))
@pytest.mark.parametrize("depth", [8, 10, 16])
@pytest.mark.parametrize("size", [(37, 53), (48, 64), (1, 1)])
def test_the_kernel_replaces_what_lies_behind_as_the_definition_does(
    size: tuple[int, int], depth: int, subsampling: Subsampling
) -> None:
    frame, behind, new = (noise(size, subsampling, depth, seed) for seed in (1, 2, 3))
    kept = np.random.default_rng(3).integers(0, 256, size).astype(np.uint8)
    right = replace_reference(frame, behind.planes, new.planes, kept)
    for found, plane in zip(replace_behind(frame, behind.planes, new.planes, kept), right, strict=True):
        np.testing.assert_array_equal(found, plane)


def test_an_edge_brings_nothing_along_of_what_lay_behind() -> None:
    # A pixel half of a person of code 200, half of a wall of code 100, before a new picture of code 20.
    half, wall, room = (
        VideoFormat((1, 1), Subsampling.YUV444, 8, Colour(), Fraction(1)).frame(
            cast("Planes", tuple(np.full((1, 1), code, np.uint8) for _ in range(3))), index=0, pts=0
        )
        for code in (150, 100, 20)
    )
    made = replace_behind(half, wall.planes, room.planes, np.full((1, 1), 128, np.uint8))
    assert [int(plane[0, 0]) for plane in made] == [110] * 3  # half of 200 and half of 20
    plain = mix(half, room, np.full((1, 1), 128, np.uint8))
    assert int(plain[0][0, 0]) == 85, "that would be a dark rim"


def test_chroma_takes_the_mean_of_the_luma_samples_it_stands_for() -> None:
    matte = np.array([[255, 0, 100], [255, 0, 200], [10, 20, 30]], np.uint8)
    assert mean_over(matte, (2, 2)).tolist() == [[128, 150], [15, 30]]
    assert mean_over(matte, (1, 2)).tolist() == [[128, 100], [128, 200], [15, 30]]


def test_what_does_not_fit_together_is_refused() -> None:
    luma, reduced = np.zeros((8, 8), np.uint8), np.zeros((2, 2), np.float32)
    with pytest.raises(FrameError, match=r"heads must be float32 of shape \(3, height, width\)"):
        matte_of(luma, np.zeros((4, 2, 2), np.float32), reduced)
    with pytest.raises(FrameError, match=r"not finite \(person, rise, fall: \[1, 0, 0\] of 4 pixels\)"):
        matte_of(luma, np.array([[[np.nan, 0], [0, 0]], *np.zeros((2, 2, 2))], np.float32), reduced)
    frame, other = noise((8, 8), Subsampling.YUV420, 8, 1), noise((8, 8), Subsampling.YUV444, 8, 1)
    with pytest.raises(FrameError, match="two frames of one format"):
        mix(frame, other, luma)
    with pytest.raises(FrameError, match=r"uint8 \(4, 8\)"):
        mix(frame, frame, luma[:4])
