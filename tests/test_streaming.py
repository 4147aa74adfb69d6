"""Live runs as a whole: real sources and sinks, a tiny engine, the report of it."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

import streamfx
from streamfx.capture.opening import open_source
from streamfx.config.live import LiveConfig
from streamfx.config.loading import load_config
from streamfx.encode.opening import try_output
from streamfx.errors import ConfigError, SinkError, SourceOpenError
from streamfx.generate.effect import Effect
from streamfx.gpu.transfer import DeviceContext, MemoryBudget
from streamfx.hardware.cuda import Device
from streamfx.media.frame import Frame
from streamfx.media.stage import LATENCY_STAGES
from streamfx.pipeline.flow import Ending
from streamfx.pipeline.stats import Snapshot
from streamfx.run.live_parts import FillerFrames
from streamfx.run.placement import Placement
from tests import media
from tests.fakes import plus_one, small_frame
from tests.full_disk import fill
from tests.servers import free_port, listening

LIVE = "test:bars?size=96x64&fps=50&live=1"


pytestmark = pytest.mark.usefixtures("at_home")


def until(happened: Callable[[Snapshot], bool]) -> Callable[[Snapshot], None]:
    """Return what ends a run, as Ctrl-C does, as soon as something has happened in it."""

    def look(snapshot: Snapshot) -> None:
        if happened(snapshot) and not snapshot.stopping:
            raise KeyboardInterrupt

    return look


def test_a_live_run_is_accounted_for_with_latency_at_every_stage() -> None:
    seen: list[Snapshot] = []
    report = streamfx.live(f"{LIVE}&frames=20", "out.mp4", effects=["tiny"], threads=1, progress=seen.append)
    account = report.result.account
    assert report.exit_code == 0, report.summary()
    assert account.frames_in == 20 == account.encoded + account.frames_dropped
    assert {*LATENCY_STAGES, "latency"} <= set(report.result.stages)
    latency = report.result.stages["latency"]
    assert latency.count == account.encoded
    assert latency.p99_seconds is not None
    assert "latency, captured to written: p50 " in report.summary()
    assert all(f"{stage} " in report.summary() for stage in LATENCY_STAGES)
    assert report.source.live
    assert seen
    with av.open("out.mp4") as container:
        assert sum(1 for _ in container.decode(video=0)) == account.encoded


def test_it_ends_after_the_seconds_asked_for() -> None:
    report = streamfx.live(f"{LIVE}&frames=0", "null:", seconds=0.3)
    assert report.exit_code == 0
    assert report.result.ending is Ending.COMPLETE
    assert report.result.account.frames_in > 0


def test_it_ends_in_time_although_the_source_is_away() -> None:
    settings = ["source.gap=pause"]
    report = streamfx.live(f"fault:freeze?after=0.2&for=4:{LIVE}", "null:", seconds=0.5, settings=settings)
    assert report.result.ending is Ending.COMPLETE
    assert report.exit_code == 0


def test_a_file_is_played_in_its_own_pace() -> None:
    media.make_clip(Path("in.mkv"), frames=15, codec="mpeg4")
    started = time.monotonic()
    report = streamfx.live("in.mkv", "out.mkv")
    assert time.monotonic() - started > 14 / 25
    assert report.result.account.frames_in == 15
    with av.open("out.mkv") as container:
        assert {stream.type for stream in container.streams} == {"video", "audio"}


def test_what_a_storm_took_is_repeated_and_told_in_the_report() -> None:
    settings = ["source.reconnect.first_seconds=0.3", "source.reconnect.jitter=0"]
    source = "fault:storm?every=0.3&times=99&refused=1:test:bars?size=96x64&fps=25"
    report = streamfx.live(
        source,
        "out.mp4",
        effects=["tiny"],
        threads=1,
        seconds=60,
        settings=settings,
        report="report.json",
        progress=until(lambda snapshot: snapshot.frames_repeated > 3),
    )
    account = report.result.account
    assert account.differences(report.result.packets_written) == []
    assert account.fillers >= account.repeated > 0
    assert account.frames_in + account.fillers == (
        account.encoded + account.repeated + account.frames_dropped + account.frames_failed
    )
    for stage in ("generate", "encode"):  # a picture shown again costs nothing, and would look like speed
        assert report.result.stages[stage].count <= account.frames_in
    stored = json.loads(Path("report.json").read_text())
    assert "the server ended the connection" in stored["interruptions"][-1]["reason"]
    assert sum(each["repeated"] for each in stored["interruptions"]) >= account.repeated
    assert "source away: " in report.summary()
    with av.open("out.mp4") as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == sorted(times)


def test_a_picture_that_stands_in_for_another_is_not_generated_again() -> None:
    calls = []

    def generate(frame: Frame) -> Frame:
        calls.append(frame.index)
        return plus_one(frame)

    process, first = FillerFrames(generate), small_frame(7)
    done = process(first)
    again = process(
        Frame(first.planes, first.subsampling, 8, first.colour, 8, 8, first.time_base, repeated=True)
    )
    black = small_frame(0)
    unchanged = process(
        Frame(black.planes, black.subsampling, 8, black.colour, 9, 9, black.time_base, repeated=True)
    )
    assert calls == [7]
    assert np.array_equal(again.planes[0], done.planes[0])
    assert int(unchanged.planes[0].max()) == 0


def test_the_factor_of_a_live_run_is_chosen_and_the_report_says_why() -> None:
    report = streamfx.live(
        f"{LIVE}&frames=10", ["one.mp4", "null:"], effects=["tiny"], threads=1, report="report.json"
    )
    assert report.factor is not None
    assert report.factor.factor == report.effects[0].controls["factor"]
    assert "live at 50 fps" in report.factor.reason
    assert "encode" in report.factor.reason
    assert report.factor.reason in report.summary()
    assert json.loads(Path("report.json").read_text())["factor"]["reason"] == report.factor.reason
    given = streamfx.live(f"{LIVE}&frames=10", "null:", effects=["tiny"], threads=1, factor=2)
    assert given.factor is None
    assert given.effects[0].controls["factor"] == 2


@pytest.mark.parametrize(
    ("milliseconds", "preset", "quickest"),
    [(1e-6, None, True), (1e-6, "veryfast", False), (1e6, None, False)],
)
def test_where_no_factor_would_do_a_live_run_encodes_quicker(
    monkeypatch: pytest.MonkeyPatch, milliseconds: float, preset: str | None, quickest: bool
) -> None:
    monkeypatch.setattr("streamfx.factor.choice.budget", lambda *_, **__: (milliseconds / 1e3, "a test"))
    outputs = ["one.mp4", *["two.webm"] * (preset is None)]  # whose encoder has presets of other names
    report = streamfx.live(f"{LIVE}&frames=10", outputs, effects=["tiny"], threads=1, preset=preset)
    assert report.factor is not None
    assert ("encoded as h264 at preset ultrafast" in report.factor.reason) is quickest
    # x264 states its settings in the file; of all presets only this one does without CABAC.
    assert (b"cabac=0" in Path("one.mp4").read_bytes()) is quickest


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_live_run_that_is_overloaded_changes_its_factor_and_its_report_says_so(
    monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    on_device = Placement(
        Device.CPU, DeviceContext(torch.device("cpu"), MemoryBudget(1 << 18))
    )  # surfaces in main memory
    monkeypatch.setattr(
        "streamfx.run.live_parts.find_placement",
        lambda asked, *_: on_device if asked == "cuda" else Placement(Device.CPU),
    )
    process = Effect.process

    def overloaded(effect: Effect, frame: Frame) -> Frame:
        if effect.measure is not None and effect.controls.factor < 8:  # not while a factor is prepared
            time.sleep(0.06)  # of the 20 ms there are
        return process(effect, frame)

    monkeypatch.setattr(Effect, "process", overloaded)
    seen: set[float] = set()

    def changed(snapshot: Snapshot) -> bool:
        seen.update(snapshot.factors)
        return len(seen) > 1

    source, progress = f"{LIVE}&frames=0", until(changed)
    report = streamfx.live(
        source,
        "null:",
        effects=["tiny"],
        backend="eager",
        device=device,
        threads=1,
        seconds=60,
        progress=progress,
    )
    assert report.factor is not None
    assert report.factor.factor < 8
    first = report.factor.decisions[0]
    assert first.before == report.factor.factor < first.after
    assert "ms a frame of 20" in first.why
    assert "while running, at last to" in report.summary()
    stages, parts = report.result.stages, ("reduce", "translate", "fuse")
    assert {*stages} & {*parts, "on device"} == ({*parts} if device == "cpu" else {"on device"})
    assert all(
        stages[name].count == stages["generate"].count for name in (*parts, "on device") if name in stages
    )


def test_several_outputs_have_an_account_each() -> None:
    address = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    media.make_clip(Path("in.mkv"), frames=40, rate=50)
    with listening(address) as heard:
        report = streamfx.live("in.mkv", [address, "out.mp4", "null:"], preset="ultrafast", threads=1)
    assert report.exit_code == 0, report.summary()
    encoded = report.result.account.encoded
    assert [(each.name, each.frames_given) for each in report.outputs] == [
        (address, encoded), ("out.mp4", encoded), ("null:", encoded)
    ]  # fmt: skip
    for each in report.outputs:
        assert each.frames_written + sum(each.dropped.values()) == encoded
        assert each.latency.count == each.frames_written
    assert f"output out.mp4: {report.outputs[1].frames_written} of {encoded} written" in report.summary()
    assert heard.packets["video"] > 0
    with av.open("out.mp4") as container:
        assert sum(1 for packet in container.demux(audio=0) if packet.size) > 30


def test_one_output_on_a_full_disk_is_a_loss_and_the_other_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fill(monkeypatch, "full.mkv")
    report = streamfx.live(f"{LIVE}&frames=20", ["full.mkv", "good.mkv"], preset="ultrafast", threads=1)
    assert report.exit_code == 1
    (loss,) = report.losses
    assert loss.startswith("full.mkv ended early: ")
    assert "the disk is full" in loss
    assert "full.mkv, good.mkv: finished, but not everything is there" in report.summary()
    assert f"missing or wrong: {loss}" in report.summary()
    with av.open("good.mkv") as container:
        assert sum(1 for _ in container.decode(video=0)) == report.outputs[1].frames_written > 0


def test_each_file_among_several_outputs_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfx.run.live_outcome.verify_output", lambda *_: ["9 packets of 10 are in it"])
    report = streamfx.live(f"{LIVE}&frames=10", ["out.mkv", "null:"], preset="ultrafast", threads=1)
    assert report.losses == ["out.mkv: 9 packets of 10 are in it"]


def test_an_output_that_is_not_there_is_waited_for_while_the_others_run() -> None:
    nobody = f"rtmp://127.0.0.1:{free_port()}/app/key"
    report = streamfx.live(f"{LIVE}&frames=20", [nobody, "out.mkv"], preset="ultrafast", threads=1)
    away, written = report.outputs
    assert away.dropped["output away"] > 0
    assert written.frames_written > 0
    assert report.exit_code == 1
    assert [loss.partition(" was away: ")[0] for loss in report.losses] == [nobody.replace("key", "***")]
    with pytest.raises(SinkError, match="cannot be opened"):
        streamfx.live(f"{LIVE}&frames=20", [nobody, "null:"], threads=1, wait=False)


def test_a_file_is_played_again_and_again_where_that_is_asked_for() -> None:
    media.make_clip(Path("in.mkv"), frames=5, codec="mpeg4")
    report = streamfx.live(
        "in.mkv", "out.mkv", loop=True, seconds=60, progress=until(lambda seen: seen.frames_out > 12)
    )
    assert report.result.ending is Ending.STOPPED
    with av.open("out.mkv") as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert len(set(times)) == len(times) > 12


def test_pictures_that_come_damaged_are_a_loss() -> None:
    media.make_clip(Path("in.mkv"), frames=25, audio=False)
    report = streamfx.live(
        "fault:corrupt?share=0.7:in.mkv",
        "null:",
        seconds=60,
        progress=until(lambda snapshot: snapshot.frames_in >= 25),
    )
    assert report.exit_code == 1
    assert any("pictures came damaged" in loss or "failed to decode" in loss for loss in report.losses)


def test_a_report_that_cannot_be_written_any_more_is_a_loss_of_a_run_that_is_told() -> None:
    def replace_folder(snapshot: Snapshot) -> None:
        Path("report.json").mkdir(exist_ok=True)

    report = streamfx.live(f"{LIVE}&frames=10", "null:", report="report.json", progress=replace_folder)
    assert report.exit_code == 1
    assert report.losses == ["report.json: cannot write the report: Is a directory"]
    assert report.result.account.frames_in == 10


def test_secrets_are_in_no_report() -> None:
    config = load_config(
        None,
        ["source.options.headers=top-secret"],
        {"input": "rtsp://me:pass@host/1?token=abc", "outputs": ("rtmp://host/app/key", "out.mp4")},
        model=LiveConfig,
    )
    shown = config.without_credentials().model_dump_json()
    assert not [word for word in ("me:pass", "abc", 'key"', "top-secret") if word in shown]
    assert config.input == "rtsp://me:pass@host/1?token=abc"


@pytest.mark.parametrize(
    ("output", "options", "problem"),
    [
        ("there.mp4", {"overwrite": False}, r"there\.mp4: exists already"),
        ("nowhere/out.mp4", {}, r"nowhere/out\.mp4: there is no folder"),
        ("out.mp4", {"codec": "ffv1"}, r"\.mp4 does not hold ffv1 video"),
        ("there.mp4/%05d.png", {}, "cannot be created"),
        ("hls:there.mp4/web", {}, "cannot be made: Not a directory"),
        ("hls:web", {"overwrite": False}, r"live\.m3u8 exists already"),
        ("udp://127.0.0.1:9", {"codec": "vp9"}, "does not hold vp9 video"),
        ("virtual:", {}, "pyvirtualcam"),
        ("window:", {}, "there is no screen here"),
        ("web:{busy}", {}, "cannot listen at 127.0.0.1, port .*: Address already in use"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_an_effect_is_opened(
    output: str, options: dict[str, Any], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_given: object) -> None:
        pytest.fail("effects were opened first")

    monkeypatch.setattr("streamfx.run.live_parts.open_effects", too_late)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    for screen in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(screen, raising=False)
    Path("web").mkdir()
    for there in ("there.mp4", "web/live.m3u8"):
        Path(there).write_text("")
    before = sorted(Path().rglob("*"))
    with socket.create_server(("127.0.0.1", 0)) as busy:
        named = output.format(busy=busy.getsockname()[1])
        with pytest.raises((ConfigError, SinkError), match=problem):
            streamfx.live(LIVE, ["null:", named], effects=["tiny"], **options)
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("output", ["out.mp4", "%05d.png", "hls:web", "udp://127.0.0.1:9"])
def test_trying_an_output_leaves_nothing_behind(output: str) -> None:
    media.make_clip(Path("in.mkv"), frames=3, codec="mpeg4")
    source = open_source("in.mkv")
    before = sorted(Path().rglob("*"))
    assert source.other_tracks is not None
    waiting = source.other_tracks.waiting(1)
    try_output(output, format=source.format, other_tracks=source.other_tracks)
    assert sorted(Path().rglob("*")) == before
    assert len(waiting) == len(source.other_tracks.waiting(1)) > 0
    source.other_tracks.start()
    assert not source.other_tracks.waiting(1)  # for nobody claimed what comes
    source.close()


@pytest.mark.parametrize("output", ["there.mp4", "hls:web", "window:"])
def test_nobody_waits_for_a_source_whose_output_cannot_be(
    output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamfx.streaming.open_live", lambda *_given: pytest.fail("waited for the source"))
    for screen in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(screen, raising=False)
    Path("web").mkdir()
    for there in ("there.mp4", "web/live.m3u8"):
        Path(there).write_text("")
    with pytest.raises(SinkError):
        streamfx.live("rtsp://127.0.0.1:9/1", output, overwrite=False)


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(SourceOpenError, match=r"none\.mp4: no such file"):
        streamfx.live("none.mp4", "null:")
    with pytest.raises(SinkError, match=r"nowhere/out\.mp4: there is no folder"):
        streamfx.live(LIVE, "nowhere/out.mp4")
    with pytest.raises(ConfigError, match=r"outputs: .*at least 1"):
        streamfx.live(LIVE, [])
    with pytest.raises(ConfigError, match=r"source\.gap: must be 'last', 'black' or 'pause' .*found 'blak'"):
        streamfx.live(LIVE, "null:", settings=["source.gap=blak"])
    with pytest.raises(
        ConfigError, match=r"unknown key 'source\.reconnect\.attemps'; did you mean 'attempts'"
    ):
        streamfx.live(LIVE, "null:", settings=["source.reconnect.attemps=3"])
    with pytest.raises(ConfigError, match=r"queue\.capture: .*3, found 4"):
        streamfx.live(LIVE, "null:", settings=["queue.capture=4"])
