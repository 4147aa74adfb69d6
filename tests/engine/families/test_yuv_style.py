"""The luma/chroma stylizer: its two layouts, colours, shapes and backends."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from streamfx.engine.families.warp_mask import affine
from streamfx.engine.families.yuv_style import (
    FROM_YUV,
    TO_YUV,
    Layout,
    YuvStyle,
    fold_surface,
    unfold_surface,
)
from streamfx.media.colour import code_to_rgb, rgb_to_code
from streamfx.media.frame import CodeRange, Colour, Matrix

LAYOUTS: list[Layout] = ["planes", "i420"]
FACTOR = torch.tensor([3.0])


def network(layout: Layout, seed: int = 3) -> YuvStyle:
    torch.manual_seed(seed)
    return YuvStyle(4, 4, layout).eval().requires_grad_(False)


def picture(height: int = 16, width: int = 24) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def matrices(matrix: Matrix, code_range: CodeRange, depth: int) -> tuple[Tensor, Tensor]:
    colour = Colour(matrix, code_range)
    return tuple(torch.from_numpy(m(colour, depth)).float() for m in (code_to_rgb, rgb_to_code))  # type: ignore[return-value]


def test_colours_are_those_of_the_method() -> None:
    white, blue, red = (torch.tensor(rgb) for rgb in ([1.0, 1, 1], [0.0, 0, 1], [1.0, 0, 0]))
    torch.testing.assert_close(TO_YUV @ white, torch.tensor([1.0, 0, 0]))
    torch.testing.assert_close(TO_YUV @ blue, torch.tensor([0.11, 0.493 * 0.89, -0.877 * 0.11]))
    torch.testing.assert_close(TO_YUV @ red, torch.tensor([0.30, -0.493 * 0.30, 0.877 * 0.70]))
    torch.testing.assert_close(FROM_YUV @ TO_YUV, torch.eye(3))


def test_a_surface_holds_chroma_rows_in_pairs() -> None:
    surface = torch.arange(24.0).reshape(1, 1, 6, 4)
    luma, chroma = unfold_surface(surface)
    assert torch.equal(luma, surface[:, :, :4])
    assert chroma[0].tolist() == [[[16, 17], [18, 19]], [[20, 21], [22, 23]]]
    assert torch.equal(fold_surface(luma, chroma), surface)


@pytest.mark.parametrize(
    ("matrix", "code_range", "depth"),
    [
        (Matrix.BT709, CodeRange.FULL, 8),
        (Matrix.SMPTE170M, CodeRange.LIMITED, 8),
        (Matrix.BT709, CodeRange.LIMITED, 10),
    ],
)
def test_planes_of_any_colour_description_are_painted_like_rgb(
    matrix: Matrix, code_range: CodeRange, depth: int
) -> None:
    to_rgb, from_rgb = matrices(matrix, code_range, depth)
    made = network("planes")
    found = made(affine(picture(), from_rgb), to_rgb, from_rgb, FACTOR)
    expected = affine(made.translate(picture(), FACTOR), from_rgb)
    np.testing.assert_allclose(found, expected, atol=0.01 * (1 << (depth - 8)))


@pytest.mark.parametrize("code_range", [CodeRange.FULL, CodeRange.LIMITED])
@pytest.mark.parametrize("depth", [8, 10])
def test_a_surface_is_painted_the_same_in_every_range_and_depth(code_range: CodeRange, depth: int) -> None:
    to_rgb, from_rgb = matrices(Matrix.SMPTE170M, code_range, depth)
    made = network("i420")
    planes = affine(picture(), from_rgb)
    surface = fold_surface(planes[:, :1], torch.nn.functional.avg_pool2d(planes[:, 1:], 2))
    luma, chroma = unfold_surface(made(surface, to_rgb, from_rgb, FACTOR))
    wide = torch.nn.functional.interpolate(chroma, scale_factor=2.0, mode="bilinear", align_corners=False)
    # BT.601 weighs red, green and blue by .299, .587 and .114, the method by .30, .59 and .11.
    found = affine(torch.cat([luma, wide], dim=1), to_rgb)
    np.testing.assert_allclose(found, made.translate(picture(), FACTOR), atol=0.05)


def test_in_a_surface_luma_does_not_depend_on_chroma() -> None:
    to_rgb, from_rgb = matrices(Matrix.BT709, CodeRange.LIMITED, 8)
    made = network("i420")
    luma, chroma = torch.rand(1, 1, 16, 24) * 200, torch.rand(1, 2, 8, 12) * 200
    first, second = (
        unfold_surface(made(fold_surface(luma, c), to_rgb, from_rgb, FACTOR)) for c in (chroma, 200 - chroma)
    )
    assert torch.equal(first[0], second[0])
    assert not torch.allclose(first[1], second[1], atol=0.5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_factor_changes_the_weights_once_they_are_trained(layout: Layout) -> None:
    made = network(layout)
    near, far = (made.translate(picture(), torch.tensor([factor])) for factor in (1.0, 4.0))
    assert torch.equal(near, far)  # every anchor starts alike
    with torch.no_grad():
        made.y.third.weight[2].mul_(-1)
    assert not torch.allclose(near, made.translate(picture(), torch.tensor([4.0])), atol=1e-3)
    assert torch.equal(near, made.translate(picture(), torch.tensor([1.0])))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("height", "width"), [(4, 4), (4, 40), (36, 12)])
def test_every_multiple_of_the_stride_fits(layout: Layout, height: int, width: int) -> None:
    painted = network(layout).translate(picture(height, width), FACTOR)
    assert painted.shape == (1, 3, height, width)
    assert painted.isfinite().all()


def test_a_sub_network_has_the_parts_of_the_method() -> None:
    full, chroma = network("planes").u, network("i420").u
    assert [name for name, _ in full.named_children()] == ["first", "second", "third", "fourth", "fifth"]
    assert [name for name, _ in chroma.named_children()] == ["second", "third", "fourth"]


def test_with_own_each_plane_of_a_surface_is_painted_of_itself_alone() -> None:
    torch.manual_seed(5)
    made = YuvStyle(4, 4, "i420", own=True).eval().requires_grad_(False)
    luma, chroma = 255 * picture(32, 32)[:, :1], 255 * picture(16, 16)[:, :2]
    flipped_u, flipped_v = (chroma * 1 for _ in range(2))
    flipped_u[:, 0], flipped_v[:, 1] = chroma[:, 0].flip(2), chroma[:, 1].flip(2)
    others = [(luma.flip(3), chroma), (luma, flipped_u), (luma, flipped_v)]

    def painted(luma: Tensor, chroma: Tensor) -> list[Tensor]:
        surface = made(fold_surface(luma, chroma), *matrices(Matrix.BT709, CodeRange.FULL, 8), FACTOR)
        found, both = unfold_surface(surface)
        return [found, both[:, :1], both[:, 1:]]

    assert_only_its_own_plane_differs(painted(luma, chroma), [painted(*other) for other in others])


def test_with_own_each_of_three_planes_is_painted_of_itself_alone() -> None:
    torch.manual_seed(5)
    made = YuvStyle(4, 4, "planes", own=True).eval().requires_grad_(False)
    made.to_yuv, made.from_yuv = torch.eye(3), torch.eye(3)
    seen, rows = picture(32, 32), torch.eye(3, 4)

    def painted(seen: Tensor) -> list[Tensor]:
        found = made(seen, rows, rows, FACTOR)
        return [found[:, plane : plane + 1] for plane in range(3)]

    others = [seen * 1 for _ in range(3)]
    for plane, other in enumerate(others):
        other[:, plane] = seen[:, plane].flip(2)
    assert_only_its_own_plane_differs(painted(seen), [painted(other) for other in others])


def assert_only_its_own_plane_differs(before: list[Tensor], after: list[list[Tensor]]) -> None:
    """Planes painted before, and after each one of the planes that are seen was changed."""
    for place, planes in enumerate(after):
        differs = [not torch.allclose(one, two, atol=1e-4) for one, two in zip(before, planes, strict=True)]
        assert differs == [plane == place for plane in range(3)]
