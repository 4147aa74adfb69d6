"""The warp-and-mask network: colours and factor inside its weights, and what it starts as."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from streamfx.engine.families.warp_mask import Norm, WarpMask, affine, anchor_mix
from streamfx.media.colour import code_to_rgb, rgb_to_code
from streamfx.media.frame import CodeRange, Colour, Matrix


def network(norm: Norm = "none", detail: bool = True, seed: int = 3, inked: bool = False) -> WarpMask:
    torch.manual_seed(seed)
    made = WarpMask(4, 8, blocks=2, joined=8, detail=detail, norm=norm, fine=inked, ink=inked).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def matrices(matrix: Matrix, code_range: CodeRange, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
    colour = Colour(matrix, code_range)
    to_rgb, from_rgb = code_to_rgb(colour, depth), rgb_to_code(colour, depth)
    return torch.from_numpy(to_rgb).float(), torch.from_numpy(from_rgb).float()


@pytest.mark.parametrize("norm", ["none", "instance"])
@pytest.mark.parametrize(
    ("matrix", "code_range", "depth"),
    [
        (Matrix.BT709, CodeRange.FULL, 8),
        (Matrix.SMPTE170M, CodeRange.LIMITED, 8),
        (Matrix.BT709, CodeRange.LIMITED, 10),
    ],
)
def test_colour_matrices_inside_the_weights_do_what_they_do_to_the_picture(
    norm: Norm, matrix: Matrix, code_range: CodeRange, depth: int
) -> None:
    to_rgb, from_rgb = matrices(matrix, code_range, depth)
    rgb = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    factor = torch.tensor([3.0])
    made = network(norm)
    with torch.no_grad():
        heads = made.translate(rgb, factor)
        found = made(affine(rgb, from_rgb), to_rgb, from_rgb, factor)
    scale = 1 << (depth - 8)
    np.testing.assert_allclose(found[:, :3], affine(heads[:, :3], from_rgb), atol=2e-3 * scale)
    np.testing.assert_allclose(found[:, 3:], heads[:, 3:], atol=2e-5)


@pytest.mark.parametrize(("code_range", "depth"), [(CodeRange.FULL, 8), (CodeRange.LIMITED, 10)])
def test_ink_and_fine_luma_mean_the_same_in_every_range_of_codes(code_range: CodeRange, depth: int) -> None:
    to_rgb, from_rgb = matrices(Matrix.BT709, code_range, depth)
    codes = float(from_rgb[0, :3].sum())  # from black to white
    random = torch.Generator().manual_seed(1)
    rgb, fine = torch.rand(1, 3, 16, 24, generator=random), torch.randn(1, 16, 16, 24, generator=random) / 4
    made, factor = network(inked=True), torch.tensor([4.0])
    unit = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0]])
    with torch.no_grad():
        heads = made(torch.cat([rgb, fine], 1), unit, unit, factor)
        found = made(torch.cat([affine(rgb, from_rgb), codes * fine], 1), to_rgb, from_rgb, factor)
    np.testing.assert_allclose(found[:, 3:8], heads[:, 3:8], atol=1e-4)
    np.testing.assert_allclose(codes * found[:, 8:10], heads[:, 8:10], atol=1e-3)
    np.testing.assert_allclose(found[:, 10] / codes, heads[:, 10], atol=1e-5)


def test_the_factor_changes_the_heads() -> None:
    rgb = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    made = network()
    with torch.no_grad():
        near, far = (made.translate(rgb, torch.tensor([factor])) for factor in (1.0, 4.0))
    assert (near - far).abs().max() > 1e-2


def test_a_network_without_detail_gives_no_gain_and_otherwise_the_same_heads() -> None:
    rgb = torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    factor = torch.tensor([2.0])
    with torch.no_grad():
        free, bound = (network(detail=detail).translate(rgb, factor) for detail in (True, False))
    assert free[:, 6].abs().max() > 0
    assert bound[:, 6].abs().max() == 0
    assert torch.equal(free[:, :6], bound[:, :6])


def test_a_new_network_translates_only_and_shows_no_pixel_grid() -> None:
    torch.manual_seed(3)
    with torch.no_grad():
        heads = WarpMask().translate(torch.rand(1, 3, 32, 48), torch.tensor([4.0]))[0]
    assert torch.equal(heads[3], torch.ones(32, 48))
    assert torch.equal(heads[4:], torch.zeros(3, 32, 48))
    squares = heads[:3].reshape(3, 16, 2, 24, 2)
    np.testing.assert_allclose(squares, squares[:, :, :1, :, :1].expand_as(squares), atol=1e-6)


def test_a_flat_picture_gives_flat_heads_up_to_the_border() -> None:
    with torch.no_grad():
        heads = network().translate(torch.full((1, 3, 16, 24), 0.3), torch.tensor([1.0]))[0]
    squares = heads.reshape(7, 8, 2, 12, 2)
    np.testing.assert_allclose(squares, squares[:, :1, :, :1].expand_as(squares), atol=1e-5)


@pytest.mark.parametrize(
    ("factor", "mix"),
    [
        (1.0, [1, 0, 0]),
        (2.0, [0, 1, 0]),
        (4.0, [0, 0, 1]),
        (8.0, [0, 0, 1]),
        (2**0.5, [0.5, 0.5, 0]),
        (2**1.75, [0, 0.25, 0.75]),
    ],
)
def test_weights_are_mixed_by_the_logarithm_of_the_factor(factor: float, mix: list[float]) -> None:
    np.testing.assert_allclose(anchor_mix(torch.tensor([factor])), mix, atol=1e-6)


@pytest.mark.parametrize(("dilated", "reach"), [(False, (24, 40)), (True, (48, 80))])
def test_dilated_blocks_see_twice_as_far_as_others(dilated: bool, reach: tuple[int, int]) -> None:
    torch.manual_seed(3)
    made = WarpMask(4, 8, blocks=3, joined=8, dilated=dilated).eval()
    with torch.no_grad():
        made.heads.weight.normal_()
    rgb = torch.rand(1, 3, 8, 256, generator=torch.Generator().manual_seed(1))
    changed = rgb.clone()
    changed[..., 128:132] += 0.5
    factor = torch.tensor([4.0])
    with torch.no_grad():
        difference = (made.translate(rgb, factor) - made.translate(changed, factor)).abs().sum((0, 1, 2))
    seen = difference.nonzero().flatten()
    assert reach[0] < 128 - int(seen.min()) < reach[1]
    assert reach[0] < int(seen.max()) - 131 < reach[1]


def test_dilation_changes_no_weight_so_that_either_network_takes_those_of_the_other() -> None:
    plain, dilated = (WarpMask(4, 8, blocks=3, joined=8, dilated=dilated) for dilated in (False, True))
    shapes = [{name: values.shape for name, values in made.state_dict().items()} for made in (plain, dilated)]
    assert shapes[0] == shapes[1]
