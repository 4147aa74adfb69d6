"""Surfaces check themselves, and the steps on them say what does not fit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from streamfx.errors import BackendUnavailableError, FrameError
from streamfx.generate.ops.surfaces import fuse_surface, place_surface, reduce_each, reduce_surface
from streamfx.media.frame import ChromaLocation, CodeRange, Subsampling
from streamfx.media.surface import Surface


def nv12(height: int = 16, width: int = 24, pictures: int = 1) -> Surface:
    luma = torch.zeros(pictures, height, width, dtype=torch.uint8)
    return Surface((luma, torch.zeros(pictures, height // 2, width // 2, 2, dtype=torch.uint8)))


def plane(*shape: int, dtype: torch.dtype = torch.uint8) -> Tensor:
    return torch.zeros(shape, dtype=dtype)


def test_a_surface_tells_its_size_pictures_and_kind() -> None:
    surface = nv12(pictures=3)
    assert (surface.size, surface.pictures, surface.paired) == ((16, 24), 3, True)
    assert repr(surface) == "Surface(3 of 24x16 4:2:0 8-bit semi-planar, cpu)"
    planar = Surface((plane(1, 15, 21), plane(1, 15, 11), plane(1, 15, 11)), Subsampling.YUV422)
    assert (planar.size, planar.paired, planar.names) == ((15, 21), False, ("Y", "U", "V"))


@pytest.mark.parametrize(
    ("depth", "high", "unused"), [(10, True, 6), (10, False, 0), (16, True, 0), (8, True, 0)]
)
def test_values_in_the_high_bits_leave_bits_unused(depth: int, high: bool, unused: int) -> None:
    dtype = torch.uint8 if depth == 8 else torch.uint16
    surface = Surface((plane(1, 4, 4, dtype=dtype), plane(1, 2, 2, 2, dtype=dtype)), depth=depth, high=high)
    assert surface.unused_bits == unused
    assert surface.empty().unused_bits == unused


def test_pairs_are_numbers_with_u_in_the_lower_half() -> None:
    uv = torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.uint8)
    luma, pairs, _ = Surface((plane(1, 2, 4), uv)).numbers()
    assert luma.shape == (1, 2, 4)
    assert pairs.int().tolist() == [[[0x0201, 0x0403]]]


@pytest.mark.parametrize(
    ("planes", "options", "message"),
    [
        ((plane(1, 4, 4),), {}, r"needs planes \(Y, U, V\) or \(Y, UV\).*found \(1, 4, 4\)"),
        ((plane(4, 4), plane(2, 2, 2)), {}, r"of one or more pictures; found \(4, 4\), \(2, 2, 2\)"),
        ((plane(1, 4, 4), plane(1, 2, 2, 2)), {"depth": 7}, "depth must be 8 to 16 bits, found 7"),
        (
            (plane(1, 4, 4), plane(1, 2, 2, 2)),
            {"depth": 10},
            r"plane Y must be \(1, 4, 4\) torch.uint16 .*10 bits; found \(1, 4, 4\) torch.uint8",
        ),
        ((plane(1, 4, 4), plane(1, 2, 3, 2)), {}, r"plane UV must be \(1, 2, 2, 2\) .*found \(1, 2, 3, 2\)"),
        ((plane(2, 4, 4), plane(1, 2, 2), plane(2, 2, 2)), {}, r"plane U must be \(2, 2, 2\)"),
        (
            (plane(1, 4, 8)[:, :, ::2], plane(1, 2, 2, 2)),
            {},
            "samples of plane Y must be contiguous in a row",
        ),
        (
            (plane(1, 4, 4), torch.zeros(1, 2, 2, 2, dtype=torch.uint8, device="meta")),
            {},
            "plane UV is on meta, luma on cpu",
        ),
    ],
)
def test_a_surface_that_does_not_fit_together_is_an_error(
    planes: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(FrameError, match=message):
        Surface(planes, **options)


def test_chroma_that_the_kernels_could_not_address_is_an_error() -> None:
    wide = plane(1, 2, 3)
    with pytest.raises(FrameError, match=r"U and V must be padded alike; found strides \(4, 2, 1\) and"):
        Surface((plane(1, 4, 4), plane(1, 2, 2), wide[:, :, :2])).numbers()
    uv = plane(1 + 2 * 5)[1:].as_strided((1, 2, 2, 2), (10, 5, 2, 1))
    with pytest.raises(FrameError, match="rows of plane UV must begin at whole pairs; found strides"):
        Surface((plane(1, 4, 4), uv)).numbers()


def fuse(surface: Surface, **changes: Any) -> Surface:
    arguments: dict[str, Any] = {
        "heads": torch.zeros(surface.pictures, 6, 4, 6),
        "reduced": None,
        "code_range": CodeRange.LIMITED,
        "chroma_location": ChromaLocation.LEFT,
        "strength": 1.0,
        "max_displacement_pixels": 4.0,
        "not_finite": torch.zeros(surface.pictures, dtype=torch.int32),
    }
    return fuse_surface(surface, **(arguments | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": torch.zeros(1, 5, 4, 6)}, r"\(1, 6, 7 or 11, height, width\).*found .*\(1, 5, 4, 6\)"),
        ({"heads": torch.zeros(2, 6, 4, 6)}, r"found torch.float32 \(2, 6, 4, 6\)"),
        ({"heads": torch.zeros(1, 6, 4, 6, dtype=torch.float64)}, "found torch.float64"),
        ({"heads": torch.zeros(1, 11, 4, 6)}, r"need the reduced planes, \(1, 3, 4, 6\); found none"),
        ({"heads": torch.zeros(1, 7, 4, 6)}, r"need the reduced planes, \(1, 3, 4, 6\); found none"),
        (
            {"heads": torch.zeros(1, 7, 4, 6), "reduced": torch.zeros(1, 3, 4, 5)},
            r"need the reduced planes, .*found torch.float32 \(1, 3, 4, 5\)",
        ),
        (
            {"heads": torch.zeros(1, 7, 4, 6), "reduced": torch.zeros(1, 4, 6, 3).permute(0, 3, 1, 2)},
            "the reduced planes must be contiguous and on cpu",
        ),
        ({"strength": 1.5}, "strength must be 0 to 1, found 1.5"),
        ({"strength": torch.zeros(2)}, r"strength must be torch.float32 of length 1 on cpu; found .*\(2,\)"),
        (
            {"not_finite": torch.zeros(1)},
            "not_finite must be torch.int32 of length 1 on cpu; found torch.float32",
        ),
        ({"max_displacement_pixels": -1.0}, "displacement bound must be 0 to 4096 pixels, found -1"),
        ({"code_range": CodeRange.UNKNOWN}, "code range unknown has no legal codes"),
        ({"out": nv12(16, 26)}, r"output must be as the source, .*24x16.*found .*26x16"),
    ],
)
def test_what_cannot_be_fused_is_an_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FrameError, match=message):
        fuse(nv12(), **changes)


def test_output_in_the_memory_of_the_source_is_an_error() -> None:
    surface = nv12()
    with pytest.raises(FrameError, match="output plane Y overlaps the source plane"):
        fuse(surface, out=surface)


def test_without_triton_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    prefix = "streamfx.generate.ops."
    for name in [name for name in sys.modules if name.startswith(prefix) and "triton" in name]:
        package, _, module = name.rpartition(".")
        monkeypatch.delattr(sys.modules[package], module, raising=False)
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(BackendUnavailableError, match=r"need Triton.*pip install 'streamfx\[gpu\]'"):
        fuse(nv12())
    with pytest.raises(BackendUnavailableError, match="need Triton"):
        place()
    with pytest.raises(BackendUnavailableError, match="need Triton"):
        reduce_surface(nv12(), (4, 6), chroma_location=ChromaLocation.LEFT)


def place(**changes: Any) -> Surface:
    small = torch.zeros(3, 1, 4, 6)
    arguments: dict[str, Any] = {
        "small": tuple(small),
        "code_range": CodeRange.LIMITED,
        "shift": (0.0, 0.0),
        "strength": 1.0,
        "not_finite": torch.zeros(1, dtype=torch.int32),
    }
    return place_surface(nv12(), **(arguments | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"small": tuple(torch.zeros(3, 2, 4, 6))}, r"small plane Y must be .* \(1, height, width\)"),
        ({"small": tuple(torch.zeros(3, 1, 6, 4).mT)}, "small plane Y must be .* rows contiguous"),
        (
            {"small": (*torch.zeros(2, 1, 4, 6), torch.zeros(1, 4, 5))},
            r"small U and V must be of one size and padding; found \(1, 4, 6\) and \(1, 4, 5\)",
        ),
        ({"strength": -0.1}, "strength must be 0 to 1, found -0.1"),
        ({"out": nv12(18)}, "output must be as the source"),
    ],
)
def test_what_cannot_be_placed_is_an_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FrameError, match=message):
        place(**changes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda **more: reduce_surface(nv12(), (0, 4), **more), r"a pixel at least; asked for \(0, 4\)"),
        (
            lambda **more: reduce_surface(nv12(), (4, 6), out=torch.zeros(1, 3, 6, 4), **more),
            r"shape \(1, 3, 4, 6\) on cpu; found torch.float32 \(1, 3, 6, 4\)",
        ),
        (
            lambda **more: reduce_surface(nv12(), (4, 6), fine=4, out=torch.zeros(1, 3, 4, 6), **more),
            r"shape \(1, 19, 4, 6\) on cpu; found torch.float32 \(1, 3, 4, 6\)",
        ),
    ],
)
def test_a_reduction_that_does_not_fit_is_an_error(call: Callable[..., Tensor], message: str) -> None:
    with pytest.raises(FrameError, match=message):
        call(chroma_location=ChromaLocation.LEFT)


def test_planes_to_reduce_to_that_do_not_fit_are_an_error() -> None:
    y, u, v = torch.zeros(3, 1, 4, 6)
    with pytest.raises(FrameError, match=r"reduce: small plane Y must be .* rows contiguous"):
        reduce_each(nv12(), (y.mT, u, v), shift=(0.0, 0.0))
    with pytest.raises(FrameError, match="reduce: small U and V must be of one size and padding"):
        reduce_each(nv12(), (y, u, v[:, :, :5]), shift=(0.0, 0.0))
