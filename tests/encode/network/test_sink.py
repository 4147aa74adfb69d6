"""Network sinks: what is sent arrives, a lost output is got back, a silent server holds nothing."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import av
import pytest

from streamfx.capture.opening import open_source
from streamfx.capture.pattern import read_stamp
from streamfx.encode.encoding import Encoding
from streamfx.encode.network.sink import Delivery, NetworkSink
from streamfx.encode.opening import open_sink
from streamfx.encode.sink import AWAY
from streamfx.errors import ConfigError, SinkAwayError, SinkError
from streamfx.media.av_planes import plane_array
from streamfx.media.backoff import Backoff
from tests.media import make_clip
from tests.servers import free_port, listening, silent, wait_until

PATTERN = "test:bars?size=96x64&fps=25&frames=0"
QUICK = Delivery(
    open_seconds=20, write_seconds=2, reconnect=Backoff(attempts=None, first_seconds=0.1, longest_seconds=0.2)
)
FAST = Encoding(preset="ultrafast")


def opened_while_listening(address: str, delivery: Delivery = QUICK) -> NetworkSink:
    """Open a sink to a listener of ours, which may be there a moment later."""
    source = open_source(PATTERN)
    deadline = time.monotonic() + 60
    while True:
        try:
            return NetworkSink(address, source.format, encoding=FAST, delivery=delivery)
        except SinkError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_what_is_sent_over_udp_arrives() -> None:
    address = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    source = open_source(PATTERN)
    with listening(address) as heard:
        sink = open_sink(address, format=source.format, encoding=Encoding(preset="ultrafast"))
        while heard.packets.get("video", 0) < 10:
            frame = source.read()
            assert frame is not None
            assert sink.write(frame) is None
            time.sleep(0.02)
        sink.finish()
    assert sink.frames_written == sink.packets_written
    assert heard.times == sorted(heard.times)


def test_what_is_sent_over_rtmp_arrives_and_a_lost_server_is_got_back() -> None:
    address, source = f"rtmp://127.0.0.1:{free_port()}/app/key", open_source(PATTERN)
    frames = iter(source.read, None)
    with listening(address, {"listen": "1"}) as heard:
        sink = opened_while_listening(address)
        while heard.packets.get("video", 0) < 10:
            assert sink.write(next(frames)) is None
            time.sleep(0.02)
        assert sink._out is not None
        assert sink._out._relay is not None
        sink._out._relay._process.kill()  # the connection breaks
    assert sink.name.endswith("/app/***")
    with listening(address, {"listen": "1"}) as again:
        causes = set()
        while again.packets.get("video", 0) < 10:
            causes.add(sink.write(next(frames)))
            time.sleep(0.02)
        sink.finish()
    assert causes == {AWAY, None}
    assert sink.losses >= 1
    assert any("the connection was lost" in note for note in sink.notes)
    assert again.times[0] > heard.times[-1], "the times go on"
    wait_until(lambda: not any(each.name == "streamfx-reconnect" for each in threading.enumerate()))


def test_sound_goes_along() -> None:
    folder = Path(__file__).parents[2] / "clips"
    source = open_source(str(folder / "bigbuckbunny.mp4"), threads=1)
    address = f"rtmp://127.0.0.1:{free_port()}/app/key"
    with listening(address, {"listen": "1"}) as heard:
        deadline = time.monotonic() + 60
        while True:
            try:
                sink = NetworkSink(
                    address, source.format, other_tracks=source.other_tracks, encoding=FAST, delivery=QUICK
                )
                break
            except SinkError:
                assert time.monotonic() < deadline
        for _ in range(20):
            frame = source.read()
            assert frame is not None
            assert sink.write(frame) is None
        sink.finish()
    source.close()
    assert heard.packets["video"] >= 15
    assert heard.packets["audio"] >= 15


def test_an_hls_folder_holds_a_playlist_that_can_be_joined_and_old_segments_go(tmp_path: Path) -> None:
    source = open_source("test:bars?size=96x64&fps=25&frames=100")
    delivery = Delivery(keyframe_seconds=0.2)
    sink = NetworkSink(f"hls:{tmp_path / 'web'}", source.format, encoding=FAST, delivery=delivery)
    while (frame := source.read()) is not None:
        assert sink.write(frame) is None
    sink.finish()
    playlist = (tmp_path / "web" / "live.m3u8").read_text()
    assert "#EXT-X-INDEPENDENT-SEGMENTS" in playlist
    segments = sorted((tmp_path / "web").glob("*.ts"))
    assert 6 <= len(segments) <= 14
    with av.open(str(segments[-1])) as container:
        first = next(container.decode(video=0))
        assert first.key_frame
        assert read_stamp(plane_array(first.planes[0], 8)) == 95
    with pytest.raises(SinkError, match=r"live\.m3u8 exists already; allow overwriting"):
        open_sink(f"hls:{tmp_path / 'web'}", format=source.format, encoding=Encoding(overwrite=False))


def test_a_server_that_is_not_there_is_refused_without_its_key() -> None:
    video = open_source(PATTERN).format
    with pytest.raises(
        SinkAwayError, match=r"rtmp://127\.0\.0\.1:\d+/app/\*\*\*: cannot be opened: "
    ) as caught:
        NetworkSink(f"rtmp://127.0.0.1:{free_port()}/app/key", video, encoding=FAST, delivery=QUICK)
    assert "key" not in f"{caught.value} {caught.value.__cause__}"


def test_a_server_that_never_answers_holds_no_other_thread() -> None:
    video, beats, done = open_source(PATTERN).format, [0], threading.Event()

    def beat() -> None:
        while not done.wait(0.01):
            beats[0] += 1

    heart = threading.Thread(target=beat)
    heart.start()
    with silent() as port, pytest.raises(SinkError, match="no answer within 1 s"):
        NetworkSink(
            f"rtmp://127.0.0.1:{port}/app/key", video, encoding=FAST, delivery=Delivery(open_seconds=1)
        )
    done.set()
    heart.join()
    assert beats[0] > 10


def test_an_output_that_does_not_come_back_is_given_up() -> None:
    address = f"rtmp://127.0.0.1:{free_port()}/app/key"
    delivery = Delivery(write_seconds=1, reconnect=Backoff(attempts=2, first_seconds=0.01))
    frames = iter(open_source(PATTERN).read, None)
    with listening(address, {"listen": "1"}):
        sink = opened_while_listening(address, delivery)
        assert sink._out is not None
        assert sink._out._relay is not None
        sink._out._relay._process.kill()

    def write_on() -> None:
        while True:
            sink.write(next(frames))
            time.sleep(0.01)

    with pytest.raises(SinkError, match=r"lost, and not back after 2 attempts; the last: cannot be opened"):
        write_on()
    sink.abort()


def test_a_server_that_is_not_there_at_the_start_is_waited_for() -> None:
    address, frames = f"rtmp://127.0.0.1:{free_port()}/app/key", iter(open_source(PATTERN).read, None)
    video = open_source(PATTERN).format
    sink = NetworkSink(address, video, encoding=FAST, delivery=replace(QUICK, wait=True))
    assert sink.write(next(frames)) == AWAY
    with listening(address, {"listen": "1"}) as heard:
        while heard.packets.get("video", 0) < 5:
            sink.write(next(frames))
            time.sleep(0.02)
        sink.finish()
    assert sink.losses == 0
    assert sink.frames_written > 0


def test_a_server_that_does_not_answer_at_the_start_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfx.encode.network.sink._START_SECONDS", 0.01)
    video, frames = open_source(PATTERN).format, iter(open_source(PATTERN).read, None)
    delivery = Delivery(open_seconds=100, wait=True)
    with silent() as port:
        sink = NetworkSink(f"rtmp://127.0.0.1:{port}/app/key", video, encoding=FAST, delivery=delivery)
        assert sink.write(next(frames)) == AWAY
        sink.abort()
        wait_until(lambda: not any(each.name == "streamfx-reconnect" for each in threading.enumerate()))


def test_what_no_waiting_helps_is_refused_at_the_start(tmp_path: Path) -> None:
    video = open_source(PATTERN).format
    waiting = Delivery(wait=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="cannot be made"):
        NetworkSink(f"hls:{tmp_path}/file/web", video, encoding=FAST, delivery=waiting)
    wrong = Encoding(options=(("profile", "nonsense"),))
    for encoding in (wrong, replace(wrong, written=False)):
        with pytest.raises(SinkError, match="does not start with"):
            NetworkSink("rtmp://127.0.0.1:9/app/key", video, encoding=encoding, delivery=waiting)


def test_what_is_not_to_be_written_is_tried_without_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, unwritten = open_source(PATTERN).format, replace(FAST, written=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        sink = NetworkSink(f"rtmp://127.0.0.1:{server.getsockname()[1]}/app/key", video, encoding=unwritten)
        sink.abort()
        with pytest.raises(BlockingIOError):
            server.accept()
    NetworkSink(f"hls:{tmp_path}/made/later", video, encoding=unwritten).abort()
    assert not any(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="cannot be made: Not a directory"):
        NetworkSink(f"hls:{tmp_path}/file/web", video, encoding=unwritten)
    monkeypatch.setattr("os.access", lambda *_given: False)
    with pytest.raises(SinkError, match="cannot be made: Permission denied"):
        NetworkSink(f"hls:{tmp_path}/made/later", video, encoding=unwritten)


def test_an_output_whose_end_cannot_be_sent_has_failed() -> None:
    address = f"rtmp://127.0.0.1:{free_port()}/app/key"
    frames = iter(open_source(PATTERN).read, None)
    with listening(address, {"listen": "1"}) as heard:
        sink = opened_while_listening(address)
        while heard.packets.get("video", 0) < 3:
            sink.write(next(frames))
            time.sleep(0.02)
        assert sink._out is not None
        assert sink._out._relay is not None
        sink._out._relay._process.kill()
        with pytest.raises(SinkError, match=r"/app/\*\*\*: could not be ended properly: ") as caught:
            sink.finish()
    assert "key" not in f"{caught.value} {caught.value.__cause__}"
    sink.abort()


def test_what_cannot_be_sent_is_refused(tmp_path: Path) -> None:
    video = open_source(PATTERN).format
    with pytest.raises(ConfigError, match="http: addresses can be read, not written; outputs are rtsp://"):
        open_sink("http://me:secret@host/x", format=video)
    with pytest.raises(ConfigError, match="RTMP does not hold vp9 video, but h264"):
        open_sink("rtmp://host/app/key", format=video, encoding=Encoding(codec="vp9"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="cannot be made"):
        open_sink(f"hls:{tmp_path}/file/web", format=video)


def test_sound_that_the_output_cannot_take_is_left_out_and_noted(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.avi", frames=5, codec="mpeg4"
    )  # PCM sound, which MPEG-TS does not carry
    source = open_source(str(clip))
    address = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    sink = open_sink(
        address, format=source.format, other_tracks=source.other_tracks, encoding=Encoding(preset="ultrafast")
    )
    assert any("is left out: MPEG-TS does not carry such" in note for note in sink.notes)
    sink.abort()
    source.close()
