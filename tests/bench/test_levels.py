"""What each level measures, in this process: as many frames as asked for, the parts that belong to it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from streamfx.bench.cases import cases_of, size_of
from streamfx.bench.end_to_end import Intervals
from streamfx.bench.level import FRAME, Opened, Setup
from streamfx.bench.levels import LEVELS
from streamfx.bench.result import BenchConfig
from streamfx.capture.pattern import PatternSource
from streamfx.errors import ConfigError, EngineNotFoundError, SourceOpenError
from streamfx.pipeline.stats import Stats
from streamfx.run.placement import MAIN_MEMORY, Placement
from tests import engines, media
from tests.bench.figures import case

TINY = {"effect": "tiny", "width_pixels": 96, "height_pixels": 64, "factor": 2.0, "backend": "openvino"}


def setup(
    folder: Path, level: str, *, clip: str | None = None, encoder: str = "x264", **other: object
) -> Setup:
    return Setup(case(level=level, precision="f32", **{**TINY, **other}), 2, 4, clip, encoder, folder)


def opened_level(made: Setup, place: Placement = MAIN_MEMORY) -> AbstractContextManager[Opened]:
    return LEVELS[made.case.level](made, place)


@pytest.mark.parametrize(
    ("level", "parts"),
    [
        ("model", set()),
        ("resident", {"reduce", "translate", "fuse"}),
        ("pipeline", {"decode", "reduce", "translate", "fuse", "encode"}),
    ],
)
def test_a_level_counts_the_frames_it_is_told_and_the_parts_it_has(
    at_home: Path, level: str, parts: set[str]
) -> None:
    made, stats = setup(at_home, level), Stats()
    with opened_level(made) as opened:
        assert (opened.ran.backend, opened.ran.precision) == ("openvino", "f32")
        assert opened.ran.threads * opened.ran.at_a_time == 2
        taken = [opened.run(frames, stats) for frames in (3, 4)]
    assert min(taken) > 0
    stages = stats.stages()
    assert stages[FRAME].count == 7
    assert stages.keys() & {"decode", "reduce", "translate", "fuse", "encode"} == parts
    # Everything that is written meanwhile is gone, but for the clip that cases share.
    assert {path.suffix for path in at_home.iterdir()} <= {".mp4"}
    assert len(list(at_home.iterdir())) == (1 if level == "pipeline" else 0)


def test_an_engine_is_closed_after_its_level(at_home: Path) -> None:
    for level in LEVELS:
        made = setup(at_home, level)
        with opened_level(made) as opened:
            pass
        with pytest.raises(Exception, match="this compiled engine is closed"):
            opened.run(1, Stats())


def test_pictures_and_size_come_from_a_clip_that_is_given(at_home: Path) -> None:
    clip = str(media.make_clip(at_home / "in.mp4", size=(72, 128), frames=24))
    assert size_of(clip) == (72, 128)
    made = setup(at_home, "pipeline", clip=clip, encoder="null:")
    with opened_level(made) as opened:
        assert opened.most_frames == 24 - 11  # two workers: 8 frames before those that count, 3 after
        assert opened.run(2, Stats()) > 0
    assert [path.name for path in at_home.iterdir()] == ["in.mp4"]


def test_a_clip_that_is_too_short_or_not_to_be_counted_is_refused(at_home: Path) -> None:
    clip = str(media.make_clip(at_home / "short.mp4", frames=9))
    made = setup(at_home, "pipeline", clip=clip)
    with (
        pytest.raises(
            ConfigError, match=r"short\.mp4 has 9 frames; with 2 frames at a time more than 11 are"
        ),
        opened_level(made),
    ):
        pass
    with pytest.raises(ConfigError, match="--clip takes a video file of known length, found test:bars"):
        size_of("test:bars?frames=0")
    with pytest.raises(SourceOpenError, match="no such file"):
        size_of("nowhere.mp4")


def test_a_network_that_is_never_called_has_no_figures(at_home: Path) -> None:
    made = setup(at_home, "model", effect="tiny:strength=0")
    with (
        pytest.raises(ConfigError, match="'tiny:strength=0' at strength 0 never calls its network"),
        opened_level(made),
    ):
        pass


def test_the_time_of_a_frame_is_the_mean_over_those_generated_at_a_time() -> None:
    stats, frame = Stats(), PatternSource("test:bars?size=64x32").read()
    assert frame is not None
    intervals = Intervals(lead=2, frames=4, at_a_time=2, stats=stats)
    for at_seconds in (0.0, 1.0, 3.0, 4.0, 8.0, 9.0, 100.0):  # two before those that count, one after
        intervals.written(frame, at_seconds)
    times = stats.stages()[FRAME]
    assert times.count == 4  # 3-0, 4-1, 8-3, 9-4, each by two frames
    assert times.mean_seconds == pytest.approx((1.5 + 1.5 + 2.5 + 2.5) / 4)
    assert times.max_seconds == 2.5
    assert intervals.seconds == 9.0 - 1.0


def config(**other: object) -> BenchConfig:
    values = {
        "levels": ("model",), "effects": ("tiny",), "sizes": ((64, 96),), "factors": (2.0, 4.0),
        "backends": ("auto",), "precisions": ("auto",), "threads": 1, "frames": 4,
        "seconds": 1.0, "rounds": 1,
    }  # fmt: skip
    return BenchConfig.model_validate(values | other)


@pytest.mark.usefixtures("at_home")
def test_every_combination_is_a_case() -> None:
    wide = config(levels=("model", "pipeline"), backends=("eager", "openvino"), sizes=((64, 96), (96, 64)))
    cases = cases_of(wide)
    assert len(cases) == len(set(cases)) == 16
    assert str(cases[0]) == "model tiny 96x64 factor 2 eager"


def test_an_effect_without_a_choice_of_factors_is_measured_once(at_home: Path) -> None:
    folder = engines.make_engine(at_home, "single", factors=[1.0])
    cases = cases_of(config(effects=(str(folder), "tiny:factor=3")))
    assert [case.factor for case in cases] == [1.0, 3.0]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"levels": ("modl",)}, "there is no level 'modl'; there are: model, resident, pipeline"),
        ({"backends": ("cuda",)}, "there is no backend 'cuda'; there are: auto, tensorrt"),
        ({"device": "gpu"}, "device must be auto, cpu, cuda, or cuda:N for the Nth GPU, .* found 'gpu'"),
        ({"precisions": ("f17",)}, "there is no precision 'f17'; there are: auto, f32, f16, bf16"),
        ({"effects": ("tiny:auto",)}, "effect 'tiny:auto': the pictures decide what runs"),
        ({"effects": ("route:to=photo",)}, "effect 'route:to=photo': the pictures decide"),
        ({"effects": ("tiny:strength=2",)}, "strength must be 0 to 1, found 2"),
    ],
)
@pytest.mark.usefixtures("at_home")
def test_what_is_not_known_or_cannot_be_measured_by_itself_is_refused(
    other: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        cases_of(config(**other))
    with pytest.raises(EngineNotFoundError, match="there is no engine 'nobody'"):
        cases_of(config(effects=("nobody",)))


def test_a_classifier_is_no_effect_to_measure(at_home: Path) -> None:
    folder = engines.make_classifier(at_home, "tells", {"red": (1, 0, 0, 0), "blue": (0, 0, 1, 0)})
    with pytest.raises(
        ConfigError, match=r"'tells' is no effect: it tells pictures apart \(.*\) and changes none"
    ):
        cases_of(config(effects=(str(folder),)))
