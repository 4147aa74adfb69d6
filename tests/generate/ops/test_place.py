"""Placing and adding what a network gives, and making pictures larger."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamfx.errors import FrameError
from streamfx.generate.ops.enlarge import cubic, enlarge_twice
from streamfx.generate.ops.place.definition import NO_SHIFTS, Small, place_reference, shifts_of
from streamfx.generate.ops.place.operation import place
from streamfx.media.frame import ChromaLocation, CodeRange, Colour, Frame, Matrix, Subsampling

COLOUR = Colour(Matrix.BT709, CodeRange.LIMITED, chroma_location=ChromaLocation.LEFT)


def make_frame(
    size: tuple[int, int], subsampling: Subsampling = Subsampling.YUV420, depth: int = 8, seed: int = 1
) -> Frame:
    rng = np.random.default_rng(seed)
    chroma = subsampling.chroma_size(size)

    def plane(shape: tuple[int, int]) -> NDArray[Any]:
        return rng.integers(0, 1 << depth, shape).astype(np.uint8 if depth == 8 else np.uint16)

    planes = plane(size), plane(chroma), plane(chroma)
    return Frame(planes, subsampling, depth, COLOUR, 0, 0, Fraction(1, 25))


def make_small(sizes: list[tuple[int, int]], low: float, high: float, seed: int = 2) -> Small:
    rng = np.random.default_rng(seed)
    y, u, v = (rng.uniform(low, high, size).astype(np.float32) for size in sizes)
    return y, u, v


SIZES = st.tuples(st.integers(1, 40), st.integers(1, 70))


@settings(max_examples=60, deadline=None)
@given(
    size=SIZES,
    small=SIZES,
    subsampling=st.sampled_from(list(Subsampling)),
    depth=st.sampled_from([8, 10, 12]),
    strength=st.sampled_from([0.0, 0.3, 1.0]),
    added=st.booleans(),
    sited=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_kernel_is_within_one_code_of_the_definition(
    size: tuple[int, int],
    small: tuple[int, int],
    subsampling: Subsampling,
    depth: int,
    strength: float,
    added: bool,
    sited: bool,
    seed: int,
) -> None:
    frame = make_frame(size, subsampling, depth, seed)
    top = float(1 << depth)
    picture = make_small([small] * 3, -0.3 * top, (0.3 if added else 1.3) * top, seed)
    shifts = shifts_of(frame, COLOUR) if sited else NO_SHIFTS
    found = place(frame, picture, COLOUR, strength=strength, added=added, shifts=shifts, threads=2)
    expected = place_reference(frame, picture, COLOUR, strength=strength, added=added, shifts=shifts)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 1
    if strength == 0:
        assert all((one == source).all() for one, source in zip(found, frame.planes, strict=True))


def test_planes_of_their_own_sizes_come_back_as_they_are() -> None:
    frame = make_frame((31, 45))
    y, u, v = (plane.clip(16, 235).astype(np.float32) for plane in frame.planes)
    for found, expected in zip(place(frame, (y, u, v), COLOUR), (y, u, v), strict=True):
        assert (found == expected).all()


def test_what_is_added_may_leave_the_legal_range_and_what_is_placed_may_not() -> None:
    frame = make_frame((4, 6))
    high = make_small([(4, 6)] * 3, 300, 301)
    assert place(frame, high, COLOUR)[0].max() == 235
    assert place(frame, high, COLOUR, added=True)[0].max() == 255


def test_values_that_are_not_finite_are_an_error_that_counts_them() -> None:
    frame = make_frame((4, 6))
    small = make_small([(2, 3)] * 3, 0, 9)
    small[1][0, 0] = np.nan
    with pytest.raises(FrameError, match="translated U: 1;"):
        place(frame, small, COLOUR)


def test_wrong_arguments_are_named() -> None:
    frame = make_frame((4, 6))
    with pytest.raises(FrameError, match="strength must be 0 to 1, found 2"):
        place(frame, make_small([(2, 3)] * 3, 0, 9), COLOUR, strength=2)
    with pytest.raises(FrameError, match=r"plane Y must be float32 .* found float32 \(0, 3\)"):
        place(frame, make_small([(0, 3)] * 3, 0, 9), COLOUR)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 40), (64, 33)])
def test_enlarging_twice_is_what_opencv_calls_cubic(size: tuple[int, int]) -> None:
    planes = np.random.default_rng(3).uniform(0, 255, (2, *size)).astype(np.float32)
    for plane, found in zip(planes, enlarge_twice(planes, threads=2), strict=True):
        expected = cv2.resize(plane, (2 * size[1], 2 * size[0]), interpolation=cv2.INTER_CUBIC)
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_cubic_weights_of_a_quarter_are_those_worked_out_by_hand() -> None:
    # a = -3/4 at distances 1.25, .25, .75, 1.75
    assert cubic(0.25) == pytest.approx([-0.10546875, 0.87890625, 0.26171875, -0.03515625])
