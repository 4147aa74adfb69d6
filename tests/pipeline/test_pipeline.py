"""The pipeline as a whole: order, backpressure, broken frames, hanging sources, Ctrl-C."""

from __future__ import annotations

import gc
import os
import random
import signal
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfx.encode.sink import Sink
from streamfx.errors import DecodeError, SinkError, SourceLostError, StageFailedError
from streamfx.media.frame import Frame
from streamfx.media.stage import Stage
from streamfx.pipeline.fan_out import SeveralSinks
from streamfx.pipeline.flow import Ending, Flow
from streamfx.pipeline.ledger import FailedFrame
from streamfx.pipeline.pipeline import Pipeline
from streamfx.pipeline.stages import Generate
from streamfx.pipeline.stats import Snapshot, Stats
from tests.asserts import assert_balanced, assert_no_stage_thread_is_left
from tests.fakes import FakeSink, FakeSource, failing_at, plus_one, small_format, small_frame


@given(
    count=st.integers(0, 30),
    workers=st.integers(1, 4),
    capture=st.integers(1, 3),
    encode=st.integers(1, 5),
    broken=st.sets(st.integers(0, 30)),
)
@settings(max_examples=40, deadline=None)
def test_every_good_frame_comes_out_once_and_in_order(
    count: int, workers: int, capture: int, encode: int, broken: set[int]
) -> None:
    source, sink = FakeSource(count, broken=lambda index: index in broken and index < count), FakeSink()
    flow = Flow(capture_capacity=capture, encode_capacity=encode)
    pipeline = Pipeline(source, [plus_one] * workers, sink, flow)
    pipeline.run()
    result = assert_balanced(pipeline)
    good = [index for index in range(count) if index not in broken]
    assert sink.written == good
    assert sink.lumas == [index + 1 for index in good]
    assert result.account.frames_in == count
    assert result.account.failed.get("decode", 0) == count - len(good)


def test_workers_that_take_unequal_times_do_not_change_the_order() -> None:
    uneven = random.Random(5)

    def generate(frame: Frame) -> Frame:
        time.sleep(uneven.choice((0, 0, 0.004)))
        return plus_one(frame)

    sink = FakeSink()
    Pipeline(FakeSource(60), [generate] * 4, sink).run()
    assert sink.written == list(range(60))


@given(again=st.sets(st.integers(1, 20)), gone=st.sets(st.integers(1, 20)), workers=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_what_was_made_of_a_picture_is_shown_again_where_the_frame_before_it_was_taken_up(
    again: set[int], gone: set[int], workers: int
) -> None:
    numbers, made = [index for index in range(20) if index not in gone], set[int]()
    counter = {number: count for count, number in enumerate(numbers)}

    def generate(frame: Frame) -> Frame:
        made.add(frame.index)
        return plus_one(frame)

    def picture(read: int) -> Frame:
        frame = small_frame(numbers[read])
        return replace(frame, again=frame.index in again)

    sink, flow = FakeSink(), Flow(alike=True)
    pipeline = Pipeline(FakeSource(len(numbers), picture=picture), [generate] * workers, sink, flow)
    pipeline.run()
    assert_balanced(pipeline)
    shown = {number for number in numbers if number in again and number - 1 in counter}
    assert made == set(numbers) - shown
    expected = list[int]()
    for number in numbers:
        expected.append(expected[-1] if number in shown else number + 1)
    assert (sink.written, sink.lumas) == (numbers, expected)


def test_no_more_frames_are_in_flight_than_the_queues_and_workers_hold() -> None:
    source, sink = FakeSource(100), FakeSink()
    most = 0

    def generate(frame: Frame) -> Frame:
        nonlocal most
        most = max(most, source.reads - sink.frames_written)
        return frame

    flow = Flow(capture_capacity=2, encode_capacity=3)
    Pipeline(source, [generate] * 2, sink, flow).run()
    # Both queues full, one frame in the hands of each: capture, the worker at the intake, encode.
    assert most <= 2 + 3 + 1 + 1 + 1


def test_a_slow_consumer_makes_a_live_source_drop_and_every_drop_is_counted() -> None:
    source = FakeSource(200, live=True)
    sink = FakeSink()

    def slow(frame: Frame) -> Frame:
        time.sleep(0.002)
        return frame

    pipeline = Pipeline(source, slow, sink, Flow(capture_capacity=1))
    pipeline.run()
    result = assert_balanced(pipeline)
    dropped = result.account.dropped["queue full, oldest dropped"]
    assert dropped == 200 - len(sink.written) > 0
    assert result.queue_drops["captured"] == {"queue full, oldest dropped": dropped}
    assert sink.written == sorted(sink.written)
    assert sink.written[-1] == 199, "the newest frame is never the one that is dropped"


def test_a_file_is_never_dropped_from() -> None:
    pipeline = Pipeline(FakeSource(50), plus_one, FakeSink(), Flow(capture_capacity=1, encode_capacity=1))
    assert pipeline.run().account.dropped == {}


def test_a_frame_limit_ends_the_run_as_complete() -> None:
    source, sink = FakeSource(count=None), FakeSink()
    pipeline = Pipeline(source, plus_one, sink, Flow(frame_limit=5))
    assert pipeline.run().ending is Ending.COMPLETE
    assert sink.written == [0, 1, 2, 3, 4]
    assert source.reads == 5


# ---------------------------------------------------------------- broken frames


def test_broken_frames_are_counted_with_their_reasons_and_the_rest_goes_on() -> None:
    pipeline = Pipeline(FakeSource(6, broken=lambda index: index in (2, 3)), plus_one, FakeSink())
    account = pipeline.run().account
    assert (account.frames_in, account.encoded, account.failed) == (6, 4, {"decode": 2})
    assert account.failures == (
        FailedFrame(None, Stage.DECODE, "fake: read 2 is broken"),
        FailedFrame(None, Stage.DECODE, "fake: read 3 is broken"),
    )


def test_nothing_but_broken_frames_ends_the_run_at_the_limit() -> None:
    source = FakeSource(count=None, broken=lambda index: index >= 3)
    pipeline = Pipeline(source, plus_one, FakeSink(), Flow(decode_failures_in_a_row=7))
    with pytest.raises(StageFailedError) as caught:
        pipeline.run()
    assert str(caught.value) == (
        "capture failed at frame 9: 7 broken frames in a row, the last one: fake: read 9 is broken"
    )
    assert isinstance(caught.value.__cause__, DecodeError)
    assert source.reads == 10
    assert assert_balanced(pipeline).account.encoded == 3


def test_too_many_broken_frames_altogether_end_the_run() -> None:
    source = FakeSource(count=None, broken=lambda index: index % 2 == 1)
    pipeline = Pipeline(source, plus_one, FakeSink(), Flow(decode_failures=4))
    with pytest.raises(StageFailedError, match="4 broken frames altogether, the last one: fake: read 7 is"):
        pipeline.run()
    assert assert_balanced(pipeline).account.failed == {"decode": 4}


def test_a_live_source_that_gives_only_errors_is_not_hammered() -> None:
    source = FakeSource(count=None, live=True, broken=lambda index: True)
    started = time.monotonic()
    with pytest.raises(StageFailedError):
        Pipeline(source, plus_one, FakeSink(), Flow(decode_failures_in_a_row=6)).run()
    assert time.monotonic() - started >= 0.02 + 0.03 + 0.04 + 0.05


# ---------------------------------------------------------------- failures


def test_the_first_failure_is_raised_from_the_original_exception() -> None:
    original = ValueError("heads of engine wave are not finite")
    pipeline = Pipeline(FakeSource(), failing_at(4, original), FakeSink())
    with pytest.raises(StageFailedError) as caught:
        pipeline.run()
    assert str(caught.value) == "generate failed at frame 4: heads of engine wave are not finite"
    assert caught.value.__cause__ is original
    assert (caught.value.stage, caught.value.frame_index) == ("generate", 4)
    result = assert_balanced(pipeline)
    assert result.failure == str(caught.value)
    assert result.account.failures == (FailedFrame(4, Stage.GENERATE, "heads of engine wave are not finite"),)


def test_a_frame_that_waits_for_the_memory_of_one_that_fails_waits_no_longer() -> None:
    after_it, owner = threading.Event(), object()
    recalled: dict[int, tuple[object, ...]] = {}

    def generate(frame: Frame) -> Frame:
        assert frame.memory is not None
        if frame.index == 3:
            assert after_it.wait(10)
            raise ValueError("the heads are not finite")
        if frame.index == 4:
            after_it.set()
        recalled[frame.index] = frame.memory.recall(owner)
        frame.memory.keep(owner, frame.index)
        return plus_one(frame)

    sink = FakeSink()
    with pytest.raises(StageFailedError, match="generate failed at frame 3"):
        Pipeline(FakeSource(), [generate] * 2, sink).run()
    assert_no_stage_thread_is_left()
    assert sink.written == [0, 1, 2]
    assert recalled == {0: (), 1: (0,), 2: (1, 0), 4: ()}


def test_an_exception_without_words_is_named() -> None:
    with pytest.raises(StageFailedError, match=r"^generate failed at frame 0: ZeroDivisionError$"):
        Pipeline(FakeSource(), failing_at(0, ZeroDivisionError()), FakeSink()).run()


def test_an_output_that_cannot_be_finished_is_given_up() -> None:
    sink = FakeSink(finish_fails=True)
    pipeline = Pipeline(FakeSource(), plus_one, sink)
    with pytest.raises(
        StageFailedError, match=r"^encode failed: fake-out: cannot write the index$"
    ) as caught:
        pipeline.run()
    assert isinstance(caught.value.__cause__, SinkError)
    assert sink.aborts == 1
    assert assert_balanced(pipeline).packets_written is None


def test_packets_that_never_arrived_are_found() -> None:
    result = Pipeline(FakeSource(), plus_one, FakeSink(loses=2)).run()
    assert result.account.differences(result.packets_written) == [
        "10 frames were encoded, but 8 packets were written"
    ]


def test_a_fault_in_the_progress_display_leaves_no_thread() -> None:
    def progress(snapshot: Snapshot) -> None:
        raise RuntimeError("no terminal")

    sink = FakeSink()
    pipeline = Pipeline(FakeSource(count=None), plus_one, sink)
    with pytest.raises(RuntimeError, match="no terminal"):
        pipeline.run(progress)
    assert assert_balanced(pipeline).ending is Ending.ABORTED
    assert sink.aborts == 1
    assert_no_stage_thread_is_left()


# ---------------------------------------------------------------- sources that hang


def test_a_source_that_delivers_nothing_ends_the_run_after_the_limit() -> None:
    source, sink = FakeSource(count=None, hang_at=3), FakeSink()
    pipeline = Pipeline(source, plus_one, sink, Flow(read_limit_seconds=0.1))
    with pytest.raises(
        StageFailedError, match=r"capture failed at frame 3: fake: no frame came within 0\.1 s"
    ) as e:
        pipeline.run()
    assert isinstance(e.value.__cause__, SourceLostError)
    assert assert_balanced(pipeline).account.encoded == 3
    assert (sink.finishes, source.closes) == (1, 1)
    assert_no_stage_thread_is_left()


def test_a_stop_does_not_wait_for_a_source_that_hangs() -> None:
    source, sink = FakeSource(count=None, hang_at=3), FakeSink()
    pipeline = Pipeline(source, plus_one, sink, Flow(stop_grace_seconds=0.05))
    _when(source.hanging, pipeline.stop)
    assert pipeline.run().ending is Ending.STOPPED
    assert assert_balanced(pipeline).account.encoded == 3
    assert_no_stage_thread_is_left()


def test_even_a_source_that_never_lets_go_does_not_hold_up_the_output(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source, sink = FakeSource(count=None, hang_at=3, deaf=True), FakeSink()
    flow = Flow(read_limit_seconds=0.05, abort_limit_seconds=0.1)
    pipeline = Pipeline(source, plus_one, sink, flow)
    with pytest.raises(StageFailedError, match="no frame came within"):
        pipeline.run()
    assert sink.finishes == 1
    assert "the thread streamfx-capture hangs in foreign code" in caplog.text
    source.release()
    assert_no_stage_thread_is_left()


def test_an_abort_does_not_wait_for_a_generator_that_hangs() -> None:
    release, entered = threading.Event(), threading.Event()

    def hang(frame: Frame) -> Frame:
        entered.set()
        release.wait(30)
        return frame

    sink = FakeSink()
    pipeline = Pipeline(FakeSource(count=None), hang, sink, Flow(abort_limit_seconds=0.1))
    _when(entered, pipeline.abort)
    assert pipeline.run().ending is Ending.ABORTED
    assert sink.aborts == 1
    release.set()
    assert_no_stage_thread_is_left()
    assert_balanced(pipeline)


# ---------------------------------------------------------------- Ctrl-C


def test_ctrl_c_finishes_the_output() -> None:
    source, sink = FakeSource(count=None), FakeSink()
    pipeline = Pipeline(source, _interrupting(sink, at=(20,)), sink)
    assert pipeline.run().ending is Ending.STOPPED
    assert assert_balanced(pipeline).account.encoded >= 20
    assert (sink.finishes, sink.aborts) == (1, 0)
    assert_no_stage_thread_is_left()


def test_an_interrupt_raised_by_the_progress_display_is_a_stop() -> None:
    def leave(snapshot: Snapshot) -> None:
        if snapshot.frames_out and not snapshot.stopping:
            raise KeyboardInterrupt

    sink = FakeSink()
    result = Pipeline(FakeSource(count=None), plus_one, sink, Flow(progress_seconds=0.0)).run(leave)
    assert result.ending is Ending.STOPPED
    assert sink.finishes == 1
    assert_no_stage_thread_is_left()


def test_a_ctrl_c_while_the_stages_start_is_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    _press_at_start(monkeypatch, times=1)
    sink = FakeSink()
    pipeline = Pipeline(FakeSource(count=None), plus_one, sink)
    assert pipeline.run().ending is Ending.STOPPED
    assert (sink.finishes, sink.aborts) == (1, 0)
    assert_balanced(pipeline)
    assert_no_stage_thread_is_left()


def test_two_ctrl_c_one_right_after_the_other_leave_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    _press_at_start(monkeypatch, times=2)
    source = FakeSource(count=None, hang_at=0)
    pipeline = Pipeline(source, plus_one, FakeSink())
    with pytest.raises(KeyboardInterrupt):
        pipeline.run()
    assert assert_balanced(pipeline).ending is Ending.ABORTED
    assert source.closes == 1
    assert_no_stage_thread_is_left()


def test_an_abort_does_not_wait_for_a_sink_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    sink = FakeSink(hang_at=2)
    pipeline = Pipeline(FakeSource(count=None), plus_one, sink, Flow(abort_limit_seconds=0.1))
    _when(sink.hanging, pipeline.abort)
    assert pipeline.run().ending is Ending.ABORTED
    assert "the thread streamfx-encode hangs in foreign code" in caplog.text
    sink.released.set()
    assert_no_stage_thread_is_left()


def test_ctrl_c_is_as_before_after_a_run() -> None:
    Pipeline(FakeSource(3), plus_one, FakeSink()).run()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_stops_at_once_and_is_passed_on() -> None:
    source, sink = FakeSource(count=None), FakeSink(hang_at=5)
    pipeline = Pipeline(source, plus_one, sink, Flow(abort_limit_seconds=30))

    def press_twice() -> None:
        sink.hanging.wait(30)
        os.kill(os.getpid(), signal.SIGINT)
        _wait_until(lambda: pipeline.snapshot().stopping)
        os.kill(os.getpid(), signal.SIGINT)
        _wait_until(
            lambda: source.closes == 1
        )  # by the abort: the run itself cannot end before the sink does
        sink.released.set()

    threading.Thread(target=press_twice).start()
    with pytest.raises(KeyboardInterrupt):
        pipeline.run()
    assert assert_balanced(pipeline).ending is Ending.ABORTED
    assert (sink.finishes, sink.aborts) == (0, 1)
    assert_no_stage_thread_is_left()


def test_a_stop_from_a_signal_handler_is_a_stop() -> None:
    sink = FakeSink()
    pipeline = Pipeline(FakeSource(count=None), _interrupting(sink, at=(20,), number=signal.SIGTERM), sink)
    before = signal.signal(signal.SIGTERM, lambda *_: pipeline.stop())
    try:
        assert pipeline.run().ending is Ending.STOPPED
    finally:
        signal.signal(signal.SIGTERM, before)
    assert sink.finishes == 1


def test_two_stops_are_an_abort() -> None:
    sink = FakeSink()
    pipeline = Pipeline(FakeSource(count=None, hang_at=4), plus_one, sink)
    pipeline.stop()
    pipeline.stop()
    assert pipeline.run().ending is Ending.ABORTED
    assert sink.aborts == 1


# ---------------------------------------------------------------- what is shown while running


def test_progress_shows_rate_time_left_and_stage_times() -> None:
    snapshots: list[Snapshot] = []
    source = FakeSource(400)
    source.format = small_format(frame_count=400)

    def slow(frame: Frame) -> Frame:
        time.sleep(0.0005)
        return frame

    Pipeline(source, slow, FakeSink(), Flow(progress_seconds=0.0)).run(snapshots.append)
    last = snapshots[-1]
    assert (last.frames_in, last.frames_out, last.frame_count, last.remaining_seconds) == (400, 400, 400, 0)
    assert [snapshot.frames_out for snapshot in snapshots] == sorted(s.frames_out for s in snapshots)
    assert set(last.stages) == {"decode", "generate", "encode"}
    assert last.stages["generate"].count == 400
    assert last.fps is not None
    middle = snapshots[len(snapshots) // 2]
    assert middle.remaining_seconds is not None
    assert set(middle.queue_fill) == {"captured", "generated"}


def test_a_full_queue_shows_which_side_is_slower() -> None:
    release, seen = threading.Event(), []

    def held_up(frame: Frame) -> Frame:
        release.wait(30)
        return frame

    def watch(snapshot: Snapshot) -> None:
        seen.append(snapshot.queue_fill)
        # Generate holds one frame, whose place encode waits for; capture has filled its queue.
        if seen[-3:] == [{"captured": 2, "generated": 0}] * 3:
            release.set()

    flow = Flow(capture_capacity=2, encode_capacity=4, progress_seconds=0.0)
    fill = Pipeline(FakeSource(10), held_up, FakeSink(), flow).run(watch).queue_fill
    captured, generated = fill["captured"], fill["generated"]
    assert captured is not None
    assert generated is not None
    assert 0 <= generated < captured <= 1


def test_rate_and_duration_tell_the_time_left_where_frames_are_not_counted() -> None:
    snapshots: list[Snapshot] = []
    source = FakeSource(20)
    source.format = replace(small_format(), rate_fps=Fraction(10), duration_seconds=4.0)  # 40 frames
    Pipeline(source, plus_one, FakeSink()).run(snapshots.append)
    last = snapshots[-1]
    assert last.frame_count is None
    assert last.remaining_seconds is not None
    assert last.remaining_seconds > 0


def test_without_a_frame_count_or_a_duration_the_time_left_is_unknown() -> None:
    snapshots: list[Snapshot] = []
    Pipeline(FakeSource(20), plus_one, FakeSink()).run(snapshots.append)
    assert snapshots[-1].frame_count is None
    assert snapshots[-1].remaining_seconds is None


def test_what_generate_measures_is_in_the_result() -> None:
    stats = Stats()

    def generate(frame: Frame) -> Frame:
        stats.add("translate", 0.002)
        return frame

    result = Pipeline(FakeSource(5), generate, FakeSink(), stats=stats).run()
    assert result.stages["translate"].count == 5


@pytest.mark.parametrize("outputs", [1, 2])
def test_what_a_run_used_is_free_as_soon_as_it_is_over(outputs: int) -> None:
    # Objects that hold one another in a circle would keep codecs, their threads and pictures for a while.
    sinks = [FakeSink() for _ in range(outputs)]
    refs = [weakref.ref(sink) for sink in sinks]
    gc.disable()
    try:
        several: list[Sink] = [*sinks]
        Pipeline(FakeSource(5), plus_one, sinks[0] if outputs == 1 else SeveralSinks(several, 3)).run()
        del sinks, several
        assert [ref() for ref in refs] == [None] * outputs
    finally:
        gc.enable()


@pytest.mark.slow
def test_memory_is_flat_over_ten_thousand_frames() -> None:
    import tracemalloc

    marks = []

    def generate(frame: Frame) -> Frame:
        if frame.index in (1000, 9999):
            marks.append(tracemalloc.get_traced_memory()[0])
        return plus_one(frame)

    sink = FakeSink()
    sink.written = sink.lumas = _Forgetful()
    tracemalloc.start()
    Pipeline(FakeSource(10_000), generate, sink).run()
    tracemalloc.stop()
    assert marks[1] - marks[0] < 100_000


def _wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(3000):
        if happened():
            return
        time.sleep(0.01)


def _when(event: threading.Event, act: Callable[[], None]) -> None:
    def wait_and_act() -> None:
        event.wait(30)
        act()

    threading.Thread(target=wait_and_act).start()


class _Forgetful(list[int]):
    def append(self, value: int) -> None:
        pass


def _press_at_start(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    started = Stats.start

    def press_and_start(stats: Stats) -> None:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        started(stats)

    monkeypatch.setattr(Stats, "start", press_and_start)


def _interrupting(sink: FakeSink, at: tuple[int, ...], number: int = signal.SIGINT) -> Generate:
    def generate(frame: Frame) -> Frame:
        if frame.index in at:
            os.kill(os.getpid(), number)
        return plus_one(frame)

    return generate
