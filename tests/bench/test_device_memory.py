"""Levels where frames live on a device: here in main memory, also with stand-ins for streams, events, graphs.

What comes out is what the ordinary flow gives, the figures are there, and everything is given back.
"""

from __future__ import annotations

import gc
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from streamfx.bench.level import FRAME, Setup
from streamfx.bench.levels import LEVELS
from streamfx.bench.result import ActualSettings
from streamfx.capture.files import gpu_decode as decode
from streamfx.capture.opening import open_source
from streamfx.config.transcode import TranscodeConfig
from streamfx.encode.gpu_encode import DevicePacker
from streamfx.generate.effect import EffectSettings, open_effect
from streamfx.generate.gpu.effect import Step
from streamfx.generate.gpu.network_call import DeviceCall
from streamfx.gpu.layout import Layout
from streamfx.gpu.streams import Stream
from streamfx.gpu.transfer import DeviceContext, MemoryBudget, device_picture_of
from streamfx.hardware.cuda import Device
from streamfx.media.frame import Frame, VideoFormat
from streamfx.pipeline.stats import Stats
from streamfx.run.placement import MOST_IN_FLIGHT, Encoder, Placement
from tests import fake_cuda
from tests.bench.figures import case

SIZE = (64, 96)
ON_DEVICE = ActualSettings(backend="eager", precision="f32", threads=1, at_a_time=MOST_IN_FLIGHT)


def setup(folder: Path, level: str, **other: Any) -> Setup:
    asked = {"effect": "tiny", "width_pixels": SIZE[1], "height_pixels": SIZE[0], "factor": 2.0}
    encoder = other.pop("encoder", "auto")
    made = case(level=level, precision="f32", **{**asked, "backend": "eager", **other})
    return Setup(made, 2, 4, None, encoder, folder)


def place_in_main_memory() -> Placement:
    return Placement(
        Device.CPU, DeviceContext(torch.device("cpu"), MemoryBudget(pool_bytes=1 << 18, least=40, workers=4))
    )


@pytest.fixture(params=["plain", "streams and graphs"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Placement:
    """Where frames live; with streams and graphs the code takes the ways that it takes on a GPU."""
    if request.param != "plain":
        fake_cuda.install_for_residents(monkeypatch)
    return place_in_main_memory()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Frame, Frame]]:
    """What goes into the effect on the device, and what comes out."""
    pairs: list[tuple[Frame, Frame]] = []
    work = Step.__call__

    def watched(step: Step, frame: Frame, *controls: Any) -> Frame:
        pairs.append((frame, work(step, frame, *controls)))
        return pairs[-1][1]

    monkeypatch.setattr(Step, "__call__", watched)
    return pairs


def assert_given_back(place: Placement) -> None:
    gc.collect()
    assert place.device_context is not None
    assert all(pool.free == pool.slots for pool in place.device_context._pools.values())


def ordinary(frames: int) -> list[tuple[Frame, Frame]]:
    """Return the test picture before and after the effect in main memory."""
    effect = open_effect("tiny", EffectSettings("eager", factor=2.0, threads=1, device=Device.CPU))
    source = open_source(f"test:bars?size={SIZE[1]}x{SIZE[0]}")
    try:
        pictures = [source.read() for _ in range(frames)]
        return [(picture, effect.process(picture)) for picture in pictures if picture is not None]
    finally:
        source.close()
        effect.close()


def furthest(one: Frame, other: Frame) -> int:
    planes = zip(one.planes, other.planes, strict=True)
    return max(int(np.abs(a.astype(int) - b.astype(int)).max()) for a, b in planes)


def test_frames_that_stay_are_measured_where_they_are_and_are_those_of_the_ordinary_flow(
    at_home: Path, place: Placement, seen: list[tuple[Frame, Frame]]
) -> None:
    made, stats = setup(at_home, "resident"), Stats()
    with LEVELS["resident"](made, place) as opened:
        taken = [opened.run(frames, stats) for frames in (1, 3, 5)]
        assert opened.ran == ON_DEVICE
        assert "from and to frames in the memory of the GPU" in opened.includes
        assert opened.device_memory_bytes() is None  # only a GPU has some
    assert min(taken) > 0
    times = stats.stages()
    assert times.keys() == {FRAME}
    assert times[FRAME].count == 9
    assert times[FRAME].p50_seconds
    given, done = zip(*seen[-5:], strict=True)
    expected = ordinary(4)
    for number, (before, after) in enumerate((*expected, expected[0])):
        assert furthest(given[number].fetched(), before) == 0
        assert furthest(done[number].fetched(), after) <= 1
        assert Layout.of(device_picture_of(done[number]).surface) == Layout(SIZE, paired=True)
    with pytest.raises(Exception, match="this compiled engine is closed"):
        opened.run(1, Stats())
    del opened, given, done
    seen.clear()
    assert_given_back(place)


def test_frames_take_turns_on_more_memory_than_a_cache_holds_and_are_recorded_once(
    at_home: Path, seen: list[tuple[Frame, Frame]]
) -> None:
    place = place_in_main_memory()
    made = setup(at_home, "resident")
    recordings = []
    with LEVELS["resident"](made, place) as opened:
        for _ in range(30):
            opened.run(1, Stats())
            seen.clear()
        opened.run(30, Stats())
        recordings = [*opened._works[0].args[0].on_device._recordings]  # type: ignore[attr-defined]
    inputs = [device_picture_of(before).memory.data_ptr() for before, _ in seen[1:]]
    assert len(set(inputs[:24])) == 24
    assert inputs[24:] == inputs[:6]
    assert [kind.form for kind in recordings] == [Layout(SIZE, paired=True)]


def test_a_network_alone_is_called_on_its_device_and_gives_what_it_gives_the_host(
    at_home: Path, place: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[DeviceCall, Any]] = []
    make = DeviceCall.__init__

    def watched(call: DeviceCall, engine: Any, stream: Stream, *given: Any) -> None:
        make(call, engine, stream, *given)
        calls.append((call, engine(*given)))

    monkeypatch.setattr(DeviceCall, "__init__", watched)
    stats = Stats()
    with LEVELS["model"](setup(at_home, "model"), place) as opened:
        assert opened.run(5, stats) > 0
        assert opened.ran == ON_DEVICE
        assert "from and to the memory of the GPU" in opened.includes
    assert stats.stages()[FRAME].count == 5
    assert len(calls) == 4
    for call, heads in calls:
        assert np.allclose(call.heads[0].numpy(), heads, atol=1e-6)
    assert_given_back(place)


@pytest.mark.parametrize("level", ["model", "resident"])
def test_what_cannot_stay_on_a_device_is_measured_in_main_memory_and_says_so(
    at_home: Path, level: str
) -> None:
    place, stats = place_in_main_memory(), Stats()
    with LEVELS[level](setup(at_home, level, backend="openvino"), place) as opened:
        opened.run(3, stats)
        assert (opened.ran.at_a_time, opened.ran.frames) == (1, "cpu")
        assert "main memory" in opened.includes
    assert stats.stages()[FRAME].count == 3


def device_encoder(
    codec: str, config: TranscodeConfig, _: VideoFormat, context: DeviceContext | None
) -> Encoder | None:
    """Return ``codec`` as the encoder of a device, where there is one and nothing else was asked for."""
    if context is None or config.preset is not None or config.output == "null:":
        return None
    return Encoder(codec, "nv12", partial(DevicePacker, context), "a note")


@pytest.fixture
def coded_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode and encode through the calls that are made for a GPU, with codecs of the processor."""
    monkeypatch.setattr(decode, "faster", lambda device, processor: True)
    monkeypatch.setattr(
        "streamfx.run.film.encoder_of",
        partial(device_encoder, "h264"),
    )


@pytest.mark.usefixtures("coded_there")
def test_the_whole_way_goes_through_the_device_as_a_run_with_that_device_does(
    at_home: Path, seen: list[tuple[Frame, Frame]]
) -> None:
    place, stats = place_in_main_memory(), Stats()
    made = setup(at_home, "pipeline")
    with LEVELS["pipeline"](made, place) as opened:
        assert opened.run(3, stats) > 0
        assert (opened.ran.encoder, opened.ran.at_a_time) == ("h264", 2)
    stages = stats.stages()
    assert stages[FRAME].count == 3
    assert stages.keys() >= {"decode", "encode"}
    assert len(seen) == 3 + 8 + 3  # two workers: 8 frames before those that count, 3 after
    assert all(before.device_pixels is not None for before, _ in seen)
    assert {path.suffix for path in at_home.iterdir()} == {".mp4"}  # the clip; what was written is gone
    assert len(list(at_home.iterdir())) == 1
    seen.clear()
    del opened
    assert_given_back(place)


@pytest.mark.usefixtures("coded_there")
@pytest.mark.parametrize("encoder", ["x264", "null:"])
def test_an_encoder_that_is_asked_for_gets_its_frames_in_main_memory(at_home: Path, encoder: str) -> None:
    place, stats = place_in_main_memory(), Stats()
    with LEVELS["pipeline"](setup(at_home, "pipeline", encoder=encoder), place) as opened:
        opened.run(2, stats)
        assert opened.ran.encoder is None
    assert stats.stages()[FRAME].count == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, whose encoder may well work")
@pytest.mark.usefixtures("coded_there")
def test_where_nvidias_encoder_does_not_start_the_processor_encodes(
    at_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        "streamfx.run.film.encoder_of",
        partial(device_encoder, "h264_nvenc"),
    )
    place, stats = place_in_main_memory(), Stats()
    with LEVELS["pipeline"](setup(at_home, "pipeline"), place) as opened:
        opened.run(2, stats)
        assert opened.ran.encoder is None
    assert stats.stages()[FRAME].count == 2
    assert "encoded by the processor: " in caplog.text
    assert "encoder h264_nvenc does not start" in caplog.text
