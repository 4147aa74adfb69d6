"""The shutdown matrix: {end, failure, stop, abort} × {capture, generate, encode} × policy.

Whatever happens wherever: no thread is left, the ledger balances, and the output is finished or removed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfx.errors import SinkError, SourceLostError, StageFailedError
from streamfx.media.frame import Frame
from streamfx.media.frame_queue import Policy
from streamfx.pipeline.flow import Ending, Flow
from streamfx.pipeline.pipeline import Pipeline
from streamfx.pipeline.stages import Generate
from tests.asserts import assert_balanced, assert_no_stage_thread_is_left
from tests.fakes import FakeSink, FakeSource, failing_at, plus_one

AT = 7
POLICIES = list(Policy)
STAGES = ["capture", "generate", "encode"]
WORKERS = [1, 3]


@pytest.mark.parametrize(("policy", "workers"), list(product(POLICIES, WORKERS)))
def test_at_the_end_the_output_is_finished(policy: Policy, workers: int) -> None:
    source, sink = FakeSource(count=20), FakeSink()
    pipeline = Pipeline(source, [plus_one] * workers, sink, Flow(policy=policy))
    assert pipeline.run().ending is Ending.COMPLETE
    result = assert_balanced(pipeline)
    assert result.account.frames_in == 20
    assert (sink.finishes, sink.aborts, source.closes) == (1, 0, 1)
    assert_no_stage_thread_is_left()


@pytest.mark.parametrize(("stage", "policy", "workers"), list(product(STAGES, POLICIES, WORKERS)))
def test_a_failure_anywhere_ends_everything_and_keeps_the_good_frames(
    stage: str, policy: Policy, workers: int
) -> None:
    source = FakeSource(count=None, lost_at=AT if stage == "capture" else None)
    sink = FakeSink(fail_at=AT if stage == "encode" else None)
    generate = failing_at(AT) if stage == "generate" else plus_one
    # Without waiting, the frame that breaks generate might be dropped before it; then a later one must do.
    if stage == "generate" and policy is not Policy.WAIT:
        generate = _failing_from(AT)
    pipeline = Pipeline(source, [generate] * workers, sink, Flow(policy=policy))
    with pytest.raises(StageFailedError, match=f"^{stage} failed at frame [0-9]+: ") as caught:
        pipeline.run()
    causes = {"capture": SourceLostError, "generate": ValueError, "encode": SinkError}
    assert type(caught.value.__cause__) is causes[stage]
    assert caught.value.stage == stage
    result = assert_balanced(pipeline)
    assert result.ending is Ending.FAILED
    assert result.account.frames_failed == (0 if stage == "capture" else 1)
    # A sink that failed has kept what is usable itself; there is nothing left to finish.
    assert (sink.finishes, sink.aborts, source.closes) == ((0, 1, 1) if stage == "encode" else (1, 0, 1))
    if policy is Policy.WAIT:
        assert caught.value.frame_index == AT
        assert sink.written == list(range(AT))
    assert_no_stage_thread_is_left()


@pytest.mark.parametrize(("stage", "policy", "workers"), list(product(STAGES, POLICIES, WORKERS)))
def test_a_stop_asked_for_in_any_stage_finishes_the_output(stage: str, policy: Policy, workers: int) -> None:
    run = _EndlessRun(stage, policy, workers, lambda pipeline: pipeline.stop())
    run.pipeline.run()
    result = assert_balanced(run.pipeline)
    assert result.ending is Ending.STOPPED
    assert result.account.encoded > 0
    assert "aborted" not in result.account.dropped
    assert (run.sink.finishes, run.sink.aborts, run.source.closes) == (1, 0, 1)
    assert_no_stage_thread_is_left()


@pytest.mark.parametrize(("stage", "policy", "workers"), list(product(STAGES, POLICIES, WORKERS)))
def test_an_abort_in_any_stage_removes_the_output(stage: str, policy: Policy, workers: int) -> None:
    run = _EndlessRun(stage, policy, workers, lambda pipeline: pipeline.abort())
    run.pipeline.run()
    result = assert_balanced(run.pipeline)
    assert result.ending is Ending.ABORTED
    assert (run.sink.finishes, run.sink.aborts, run.source.closes) == (0, 1, 1)
    assert_no_stage_thread_is_left()


@given(
    policy=st.sampled_from(POLICIES),
    workers=st.integers(1, 3),
    capacities=st.tuples(st.integers(1, 3), st.integers(1, 4)),
    lost_at=st.none() | st.integers(0, 12),
    generate_fails_at=st.none() | st.integers(0, 12),
    write_fails_at=st.none() | st.integers(0, 12),
    finish_fails=st.booleans(),
    stop_at=st.none() | st.integers(0, 12),
    stops=st.integers(1, 2),
)
@settings(max_examples=100)
def test_whatever_happens_together_every_frame_is_accounted_for(
    policy: Policy,
    workers: int,
    capacities: tuple[int, int],
    lost_at: int | None,
    generate_fails_at: int | None,
    write_fails_at: int | None,
    finish_fails: bool,
    stop_at: int | None,
    stops: int,
) -> None:
    def stop_here(index: int) -> None:
        if index == stop_at:
            for _ in range(stops):
                pipeline.stop()

    source = FakeSource(count=15, lost_at=lost_at, before_read=stop_here)
    sink = FakeSink(fail_at=write_fails_at, finish_fails=finish_fails)
    generate = plus_one if generate_fails_at is None else failing_at(generate_fails_at)
    flow = Flow(policy=policy, capture_capacity=capacities[0], encode_capacity=capacities[1])
    pipeline = Pipeline(source, [generate] * workers, sink, flow)
    with contextlib.suppress(StageFailedError):
        pipeline.run()
    assert_no_stage_thread_is_left()
    result = assert_balanced(pipeline)
    assert sink.written == sorted(set(sink.written))
    assert (result.packets_written is not None) == (sink.aborts == 0)
    assert (sink.finishes > 0 and not finish_fails) == (sink.aborts == 0)
    assert source.closes == 1
    if result.ending is Ending.COMPLETE:
        assert result.account.frames_in == 15
    if result.ending in (Ending.COMPLETE, Ending.STOPPED):
        assert (result.failure, sink.aborts) == (None, 0)
    if result.ending is Ending.ABORTED:
        assert (stop_at is not None, stops, sink.aborts) == (True, 2, 1)


def _failing_from(index: int) -> Generate:
    def generate(frame: Frame) -> Frame:
        if frame.index >= index:
            raise ValueError(f"cannot generate {frame.index}")
        return frame

    return generate


class _EndlessRun:
    """A run without end, in which ``act`` is called by one stage when it gets to its eighth frame."""

    def __init__(self, stage: str, policy: Policy, workers: int, act: Callable[[Pipeline], None]) -> None:
        self.source, self.sink = FakeSource(count=None), FakeSink()
        seen = {"generate": 0}

        def capture(index: int) -> None:
            if stage == "capture" and index == AT + 20:
                act(self.pipeline)

        def generate(frame: Frame) -> Frame:
            seen["generate"] += 1
            if stage == "generate" and seen["generate"] == AT:
                act(self.pipeline)
            return plus_one(frame)

        write = self.sink.write

        def watched_write(frame: Frame) -> None:
            write(frame)
            if stage == "encode" and self.sink.frames_written == AT:
                act(self.pipeline)

        self.source.before_read = capture
        self.sink.write = watched_write  # type: ignore[method-assign]
        self.pipeline = Pipeline(self.source, [generate] * workers, self.sink, Flow(policy=policy))
