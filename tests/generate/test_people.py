"""Where effects act: the person, the background; and the effects that need only to know that."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from streamfx.backends.backend import CompileOptions
from streamfx.backends.eager import EagerBackend
from streamfx.capture.opening import open_source
from streamfx.engine.folder import Engine, read_engine
from streamfx.errors import ConfigError, EngineNotFoundError, FrameError
from streamfx.generate.chain import AnyEffect, Chain, open_chain, output_format
from streamfx.generate.effect import Effect, EffectSettings
from streamfx.generate.ops.matte.definition import Mask
from streamfx.generate.people.effects import open_people_effect
from streamfx.generate.people.matting import Matte, Matting
from streamfx.generate.request import Controls, EffectRequest, parse_effect
from streamfx.generate.transparency import opaque_within
from streamfx.generate.where import Where
from streamfx.media.frame import CodeRange, Colour, Frame, Matrix, Planes, Subsampling, VideoFormat
from tests.engines import make_engine

VIDEO = VideoFormat((48, 64), Subsampling.YUV420, 8, Colour(Matrix.BT709, CodeRange.LIMITED), Fraction(1, 25))
PHOTOGRAPH = Path(__file__).parents[2] / "training/starter/asl_please_016_384.jpg"
HALF = np.zeros((48, 64), np.uint8)
HALF[:, :32] = 255
"""A person who fills the left half."""


@dataclass
class LeftHalf:
    """Finds a person in the left half of every frame, and counts how often it is asked."""

    asked: list[Frame] = field(default_factory=list)

    def matte(self, frame: Frame) -> Matte:
        self.asked.append(frame)
        return Matte(HALF)

    def close(self) -> None: ...


def noise(video: VideoFormat = VIDEO, seed: int = 1) -> Frame:
    rng = np.random.default_rng(seed)
    kind = np.uint8 if video.depth == 8 else np.uint16
    planes = tuple(
        rng.integers(16 << (video.depth - 8), 235 << (video.depth - 8), plane.shape).astype(kind)
        for plane in video.grey().planes
    )
    return video.frame(cast("Planes", planes), index=0, pts=0)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return read_engine(make_engine(tmp_path_factory.mktemp("engines")))


@pytest.fixture
def effect(engine: Engine) -> Effect:
    return Effect(engine, EagerBackend().compile(engine, CompileOptions()))


def chain(*effects: AnyEffect, finder: LeftHalf | None = None) -> Chain:
    return Chain(effects, matting=cast("Matting", finder or LeftHalf()))


def opened(text: str, **settings: Any) -> Any:
    return open_people_effect(parse_effect(text), EffectSettings(**settings))


def sides(planes: Planes) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(plane[:, : plane.shape[1] // 2], plane[:, plane.shape[1] // 2 :]) for plane in planes]


@pytest.mark.parametrize("where", [Where.PERSON, Where.BACKGROUND])
def test_an_effect_changes_its_part_and_leaves_the_other_bit_for_bit(effect: Effect, where: Where) -> None:
    frame = noise()
    everywhere = effect.process(frame)
    effect.controls = replace(effect.controls, where=where)
    made = chain(effect).process(frame)
    inside = 0 if where is Where.PERSON else 1
    for found, changed, source in zip(
        *map(sides, (made.planes, everywhere.planes, frame.planes)), strict=True
    ):
        np.testing.assert_array_equal(found[inside], changed[inside])
        np.testing.assert_array_equal(found[1 - inside], source[1 - inside])


def test_people_are_looked_for_once_for_a_frame_before_any_effect_and_only_where_asked(
    effect: Effect,
) -> None:
    finder, frame = LeftHalf(), noise()
    chain(effect, finder=finder).process(frame)
    assert finder.asked == []
    blur, other = opened("blur"), opened("backdrop:colour=red")
    chain(effect, blur, other, finder=finder).process(frame)
    assert finder.asked == [frame]


def test_a_backdrop_stands_behind_the_person_and_hides_nothing_of_them() -> None:
    frame = noise()
    made = chain(opened("backdrop:colour=black")).process(frame)
    for (person, room), (source, _), code in zip(
        sides(made.planes), sides(frame.planes), (16, 128, 128), strict=True
    ):
        np.testing.assert_array_equal(person, source)
        assert np.unique(room).tolist() == [code]


def test_a_backdrop_at_half_strength_lets_half_of_the_room_through() -> None:
    frame = VIDEO.grey()
    made = chain(opened("backdrop:colour=white,strength=0.5")).process(frame)
    assert made.planes[0][0, 0] == 128
    assert abs(int(made.planes[0][0, -1]) - (128 + 235) / 2) <= 1


def test_a_blurred_room_has_no_glow_of_the_person_in_it() -> None:
    luma = np.full((48, 64), 60, np.uint8)
    luma[:, :32] = 235  # a bright person before an even dark wall
    _, u, v = VIDEO.grey().planes
    made = chain(opened("blur:strength=1")).process(VIDEO.frame((luma, u, v), index=0, pts=0))
    assert np.abs(made.planes[0][:, 32:].astype(int) - 60).max() <= 1
    np.testing.assert_array_equal(made.planes[0][:, :32], luma[:, :32])


@pytest.mark.parametrize("depth", [8, 10])
def test_a_stronger_blur_leaves_less_of_the_detail_and_keeps_the_mean(depth: int) -> None:
    frame = noise(replace(VIDEO, size=(240, 320), depth=depth))
    left = [
        chain(opened(f"blur:strength={strength},where=all")).process(frame).planes[0].astype(float)
        for strength in (0, 0.4, 1)
    ]
    deviations = [float(plane.std()) for plane in left]
    assert deviations[0] > 2 * deviations[1] > 2 * deviations[2]
    assert abs(left[2].mean() - left[0].mean()) < 2 << (depth - 8)


@pytest.mark.parametrize("depth", [8, 10])
def test_what_is_cut_out_can_be_seen_through_and_keeps_its_colours(depth: int) -> None:
    frame = noise(replace(VIDEO, depth=depth))
    made = chain(opened("cutout")).process(frame)
    assert made.alpha is not None
    assert np.unique(made.alpha[:, :32]).tolist() == [(1 << depth) - 1]
    assert np.unique(made.alpha[:, 32:]).tolist() == [0]
    assert made.planes is frame.planes
    assert opened("cutout").output(VIDEO).alpha


def test_what_was_transparent_before_stays_so_when_the_person_is_cut_out() -> None:
    frame = replace(noise(), alpha=np.full((48, 64), 100, np.uint8))
    alpha = chain(opened("cutout")).process(frame).alpha
    assert alpha is not None
    assert (alpha[0, 0], alpha[0, -1]) == (100, 0)


def test_who_is_cut_out_of_frames_with_alpha_is_cut_out_and_nothing_else_brings_hidden_colours_back() -> None:
    alpha = np.full((48, 64), 255, np.uint8)
    alpha[:8] = 0
    frame = replace(noise(), alpha=alpha)
    made = opaque_within(chain(opened("cutout")).process)(frame)
    assert made.alpha is not None
    assert (made.alpha[20, 0], made.alpha[20, -1], made.alpha[0, 0]) == (255, 0, 0)
    assert opaque_within(chain(opened("mask:strength=0")).process)(frame) is frame


def test_the_mask_is_white_where_the_person_is_and_black_elsewhere() -> None:
    made = chain(opened("mask")).process(noise())
    assert [np.unique(side).tolist() for side in sides(made.planes)[0]] == [[235], [16]]
    assert np.unique(made.planes[1]).tolist() == [128]
    other = chain(opened("mask:where=background")).process(noise())
    assert [np.unique(side).tolist() for side in sides(other.planes)[0]] == [[16], [235]]


@pytest.mark.parametrize("name", ["blur", "backdrop", "mask"])
def test_at_strength_0_the_very_same_frame_comes_out(name: str) -> None:
    frame = noise()
    assert chain(opened(f"{name}:strength=0")).process(frame) is frame


def test_after_frames_were_enlarged_the_matte_is_too() -> None:
    share: Mask = np.array([[0, 255]], np.uint8)
    assert Matte(share).enlarged((2, 4)).share.tolist() == [[0, 0, 255, 255]] * 2
    same = Matte(share)
    assert same.enlarged((1, 2)) is same


def test_controls_that_say_where_take_effect_with_the_next_frame(effect: Effect) -> None:
    frame, table = noise(), chain(effect)
    assert not np.array_equal(table.process(frame).planes[0][:, 32:], frame.planes[0][:, 32:])
    effect.controls = replace(effect.controls, where=Where.PERSON)
    np.testing.assert_array_equal(table.process(frame).planes[0][:, 32:], frame.planes[0][:, 32:])


def test_a_chain_in_which_nothing_finds_people_says_so(effect: Effect) -> None:
    effect.controls = replace(effect.controls, where=Where.PERSON)
    with pytest.raises(FrameError, match="an effect acts on people, and nothing finds them"):
        Chain((effect,)).process(noise())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blur:strength=2", "strength must be 0 to 1, found 2"),
        ("blur:seed=1", "effect 'blur' has no seed"),
        ("blur:auto", "effect 'blur' has no 'auto'"),
        ("mask:picture=a.png", "effect 'mask' has no picture; it is for backdrop"),
        ("backdrop:picture=a.png,colour=red", "a picture and a colour are given"),
        ("backdrop:colour=gren", "'gren' is no colour; did you mean 'green'"),
        ("backdrop:colour=12345", "Known are black, .* RRGGBB"),
        ("backdrop:picture=a.png", "pictures cannot be had here; give a colour"),
        (
            "blur:where=persons",
            "where must be all or person or background; found 'persons'; did you mean 'person'",
        ),
        ("blur:where=", "where needs a name"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        opened(text)


def test_a_request_says_where_an_effect_acts_and_what_stands_behind() -> None:
    assert parse_effect("wave:where=background").where is Where.BACKGROUND
    assert parse_effect("wave").where is None
    asked = parse_effect("backdrop:picture=my room.jpg,strength=0.5")
    assert asked == EffectRequest("backdrop", strength=0.5, picture="my room.jpg")
    assert opened("backdrop").controls == Controls(1.0, 1.0, where=Where.BACKGROUND)
    assert opened("cutout:where=background").controls.where is Where.BACKGROUND


def test_a_backdrop_is_opened_once_asked_by_the_time_of_frames_and_closed() -> None:
    read: list[object] = []

    class Room:
        def __call__(self, video: VideoFormat, time_seconds: Fraction, /) -> Planes:
            read.append((video.size, time_seconds))
            return video.grey().planes

        def close(self) -> None:
            read.append("closed")

    def backdrops(name: str) -> Room:
        read.append(name)
        return Room()

    table = chain(opened("backdrop:picture=room.png", backdrops=backdrops))
    for index in (0, 5):
        made = table.process(replace(noise(), pts=index))
        assert np.unique(made.planes[0][:, 32:]).tolist() == [128]
    table.close()
    assert read == ["room.png", ((48, 64), 0), ((48, 64), Fraction(1, 5)), "closed"]


def test_the_format_is_known_before_anything_is_open() -> None:
    assert output_format(["cutout"], VIDEO).alpha
    assert output_format(["backdrop:picture=nowhere.png", "blur"], VIDEO) == VIDEO


def test_a_name_that_is_nearly_one_of_these_is_told() -> None:
    with pytest.raises(EngineNotFoundError, match="there is no effect 'blurr'; did you mean 'blur'"):
        output_format(["blurr"], VIDEO)


def test_an_engine_that_enlarges_acts_on_all_of_the_picture() -> None:
    with pytest.raises(ConfigError, match=r"'upscale' makes frames larger.*leave where=person out"):
        open_chain(["upscale:where=person"])


def test_the_shipped_engine_finds_the_person_of_a_photograph_and_nobody_in_a_grey_picture() -> None:
    table = open_chain(["mask"], EffectSettings("openvino", threads=1))
    assert table.matting is not None
    assert table.networks[-1].engine.name == "person"
    with closing(open_source(str(PHOTOGRAPH))) as source:
        photograph = source.read()
    assert photograph is not None
    shown = table.process(photograph).planes[0] > 128
    height, width = shown.shape
    assert shown[height // 2 : -10, width * 2 // 5 : width * 3 // 5].mean() > 0.99, "the middle of a person"
    assert shown[: height // 12].mean() < 0.01, "above the head"
    assert 0.15 < shown.mean() < 0.7
    grey = table.process(replace(VIDEO, size=(144, 256)).grey()).planes[0]
    assert np.count_nonzero(grey > 16) < 0.01 * grey.size
    table.close()
