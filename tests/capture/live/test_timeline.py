"""Times of a live output: from zero and forward, whatever the source's clock does."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamfx.capture.live.timeline import TIME_BASE, Timeline

FPS = Fraction(25)
STEP = 3600


def test_times_start_at_zero_and_keep_the_distances_of_the_source() -> None:
    timeline = Timeline(FPS)
    seconds = [
        Fraction(1000) + step for step in (Fraction(0), Fraction(1, 25), Fraction(1, 10), Fraction(3, 10))
    ]
    times = [timeline.place(at, 5.0 + float(at - 1000), keep_pace=True) for at in seconds]
    assert times == [0, 3600, 9000, 27000]
    assert timeline.shift_seconds == -1000


def test_a_picture_without_a_time_follows_the_one_before() -> None:
    timeline = Timeline(FPS)
    assert [timeline.place(None, now, keep_pace=True) for now in (1.0, 1.04)] == [0, STEP]


def test_after_a_reconnect_the_output_has_gone_on_with_the_wall_clock() -> None:
    timeline = Timeline(FPS)
    timeline.place(Fraction(50), 10.0, keep_pace=True)
    timeline.leave()
    assert timeline.place(Fraction(3), 14.0, keep_pace=True) == 4 * 90_000
    assert timeline.shift_seconds == 1


def test_with_pause_the_output_goes_on_where_it_stopped() -> None:
    timeline = Timeline(FPS)
    timeline.place(Fraction(50), 10.0, keep_pace=False)
    timeline.leave()
    assert timeline.place(Fraction(3), 14.0, keep_pace=False) == STEP


def test_stand_ins_take_the_places_of_pictures_that_did_not_come() -> None:
    timeline = Timeline(FPS)
    timeline.place(Fraction(0), 10.0, keep_pace=True)
    assert timeline.next_due_seconds(10.5) < 0
    assert [timeline.stand_in(now) for now in (10.5, 10.5, 10.6)] == [45000, 48600, 54000]


def test_pictures_that_were_held_up_follow_in_small_steps_and_move_no_clock() -> None:
    timeline = Timeline(FPS)
    timeline.place(Fraction(0), 10.0, keep_pace=True)
    last = timeline.stand_in(12.0)
    times = [timeline.place(Fraction(number, 25), 12.0, keep_pace=True) for number in range(1, 60)]
    assert all(late < early for late, early in zip([last, *times], times, strict=False))
    assert times[0] == last + STEP // 4
    assert timeline.shift_seconds == 0


def test_a_clock_that_stood_still_is_moved_on() -> None:
    timeline = Timeline(FPS)
    timeline.place(Fraction(0), 10.0, keep_pace=True)
    last = timeline.stand_in(20.0)
    for number in range(1, 40):  # the source goes on where it stood, at its own pace
        last = timeline.place(Fraction(number, 25), 20 + number / 25, keep_pace=True)
    assert timeline.shift_seconds is not None
    assert timeline.shift_seconds > 9
    assert abs(last * float(TIME_BASE) - (20 + 39 / 25 - 10)) < 1


def test_pictures_whose_times_nearly_meet_are_still_told_apart_by_a_clock_of_milliseconds() -> None:
    timeline = Timeline(FPS)
    seconds = [Fraction(0), Fraction(40, 1000), Fraction(40, 1000) + Fraction(1, 90_000), Fraction(80, 1000)]
    times = [timeline.place(at, 10 + float(at), keep_pace=True) for at in seconds]
    assert times == [0, STEP, STEP + STEP // 4, 2 * STEP]


def test_an_output_that_is_ahead_of_the_wall_clock_comes_back_to_it() -> None:
    timeline = Timeline(FPS)
    burst = [timeline.place(Fraction(number, 25), 10.0, keep_pace=True) for number in range(100)]
    assert burst[-1] > 2 * 90_000
    for number in range(100, 800):
        last = timeline.place(Fraction(number, 25), 10 + (number - 100) / 25, keep_pace=True)
    assert 0 < last / 90_000 - 699 / 25 < 0.6


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["picture", "stand-in", "lost"]),
            st.fractions(-20, 20, max_denominator=1000),
            st.floats(0, 5),
        ),
        max_size=60,
    ),
    st.booleans(),
)
def test_whatever_happens_every_time_is_a_millisecond_later_than_the_one_before_or_more(
    events: list[tuple[str, Fraction, float]], keep_pace: bool
) -> None:
    timeline, now = Timeline(FPS), 100.0
    times = [timeline.place(Fraction(7), now, keep_pace=keep_pace)]
    clock = Fraction(7)
    for kind, step, wait in events:
        now += wait
        clock += step
        if kind == "lost":
            timeline.leave()
        elif kind == "stand-in":
            times.append(timeline.stand_in(now))
        else:
            times.append(timeline.place(clock, now, keep_pace=keep_pace))
    assert all(late - early >= 90 for early, late in pairwise(times))  # what RTMP and Matroska count in
