"""Pictures that waited while a connection was opened are not shown; what comes as it is made is."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from streamfx.capture.live.backlog import Backlog
from streamfx.capture.live.network import NetworkConnection, has_backlog
from streamfx.capture.live.settings import LiveSettings
from streamfx.capture.pattern import read_stamp
from streamfx.media.av_planes import plane_array
from tests.servers import catching_up


def old(came: list[tuple[Fraction | None, float]]) -> list[bool]:
    """Return what is old of packets with these times, each waited for since the one before came."""
    backlog, waited = Backlog(), [0.0, *(late - early for (_, early), (_, late) in pairwise(came))]
    return [backlog.holds(seconds, now, wait) for (seconds, now), wait in zip(came, waited, strict=True)]


def test_what_comes_faster_than_it_was_made_is_old_until_one_takes_its_time() -> None:
    burst = [(Fraction(number, 25), 7 + number / 1000) for number in range(40)]
    live = [(Fraction(number, 25), 7.04 + (number - 39) / 25) for number in range(40, 45)]
    assert old([*burst, *live]) == [True] * 40 + [False] * 5


def test_a_late_picture_later_on_does_not_make_those_after_it_old() -> None:
    steady: list[tuple[Fraction | None, float]] = [(Fraction(number, 25), number / 25) for number in range(5)]
    held_up = [(Fraction(number, 25), 1.0) for number in range(5, 25)]
    assert old([*steady, *held_up])[1:] == [False] * 24


def test_on_a_machine_that_never_has_time_to_wait_it_ends_where_packets_come_no_faster_than_made() -> None:
    backlog = Backlog()
    came = [*((number, number / 8) for number in range(5)), (5, 2.0), (6, 2.1)]
    assert [backlog.holds(Fraction(number), now, 0.0) for number, now in came] == [True] * 5 + [False] * 2


def test_packets_without_times_do_not_end_it_and_a_source_without_times_is_shown() -> None:
    times = [(None, 1.0), (Fraction(0), 1.0), (Fraction(1), 1.1), (Fraction(1), 1.2), (Fraction(2), 2.0)]
    assert old(times) == [True, True, True, True, False]
    assert old([(None, float(number)) for number in range(40)])[30:] == [False] * 10


def test_a_source_that_never_slows_down_is_shown_after_ten_seconds_of_it() -> None:
    shown = old([(Fraction(number, 10), number / 1000) for number in range(200)])
    assert shown.index(False) == 101


def test_a_connection_gives_out_what_comes_after_its_backlog() -> None:
    with catching_up(waiting=12, fps=2) as address:
        connection = NetworkConnection(address, LiveSettings(open_seconds=20, read_seconds=20), threads=1)
        stamps: list[int | None] = []
        while not stamps:
            packet = connection.packet()
            assert packet is not None
            pictures = connection.pictures(packet)
            stamps += [read_stamp(plane_array(picture.planes[0], 8)) for picture in pictures]
        connection.close()
    assert stamps[0] is not None
    assert stamps[0] >= 11  # a transport stream ends a picture where the next begins


def test_recordings_and_what_comes_over_http_have_no_backlog() -> None:
    """They come in bursts by their nature, and are handed out at their pace."""
    assert not has_backlog("http://host/live.m3u8", finite=False)
    assert not has_backlog("rtmp://host/recording", finite=True)
    assert has_backlog("rtmp://host/live/key", finite=False)
