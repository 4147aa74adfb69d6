"""Colour maps, legal codes and chroma positions."""

from __future__ import annotations

import numpy as np
import pytest

from streamfx.errors import FrameError
from streamfx.media.colour import LUMA_WEIGHTS, chroma_shift, code_to_rgb, legal_codes, rgb_to_code
from streamfx.media.frame import ChromaLocation, CodeRange, Colour, Matrix, Subsampling


@pytest.mark.parametrize("depth", [8, 10, 12, 16])
@pytest.mark.parametrize("code_range", [CodeRange.LIMITED, CodeRange.FULL])
@pytest.mark.parametrize("matrix", [*LUMA_WEIGHTS, Matrix.RGB])
def test_code_to_rgb_and_back_is_the_identity(matrix: Matrix, code_range: CodeRange, depth: int) -> None:
    colour = Colour(matrix, code_range)
    to_rgb, to_code = code_to_rgb(colour, depth), rgb_to_code(colour, depth)
    product = to_code[:, :3] @ to_rgb[:, :3]
    np.testing.assert_allclose(product, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(to_code[:, :3] @ to_rgb[:, 3] + to_code[:, 3], 0, atol=1e-8)


@pytest.mark.parametrize(
    ("matrix", "code_range", "depth", "rgb", "codes"),
    [
        # Colour bars at 100 %, as published in BT.709, BT.601 and BT.2020 test signals.
        (Matrix.BT709, CodeRange.LIMITED, 8, (1, 1, 1), (235, 128, 128)),
        (Matrix.BT709, CodeRange.LIMITED, 8, (1, 0, 0), (63, 102, 240)),
        (Matrix.BT709, CodeRange.LIMITED, 8, (0, 0, 1), (32, 240, 118)),
        (Matrix.SMPTE170M, CodeRange.LIMITED, 8, (1, 0, 0), (81, 90, 240)),
        (Matrix.SMPTE170M, CodeRange.LIMITED, 8, (0, 1, 0), (145, 54, 34)),
        (Matrix.SMPTE170M, CodeRange.FULL, 8, (0, 0, 1), (29, 255.5, 107)),
        (Matrix.BT2020_NCL, CodeRange.LIMITED, 10, (0, 0, 0), (64, 512, 512)),
        (Matrix.BT2020_NCL, CodeRange.LIMITED, 10, (1, 1, 0), (888, 64, 548)),
        (Matrix.RGB, CodeRange.FULL, 8, (1, 0, 0.2), (0, 51, 255)),
    ],
)
def test_known_colours_have_their_published_codes(
    matrix: Matrix, code_range: CodeRange, depth: int, rgb: tuple[float, ...], codes: tuple[float, ...]
) -> None:
    to_code = rgb_to_code(Colour(matrix, code_range), depth)
    np.testing.assert_allclose(to_code[:, :3] @ rgb + to_code[:, 3], codes, atol=0.51)


@pytest.mark.parametrize(
    ("depth", "code_range", "expected"),
    [
        (8, CodeRange.LIMITED, ((16, 235), (16, 240))),
        (12, CodeRange.LIMITED, ((256, 3760), (256, 3840))),
        (16, CodeRange.FULL, ((0, 65535), (0, 65535))),
    ],
)
def test_legal_codes_follow_depth_and_range(
    depth: int, code_range: CodeRange, expected: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    assert legal_codes(depth, code_range) == expected


@pytest.mark.parametrize(
    ("subsampling", "location", "shift"),
    [
        (Subsampling.YUV420, ChromaLocation.LEFT, (0.0, -0.25)),
        (Subsampling.YUV420, ChromaLocation.CENTER, (0.0, 0.0)),
        (Subsampling.YUV420, ChromaLocation.TOP_LEFT, (-0.25, -0.25)),
        (Subsampling.YUV420, ChromaLocation.BOTTOM, (0.25, 0.0)),
        (Subsampling.YUV420, ChromaLocation.UNKNOWN, (0.0, -0.25)),
        (Subsampling.YUV422, ChromaLocation.TOP_LEFT, (0.0, -0.25)),
        (Subsampling.YUV444, ChromaLocation.TOP_LEFT, (0.0, 0.0)),
    ],
)
def test_chroma_shift_is_in_chroma_samples_and_only_where_subsampled(
    subsampling: Subsampling, location: ChromaLocation, shift: tuple[float, float]
) -> None:
    assert chroma_shift(subsampling, location) == shift


def test_an_unknown_matrix_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(FrameError, match=r"matrix unknown has no conversion to RGB.*Colour\.assumed"):
        code_to_rgb(Colour(code_range=CodeRange.FULL), 8)


def test_an_unknown_range_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(FrameError, match=r"code range unknown has no legal codes.*Colour\.assumed"):
        rgb_to_code(Colour(Matrix.BT709), 8)


def test_a_depth_outside_8_to_16_is_an_error() -> None:
    with pytest.raises(FrameError, match="depth must be 8 to 16 bits, found 7"):
        legal_codes(7, CodeRange.FULL)
