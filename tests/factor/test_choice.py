"""The choice of the factor: the smallest that keeps up, why, and what it follows from."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

import streamfx
from streamfx.config.live import LiveConfig
from streamfx.config.loading import load_config
from streamfx.config.transcode import TranscodeConfig
from streamfx.engine.folder import Engine, read_engine
from streamfx.factor.choice import budget, choose_factor, common_factors
from streamfx.factor.coding import preset_choices, workload_of
from streamfx.factor.estimate import Prediction, Term
from streamfx.factor.governor import LIVE_SHARE
from streamfx.factor.workload import CodedOutput
from streamfx.media.frame import Colour, Subsampling, VideoFormat
from streamfx.media.stage import Stage
from tests import engines, media

FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0)
VIDEO = VideoFormat((720, 1280), Subsampling.YUV420, 8, Colour(), Fraction(1, 25), rate_fps=Fraction(25))


def predicted(factor: float) -> Prediction:
    """Return 80 ms at factor 1, 20 at 2, and 10 for the encoder."""
    network, encode = 0.08 / factor**2, 0.010
    return Prediction(
        factor,
        (Term(Stage.TRANSLATE, "cpu", network, network, ""), Term(Stage.ENCODE, "cpu", encode, encode, "")),
    )


def settings(**options: object) -> TranscodeConfig:
    return load_config(options={"input": "in.mp4", "output": "out.mp4", **options})


# ---------------------------------------------------------------- the choice


@pytest.mark.parametrize(
    ("budget_ms", "factor"), [(90, 1), (89.9, 1.5), (40, 2), (29.9, 3), (15, 4), (14.9, 4), (1, 4)]
)
def test_the_smallest_factor_that_fits_is_taken_and_the_largest_where_none_does(
    budget_ms: float, factor: float
) -> None:
    assert choose_factor(FACTORS, predicted, budget_ms / 1e3 + 1e-9, "a test").factor == factor


def test_the_reason_is_one_line_with_the_figures_it_follows_from() -> None:
    choice = choose_factor(FACTORS, predicted, 0.04, "live at 25 fps")
    assert choice.reason == (
        "factor 2: a frame takes 30 of 40 ms (live at 25 fps); factor 1.5 would take 45.6 ms; "
        "busiest is cpu (translate 20, encode 10 ms)"
    )
    assert [found.factor for found in choice.predictions] == list(FACTORS)


def test_where_nothing_fits_the_reason_says_so() -> None:
    reason = choose_factor(FACTORS, predicted, 0.005, "live at 200 fps").reason
    assert reason.startswith("factor 4, the largest: a frame takes 15 ms, more than the 5 ms there are")


def test_without_a_rate_there_is_no_budget_and_the_usual_factor_is_taken() -> None:
    choice = choose_factor(FACTORS, predicted, *budget(replace(VIDEO, rate_fps=None), 1, live=False))
    assert choice.factor == 4
    assert choice.reason == "factor 4: the source states no frame rate, so the usual one is taken"
    assert choice.budget_seconds is None


@pytest.mark.parametrize(
    ("speed", "live", "seconds", "purpose"),
    [
        (1.0, False, 0.04, "real time at 25 fps"),
        (2.0, False, 0.02, "2 times real time at 25 fps"),
        (2.0, True, 0.04 * LIVE_SHARE, "live at 25 fps"),
    ],
)
def test_a_live_source_leaves_the_time_between_its_frames_and_a_file_what_was_asked_for(
    speed: float, live: bool, seconds: float, purpose: str
) -> None:
    found, why = budget(VIDEO, speed, live=live)
    assert found == pytest.approx(seconds)
    assert why == purpose


# ---------------------------------------------------------------- what it follows from


@pytest.mark.parametrize(
    ("options", "decode", "encode", "preset"),
    [
        ({}, "h264", "h264", "veryfast"),
        ({"preset": "slow"}, "h264", "h264", "slow"),
        ({"output": "out.webm"}, "h264", "vp9", "5"),
        ({"output": "out.mkv", "codec": "ffv1"}, "h264", "ffv1", None),
        ({"output": "null:"}, "h264", None, None),
        ({"output": "rtmp://host/live"}, "h264", "h264", "veryfast"),
        ({"output": "frames/%05d.png"}, "h264", "png", None),
        ({"output": "hls:web"}, "h264", "h264", "veryfast"),
        ({"output": "web/live.m3u8", "preset": "fast"}, "h264", "h264", "fast"),
        ({"output": "window:"}, "h264", None, None),
        ({"input": "test:bars"}, "raw", "h264", "veryfast"),
        ({"input": "camera:0"}, "mjpeg", "h264", "veryfast"),
        ({"input": "camera:0?format=nv12"}, "raw", "h264", "veryfast"),
    ],
)
def test_what_is_read_and_written_counts(
    options: dict[str, object], decode: str, encode: str | None, preset: str | None
) -> None:
    work = workload_of(settings(**options), VIDEO, one_at_a_time=False)
    assert work.decode == decode
    assert work.encodings == (() if encode is None else (CodedOutput(encode, preset),))
    assert not work.one_at_a_time


def test_each_output_of_a_live_run_that_is_encoded_counts() -> None:
    outputs = ("rtmp://host/live", "null:", "out.webm", "virtual:")
    config = load_config(options={"input": "test:bars", "outputs": outputs}, model=LiveConfig)
    work = workload_of(config, VIDEO, one_at_a_time=True)
    assert work.encodings == (CodedOutput("h264", "veryfast"), CodedOutput("vp9", "5"))


@pytest.mark.parametrize(
    ("options", "choices"),
    [
        ({}, [{}, {"h264": "superfast"}, {"h264": "ultrafast"}]),
        ({"preset": "slow"}, [{}]),
        ({"outputs": ("null:", "out.webm")}, [{}]),
        ({"outputs": ("out.mp4",), "codec": "hevc"}, [{}, {"hevc": "superfast"}, {"hevc": "ultrafast"}]),
    ],
)
def test_a_live_run_may_encode_quicker_where_nobody_named_a_preset(
    options: dict[str, object], choices: list[dict[str, str]]
) -> None:
    given = {"input": "test:bars", "outputs": ("rtmp://host/live", "out.webm"), **options}
    config = load_config(options=given, model=LiveConfig)
    assert list(preset_choices(config, VIDEO, live=True)) == choices
    assert list(preset_choices(config, VIDEO, live=False)) == [{}]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return read_engine(engines.make_engine(tmp_path_factory.mktemp("engines")))


def test_effects_of_one_chain_get_a_factor_that_all_were_trained_for(engine: Engine) -> None:
    def with_factors(*factors: float) -> Engine:
        return replace(engine, spec=engine.spec.model_copy(update={"factors": factors}))

    assert common_factors([engine]) == (1, 2, 4, 8)
    assert common_factors([engine, with_factors(2, 3, 8)]) == (2, 8)
    assert common_factors([engine, with_factors(3, 5)]) == (4,)
    assert common_factors([with_factors(1, 2), with_factors(1.5)]) == (1.5,)


# ---------------------------------------------------------------- in a run


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    engines.make_engine(tmp_path, "tiny")
    monkeypatch.setenv("STREAMFX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STREAMFX_ENGINES", str(tmp_path))
    return media.make_clip(tmp_path / "in.mkv", frames=6)


def test_a_run_chooses_says_why_and_asking_for_more_speed_gives_a_larger_factor(
    clip: Path, tmp_path: Path
) -> None:
    easy = streamfx.transcode(clip, "null:", effects=["tiny"], report=tmp_path / "report.json")
    assert easy.factor is not None
    assert easy.factor.factor == easy.effects[0].controls["factor"]
    assert easy.factor.reason.startswith(f"factor {easy.factor.factor:g}: a frame takes ")
    assert set(easy.factor.predicted_seconds) == {"1", "2", "4", "8"}
    stored = json.loads((tmp_path / "report.json").read_text())
    assert stored["factor"]["reason"] == easy.factor.reason
    hopeless = streamfx.transcode(clip, "null:", effects=["tiny"], speed=1000)
    assert hopeless.factor is not None
    assert hopeless.effects[0].controls["factor"] == 8
    assert hopeless.factor.factor > easy.factor.factor


def test_a_factor_that_was_given_is_kept_and_nothing_is_measured(clip: Path, tmp_path: Path) -> None:
    report = streamfx.transcode(clip, "null:", effects=["tiny"], factor=2)
    assert report.factor is None
    assert report.effects[0].controls["factor"] == 2
    assert not list((tmp_path / "cache").glob("*calibration*"))


def test_only_effects_without_a_factor_of_their_own_get_the_chosen_one(clip: Path) -> None:
    report = streamfx.transcode(clip, "null:", effects=["tiny:factor=3", "tiny"], speed=1000)
    assert [effect.controls["factor"] for effect in report.effects] == [3, 8]
