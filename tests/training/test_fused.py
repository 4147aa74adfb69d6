"""The differentiable fused step against the runtime's definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from streamfx.generate.ops.fuse.definition import fuse_reference
from streamfx.generate.ops.reduce.definition import fine_luma_reference
from streamfx.media.frame import ChromaLocation, CodeRange, Subsampling
from training.fused import (
    FROM_YUV,
    TO_YUV,
    area_weights,
    enlarge,
    fuse,
    reduce,
    returning_clamp,
    with_fine_luma,
)


@pytest.mark.parametrize("channels", [7, 11])
@pytest.mark.parametrize("strength", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("size", [(24, 40), (17, 23), (12, 12)])
def test_fused_step_is_that_of_the_runtime(size: tuple[int, int], strength: float, channels: int) -> None:
    rng = np.random.default_rng(3)
    planes = rng.integers(16, 236, (3, *size), dtype=np.uint8)
    small = (12, 12)
    reduced = rng.uniform(20, 230, (3, *small)).astype(np.float32)
    heads = rng.normal(0, 1, (channels, *small)).astype(np.float32)
    heads[:3] = rng.uniform(-40, 300, (3, *small))
    heads[3] += 0.5
    heads[4:6] *= 4
    heads[8:10] *= 0.05
    heads[10:] *= 60
    expected = fuse_reference(
        (planes[0], planes[1], planes[2]),
        heads,
        reduced,
        subsampling=Subsampling.YUV444,
        depth=8,
        code_range=CodeRange.FULL,
        chroma_location=ChromaLocation.CENTER,
        strength=strength,
        max_displacement_pixels=4.0,
    )
    fused = fuse(
        torch.from_numpy(planes.astype(np.float32))[None],
        torch.from_numpy(reduced)[None],
        torch.from_numpy(heads)[None],
        lowest=(0.0, 0.0, 0.0),
        highest=(255.0, 255.0, 255.0),
        strength=strength,
    )
    difference = np.abs((fused[0].numpy() + 0.5).astype(int) - np.stack(expected).astype(int))
    assert difference.max() <= 1


@pytest.mark.parametrize("factor", [1.0, 2.0, 4.0, 8.0])
def test_fine_luma_is_that_of_the_runtime(factor: float) -> None:
    planes_13HW = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(4)) * 255
    luma = planes_13HW[0, 0].round()
    planes_13HW[0, 0] = luma
    reduced_13hw = reduce(planes_13HW, factor)
    found = with_fine_luma(planes_13HW, reduced_13hw)[0, 3:]
    expected = fine_luma_reference(luma.numpy().astype(np.uint8), reduced_13hw[0, 0].numpy(), 4)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_clamped_values_feel_only_gradients_that_lead_back() -> None:
    x = torch.tensor([-1.0, -1.0, 0.5, 2.0, 2.0], requires_grad=True)
    (returning_clamp(x, 0.0, 1.0) * torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0])).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, -1.0, 1.0, 1.0, 0.0]


def test_reduction_is_the_mean_of_the_area() -> None:
    picture = torch.arange(12.0).reshape(1, 1, 2, 6)
    assert reduce(picture, 2).flatten().tolist() == pytest.approx([3.5, 5.5, 7.5])
    assert area_weights(3, 2).flatten().tolist() == pytest.approx([2 / 3, 1 / 3, 0, 0, 1 / 3, 2 / 3])
    assert enlarge(reduce(torch.full((1, 1, 9, 9), 0.3), 1.5), 9, 9).numpy() == pytest.approx(0.3)


def test_colour_matrices_are_inverse() -> None:
    assert (TO_YUV @ FROM_YUV).numpy() == pytest.approx(np.eye(3), abs=1e-6)
