"""The reduction: the kernel against its definition, and the definition against what it must mean."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfx.errors import FrameError
from streamfx.generate.ops.reduce.definition import axis_matrix, axis_weights, reduce_reference, small_size
from streamfx.generate.ops.reduce.operation import reduce_planes
from streamfx.media.frame import ChromaLocation, Colour, Planes, Subsampling


def planes_of(size: tuple[int, int], subsampling: Subsampling, depth: int, seed: int) -> Planes:
    random = np.random.default_rng(seed)
    chroma = subsampling.chroma_size(size)
    dtype = np.uint8 if depth == 8 else np.uint16
    planes: list[Any] = [
        random.integers(0, 1 << depth, side).astype(dtype) for side in (size, chroma, chroma)
    ]
    y, u, v = planes
    return y, u, v


def rising(size: tuple[int, int], step: float, at_first: float) -> np.ndarray:
    """Return a plane whose values rise by ``step`` from column to column, exactly."""
    values = at_first + step * np.arange(size[1])
    assert np.array_equal(values, values.astype(np.uint16))
    return np.broadcast_to(values.astype(np.uint16), size).copy()


@settings(deadline=None, max_examples=200)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 90)),
    small=st.tuples(st.integers(1, 70), st.integers(1, 90)),
    subsampling=st.sampled_from(list(Subsampling)),
    location=st.sampled_from(list(ChromaLocation)),
    depth=st.sampled_from([8, 10, 16]),
    seed=st.integers(0, 2**32),
)
def test_the_kernel_equals_the_reference_on_anything(
    size: tuple[int, int],
    small: tuple[int, int],
    subsampling: Subsampling,
    location: ChromaLocation,
    depth: int,
    seed: int,
) -> None:
    planes, colour = planes_of(size, subsampling, depth, seed), Colour(chroma_location=location)
    found = reduce_planes(planes, subsampling, colour, small)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, reduce_reference(planes, subsampling, colour, small), rtol=1e-5, atol=1e-5 * (1 << depth)
    )


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("location", list(ChromaLocation))
def test_whole_ratios_equal_the_reference(factor: int, location: ChromaLocation) -> None:
    planes, colour = planes_of((240, 480), Subsampling.YUV420, 8, factor), Colour(chroma_location=location)
    small = (240 // factor, 480 // factor)
    found = reduce_planes(planes, Subsampling.YUV420, colour, small, threads=2)
    np.testing.assert_allclose(
        found, reduce_reference(planes, Subsampling.YUV420, colour, small), rtol=1e-5, atol=1e-3
    )


def test_luma_is_the_mean_of_the_area_a_small_pixel_covers() -> None:
    planes = planes_of((32, 48), Subsampling.YUV444, 8, 0)
    found = reduce_planes(planes, Subsampling.YUV444, Colour(), (8, 12))
    for small, plane in zip(found, planes, strict=True):
        np.testing.assert_allclose(small, plane.reshape(8, 4, 12, 4).mean(axis=(1, 3)), rtol=1e-6)


def test_samples_partly_covered_count_in_part() -> None:
    np.testing.assert_allclose(axis_matrix(5, 2, 0) * 2.5, np.array([[1, 1, 0.5, 0, 0], [0, 0, 0.5, 1, 1]]))


def test_an_axis_that_grows_is_interpolated() -> None:
    np.testing.assert_allclose(axis_matrix(2, 4, 0), np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]))


def test_where_a_shifted_area_leaves_the_plane_the_edge_stands_in() -> None:
    np.testing.assert_allclose(axis_matrix(4, 2, -0.25) * 2, [[0.75, 1, 0.25, 0], [0, 0, 0.75, 1.25]])


@pytest.mark.parametrize("full", [1, 2, 7, 48])
@pytest.mark.parametrize("small", [1, 3, 12, 48, 50])
@pytest.mark.parametrize("shift", [-0.25, 0, 0.25])
def test_weights_sum_to_one_so_that_an_even_picture_stays_even(full: int, small: int, shift: float) -> None:
    np.testing.assert_allclose(axis_matrix(full, small, shift).sum(axis=1), 1)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 70), st.integers(1, 90), st.sampled_from([-0.5, -0.25, 0, 0.25, 0.5]))
def test_the_weights_of_kernels_are_those_of_the_definition(full: int, small: int, shift: float) -> None:
    weights = axis_weights(full, small, shift)
    found = np.zeros((small, full), np.float32)
    for tap in range(weights.weights.shape[1]):
        found[np.arange(small), weights.first + tap] += weights.weights[:, tap]
    expected = axis_matrix(full, small, shift)
    assert (np.abs(found - expected) < 1e-7).all()
    used = [np.flatnonzero(row > 1e-9) for row in expected]
    assert weights.weights.shape[1] == max(row[-1] - row[0] + 1 for row in used)


@pytest.mark.parametrize("small_width", [96, 48, 24])
@pytest.mark.parametrize(
    ("location", "first"), [("left", 100), ("center", 102), ("topleft", 100), ("top", 102)]
)
def test_planes_that_rise_alike_in_the_picture_rise_alike_on_the_common_grid(
    location: str, first: int, small_width: int
) -> None:
    # In luma columns the picture is 100 + 4 x; a chroma sample lies at column 2 i, or in the middle at 2 i
    # + 0.5.
    luma = rising((32, 96), 4, 100)
    chroma = rising((16, 48), 8, first)
    colour = Colour(chroma_location=ChromaLocation(location))
    y, u, v = reduce_planes((luma, chroma, chroma), Subsampling.YUV420, colour, (8, small_width))
    inner = slice(2, -2)  # at the edges there is no more to rise to
    np.testing.assert_allclose(u[:, inner], y[:, inner], rtol=1e-6)
    np.testing.assert_allclose(v[:, inner], y[:, inner], rtol=1e-6)


def test_padded_rows_and_an_array_to_write_to() -> None:
    planes = planes_of((32, 48), Subsampling.YUV420, 8, 1)
    padded: list[Any] = [np.pad(plane, ((0, 0), (0, 9)))[:, : plane.shape[1]] for plane in planes]
    out = np.empty((3, 8, 12), np.float32)
    found = reduce_planes((padded[0], padded[1], padded[2]), Subsampling.YUV420, Colour(), (8, 12), out)
    assert found is out
    np.testing.assert_array_equal(out, reduce_planes(planes, Subsampling.YUV420, Colour(), (8, 12)))


def test_several_threads_may_reduce_at_once_with_the_same_result() -> None:
    many = [planes_of((256, 96), Subsampling.YUV420, 8, seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda p: reduce_planes(p, Subsampling.YUV420, Colour(), (64, 24), threads=2), many)
        )
    for small, planes in zip(found, many, strict=True):
        np.testing.assert_array_equal(
            small, reduce_planes(planes, Subsampling.YUV420, Colour(), (64, 24), threads=1)
        )


@pytest.mark.parametrize(
    ("size", "factor", "stride", "expected"),
    [
        ((1080, 1920), 4, 4, (272, 480)),
        ((720, 1280), 4, 4, (180, 320)),
        ((720, 1280), 3, 4, (240, 428)),
        ((480, 854), 1.5, 4, (320, 568)),
        ((3, 5), 8, 4, (4, 4)),
        ((1, 1), 1, 16, (16, 16)),
        ((1080, 1920), 1, 16, (1088, 1920)),
    ],
)
def test_the_small_size_is_the_nearest_multiple_of_the_stride(
    size: tuple[int, int], factor: float, stride: int, expected: tuple[int, int]
) -> None:
    assert small_size(size, factor, stride) == expected


@given(
    size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    factor=st.floats(1, 16),
    stride=st.integers(1, 64),
)
def test_the_small_size_is_within_half_a_stride_and_never_above_the_source_rounded_up(
    size: tuple[int, int], factor: float, stride: int
) -> None:
    for full, small in zip(size, small_size(size, factor, stride), strict=True):
        assert small % stride == 0
        assert stride <= small < full + stride
        assert small == stride or abs(small - full / factor) <= stride / 2


@pytest.mark.parametrize(("size", "factor", "stride"), [((8, 8), 0.5, 1), ((8, 8), 2, 0), ((0, 8), 2, 4)])
def test_a_size_factor_or_stride_below_one_is_an_error(
    size: tuple[int, int], factor: float, stride: int
) -> None:
    with pytest.raises(FrameError, match=r"cannot reduce .*all must be at least 1"):
        small_size(size, factor, stride)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (
            np.empty((3, 4, 5), np.float32),
            r"output must be float32 of shape \(3, 4, 4\).*found float32 \(3, 4, 5\)",
        ),
        (np.empty((3, 4, 4)), r"output must be float32 .*found float64"),
        (np.empty((3, 4, 8), np.float32)[:, :, ::2], "output must be C-contiguous and writeable"),
    ],
)
def test_an_array_that_cannot_take_the_result_is_an_error(out: np.ndarray, message: str) -> None:
    planes = planes_of((16, 16), Subsampling.YUV420, 8, 0)
    with pytest.raises(FrameError, match=message):
        reduce_planes(planes, Subsampling.YUV420, Colour(), (4, 4), out)


def test_an_empty_small_size_is_an_error() -> None:
    planes = planes_of((16, 16), Subsampling.YUV420, 8, 0)
    with pytest.raises(FrameError, match="at least a pixel"):
        reduce_planes(planes, Subsampling.YUV420, Colour(), (0, 4))
