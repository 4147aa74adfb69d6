"""Sources that misbehave on purpose: frames stay in order, and every absence is in the account."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from streamfx.capture.live.receiver import Receiver
from streamfx.capture.live.settings import Gap, LiveSettings
from streamfx.capture.live.source import LiveSource
from streamfx.capture.opening import open_source
from streamfx.errors import ConfigError, DecodeError, SourceLostError, SourceOpenError
from streamfx.media.backoff import Backoff
from streamfx.media.frame import Frame
from tests.media import make_clip
from tests.servers import wait_until

PATTERN = "test:bars?size=96x64&fps=25"
QUICK = Backoff(first_seconds=0.02, longest_seconds=0.05)


def opened(
    text: str, gap: Gap = Gap.LAST, open_seconds: float = 10.0, read_seconds: float = 5.0
) -> LiveSource:
    settings = LiveSettings(open_seconds, read_seconds, gap, reconnect=QUICK)
    source = open_source(text, threads=1, live=settings)
    assert isinstance(source, LiveSource)
    return source


def read_until(source: LiveSource, enough: Callable[[list[Frame]], bool]) -> tuple[list[Frame], int]:
    """Read frames until there are enough; return them and how many were broken."""
    frames: list[Frame] = []
    broken = 0
    while not enough(frames):
        try:
            frame = source.read()
        except DecodeError:
            broken += 1
            continue
        assert frame is not None
        frames.append(frame)
    source.close()
    return frames, broken


def check_order(frames: list[Frame]) -> None:
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert all(early.pts < late.pts for early, late in pairwise(frames))


def test_a_freeze_is_bridged_with_the_last_picture() -> None:
    source = opened(f"fault:freeze?after=0.4&for=1.2:{PATTERN}")
    frames, _ = read_until(source, lambda f: len(f) > 1 and f[-2].repeated and not f[-1].repeated)
    check_order(frames)
    first = next(number for number, frame in enumerate(frames) if frame.repeated)
    assert frames[first].planes[0] is frames[first - 1].planes[0]
    (absence,) = source.outages
    assert absence.reason == "nothing came"
    assert absence.repeated == sum(frame.repeated for frame in frames)


def test_a_gap_can_be_black() -> None:
    source = opened(f"fault:freeze?after=0.2&for=1.2:{PATTERN}", Gap.BLACK)
    frames, _ = read_until(source, lambda f: bool(f) and f[-1].repeated)
    assert int(frames[-1].planes[0].max()) == 16
    assert {int(plane.max()) for plane in frames[-1].planes[1:]} == {128}


def test_a_gap_can_be_a_pause_in_which_the_output_stands_still() -> None:
    source = opened(f"fault:size?after=0.4&to=48x64:{PATTERN}", Gap.PAUSE)
    frames, _ = read_until(source, lambda f: len(f) > 25)
    check_order(frames)
    assert not any(frame.repeated for frame in frames)
    assert max(late.pts - early.pts for early, late in pairwise(frames)) == 3600


def test_pictures_of_another_size_are_fitted_into_the_first_with_black_beside_them() -> None:
    source = opened(f"fault:size?after=0.4&to=32x64:{PATTERN}", Gap.PAUSE)
    frames, _ = read_until(source, lambda f: len(f) > 20)
    assert {frame.size for frame in frames} == {(64, 96)}
    luma = frames[-1].planes[0]
    assert int(luma[:, :32].max()) == int(luma[:, 64:].max()) == 16
    assert int(luma[:, 32:64].max()) > 100
    assert source.outages[0].reason == "the server begins anew, with pictures of another size"
    assert any("pictures came as 32x64 too" in note for note in source.notes)


def test_a_reconnect_storm_is_weathered_and_every_absence_counted() -> None:
    source = opened(f"fault:storm?every=0.3&times=3&refused=2:{PATTERN}", Gap.PAUSE)
    frames, _ = read_until(source, lambda f: len(source.outages) == 3 and len(f) > 40)
    check_order(frames)
    assert [each.reason for each in source.outages] == [
        f"the server ended the connection ({number} of 3)" for number in (1, 2, 3)
    ]


def test_a_source_that_does_not_come_back_is_lost_in_the_end() -> None:
    settings = LiveSettings(gap=Gap.PAUSE, reconnect=Backoff(attempts=3, first_seconds=0.01))
    source = open_source(f"fault:storm?every=0.2&times=1&refused=99:{PATTERN}", threads=1, live=settings)
    assert isinstance(source, LiveSource)
    with pytest.raises(
        SourceLostError, match=r"lost, and not back after 3 attempts; the last: cannot be opened"
    ):
        read_until(source, lambda _: False)
    source.close()


@pytest.mark.parametrize("scenario", ["jump?after=0.4&by=50", "jump?after=0.4&by=-50", "wrap?after=0.4"])
def test_a_clock_that_jumps_leaves_the_output_as_it_would_be_without(scenario: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=60, rate=50, codec="mpeg4")
    source = opened(f"fault:{scenario}:{clip}", Gap.PAUSE)
    assert source.other_tracks is not None
    source.other_tracks.claim()
    frames, _ = read_until(source, lambda f: len(f) == 30)
    check_order(frames)
    assert max(late.pts - early.pts for early, late in pairwise(frames)) < 3 * 3600
    sound = [
        float(packet.pts * packet.time_base)
        for _, packet in source.other_tracks.take()
        if packet.pts is not None
    ]
    assert sound == sorted(sound)
    assert abs(sound[-1] - float(frames[-1].time_seconds)) < 0.5


def test_lost_and_damaged_packets_end_nothing(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", frames=30, rate=50, audio=False)
    for scenario in ("loss?share=0.2", "corrupt?share=0.3"):
        frames, _ = read_until(opened(f"fault:{scenario}:{clip}", Gap.PAUSE), lambda f: len(f) == 20)
        check_order(frames)


def test_a_slow_server_is_waited_for_within_the_limit() -> None:
    source = opened(f"fault:slow?opening=0.1&every=0.3&for=0.1:{PATTERN}")
    check_order(read_until(source, lambda f: len(f) == 15)[0])
    with pytest.raises(SourceOpenError, match=r"cannot be opened: no answer within 0\.2 s"):
        opened(f"fault:slow?opening=9:{PATTERN}", open_seconds=0.2)


def test_a_source_that_was_lost_now_and_then_is_free_as_soon_as_it_is_closed() -> None:
    def received_through_a_storm() -> weakref.ref[Receiver]:
        source = opened(f"fault:storm?every=0.1&times=2&refused=1:{PATTERN}", Gap.PAUSE)
        read_until(source, lambda f: len(source.outages) == 2 and len(f) > 8)
        return weakref.ref(source._receiver)

    gc.disable()
    try:
        receiver = received_through_a_storm()
        wait_until(lambda: not any(each.name == "streamfx-receive" for each in threading.enumerate()))
        assert receiver() is None
    finally:
        gc.enable()


def test_closing_ends_a_fault_and_the_thread_that_reads() -> None:
    source = opened(f"fault:freeze?after=0.3&for=60:{PATTERN}", Gap.PAUSE, read_seconds=50.0)
    source.read()
    source.close()
    assert source.read() is None
    wait_until(lambda: not any(each.name == "streamfx-receive" for each in threading.enumerate()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "fault:frost:clip.mp4",
            "fault:frost:clip.mp4: write fault:SCENARIO:SOURCE or .*freeze: after so many",
        ),
        ("fault:freeze", "write fault:SCENARIO:SOURCE"),
        ("fault:freeze?afer=1:clip.mp4", "unknown option 'afer'; did you mean 'after'?"),
        ("fault:freeze?after=soon:clip.mp4", "after must be a number, found 'soon'"),
        ("fault:freeze?after=-1:clip.mp4", "after must be at least 0, found -1"),
        ("fault:size?to=big:clip.mp4", "to must be WIDTHxHEIGHT"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?") if "mean" in message else message):
        open_source(text)


def test_what_stands_behind_a_fault_must_be_there() -> None:
    with pytest.raises(SourceOpenError, match=r"none\.mp4: no such file"):
        open_source("fault:freeze:none.mp4")
