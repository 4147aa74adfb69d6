"""What becomes of the heads: a picture placed, something added, a frame enlarged once or twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streamfx.backends.backend import Precision
from streamfx.engine.folder import Engine, read_engine
from streamfx.engine.golden import Array
from streamfx.engine.library import list_effects, list_engines
from streamfx.engine.spec import HEADS, EngineSpec, OutputKind
from streamfx.errors import ConfigError, FrameError
from streamfx.generate.effect import Effect, doublings_of, open_effect
from streamfx.generate.request import Controls, controls_for, parse_effect
from streamfx.media.frame import Frame, Subsampling
from tests.engines import make_engine
from tests.generate.ops.test_place import make_frame
from tests.generate.test_network_input import make_spec


class Told:
    """A compiled engine that does as it is told, and remembers what it saw."""

    backend, precision = "told", Precision.F32

    def __init__(self, heads: Callable[[Array], Array]) -> None:
        self.heads = heads
        self.seen: list[Array] = []

    def __call__(self, reduced: Array, to_rgb: Array, from_rgb: Array, factor: float) -> Array:
        self.seen.append(reduced.copy())
        return self.heads(reduced)

    def warm_up(self, shape: tuple[int, int, int], to_rgb: Array, from_rgb: Array, factor: float) -> None: ...

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return read_engine(make_engine(tmp_path_factory.mktemp("engines")))


def effect_of(engine: Engine, told: Told, controls: Controls, doublings: int = 0, **fields: Any) -> Effect:
    made = replace(engine, spec=make_spec(**fields))
    return Effect(made, told, 1, None, doublings, controls)


FULL = Controls(strength=1.0, factor=1.0)


def same(planes: Array) -> Array:
    return planes[:3]


def test_a_picture_takes_the_place_of_the_frames_at_any_factor(tiny: Engine) -> None:
    frame = make_frame((37, 51))
    grey = effect_of(tiny, Told(lambda seen: np.full_like(seen, 90)), Controls(1.0, 4.0)).process(frame)
    assert {int(plane.max()) for plane in grey.planes} == {int(plane.min()) for plane in grey.planes} == {90}
    assert grey.size == frame.size


def test_the_i420_layout_gives_the_decoders_planes_and_takes_such_planes(tiny: Engine) -> None:
    frame = make_frame((37, 51))
    told = Told(lambda surface: surface)
    found = effect_of(tiny, told, FULL, layout="i420").process(frame)
    assert told.seen[0].shape == (1, 60, 56)
    for plane, source in zip(found.planes, frame.planes, strict=True):
        legal = source.clip(16, 235 if source is frame.planes[0] else 240)
        assert (plane == legal).all()


def test_what_is_added_leaves_the_source_as_it_is_where_it_is_nothing(tiny: Engine) -> None:
    frame = make_frame((37, 51))
    for amount, strength in ((0.0, 1.0), (20.0, 0.5), (20.0, 0.0)):
        told = Told(partial(np.full_like, fill_value=amount))
        effect = effect_of(tiny, told, Controls(strength, 1.0), heads=["residual"], margin_pixels=4)
        found = effect.process(frame).planes[0].astype(int)
        expected = np.clip(frame.planes[0].astype(int) + round(amount * strength), 0, 255)
        assert (found == expected).all()


@pytest.mark.parametrize("doublings", [1, 2])
def test_a_frame_is_enlarged_by_what_is_added_to_a_cubic_enlargement(tiny: Engine, doublings: int) -> None:
    frame = make_frame((37, 51), Subsampling.YUV444)
    told = Told(lambda seen: np.full((3, 2 * seen.shape[1], 2 * seen.shape[2]), 3, np.float32))
    effect = effect_of(
        tiny, told, Controls(0.5, 1.0, 0.25, 7), doublings,
        heads=["residual"], scale=2, noise_channels=1, margin_pixels=4,
    )  # fmt: skip
    found = effect.process(frame)
    assert found.size == (37 << doublings, 51 << doublings)
    assert effect.output(frame.format).size == found.size
    expected = frame.planes[0].astype(np.float32)
    for _ in range(doublings):
        expected = cv2.resize(expected, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) + 1.5
    inside = np.s_[8:-40, 8:-40]  # the border is enlarged with its edge repeated further
    difference = found.planes[0].astype(int) - np.clip(np.floor(expected + 0.5), 16, 235)
    assert np.abs(difference[inside]).max() <= 1
    assert [seen.shape for seen in told.seen] == [(4, 40, 56), (4, 80, 112)][:doublings]
    assert all(seen[3].std() == pytest.approx(0.25, rel=0.1) for seen in told.seen)


def test_an_engine_that_enlarges_four_times_runs_once(tiny: Engine) -> None:
    frame = make_frame((24, 32), Subsampling.YUV444)
    told = Told(lambda seen: np.full((3, 4 * seen.shape[1], 4 * seen.shape[2]), 3, np.float32))
    effect = effect_of(
        tiny, told, FULL, 2, format=4, heads=["residual"], scale=4, noise_channels=5, margin_pixels=4
    )
    found = effect.process(frame)
    assert found.size == (96, 128)
    assert [seen.shape for seen in told.seen] == [(8, 24, 32)]
    larger = frame.planes[0].astype(np.float32)
    for _ in range(2):
        larger = np.asarray(cv2.resize(larger, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.float32)
    difference = found.planes[0].astype(int) - np.clip(np.floor(larger + 3.5), 16, 235)
    assert np.abs(difference[8:-8, 8:-8]).max() <= 1


def test_at_strength_0_an_enlarged_frame_is_only_enlarged(tiny: Engine) -> None:
    frame = make_frame((16, 24))
    told = Told(lambda seen: np.full((3, 2 * seen.shape[1], 2 * seen.shape[2]), 99, np.float32))
    effect = effect_of(tiny, told, Controls(0.0, 1.0), 1, heads=["residual"], scale=2)
    expected = cv2.resize(frame.planes[0].astype(np.float32), (48, 32), interpolation=cv2.INTER_CUBIC)
    found = effect.process(frame).planes[0].astype(int)
    assert np.abs(found - np.clip(expected, 16, 235)).max() <= 1


def test_values_that_are_not_finite_name_the_engine(tiny: Engine) -> None:
    frame: Frame = make_frame((16, 24))
    effect = effect_of(tiny, Told(lambda seen: np.full_like(seen, np.nan)), FULL)
    with pytest.raises(FrameError, match=r"engine 'tiny' .*frame 0: the generator gave values"):
        effect.process(frame)


def test_requests_name_noise_seed_and_scale() -> None:
    request = parse_effect("upscale:scale=4,noise_amplitude=0.5,seed=12")
    assert (request.scale, request.noise_amplitude, request.seed) == (4, 0.5, 12)
    with pytest.raises(ConfigError, match="scale must be 2, 4 or 8, found 3"):
        parse_effect("upscale:scale=3")
    with pytest.raises(ConfigError, match=r"seed needs a whole number, found 1\.5"):
        parse_effect("upscale:seed=1.5")


def test_controls_that_an_engine_has_not_are_refused(tiny: Engine) -> None:
    for text, message in (
        ("tiny:seed=1", "engine 'tiny' takes no noise, so seed cannot be set"),
        ("tiny:noise_amplitude=1", "takes no noise, so noise_amplitude cannot be set"),
        ("tiny:scale=2", "engine 'tiny' does not enlarge, so scale cannot be set"),
        ("tiny:detail_amplitude=1", "'tiny' has no noise of a second stage, so detail_amplitude cannot"),
    ):
        with pytest.raises(ConfigError, match=message):
            controls_for(parse_effect(text), tiny, None)


def test_the_noise_of_a_second_stage_has_a_control_of_its_own(tiny: Engine) -> None:
    amplitude = {"low": 0, "high": 1, "default": 0.75}
    controls = {"strength": amplitude, "noise_amplitude": amplitude, "detail_amplitude": amplitude}
    spec = make_spec(format=4, noise_channels=3, detail_noise_channels=1, controls=controls)
    two = replace(tiny, spec=spec)
    found = controls_for(parse_effect("a:detail_amplitude=0.5"), two, None)
    assert (found.noise_amplitude, found.detail_amplitude) == (0.75, 0.5)
    told = Told(lambda seen: seen[:3])
    effect = replace(effect_of(tiny, told, FULL), engine=two)
    effect.controls = replace(found, factor=1.0, noise_amplitude=0.0, detail_amplitude=1.0)
    effect.process(make_frame((16, 24)))
    (seen,) = told.seen
    assert not seen[3:5].any()
    assert seen[5].std() == pytest.approx(1.0, rel=0.2)


def test_an_engine_with_one_factor_takes_that_whatever_the_others_get(tiny: Engine) -> None:
    one = replace(tiny, spec=make_spec(factors=[1.0], heads=["residual"]))
    assert controls_for(parse_effect("one"), one, 4.0).factor == 1.0
    with pytest.raises(ConfigError, match="factor must be 1 to 1, found 4"):
        controls_for(parse_effect("one:factor=4"), one, None)


def test_how_often_a_frame_is_doubled_follows_from_scale(tiny: Engine) -> None:
    larger = replace(tiny, spec=make_spec(heads=["residual"], scale=2))
    texts = ("a", "a:scale=2", "a:scale=4", "a:scale=8")
    assert [doublings_of(parse_effect(text), larger) for text in texts] == [1, 1, 2, 3]
    assert doublings_of(parse_effect("a"), tiny) == 0
    fourfold = replace(tiny, spec=make_spec(format=4, heads=["residual"], scale=4))
    assert [doublings_of(parse_effect(text), fourfold) for text in ("a", "a:scale=4")] == [2, 2]


def test_an_engine_that_enlarges_four_times_at_once_cannot_be_asked_for_twice(tiny: Engine) -> None:
    fourfold = replace(tiny, spec=make_spec(format=4, heads=["residual"], scale=4, factors=[1.0]))
    assert controls_for(parse_effect("a:scale=4"), fourfold, None).strength == 1.0
    message = "makes frames 4 times as large at once, so scale must be 4, found 2"
    with pytest.raises(ConfigError, match=message):
        controls_for(parse_effect("a:scale=2"), fourfold, None)


def test_a_matte_is_no_effect_and_says_how_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_engine(tmp_path)
    spec = (folder / "engine.yaml").read_text()
    heads = "heads:\n- translated\n- mask\n- displacement\n- detail\n"
    assert heads in spec
    spec = spec.replace(heads, "heads: [person, rise, fall]\n").replace("format: 1\n", "format: 4\n")
    (folder / "engine.yaml").write_text(spec)
    with pytest.raises(
        ConfigError, match="is no effect: it tells people from the background; use where=person"
    ):
        open_effect(str(folder))
    monkeypatch.setenv("STREAMFX_ENGINES", str(tmp_path))
    assert "tiny" in {found.name for found in list_engines()} - {found.name for found in list_effects()}


def test_a_matte_takes_format_four_and_may_have_a_memory(tiny: Engine) -> None:
    described = tiny.spec.model_dump() | {"heads": HEADS[OutputKind.MATTE], "memory_tolerance": 0.1}
    assert EngineSpec.model_validate(described | {"format": 4}).kind is OutputKind.MATTE
    with pytest.raises(ValueError, match="format is 3, but this needs format 4"):
        EngineSpec.model_validate(described | {"format": 3})


def test_a_classifier_is_no_effect(tmp_path: Path) -> None:
    folder = make_engine(tmp_path)
    spec = (folder / "engine.yaml").read_text()
    heads = "heads:\n- translated\n- mask\n- displacement\n- detail\n"
    assert heads in spec
    spec = spec.replace("classes: []\n", "")
    (folder / "engine.yaml").write_text(spec.replace(heads, "heads: [scores]\nclasses: [a, b]\n"))
    with pytest.raises(ConfigError, match=r"is no effect: it tells pictures apart \(a, b\)"):
        open_effect(str(folder))
