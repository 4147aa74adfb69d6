"""The source of a live run: waited for where it is away, and refused where no waiting helps."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import pytest

from streamfx.capture.live.opening import Opening, open_live
from streamfx.capture.live.playback import open_loop
from streamfx.capture.live.settings import LiveSettings
from streamfx.capture.opening import open_source
from streamfx.capture.pattern import PatternSource, read_stamp
from streamfx.capture.source import Source
from streamfx.errors import ConfigError, SourceAwayError, SourceOpenError
from streamfx.media.backoff import Backoff
from streamfx.media.frame import Frame
from tests.media import make_clip
from tests.servers import free_port, offering

QUICK = LiveSettings(2, 2, reconnect=Backoff(first_seconds=0.01, longest_seconds=0.01))
PATTERN = "test:bars?size=64x48&live=1"


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A source that is not there for so many attempts as the list says."""
    left = [0]

    def opened(text: str, **settings: object) -> Source:
        if left[0]:
            left[0] -= 1
            raise SourceAwayError(f"{text}: nobody there")
        return PatternSource(text)

    monkeypatch.setattr("streamfx.capture.live.opening.open_source", opened)
    return left


def test_a_source_that_is_away_is_waited_for_however_long_it_takes(
    away: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    away[0] = 30  # more than the attempts to get a lost one back
    assert open_live(PATTERN, Opening(QUICK)).name == PATTERN
    assert caplog.records[-1].getMessage() == f"{PATTERN}: nobody there; it is waited for (attempt 30)"


def test_it_is_refused_where_that_is_asked_for_or_the_run_would_be_over(away: list[int]) -> None:
    away[0] = 1000
    with pytest.raises(SourceAwayError):
        open_live(PATTERN, Opening(QUICK, wait=False))
    assert away == [999]
    with pytest.raises(SourceAwayError):
        open_live(PATTERN, Opening(QUICK, limit_seconds=0.1))
    assert away[0] > 900


def test_what_may_be_there_another_time_is_told_from_what_will_not(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("<!doctype html><title>no video</title>" + "words " * 1000)
    for scheme in ("rtsp", "rtmp", "http", "tcp"):
        with pytest.raises(SourceAwayError):
            open_live(f"{scheme}://127.0.0.1:{free_port()}/x", Opening(QUICK, wait=False))
    with offering(tmp_path) as address:
        with pytest.raises(SourceAwayError, match="404"):
            open_live(f"{address}/later.m3u8", Opening(QUICK, wait=False))
        with pytest.raises(SourceOpenError) as caught:
            open_live(f"{address}/page", Opening(QUICK))
    assert not isinstance(caught.value, SourceAwayError)


def test_the_test_picture_of_a_live_run_has_no_end_of_its_own() -> None:
    assert open_live("test:bars?size=64x48", Opening(QUICK)).format.frame_count is None
    assert open_live("test:bars?size=64x48&frames=7", Opening(QUICK)).format.frame_count == 7
    assert open_source("test:bars?size=64x48").format.frame_count == 300


def test_a_file_in_a_loop_begins_again_at_its_end_with_its_sound(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=6, rate=50, codec="mpeg4")
    source = open_loop(str(clip), QUICK, threads=1)
    assert source.other_tracks is not None
    source.other_tracks.claim()
    frames: list[Frame] = []
    while len(frames) < 20:
        frame = source.read()
        assert frame is not None
        frames += [] if frame.repeated else [frame]
    source.close()
    assert [read_stamp(frame.planes[0]) for frame in frames] == [number % 6 for number in range(20)]
    assert all(early.pts < late.pts for early, late in pairwise(frames))
    times = [packet.pts for _, packet in source.other_tracks.take() if packet.pts is not None]
    assert times == sorted(set(times))
    assert len(times) > 5


def test_a_film_in_a_loop_begins_with_its_first_picture_where_pictures_are_stored_out_of_order(
    tmp_path: Path,
) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=12, rate=50, b_frames=3, audio=False)
    with av.open(str(clip)) as file:
        assert next(file.demux(video=0)).dts is None, "as Matroska has it"
    source = open_loop(str(clip), QUICK, threads=1)
    numbers: list[int | None] = []
    while len(numbers) < 14:
        frame = source.read()
        assert frame is not None
        numbers += [] if frame.repeated else [read_stamp(frame.planes[0])]
    source.close()
    assert numbers[0] == 0
    assert numbers[10:14] == [10, 11, 0, 1]


@pytest.mark.parametrize("text", ["test:bars", "camera:0", "rtsp://host/1", "fault:loss:a.mp4", "-"])
def test_only_a_file_can_be_played_in_a_loop(text: str) -> None:
    with pytest.raises(ConfigError, match="only a file can be played again and again"):
        open_live(text, Opening(QUICK, loop=True))
