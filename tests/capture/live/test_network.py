"""Network sources: opened under limits, read without delay, got back; secrets are shown nowhere."""

from __future__ import annotations

import socket
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from streamfx.capture.live.connection import PictureArrived
from streamfx.capture.live.jitter import JitterBuffer
from streamfx.capture.live.settings import Gap, LiveSettings
from streamfx.capture.live.source import LiveSource
from streamfx.capture.opening import open_source
from streamfx.capture.pattern import read_stamp
from streamfx.encode.encoding import Encoding
from streamfx.encode.opening import open_sink
from streamfx.errors import SourceOpenError
from streamfx.media.av_planes import plane_array
from streamfx.media.backoff import Backoff
from streamfx.media.frame import Frame
from tests.media import make_clip
from tests.servers import free_port, offering, sending, silent, wait_until

QUICK = LiveSettings(
    open_seconds=20, read_seconds=1, reconnect=Backoff(attempts=None, first_seconds=0.05, longest_seconds=0.1)
)


def udp() -> str:
    return f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"


def read(source: LiveSource, count: int) -> list[Frame]:
    frames = [frame for _ in range(count) if (frame := source.read()) is not None]
    assert len(frames) == count
    return frames


def opened(address: str, settings: LiveSettings = QUICK) -> LiveSource:
    source = open_source(address, threads=1, live=settings)
    assert isinstance(source, LiveSource)
    return source


def test_a_transport_stream_is_read_as_it_comes() -> None:
    address = udp()
    with sending(address):
        source = opened(address)
        frames = read(source, 12)
        source.close()
    stamps = [read_stamp(frame.planes[0]) for frame in frames if not frame.repeated]
    assert stamps == sorted(stamps, key=lambda stamp: stamp or 0)
    assert source.live
    assert source.format.size == (96, 160)
    assert frames[0].pts == 0
    assert all(frame.captured_ns > 0 for frame in frames)


def test_a_sender_that_comes_back_with_another_size_is_fitted_in_and_the_times_go_on() -> None:
    address = udp()
    with sending(address):
        source = opened(address)
        frames = read(source, 5)
    while not any("nothing came within" in each.reason for each in source.outages):  # the sender is gone
        frames += read(source, 1)
    assert frames[-1].repeated
    with sending(address, size=(96, 96), fps=20):
        while not any("96x96" in note for note in source.notes):
            frames += read(source, 1)
        frames += read(source, 3)
        source.close()
    assert {frame.size for frame in frames} == {(96, 160)}
    assert all(early.pts < late.pts for early, late in pairwise(frames))
    assert [frame.index for frame in frames] == list(range(len(frames)))


def test_pictures_that_come_several_at_once_wait_for_their_times(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    wait_seconds = JitterBuffer.wait_seconds

    def noting(buffer: JitterBuffer, seconds: float, arrived_at: float) -> float:
        waits.append(wait_seconds(buffer, seconds, arrived_at))
        return waits[-1]

    monkeypatch.setattr(JitterBuffer, "wait_seconds", noting)
    address = udp()
    with sending(address, at_once=5):
        source = opened(address)
        frames = read(source, 20)
        source.close()
    assert sum(wait > 0 for wait in waits) >= 8
    assert all(early.pts < late.pts for early, late in pairwise(frames))


def test_what_waited_while_everything_else_was_opened_is_not_shown() -> None:
    address = udp()
    with sending(address):
        source = opened(address)
        event = source._early[0]
        assert isinstance(event, PictureArrived)
        first = read_stamp(plane_array(event.picture.planes[0], 8))
        threading.Event().wait(0.5)
        later = read_stamp(read(source, 1)[0].planes[0])
        source.close()
    assert first is not None
    assert later is not None
    assert later > first + 2


def test_a_recording_over_http_is_read_to_its_end_with_its_sound(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mkv", frames=20, codec="mpeg4")
    with offering(tmp_path) as address:
        source = opened(f"{address}/clip.mkv")
        assert source.other_tracks is not None
        source.other_tracks.claim()
        frames = read(source, 20)
        assert source.read() is None
        source.close()
    assert [frame.index for frame in frames if not frame.repeated] == list(range(20))
    assert [index for index, _ in source.other_tracks.take()].count(1) > 10


def test_hls_that_was_written_here_is_read_here(tmp_path: Path) -> None:
    pattern = open_source("test:bars?size=96x64&fps=50&frames=40")
    sink = open_sink(f"hls:{tmp_path}", format=pattern.format, encoding=Encoding(preset="ultrafast"))
    while (frame := pattern.read()) is not None:
        assert sink.write(frame) is None
    sink.finish()
    with offering(tmp_path) as address:
        source = opened(f"{address}/live.m3u8")
        stamps = [read_stamp(frame.planes[0]) for frame in read(source, 40)]
        source.close()
    assert stamps == list(range(40))


def test_nobody_there_is_said_without_the_password() -> None:
    port = free_port()
    for scheme in ("rtmp", "rtsp", "http"):
        with pytest.raises(SourceOpenError, match="cannot be opened: Connection refused") as caught:
            opened(f"{scheme}://me:secret@127.0.0.1:{port}/app/key?token=abc")
        shown = f"{caught.value} {caught.value.__cause__}"
        assert "***@127.0.0.1" in shown
        assert not any(word in shown for word in ("secret", "me:", "abc"))


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp", "http"])
def test_a_server_that_never_answers_is_given_up_in_time(scheme: str) -> None:
    with silent() as port, pytest.raises(SourceOpenError, match="cannot be opened"):
        opened(f"{scheme}://127.0.0.1:{port}/app/key", LiveSettings(open_seconds=0.5, read_seconds=0.5))


def test_closing_ends_a_read_and_leaves_no_thread() -> None:
    address = udp()
    with sending(address):
        source = opened(address, LiveSettings(open_seconds=20, read_seconds=1, gap=Gap.PAUSE))
        read(source, 2)
    reader = threading.Thread(target=lambda: [None for _ in iter(source.read, None)])
    reader.start()
    source.close()
    reader.join()
    wait_until(lambda: not any(each.name == "streamfx-receive" for each in threading.enumerate()))
