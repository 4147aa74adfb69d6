from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streamfx.capture.timestamps import FrameClock, PacketClock
from streamfx.media.frame import Colour, Subsampling, VideoFormat

BASE = Fraction(1, 90000)
FORMAT = VideoFormat((72, 128), Subsampling.YUV420, 8, Colour(), BASE, Fraction(25))


def packet(dts: int | None, pts: int | None = None, stream: int = 0, kind: str = "video") -> Any:
    return SimpleNamespace(
        dts=dts,
        pts=dts if pts is None else pts,
        duration=3600,
        time_base=BASE,
        stream_index=stream,
        stream=SimpleNamespace(type=kind),
    )


def picture(pts: int | None, duration: int = 3600) -> Any:
    return SimpleNamespace(pts=pts, duration=duration)


def corrected(
    times: list[int], clock: PacketClock | None = None, **kind: Any
) -> list[tuple[int, int | None]]:
    clock = clock or PacketClock(discontinuous=True)
    packets = [packet(time, **kind) for time in times]
    for each in packets:
        clock.correct(each)
    return [(each.dts, each.pts) for each in packets]


def test_a_clock_set_back_to_zero_goes_on_from_where_it_was() -> None:
    start = 95_000_000  # some seventeen minutes
    found = corrected([start, start + 3600, 0, 3600, 7200])
    assert [dts for dts, _ in found] == [start + 3600 * n for n in range(5)]


def test_a_single_damaged_time_stamp_does_not_move_the_clock() -> None:
    found = corrected([0, 3600, 1 << 32, 10800, 14400])
    assert [dts for dts, _ in found] == [0, 3600, 7200, 10800, 14400]
    assert found[2][1] is None  # the decoder gives the picture its place


def test_damaged_sound_gets_the_time_it_should_have_had() -> None:
    assert corrected([0, 3600, 1 << 32, 10800], kind="audio")[2] == (7200, 7200)


def test_sound_follows_the_jump_that_the_picture_showed() -> None:
    clock = PacketClock(discontinuous=True)
    corrected([900_000, 903_600, 10_000_000, 10_003_600], clock)
    assert corrected([10_003_600], clock, stream=1, kind="audio")[0][0] == 910_800


def test_other_containers_are_left_alone() -> None:
    clock = PacketClock(discontinuous=False)
    assert corrected([0, 95_000_000], clock) == [(0, 0), (95_000_000, 95_000_000)]


def test_pictures_without_a_time_follow_the_one_before() -> None:
    clock = FrameClock(FORMAT)
    found = [clock.time_of(picture(pts), None, 0)[0] for pts in (100, None, None, 10_900)]
    assert found == [100, 3700, 7300, 10_900]
    assert list(clock.notes()) == ["2 pictures have no time in the source; they follow the one before"]


def test_the_shift_is_taken_off_exactly() -> None:
    clock = FrameClock(FORMAT)
    assert [clock.time_of(picture(133_200 + n * 3600), None, 133_200)[0] for n in range(3)] == [0, 3600, 7200]


def test_one_picture_from_the_future_does_not_move_those_after_it() -> None:
    clock, times = FrameClock(FORMAT), [0, 3600, 800_000_000, 10_800, 14_400]
    found = [clock.time_of(picture(t), n, 0)[0] for t, n in zip(times, [*times[1:], None], strict=True)]
    assert found == [0, 3600, 7200, 10_800, 14_400]


def test_pictures_that_overlap_fall_into_step_again() -> None:
    times = [0, 3600, 7200, 3600, 7200, 10_800, 14_400, 18_000, 21_600]
    clock = FrameClock(FORMAT)
    found = [clock.time_of(picture(t), n, 0)[0] for t, n in zip(times, [*times[1:], None], strict=True)]
    assert found[-3:] == [14_400, 18_000, 21_600]
    assert found == sorted(set(found))


@given(st.lists(st.one_of(st.none(), st.integers(-(10**9), 10**9)), min_size=1, max_size=40))
def test_times_always_go_forward_whatever_the_source_says(times: list[int | None]) -> None:
    clock = FrameClock(FORMAT)
    following: list[int | None] = [*times[1:], None]
    found = [clock.time_of(picture(t), n, 0)[0] for t, n in zip(times, following, strict=True)]
    assert all(a < b for a, b in pairwise(found))


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=40))
def test_times_that_go_forward_are_never_touched(steps: list[int]) -> None:
    times = [sum(steps[:n]) for n in range(len(steps) + 1)]
    clock = FrameClock(FORMAT)
    following: list[int | None] = [*times[1:], None]
    assert [clock.time_of(picture(t), n, 0)[0] for t, n in zip(times, following, strict=True)] == times
    assert not list(clock.notes())
