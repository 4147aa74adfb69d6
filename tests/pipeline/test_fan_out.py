"""Several outputs at once: a slow or failed one never holds the others, and its losses are in its account."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamfx.encode.sink import Sink
from streamfx.errors import SinkClosedError, SinkError
from streamfx.pipeline.fan_out import SeveralSinks
from streamfx.pipeline.flow import Ending
from streamfx.pipeline.pipeline import Pipeline
from tests.asserts import assert_balanced
from tests.fakes import FakeSink, FakeSource, plus_one, small_frame
from tests.servers import wait_until


def test_every_output_gets_every_frame() -> None:
    one, two = FakeSink(name="one"), FakeSink(name="two")
    pipeline = Pipeline(FakeSource(50), plus_one, SeveralSinks([one, two], capacity=60))
    pipeline.run()
    assert_balanced(pipeline)
    assert one.written == two.written == list(range(50))
    assert one.finishes == two.finishes == 1


def test_an_output_that_hangs_loses_its_own_frames_only() -> None:
    good, stuck = FakeSink(name="good"), FakeSink(name="stuck", hang_at=3)
    sinks = SeveralSinks([good, stuck], capacity=2)
    for index in range(40):
        sinks.write(small_frame(index))
        wait_until(lambda index=index: good.frames_written == index + 1)  # type: ignore[misc]
    stuck.released.set()
    sinks.finish()
    assert good.written == list(range(40))
    branch = sinks.branches[1]
    assert branch.frames_given == 40 == branch.frames_written + branch.dropped["queue full, oldest dropped"]
    assert branch.failure is None
    assert stuck.written[-2:] == [38, 39]


def test_what_each_output_takes_for_a_frame_is_measured_and_stand_ins_are_not() -> None:
    measured: list[str] = []
    outputs: list[Sink] = [FakeSink(name="one"), FakeSink(name="two")]
    sinks = SeveralSinks(outputs, 60, lambda stage, seconds: measured.append(stage))
    for index in range(10):
        sinks.write(replace(small_frame(index), repeated=index >= 7))
    sinks.finish()
    assert sorted(measured) == ["output one"] * 7 + ["output two"] * 7


def test_an_output_that_fails_is_left_out_and_says_why() -> None:
    good, bad = FakeSink(name="good"), FakeSink(name="bad", fail_at=2)
    pipeline = Pipeline(FakeSource(30), plus_one, sinks := SeveralSinks([good, bad], capacity=40))
    pipeline.run()
    assert_balanced(pipeline)
    branch = sinks.branches[1]
    assert branch.failure == "fake-out: no space left on device"
    assert (
        branch.frames_given == 30 == branch.frames_written + sum(branch.dropped.values()) + 1
    )  # the one it failed on
    assert branch.dropped["output ended"] > 0
    assert bad.aborts == 1
    assert good.written == list(range(30))


def test_an_output_that_is_closed_by_who_looks_at_it_is_no_failure() -> None:
    good, shown = FakeSink(name="good"), FakeSink(name="shown", fail_at=2, error=SinkClosedError("closed"))
    pipeline = Pipeline(FakeSource(30), plus_one, sinks := SeveralSinks([good, shown], capacity=40))
    pipeline.run()
    assert_balanced(pipeline)
    branch = sinks.branches[1]
    assert branch.closed
    assert branch.account.failure is None
    assert branch.dropped["output ended"] > 0
    assert good.written == list(range(30))


@pytest.mark.parametrize("count", [1, 2])
def test_when_every_output_is_closed_the_run_stops_as_if_it_was_asked_to(count: int) -> None:
    shown = [FakeSink(name=f"{n}", fail_at=3 + n, error=SinkClosedError("closed")) for n in range(count)]
    sink: Sink = shown[0] if count == 1 else SeveralSinks(list(shown), capacity=2)
    pipeline = Pipeline(FakeSource(None), plus_one, sink)
    result = pipeline.run()
    assert_balanced(pipeline)
    assert result.ending is Ending.STOPPED
    assert result.account.dropped["output closed"] >= 1
    assert result.failure is None


def test_when_every_output_has_failed_the_run_ends() -> None:
    sinks = SeveralSinks([FakeSink(fail_at=0), FakeSink(fail_at=1)], capacity=1)

    def write_on() -> None:
        for index in range(100):
            sinks.write(small_frame(index))

    with pytest.raises(SinkError, match="every output has failed: fake-out: no space left on device"):
        write_on()


def test_the_quickest_output_sets_the_pace() -> None:
    slow = FakeSink(hang_at=0)
    sinks = SeveralSinks([slow], capacity=2)
    for index in range(3):
        sinks.write(small_frame(index))
    slow.released.set()
    for index in range(3, 30):
        sinks.write(small_frame(index))
    sinks.finish()
    assert slow.written == list(range(30)), "no frame is dropped while every output is waited for"
