"""What a network sees: layouts, borders, noise, and pictures done in bands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamfx.engine.golden import Array
from streamfx.engine.spec import EngineSpec
from streamfx.generate.network_input import (
    Noise,
    input_size,
    network_input,
    standard_noise,
    surface_planes,
    with_noise,
)
from streamfx.generate.ops.reduce.definition import fine_luma_reference
from streamfx.generate.ops.reduce.operation import reduce_planes
from streamfx.generate.tiles import in_tiles, tile_shape
from streamfx.media.frame import Subsampling
from tests.generate.ops.test_place import COLOUR, make_frame


def make_spec(**fields: Any) -> EngineSpec:
    values: dict[str, Any] = {
        "format": 1,
        "name": "tiny",
        "version": "1",
        "family": "none",
        "stride": 8,
        "factors": [1.0, 4.0],
        "heads": ["translated"],
        "source_domain": "photo",
        "target_domain": "noise",
        "controls": {"strength": {"low": 0, "high": 1, "default": 1}},
        "licence": "CC0-1.0",
    }
    return EngineSpec.model_validate(values | fields)


FUSED = ["translated", "mask", "displacement"]


@pytest.mark.parametrize(
    ("heads", "factor", "expected"),
    [(["translated"], 1.0, (37, 51)), (["translated"], 4.0, (8, 16)), (FUSED, 1.0, (40, 48))],
)
def test_only_a_picture_that_is_reduced_anyway_is_reduced_to_strides(
    heads: list[str], factor: float, expected: tuple[int, int]
) -> None:
    assert input_size((37, 51), factor, make_spec(heads=heads)) == expected


def test_fine_luma_comes_after_the_planes() -> None:
    heads = ["translated", "mask", "displacement", "detail", "ink"]
    spec = make_spec(format=2, stride=4, heads=heads, fine_luma=4)
    frame = make_frame((32, 48))
    given = network_input(frame, COLOUR, spec, 4.0, Noise()).values
    assert given.shape == (spec.input_channels, 8, 12)
    reduced = reduce_planes(frame.planes, frame.subsampling, COLOUR, (8, 12))
    assert np.array_equal(given[:3], reduced)
    np.testing.assert_allclose(given[3:], fine_luma_reference(frame.planes[0], reduced[0], 4), atol=1e-3)


def test_at_factor_1_the_edge_is_repeated_up_to_the_stride() -> None:
    frame = make_frame((37, 51))
    given = network_input(frame, COLOUR, make_spec(), 1.0, Noise())
    assert given.size == (37, 51)
    assert given.values.shape == (3, 40, 56)
    expected = reduce_planes(frame.planes, frame.subsampling, COLOUR, (37, 51))
    assert (given.values[:, :37, :51] == expected).all()
    assert (given.values[:, 37:, :51] == expected[:, -1:]).all()
    assert (given.values[:, :37, 51:] == expected[:, :, -1:]).all()


@pytest.mark.parametrize("size", [(37, 51), (40, 56), (1, 1)])
def test_a_surface_holds_the_planes_of_the_decoder(size: tuple[int, int]) -> None:
    frame = make_frame(size)
    given = network_input(frame, COLOUR, make_spec(layout="i420"), 1.0, Noise())
    assert given.values.shape[1] % 3 == 0
    for found, plane in zip(surface_planes(given.values, size), frame.planes, strict=True):
        assert (found == plane).all()


def test_a_surface_of_other_subsampling_has_half_the_chroma() -> None:
    frame = make_frame((16, 24), Subsampling.YUV444)
    given = network_input(frame, COLOUR, make_spec(layout="i420"), 1.0, Noise())
    _, u, _ = surface_planes(given.values, (16, 24))
    assert u == pytest.approx(frame.planes[1].reshape(8, 2, 12, 2).mean((1, 3)), abs=1e-3)


def test_noise_is_the_same_for_every_frame_of_a_shot_and_scales_with_its_amplitude() -> None:
    spec = make_spec(noise_channels=2)
    kinds = [
        Noise(0.5, 4),
        Noise(0.5, 4),
        Noise(0.0, 4),
        Noise(0.5, 5),
        Noise(0.5, 4, shot=1),
        Noise(0.5, 5, 1),
    ]
    half, again, none, *others = (
        network_input(make_frame((48, 64), seed=seed), COLOUR, spec, 1.0, noise).values[3:]
        for seed, noise in enumerate(kinds)
    )
    assert half.shape == (2, 48, 64)
    assert (half == again).all()
    assert half.std() == pytest.approx(0.5, rel=0.05)
    assert (none == 0).all()
    # Each seed, and each shot, has noise that has nothing to do with that of another.
    correlations = np.corrcoef([noise.ravel() for noise in (half, *others)])
    np.testing.assert_allclose(correlations, np.eye(4), atol=0.06)


def test_each_stage_has_an_amplitude_of_its_own() -> None:
    amplitude = {"low": 0, "high": 1, "default": 1}
    controls = {"strength": amplitude, "noise_amplitude": amplitude, "detail_amplitude": amplitude}
    spec = make_spec(format=4, noise_channels=3, detail_noise_channels=1, controls=controls)
    planes = np.zeros((3, 8, 8), np.float32)
    given = with_noise(planes, spec, Noise(0.5, 4, detail_amplitude=0.25))[3:]
    normal = standard_noise(4, 0, 3, 8, 8)
    assert np.array_equal(given, normal * np.array([0.5, 0.5, 0.25], np.float32)[:, None, None])
    # Without channels of its own the second amplitude means nothing.
    alike = with_noise(planes, make_spec(noise_channels=3), Noise(0.5, 4, detail_amplitude=0.25))[3:]
    assert np.array_equal(alike, normal * np.float32(0.5))


def test_noise_of_the_first_shot_is_that_of_the_seed_alone() -> None:
    given = with_noise(np.zeros((3, 8, 8), np.float32), make_spec(noise_channels=1), Noise(1.0, 7))
    assert (given[3] == np.random.default_rng(7).standard_normal((8, 8), np.float32)).all()


def blur(given: Array) -> Array:
    """A network that sees 3 pixels around each, and gives heads twice as large."""
    padded = np.pad(given, [(0, 0), (3, 3), (0, 0)], mode="edge")
    mean = sum(padded[:, at : at + given.shape[1]] for at in range(7)) / np.float32(7)
    return np.asarray(mean, np.float32).repeat(2, 1).repeat(2, 2)


@pytest.mark.parametrize("height", [40, 64, 72, 200])
def test_bands_give_what_the_whole_gives(height: int) -> None:
    spec = make_spec(margin_pixels=3, scale=2, stride=4)
    given = np.random.default_rng(1).uniform(0, 255, (3, height, 20)).astype(np.float32)
    heights = set()

    def network(part: Array) -> Array:
        heights.add(part.shape[1])
        return blur(part)

    found = in_tiles(network, given, spec, most_pixels=40 * 20)
    assert found == pytest.approx(blur(given), abs=1e-4)
    assert heights == {40}


def test_what_sees_the_whole_picture_is_not_done_in_bands() -> None:
    assert tile_shape((3, 400, 400), make_spec(), 1000) == (3, 400, 400)
    assert tile_shape((1, 600, 400), make_spec(layout="i420", margin_pixels=4), 1000) == (1, 600, 400)
    assert tile_shape((3, 400, 400), make_spec(margin_pixels=4), 1000) == (3, 24, 400)
    large, fourfold = 64 * 400, {"format": 4, "heads": ["residual"], "scale": 4}
    assert tile_shape((3, 400, 400), make_spec(margin_pixels=4, scale=2), large) == (3, 64, 400)
    assert tile_shape((3, 400, 400), make_spec(margin_pixels=4, **fourfold), large) == (3, 24, 400)
