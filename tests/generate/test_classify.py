"""Classifiers: what they see of a frame, and how their scores become probabilities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamfx.backends.backend import Precision
from streamfx.backends.store import CompiledStore
from streamfx.engine.golden import Array
from streamfx.errors import ConfigError, FrameError
from streamfx.generate.classify import Classifier, open_classifier, whole, windows
from streamfx.generate.effect import EffectSettings
from streamfx.generate.ops.reduce.operation import reduce_planes
from streamfx.media.frame import Frame, Plane, Subsampling
from tests import engines
from tests.scenes import FORMAT, scene_frame

BY_COLOUR = {"photo": (20, 0, -20, 0.0), "painting": (-20, 0, 20, 0.0), "drawing": (0, 0, 0, 3.0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifiers")
    engines.make_classifier(folder, "domain", BY_COLOUR)
    engines.make_engine(folder, "tiny")
    return folder


@pytest.fixture
def settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> EffectSettings:
    monkeypatch.setenv("STREAMFX_ENGINES", str(folder))
    return EffectSettings("openvino", Precision.F32, threads=1, store=CompiledStore(folder / "compiled"))


def enlarged(frame: Frame, times: int, subsampling: Subsampling = Subsampling.YUV420) -> Frame:
    """Return a frame with every sample repeated."""
    steps = subsampling.steps

    def plane(plane: Plane, factors: tuple[int, int]) -> Plane:
        return plane.repeat(factors[0], 0).repeat(factors[1], 1)

    chroma = (2 * times // steps[0], 2 * times // steps[1])
    y, u, v = (
        plane(each, by) for each, by in zip(frame.planes, ((times, times), chroma, chroma), strict=True)
    )
    return replace(frame, planes=(y, u, v), subsampling=subsampling)


@pytest.mark.parametrize(("tint", "expected"), [("red", "photo"), ("blue", "painting"), ("grey", "drawing")])
@pytest.mark.parametrize("times", [1, 5])
def test_the_most_probable_class_is_that_of_the_picture(
    settings: EffectSettings, tint: str, expected: str, times: int
) -> None:
    classifier = open_classifier("domain", whole, settings, "route")
    found = classifier.probabilities(enlarged(scene_frame(1, tint=tint), times))
    classifier.close()
    assert found is not None
    assert list(found) == ["photo", "painting", "drawing"]
    assert sum(found.values()) == pytest.approx(1)
    assert max(found, key=found.__getitem__) == expected


def test_probabilities_are_the_softmax_of_the_mean_scores(settings: EffectSettings) -> None:
    classifier = open_classifier("domain", whole, settings, "route")
    frame = scene_frame(2, tint="red")
    (view,) = whole(frame, 16)
    golden = classifier.engine.golden  # of the same colours as the scenes
    scores = classifier.compiled(view, golden.to_rgb, golden.from_rgb, 1.0).mean(axis=(1, 2))
    expected = np.exp(scores) / np.exp(scores).sum()
    found = classifier.probabilities(frame)
    classifier.close()
    assert found is not None
    assert list(found.values()) == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_picture_that_shows_nothing_has_no_class(settings: EffectSettings) -> None:
    classifier = open_classifier("domain", whole, settings, "route")
    assert classifier.probabilities(scene_frame(1, light=0)) is None
    classifier.close()


def test_a_classifier_is_ready_for_the_first_frame_after_warming_up(settings: EffectSettings) -> None:
    classifier = open_classifier("domain", windows, settings, "restore:auto")
    classifier.warm_up(FORMAT)
    assert classifier.probabilities(scene_frame(1)) is not None
    classifier.close()


# ---------------------------------------------------------------------------------------- what it sees


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1080, 1920), (160, 288)), ((1920, 1080), (288, 160)), ((96, 160), (96, 160)), ((10, 500), (16, 496))],
)
def test_the_whole_picture_is_reduced_to_a_short_side_of_160_in_strides(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    frame = FORMAT.frame(replace(FORMAT, size=size).grey().planes, index=0, pts=0)
    (view,) = whole(frame, 16)
    assert view.shape == (3, *expected)


@pytest.mark.parametrize("subsampling", list(Subsampling))
def test_windows_are_cut_out_at_full_size_with_their_chroma(subsampling: Subsampling) -> None:
    frame = enlarged(scene_frame(3, tint="red"), 5, subsampling)
    everything = reduce_planes(frame.planes, subsampling, frame.colour.assumed(frame.size[0]), frame.size)
    found = list(windows(frame, 16))
    assert [view.shape for view in found] == [(3, 128, 128)] * 4
    for view in found:
        places = [
            (top, left)
            for top in (0, 176, 352)
            for left in (0, 336, 672)
            if np.array_equal(everything[0, top : top + 128, left : left + 128], view[0])
        ]
        assert places
        top, left = places[0]
        inner = np.s_[:, 2:-2, 2:-2]  # chroma at the border of a window is interpolated with what it has
        np.testing.assert_allclose(
            everything[:, top : top + 128, left : left + 128][inner], view[inner], atol=1e-3
        )


def test_windows_are_those_that_show_most() -> None:
    frame = enlarged(scene_frame(1), 5)
    luma = frame.planes[0].copy()
    luma[:, : luma.shape[1] // 2 + 70] = 60  # nothing to see but on the right
    found = list(windows(replace(frame, planes=(luma, *frame.planes[1:])), 16))
    assert sum(view[0].std() > 5 for view in found) == 3


def test_the_edge_of_black_bars_is_nothing_to_see() -> None:
    frame = enlarged(scene_frame(1), 5)
    luma = np.full_like(frame.planes[0], 120)
    luma[:100] = 16
    luma[200:, ::2] = 110  # a little detail below
    found = list(windows(replace(frame, planes=(luma, *frame.planes[1:])), 16))
    assert all(view[0].min() > 100 for view in found)


@pytest.mark.parametrize("size", [(4, 6), (100, 300), (127, 129)])
def test_small_pictures_have_windows_too(size: tuple[int, int]) -> None:
    frame = FORMAT.frame(replace(FORMAT, size=size).grey().planes, index=0, pts=0)
    found = list(windows(frame, 16))
    assert 1 <= len(found) <= 4
    assert all(side % 16 == 0 and side <= 128 for view in found for side in view.shape[1:])


# --------------------------------------------------------------------------------------- what goes wrong


def test_a_classifier_that_is_not_there_is_told_with_what_it_is_for(settings: EffectSettings) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^route:to=x: the pictures decide, and what looks at them is missing: there is no ",
    ):
        open_classifier("beauty", whole, settings, "route:to=x")


def test_an_engine_that_is_no_classifier_is_refused(settings: EffectSettings) -> None:
    with pytest.raises(
        ConfigError, match=r"^route: the pictures decide, but engine .*tiny is no classifier$"
    ):
        open_classifier("tiny", whole, settings, "route")


def test_scores_that_are_not_finite_are_an_error_that_names_engine_and_frame(
    settings: EffectSettings,
) -> None:
    opened = open_classifier("domain", whole, settings, "route")

    class Broken:
        backend, precision = opened.compiled.backend, opened.compiled.precision

        def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
            return np.full((3, 2, 2), np.nan, np.float32)

        def warm_up(
            self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float
        ) -> None: ...

        def close(self) -> None: ...

    with pytest.raises(FrameError, match=r"engine 'domain' \(openvino, .*\), frame 7: scores .* not finite"):
        Classifier(opened.engine, Broken(), whole).probabilities(scene_frame(1, 7))
    opened.close()
