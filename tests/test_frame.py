"""Frame: checks itself, cannot be changed, says what it is."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamfx.errors import FrameError
from streamfx.media.frame import ChromaLocation, CodeRange, Colour, Frame, Matrix, Subsampling


def make(
    luma: NDArray[Any] | None = None,
    chroma: NDArray[Any] | None = None,
    *,
    subsampling: Subsampling = Subsampling.YUV420,
    depth: int = 8,
) -> Frame:
    """Return a frame of 4 x 6 pixels, or of the planes given."""
    luma = np.full((4, 6), 100, np.uint8) if luma is None else luma
    chroma = np.full((2, 3), 128, np.uint8) if chroma is None else chroma
    planes = (luma, chroma, chroma.copy())
    colour = Colour(Matrix.BT709, CodeRange.LIMITED)
    return Frame(planes, subsampling, depth, colour, 7, 14, Fraction(1, 50))


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    subsampling=st.sampled_from(Subsampling),
    depth=st.integers(8, 16),
)
def test_planes_of_any_size_that_fit_together_make_a_frame(
    size: tuple[int, int], subsampling: Subsampling, depth: int
) -> None:
    dtype = np.uint8 if depth == 8 else np.uint16
    frame = make(
        np.zeros(size, dtype),
        np.zeros(subsampling.chroma_size(size), dtype),
        subsampling=subsampling,
        depth=depth,
    )
    assert frame.size == size
    step_y, step_x = subsampling.steps
    chroma = frame.planes[1].shape
    assert (chroma[0] - 1) * step_y < size[0] <= chroma[0] * step_y
    assert (chroma[1] - 1) * step_x < size[1] <= chroma[1] * step_x


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 7}, "frame 7: depth must be 8 to 16 bits, found 7"),
        ({"depth": 10}, "frame 7: plane Y must be 2-D uint16 at depth 10, found 2-D uint8"),
        ({"luma": np.zeros((4, 6, 1), np.uint8)}, "frame 7: plane Y must be 2-D uint8 at .* found 3-D uint8"),
        ({"luma": np.zeros((4, 6), np.int8)}, "frame 7: plane Y must be 2-D uint8 at .* found 2-D int8"),
        (
            {"chroma": np.zeros((2, 2), np.uint8)},
            r"frame 7: plane U must be \(2, 3\) for luma \(4, 6\) at 4:2:0, found \(2, 2\)",
        ),
        (
            {"subsampling": Subsampling.YUV422},
            r"frame 7: plane U must be \(4, 3\) for luma \(4, 6\) at 4:2:2, found \(2, 3\)",
        ),
        ({"luma": np.zeros((4, 12), np.uint8)[:, ::2]}, "frame 7: samples of plane Y must be contiguous"),
    ],
)
def test_planes_that_do_not_fit_together_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(FrameError, match=message):
        make(**arguments)


def test_an_empty_picture_is_refused() -> None:
    with pytest.raises(FrameError, match=r"plane Y must be \(0, 6\)"):
        make(np.zeros((0, 6), np.uint8), np.zeros((0, 3), np.uint8))


def test_two_planes_are_no_frame() -> None:
    plane: Any = np.zeros((2, 2), np.uint8)
    planes: Any = (plane, plane)
    with pytest.raises(FrameError, match=r"frame 0: needs 3 planes \(Y, U, V\), found 2"):
        Frame(planes, Subsampling.YUV444, 8, Colour(), 0, 0, Fraction(1, 25))


def test_rows_may_be_padded() -> None:
    padded = np.zeros((4, 64), np.uint8)[:, :6]
    assert make(padded).size == (4, 6)


def test_a_frame_cannot_be_changed() -> None:
    frame = make()
    with pytest.raises(ValueError, match="read-only"):
        frame.planes[0][0, 0] = 1
    with pytest.raises(FrozenInstanceError):
        frame.index = 8  # type: ignore[misc]


def test_other_pixels_keep_everything_else() -> None:
    frame = make()
    other = frame.with_planes((np.zeros((4, 6), np.uint8), frame.planes[1], frame.planes[2]))
    assert other.planes[0][0, 0] == 0
    assert (other.index, other.pts, other.time_base, other.colour) == (7, 14, Fraction(1, 50), frame.colour)


def test_the_time_is_exact() -> None:
    assert replace(make(), pts=1, time_base=Fraction(1, 3)).time_seconds == Fraction(1, 3)


def test_the_text_of_a_frame_shows_what_it_is_and_no_pixels() -> None:
    assert repr(make()) == "Frame(index=7, 6x4 4:2:0 8-bit, pts=14×1/50, bt709/limited)"


@pytest.mark.parametrize(
    ("tagged", "height", "assumed"),
    [
        (Colour(), 720, Colour(Matrix.BT709, CodeRange.LIMITED, 2, 2, ChromaLocation.LEFT)),
        (Colour(), 719, Colour(Matrix.SMPTE170M, CodeRange.LIMITED, 2, 2, ChromaLocation.LEFT)),
        (
            Colour(Matrix.BT2020_NCL, CodeRange.FULL, 9, 16, ChromaLocation.TOP_LEFT),
            480,
            Colour(Matrix.BT2020_NCL, CodeRange.FULL, 9, 16, ChromaLocation.TOP_LEFT),
        ),
    ],
)
def test_only_what_is_not_tagged_is_assumed(tagged: Colour, height: int, assumed: Colour) -> None:
    assert tagged.assumed(height) == assumed
