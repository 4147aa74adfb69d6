"""The report as a user reads it: exit code, losses, summary."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from streamfx.config.loading import load_config
from streamfx.errors import SinkError
from streamfx.factor.governor import FactorDecision
from streamfx.generate.routed import RouteDecision
from streamfx.media.frame import Colour, Subsampling, VideoFormat
from streamfx.media.stage import Stage
from streamfx.pipeline.fan_out import OutputAccount
from streamfx.pipeline.flow import Ending, RunResult
from streamfx.pipeline.ledger import Account, FailedFrame
from streamfx.pipeline.stats import Speed, Times
from streamfx.run.decisions import FactorFacts, RoutingFacts
from streamfx.run.report import OutputFacts, Report, describe_source

ALL_THERE = RunResult(
    ending=Ending.COMPLETE,
    account=Account(frames_in=9, encoded=9),
    packets_written=9,
    first_frame_seconds=0.1,
    speed=Speed(9, 0.5, 18.0, 0.9, 0.1, 2, 0.9),
    stages={},
    queue_fill={"captured": None},
    queue_drops={},
)


def report(result: RunResult, *differences: str) -> Report:
    form = VideoFormat((4, 6), Subsampling.YUV420, 8, Colour(), Fraction(1, 25))
    return Report(
        source=describe_source("in.mp4", form, live=False),
        output=OutputFacts(name="out.mp4", size_bytes=10),
        effects=(),
        config=load_config(options={"input": "in.mp4", "output": "out.mp4"}),
        versions={},
        machine={},
        started_at="2026-01-02T03:04:05+00:00",
        seconds_to_first_frame=0.2,
        result=result,
        differences=differences,
        notes=(),
    )


def test_a_run_with_nothing_missing_is_complete() -> None:
    made = report(ALL_THERE)
    assert made.exit_code == 0
    assert made.summary().splitlines() == [
        "out.mp4: complete",
        "frames: 9 in, 9 encoded",
        "speed: 18.0 fps in 0.5 s, 90% of 2 cores",
    ]


@pytest.mark.parametrize(
    ("ending", "code", "words"),
    [
        (Ending.COMPLETE, 0, "out.mp4: complete"),
        (Ending.STOPPED, 130, "out.mp4: stopped before the end; the output is playable"),
        (Ending.FAILED, 1, "out.mp4: failed"),
        (Ending.ABORTED, 1, "out.mp4: given up; no output was kept"),
    ],
)
def test_every_ending_has_its_words_and_exit_code(ending: Ending, code: int, words: str) -> None:
    made = report(replace(ALL_THERE, ending=ending))
    assert made.exit_code == code
    assert made.summary().splitlines()[0] == words


def test_a_difference_makes_it_exit_code_1_and_is_shown() -> None:
    made = report(ALL_THERE, "out.mp4: video packets: 9 sent, 8 found")
    assert made.exit_code == 1
    lines = made.summary().splitlines()
    assert lines[0] == "out.mp4: finished, but not everything is there"
    assert lines[-1] == "missing or wrong: out.mp4: video packets: 9 sent, 8 found"


def test_broken_frames_are_losses_with_their_first_reason() -> None:
    account = Account(
        frames_in=9,
        encoded=5,
        dropped={"queue full, oldest dropped": 1},
        failed={"generate": 1, "decode": 2},
        failures=(
            FailedFrame(4, Stage.GENERATE, "not finite"),
            FailedFrame(None, Stage.DECODE, "packet 3"),
        ),
    )
    failed = "generate failed at frame 4: not finite"
    made = report(replace(ALL_THERE, ending=Ending.FAILED, account=account, failure=failed))
    assert made.losses == [failed, "2 frames failed to decode; the first: packet 3"]
    assert made.summary().splitlines()[1] == (
        "frames: 9 in, 5 encoded, 1 dropped (queue full, oldest dropped), "
        "1 failed (generate), 2 failed (decode)"
    )


def test_frames_that_a_live_source_had_to_drop_are_no_failure() -> None:
    account = Account(frames_in=9, encoded=8, dropped={"queue full, oldest dropped": 1})
    assert report(replace(ALL_THERE, account=account)).exit_code == 0


def test_an_output_that_was_away_is_a_loss() -> None:
    account = Account(frames_in=9, encoded=6, dropped={"output away": 3})
    made = report(replace(ALL_THERE, account=account))
    assert made.exit_code == 1
    assert made.losses == ["out.mp4 was away: 3 frames went past it"]
    assert made.summary().splitlines()[0] == "out.mp4: finished, but not everything is there"


@pytest.mark.parametrize(
    ("failure", "dropped", "losses"),
    [
        (None, {"queue full, oldest dropped": 2}, []),
        (None, {"output away": 2}, ["a.mp4 was away: 2 frames went past it"]),
        ("a.mp4: the disk is full", {"output ended": 2}, ["a.mp4 ended early: the disk is full"]),
    ],
)
def test_one_of_several_outputs_that_failed_or_was_away_is_a_loss(
    failure: str | None, dropped: dict[str, int], losses: list[str]
) -> None:
    output = OutputAccount(
        name="a.mp4",
        frames_given=9,
        frames_written=7,
        dropped=dropped,
        failure=failure,
        latency=Times(0, None, None, None, None, None),
    )
    made = report(ALL_THERE).model_copy(update={"outputs": (output,)})
    assert made.losses == losses
    assert made.exit_code == bool(losses)


def test_before_the_first_frame_no_speed_is_invented() -> None:
    nothing = replace(
        ALL_THERE, account=Account(), ending=Ending.STOPPED, speed=Speed(0, 0.1, None, 0, None, 2, None)
    )
    assert report(nothing).summary().splitlines() == [
        "out.mp4: stopped before the end; the output is playable",
        "frames: 0 in, 0 encoded",
    ]


def test_what_the_source_does_not_state_is_null_in_the_json() -> None:
    text = report(ALL_THERE).model_dump(mode="json")
    assert text["source"]["rate_fps"] is None
    assert text["source"]["frame_count"] is None
    assert text["source"]["matrix"] == "unknown"


def test_a_report_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(SinkError, match=r"report\.json: cannot write the report: Is a directory"):
        report(ALL_THERE).write(tmp_path / "report.json")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_the_summary_says_why_the_factor_and_how_often_it_was_changed() -> None:
    def decision(before: float, after: float) -> FactorDecision:
        return FactorDecision(time_seconds=1.0, before=before, after=after, why="late")

    chosen = FactorFacts(factor=2, reason="factor 2: it fits", budget_seconds=0.04, predicted_seconds={})
    lines = report(ALL_THERE).model_copy(update={"factor": chosen}).summary().splitlines()
    assert lines[-1] == "factor 2: it fits"
    swung = chosen.model_copy(update={"decisions": (decision(2, 3), decision(3, 3), decision(3, 4))})
    assert swung.summary() == "factor 2: it fits; changed 2 times while running, at last to 4"
    once = chosen.model_copy(update={"decisions": (decision(2, 3),)})
    assert once.summary() == "factor 2: it fits; changed once while running, at last to 3"


def test_the_summary_says_what_the_pictures_decided_and_why() -> None:
    first = RouteDecision(frame=0, shot=0, effect="wave", probabilities={"photo": 0.9, "painting": 0.1})
    last = RouteDecision(frame=70, shot=2, effect=None, probabilities={"photo": 0.25, "painting": 0.75})
    facts = RoutingFacts(
        name="route:to=woodcut", classifier="domain 1.0", options={"photo": "wave"}, looks=3, choices=()
    )
    assert facts.summary() == "route:to=woodcut: nothing ran; no frame of 3 looked at showed anything"
    facts = facts.model_copy(update={"choices": (first,)})
    assert facts.summary() == "route:to=woodcut: wave from frame 0 on (photo 0.90, painting 0.10)"
    facts = facts.model_copy(update={"choices": (first, last)})
    assert facts.summary() == (
        "route:to=woodcut: wave from frame 0 on (photo 0.90, painting 0.10); "
        "changed once, at last unchanged from frame 70 on (photo 0.25, painting 0.75)"
    )
    made = report(ALL_THERE).model_copy(update={"routing": (facts,)})
    assert made.summary().splitlines()[-1] == facts.summary()
    unsure = replace(first, probabilities={"photo": 0.6, "painting": 0.4}, confidence=0.6)
    assert facts.model_copy(update={"choices": (unsure,)}).summary() == (
        "route:to=woodcut: wave from frame 0 on (photo 0.60, painting 0.40; not sure); "
        "not sure once: where it is wrong, name the effect itself"
    )
