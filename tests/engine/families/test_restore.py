"""The restoration network: its residual, how far it sees, and that backends give the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from streamfx.engine.families.restore import HEADS, STRIDE, Restore
from streamfx.engine.families.warp_mask import affine
from streamfx.media.colour import code_to_rgb, rgb_to_code
from streamfx.media.frame import CodeRange, Colour, Matrix
from tests.networks import compiled

TINY = {"near": 6, "middle": 8, "low": 8, "low_blocks": 1}


def network(**changes: int) -> Restore:
    torch.manual_seed(3)
    made = Restore(**{**TINY, **changes}).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def picture(height: int = 32, width: int = 48) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [(8, 8), (16, 40), (72, 24)])
def test_the_residual_has_the_size_of_the_picture(size: tuple[int, int]) -> None:
    with torch.no_grad():
        assert network().translate(picture(*size), torch.tensor([1.0])).shape == (1, 3, *size)
    assert HEADS == ("residual",)


def test_a_new_network_adds_nothing() -> None:
    with torch.no_grad():
        assert not Restore(**TINY).translate(picture(), torch.tensor([2.0])).any()


@pytest.mark.parametrize(
    ("matrix", "code_range", "depth"),
    [(Matrix.BT709, CodeRange.FULL, 8), (Matrix.SMPTE170M, CodeRange.LIMITED, 10)],
)
def test_planes_get_the_residual_of_their_rgb_picture_without_offsets(
    matrix: Matrix, code_range: CodeRange, depth: int
) -> None:
    colour = Colour(matrix, code_range)
    to_rgb, from_rgb = (
        torch.from_numpy(m).float() for m in (code_to_rgb(colour, depth), rgb_to_code(colour, depth))
    )
    factor, made = torch.tensor([1.0]), network()
    with torch.no_grad():
        residual = made.translate(picture(), factor)
        found = made(affine(picture(), from_rgb), to_rgb, from_rgb, factor)
    expected = affine(picture() + residual, from_rgb) - affine(picture(), from_rgb)
    np.testing.assert_allclose(found, expected, atol=3e-3 * 2 ** (depth - 8))


def test_the_factor_changes_the_residual() -> None:
    with torch.no_grad():
        near, far = (network().translate(picture(), torch.tensor([factor])) for factor in (1.0, 4.0))
    assert (near - far).abs().max() > 1e-3


@pytest.mark.parametrize("changes", [{}, {"near_blocks": 0, "low_blocks": 2}, {"middle_blocks": 2}])
def test_no_pixel_reaches_beyond_the_margin(changes: dict[str, int]) -> None:
    made = network(**changes)
    margin, side = made.margin_pixels, 2 * made.margin_pixels + 3 * STRIDE
    assert margin % STRIDE == 0
    reached = []
    for offset in (0, 3, 7):
        start = torch.full((1, 3, side, side), 0.5, requires_grad=True)
        place = margin + STRIDE + offset
        made.translate(start, torch.tensor([1.0]))[..., place, place].sum().backward()  # type: ignore[no-untyped-call]
        assert start.grad is not None
        rows = start.grad.abs().sum((0, 1, 3)).nonzero().flatten()
        reached += [place - int(rows.min()), int(rows.max()) - place]
    assert max(reached) <= margin
    assert max(reached) > margin - 2 * STRIDE


def test_a_tile_with_its_margin_gives_what_the_whole_picture_gives() -> None:
    made = network()
    margin = made.margin_pixels
    wide = picture(2 * margin + 16, 2 * margin + 64)
    with torch.no_grad():
        whole = made.translate(wide, torch.tensor([1.0]))
        tile = made.translate(wide[..., 16 : 2 * margin + 48], torch.tensor([1.0]))
    inner = tile[..., margin : tile.shape[-1] - margin]
    np.testing.assert_allclose(inner, whole[..., margin + 16 : margin + 48], atol=1e-5)


def test_openvino_gives_the_residual_of_the_reference_at_any_size(tmp_path: Path) -> None:
    made = network()
    fields = {"family": "restore", "options": TINY, "stride": STRIDE, "heads": list(HEADS)}
    engine = compiled(tmp_path, made, fields)
    eye = torch.eye(3, 4)
    for size, factor in (((40, 64), 1.0), ((16, 24), 2.0)):
        with torch.no_grad():
            expected = made(picture(*size), eye, eye, torch.tensor([factor]))[0].numpy()
        found = engine(picture(*size)[0].numpy(), eye.numpy(), eye.numpy(), factor)
        assert found.shape == expected.shape
        assert np.sqrt(np.square(found - expected).mean()) < 1e-3 * expected.std()
