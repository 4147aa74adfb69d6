"""The fused step: the kernel against its definition, and the definition against what it must mean."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamfx.errors import FrameError
from streamfx.generate.ops.fuse.definition import AMPLITUDE, GAIN, MASK
from streamfx.generate.ops.fuse.numba_kernels import TILE
from streamfx.generate.ops.reduce.operation import reduce_planes
from streamfx.media.frame import ChromaLocation, CodeRange, Colour, Planes, Subsampling
from tests.generate.ops.fused_cases import Case, cases, random_heads, random_planes


def constant_heads(small: tuple[int, int], *values: float) -> NDArray[np.float32]:
    return np.broadcast_to(np.array(values, np.float32)[:, None, None], (len(values), *small)).copy()


def assert_same(found: Planes, expected: Planes, tolerance: int = 0) -> None:
    for name, plane, other in zip("YUV", found, expected, strict=True):
        assert plane.dtype == other.dtype
        difference = np.abs(plane.astype(int) - other.astype(int))
        assert difference.max() <= tolerance, f"plane {name}: off by {difference.max()}"


@pytest.mark.parametrize("channels", [7, 11])
@pytest.mark.parametrize("depth", [8, 10, 16])
def test_the_kernel_is_within_one_code_of_the_reference_at_every_depth(depth: int, channels: int) -> None:
    planes = random_planes((45, 67), depth=depth)
    reduced = np.full((3, 11, 16), 100, np.float32)
    case = Case(planes, random_heads((11, 16), depth, channels), reduced, depth=depth)
    assert_same(case.kernel(), case.reference(), tolerance=1)


@settings(deadline=None, max_examples=150)
@given(cases(channels=(6, 7, 11)), st.sampled_from([1, 2]))
def test_the_kernel_is_within_one_code_of_the_reference_on_anything(case: Case, threads: int) -> None:
    assert_same(case.kernel(threads=threads), case.reference(), tolerance=1)


@pytest.mark.parametrize("width", [TILE - 1, TILE, TILE + 1, 2 * TILE + 9])
@pytest.mark.parametrize("factor", [1, 2.3, 4, 11])
def test_the_kernel_is_within_one_code_of_the_reference_across_tiles(width: int, factor: float) -> None:
    small = (max(1, int(37 / factor)), int(width / factor))
    case = Case(random_planes((37, width)), random_heads(small, channels=6))
    assert_same(case.kernel(), case.reference(), tolerance=1)


@pytest.mark.parametrize("channels", [7, 11])
@pytest.mark.parametrize("depth", [8, 10])
def test_flat_regions_of_the_heads_take_no_shortcut_that_shows(depth: int, channels: int) -> None:
    heads = random_heads((24, 3 * TILE // 4), depth, channels)
    heads[MASK, :, : TILE // 4 + 2] = 1.25  # opaque all over the first tile
    heads[4:6, :, TILE // 4 - 2 : TILE // 2 + 2] = 0  # nothing moves in the second
    planes = random_planes((96, 3 * TILE), depth=depth)
    reduced = np.full((3, 24, 3 * TILE // 4), 100, np.float32)
    case = Case(planes, heads, reduced, depth=depth)
    assert_same(case.kernel(), case.reference(), tolerance=1)


def test_the_number_of_threads_does_not_change_a_bit() -> None:
    case = Case(random_planes((150, 90)), random_heads((37, 22), channels=6))
    once = case.kernel(threads=1)
    for threads in (2, 3, None):
        assert_same(case.kernel(threads=threads), once)


def test_several_threads_may_fuse_at_once() -> None:
    many = [
        Case(random_planes((130, 90), seed=n), random_heads((37, 22), channels=6, seed=n)) for n in range(12)
    ]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda case: case.kernel(threads=2), many))
    for planes, case in zip(found, many, strict=True):
        assert_same(planes, case.kernel(threads=1))


@pytest.mark.parametrize("depth", [8, 10, 16])
@pytest.mark.parametrize("subsampling", list(Subsampling))
def test_strength_zero_is_the_identity_bit_for_bit(subsampling: Subsampling, depth: int) -> None:
    case = Case(
        random_planes((45, 67), subsampling, depth),
        random_heads((11, 16), depth, 6),
        None,
        subsampling,
        depth,
    )
    case = replace(case, strength=0.0)
    assert_same(case.kernel(), case.planes)
    assert_same(case.reference(), case.planes)


@pytest.mark.parametrize("depth", [8, 10, 16])
@pytest.mark.parametrize("displacement", [0.0, 1e-30])
def test_mask_and_displacement_zero_return_codes_outside_the_legal_range_too(
    depth: int, displacement: float
) -> None:
    heads = random_heads((11, 16), depth, 6)
    heads[MASK] = 0
    heads[4:6] = displacement
    case = Case(random_planes((45, 67), depth=depth), heads, depth=depth)
    assert_same(case.kernel(), case.planes)
    assert_same(case.reference(), case.planes)


def test_mask_one_is_the_translated_picture_clamped_to_the_legal_codes() -> None:
    heads = constant_heads((6, 8), 300, 77.4, -20, 1, 2, -3)
    y, u, v = Case(random_planes((24, 32)), heads).kernel()
    assert np.unique(y) == [235]
    assert np.unique(u) == [77]
    assert np.unique(v) == [16]
    full = Case(random_planes((24, 32)), heads, code_range=CodeRange.FULL).kernel()
    assert [np.unique(plane) for plane in full] == [[255], [77], [0]]


def test_half_a_mask_is_the_mean_of_translated_picture_and_source() -> None:
    planes = random_planes((24, 32))
    y, _, _ = Case(planes, constant_heads((6, 8), 100, 100, 100, 0.5, 0, 0)).kernel()
    assert np.array_equal(y, np.floor(planes[0] / 2 + 50 + 0.5))


def test_a_displacement_in_small_pixels_moves_each_plane_by_its_own_scale() -> None:
    planes = random_planes((24, 32))
    # 1 pixel right and 2 down at a quarter of the size: 4 and 8 samples of luma, 2 and 4 of chroma.
    y, u, _ = Case(planes, constant_heads((6, 8), 0, 0, 0, 0, 1, 2)).kernel()
    assert np.array_equal(y[:-8, :-4], planes[0][8:, 4:])
    assert np.array_equal(u[:-4, :-2], planes[1][4:, 2:])


@pytest.mark.parametrize(("move_x", "move_y"), [(1e4, 0), (-1e4, 0), (0, 1e4), (0, -1e4), (1e4, -1e4)])
def test_a_displacement_that_leaves_the_frame_shows_its_edge(move_x: float, move_y: float) -> None:
    planes = random_planes((24, 32))
    case = Case(planes, constant_heads((6, 8), 0, 0, 0, 0, move_x, move_y), max_displacement_pixels=100)
    rows = {0: np.arange(24), 1: np.full(24, 23), -1: np.zeros(24, int)}[int(np.sign(move_y))]
    columns = {0: np.arange(32), 1: np.full(32, 31), -1: np.zeros(32, int)}[int(np.sign(move_x))]
    y, _, _ = case.kernel()
    assert np.array_equal(y, planes[0][np.ix_(rows, columns)])


def test_the_displacement_is_bounded_after_upsampling() -> None:
    planes = random_planes((24, 32))
    free = Case(planes, constant_heads((6, 8), 0, 0, 0, 0, 2, 0)).kernel()
    bounded = Case(planes, constant_heads((6, 8), 0, 0, 0, 0, 9, 0), max_displacement_pixels=2).kernel()
    assert_same(bounded, free)


def test_strength_scales_the_displacement_so_that_the_effect_fades_to_the_source() -> None:
    planes = random_planes((24, 32))
    half = Case(planes, constant_heads((6, 8), 0, 0, 0, 0, 2, 0), strength=0.5).kernel()
    whole = Case(planes, constant_heads((6, 8), 0, 0, 0, 0, 1, 0)).kernel()
    assert_same(half, whole)


@pytest.mark.parametrize(
    ("location", "offset_y", "offset_x"),
    [
        (ChromaLocation.LEFT, 0.5, 0),
        (ChromaLocation.CENTER, 0.5, 0.5),
        (ChromaLocation.TOP_LEFT, 0, 0),
        (ChromaLocation.TOP, 0, 0.5),
        (ChromaLocation.BOTTOM_LEFT, 1, 0),
        (ChromaLocation.BOTTOM, 1, 0.5),
        (ChromaLocation.UNKNOWN, 0.5, 0),
    ],
)
def test_chroma_lies_where_the_stream_says(
    location: ChromaLocation, offset_y: float, offset_x: float
) -> None:
    # Heads that rise evenly: at luma position p (from the first sample) they are 40 + p columns, 30 + p/2
    # rows.
    columns = 40 + 4 * np.arange(32) + 1.5
    rows = 30 + 2 * np.arange(24) + 0.75
    heads = constant_heads((24, 32), 0, 0, 0, 1, 0, 0)
    heads[1], heads[2] = columns[None, :], rows[:, None]
    case = Case(random_planes((96, 128)), heads, chroma_location=location)
    for u, v in (case.kernel()[1:], case.reference()[1:]):
        inner = slice(4, -4)  # towards the edges the heads are constant
        expected_u = np.floor(40 + 2 * np.arange(64) + offset_x + 0.5)
        expected_v = np.floor(30 + (2 * np.arange(48) + offset_y) / 2 + 0.5)
        assert np.array_equal(u[0, inner], expected_u[inner])
        assert np.array_equal(v[inner, 0], expected_v[inner])


def test_gain_one_over_the_picture_the_network_saw_returns_the_source() -> None:
    planes = random_planes((48, 64))
    reduced = np.clip(reduce_planes(planes, Subsampling.YUV420, Colour(), (12, 16)), 16, 235)
    heads = np.concatenate([reduced, constant_heads((12, 16), 1, 3, 3, 1)])
    assert_same(Case(planes, heads, reduced).kernel(), planes)


def test_a_gain_of_zero_everywhere_equals_no_gain() -> None:
    heads = random_heads((12, 16))
    heads[GAIN] = 0
    planes = random_planes((48, 64))
    reduced = np.zeros((3, 12, 16), np.float32)
    assert_same(Case(planes, heads, reduced).kernel(), Case(planes, heads[:6]).kernel())


@pytest.mark.parametrize(
    ("code", "offset", "expected"),
    [
        (100, 0.0, 120),  # as the surroundings: the translated luma alone
        (90, 0.0, 80),  # 10 codes darker, 0.05 per code: half of the amplitude off
        (60, 0.0, 40),  # the answer ends at -1
        (110, 0.0, 128),  # 10 codes brighter, 0.01 per code: a tenth of it on
        (90, 0.75, 140),  # the offset moves the answer: 0.75 - 0.5
        (100, -3.0, 40),
    ],
)
def test_ink_answers_to_the_detail_of_luma_alone(code: int, offset: float, expected: int) -> None:
    planes = random_planes((24, 32))
    planes[0][:] = code
    heads = constant_heads((6, 8), 120, 90, 70, 1, 0, 0, 0, offset, 0.01, 0.05, 80)
    reduced = constant_heads((6, 8), 100, 0, 255)
    for fused in (Case(planes, heads, reduced).kernel(), Case(planes, heads, reduced).reference()):
        assert [np.unique(plane).tolist() for plane in fused] == [[expected], [90], [70]]


def test_ink_is_bounded_by_the_legal_codes_before_detail_is_added() -> None:
    planes = random_planes((24, 32))
    planes[0][:] = 110
    heads = constant_heads((6, 8), 200, 128, 128, 1, 0, 0, 0.5, 1, 0, 0, 90)
    y, _, _ = Case(planes, heads, constant_heads((6, 8), 100, 128, 128)).kernel()
    assert np.unique(y) == [240]  # 235, and half of 10


def test_an_amplitude_of_zero_everywhere_equals_no_ink() -> None:
    heads = random_heads((12, 16), channels=11)
    heads[AMPLITUDE] = 0
    planes, reduced = random_planes((48, 64)), np.full((3, 12, 16), 90, np.float32)
    assert_same(Case(planes, heads, reduced).kernel(), Case(planes, heads[:7], reduced).kernel())


def test_half_precision_heads_are_taken_as_they_are() -> None:
    heads = random_heads((12, 16), channels=6).astype(np.float16)
    planes = random_planes((48, 64))
    assert_same(Case(planes, heads).kernel(), Case(planes, heads.astype(np.float32)).kernel())


@pytest.mark.parametrize("depth", [8, 16])
def test_heads_as_large_as_numbers_get_still_give_a_picture(depth: int) -> None:
    huge = np.array([1, 0, 0.5], np.float32) * np.finfo(np.float32).max
    heads = np.random.default_rng(3).choice(huge, (7, 9, 11))
    heads[[1, 5]] *= -1
    reduced = np.full((3, 9, 11), 100, np.float32)
    case = Case(random_planes((36, 44), depth=depth), heads, reduced, depth=depth)
    assert_same(case.kernel(), case.reference(), tolerance=1)


def test_ink_as_large_as_numbers_get_still_gives_a_picture() -> None:
    huge = np.finfo(np.float32).max
    heads = random_heads((9, 11), channels=11)
    heads[8:] = np.random.default_rng(3).choice(np.array([0, huge]), (3, 9, 11))
    case = Case(random_planes((36, 44)), heads, np.full((3, 9, 11), 100.5, np.float32))
    assert_same(case.kernel(), case.reference(), tolerance=1)


def test_padded_rows_read_only_planes_and_planes_of_different_stride_are_read_alike() -> None:
    planes = random_planes((45, 67))
    heads = random_heads((11, 16), channels=6)
    padded = []
    for padding, plane in zip((5, 1, 30), planes, strict=True):
        wide = np.full((plane.shape[0], plane.shape[1] + padding), 255, np.uint8)
        wide[:, : plane.shape[1]] = plane
        wide.flags.writeable = False
        padded.append(wide[:, : plane.shape[1]])
    y, u, v = padded
    assert_same(Case((y, u, v), heads).kernel(), Case(planes, heads).kernel())


def test_output_goes_to_the_planes_given_and_the_source_stays_as_it_is() -> None:
    planes = random_planes((45, 67))
    y, u, v = (plane.copy() for plane in planes)
    wide = np.zeros((45, 80), np.uint8)
    out = (wide[:, :67], np.empty_like(u), np.empty_like(v))
    heads = random_heads((11, 16), channels=6)
    found = Case(planes, heads).kernel(out=out)
    assert all(plane is target for plane, target in zip(found, out, strict=True))
    assert_same(planes, (y, u, v))
    assert_same(out, Case(planes, heads).reference(), tolerance=1)
    assert not wide[:, 67:].any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_heads_that_are_not_finite_are_an_error_that_counts_them(dtype: type, value: float) -> None:
    heads: NDArray[Any] = random_heads((11, 16)).astype(dtype)
    heads[3, 2, 5] = heads[3, 10, 15] = heads[6, 0, 0] = value
    case = Case(random_planes((45, 67)), heads, np.zeros((3, 11, 16), np.float32))
    for call in (case.kernel, case.reference):
        with pytest.raises(FrameError, match=r"not finite \(mask: 2, detail gain: 1; of 176 pixels each\)"):
            call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"heads": np.zeros((5, 4, 4), np.float32)},
            r"heads must be float32 or float16 .*found float32 \(5, 4, 4\)",
        ),
        ({"heads": np.zeros((6, 4, 4))}, r"heads must be .*found float64"),
        ({"heads": np.zeros((6, 0, 4), np.float32)}, r"heads must be .*found float32 \(6, 0, 4\)"),
        ({"heads": np.zeros((7, 4, 4), np.float32)}, r"need the reduced planes, \(3, 4, 4\); found none"),
        (
            {"heads": np.zeros((7, 4, 4), np.float32), "reduced": np.zeros((3, 4, 5), np.float32)},
            r"need the reduced planes, \(3, 4, 4\); found \(3, 4, 5\)",
        ),
        ({"depth": 10}, r"plane Y must be \(16, 16\) uint16 .*10 bits, but is \(16, 16\) uint8"),
        ({"subsampling": Subsampling.YUV444}, r"plane U must be \(16, 16\) uint8 .*but is \(8, 8\) uint8"),
        ({"strength": 1.1}, r"strength must be 0 to 1, found 1\.1"),
        ({"strength": float("nan")}, r"strength must be 0 to 1, found nan"),
        ({"max_displacement_pixels": -1}, r"displacement bound must be 0 to 4096 pixels, found -1"),
        ({"code_range": CodeRange.UNKNOWN}, r"code range unknown has no legal codes"),
    ],
)
def test_what_does_not_fit_is_an_error_that_says_what_was_expected(
    change: dict[str, Any], message: str
) -> None:
    case = replace(Case(random_planes((16, 16)), random_heads((4, 4), channels=6)), **change)
    for call in (case.kernel, case.reference):
        with pytest.raises(FrameError, match=message):
            call()


def test_output_planes_that_cannot_be_written_to_are_an_error() -> None:
    planes = random_planes((16, 16))
    case = Case(planes, random_heads((4, 4), channels=6))
    y, u, v = (np.empty_like(plane) for plane in planes)
    with pytest.raises(
        FrameError, match=r"output plane V must be writeable \(8, 8\) uint8; found .*\(4, 4\)"
    ):
        case.kernel(out=(y, u, v[:4, :4]))
    u.flags.writeable = False
    with pytest.raises(FrameError, match=r"output plane U must be writeable .*found read-only"):
        case.kernel(out=(y, u, v))
    with pytest.raises(FrameError, match="output plane Y overlaps the source plane"):
        case.kernel(out=planes)
