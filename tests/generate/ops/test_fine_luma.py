"""Fine luma: the kernel against its definition, and what the channels mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamfx.engine.families.warp_mask import FINE
from streamfx.errors import FrameError
from streamfx.generate.ops.reduce.definition import fine_luma_reference
from streamfx.generate.ops.reduce.operation import fine_luma


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("small", [(12, 16), (12, 20), (44, 60), (4, 4), (48, 64)])
def test_the_kernel_gives_what_the_definition_gives(small: tuple[int, int], dtype: type) -> None:
    rng = np.random.default_rng(3)
    padded: NDArray[Any] = rng.integers(0, 256, (48, 70)).astype(dtype)
    luma = padded[:, :64]
    reduced = rng.uniform(0, 255, small).astype(np.float32)
    out = np.empty((FINE**2, *small), np.float32)
    fine_luma(luma, reduced, out, threads=2)
    np.testing.assert_allclose(out, fine_luma_reference(luma, reduced, FINE), atol=1e-3)


def test_at_a_quarter_of_the_size_channels_are_the_samples_of_each_square() -> None:
    luma = np.arange(64, dtype=np.uint8).reshape(8, 8)
    out = np.empty((16, 2, 2), np.float32)
    fine_luma(luma, np.full((2, 2), 5, np.float32), out)
    for row in range(4):
        for column in range(4):
            assert np.array_equal(out[4 * row + column], luma[row::4, column::4] - 5.0)


def test_an_output_that_does_not_fit_is_refused() -> None:
    luma, reduced = np.zeros((8, 8), np.uint8), np.zeros((2, 2), np.float32)
    for shape in ((15, 2, 2), (16, 2, 3)):
        with pytest.raises(FrameError, match=r"fine luma: output must be float32 of shape \(side"):
            fine_luma(luma, reduced, np.empty(shape, np.float32))
