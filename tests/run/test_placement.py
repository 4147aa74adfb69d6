"""Where the frames of a run live: what was asked for, what is there, and what is said when it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from streamfx.backends.registry import backend_named, choose
from streamfx.config.loading import load_config
from streamfx.encode.available_codecs import encoders
from streamfx.errors import BackendUnavailableError, ConfigError
from streamfx.gpu.transfer import DeviceContext
from streamfx.hardware.cuda import Device
from streamfx.hardware.nvidia import Gpu
from streamfx.media.frame import Colour, Subsampling, VideoFormat
from streamfx.run import placement as run_device
from streamfx.run.placement import (
    Placement,
    encoder_of,
    find_placement,
    open_decoded,
    select_gpu,
    settle_device,
)
from tests import media

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def test_on_the_processor_frames_live_in_main_memory() -> None:
    assert find_placement("cpu", "auto", 1) == Placement(Device.CPU)
    assert find_placement("cpu", "auto", 1).processing_device(None) is None  # type: ignore[arg-type]


@no_gpu
def test_without_a_gpu_auto_takes_the_processor_and_logs_why(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert find_placement("auto", "auto", 1) == Placement()
    assert "device auto: frames stay in main memory: NVIDIA's driver knows of no GPU here" in caplog.text


@no_gpu
@pytest.mark.parametrize("asked", ["cuda", "cuda:1"])
def test_a_gpu_that_is_asked_for_and_not_there_is_an_error_that_says_what_to_do(asked: str) -> None:
    with pytest.raises(
        BackendUnavailableError, match=rf"device {asked} cannot be used: NVIDIA's driver knows"
    ) as caught:
        find_placement(asked, "auto", 1)
    assert "--device cpu" in str(caught.value)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ or asked == "cuda"


def test_a_backend_for_the_processor_keeps_frames_there(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cuda_missing", "_torch_refuses"):
        monkeypatch.setattr(run_device, name, lambda: None)
    with caplog.at_level("INFO"):
        assert find_placement("auto", "openvino", 1).device_context is None
    assert "backend openvino was asked for, which is for the CPU" in caplog.text


def test_another_gpu_than_the_first_is_made_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_device, "_selected", None)
    monkeypatch.setattr(run_device, "gpus", lambda: (Gpu("one"),))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert select_gpu("cuda") is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,6"
    assert select_gpu("cuda:2") == "there is no GPU 2 among those of CUDA_VISIBLE_DEVICES=4,6"
    assert select_gpu("cuda:1") is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "6"
    assert select_gpu("cuda:1") is None  # a second run in the process
    assert select_gpu("cuda:0") == (
        "another GPU is in use in this process already; start it with CUDA_VISIBLE_DEVICES=0"
    )


def test_processes_started_later_see_the_gpu_asked_for_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_device, "_selected", None)
    monkeypatch.setattr(run_device, "gpus", lambda: (Gpu("one"),))
    monkeypatch.setattr(run_device, "cuda_missing", lambda: None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [settle_device(asked) for asked in ("auto", "cpu", "cuda")] == ["auto", "cpu", "cuda"]
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert settle_device("cuda:1") == "cuda"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.setattr(run_device, "cuda_missing", lambda: "torch was built without CUDA")
    assert settle_device("auto") == "auto"
    with pytest.raises(BackendUnavailableError, match="device cuda cannot be used: torch was built without"):
        settle_device("cuda")


def test_a_gpu_that_is_not_there_leaves_the_others_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_device, "_selected", None)
    monkeypatch.setattr(run_device, "gpus", tuple)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert select_gpu("cuda:3") == "NVIDIA's driver knows of no GPU 3 here"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_auto_takes_backends_that_suit_the_device() -> None:
    class Ready:
        def __init__(self, name: str) -> None:
            named = backend_named(name)
            assert named is not None
            self.name, self.chosen_on = name, named.chosen_on

        def availability(self) -> None:
            return None

        held_back = availability

    ready: Any = [Ready(name) for name in ("tensorrt", "inductor", "openvino", "eager")]
    assert [choose("auto", ready, device).name for device in Device] == ["tensorrt", "openvino", "tensorrt"]
    assert choose("auto", ready[2:], Device.CUDA).name == "eager"
    assert choose("openvino", ready, Device.CUDA).name == "openvino"  # refused when it compiles


@no_gpu
def test_files_are_decoded_by_the_processor_where_nothing_else_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = media.make_clip(tmp_path / "in.mkv", frames=3, audio=False)
    processing_device = DeviceContext(torch.device("cpu"))
    monkeypatch.setattr(processing_device, "device", torch.device("cuda", 0))
    with caplog.at_level("INFO"):
        for text, looked_at in ((str(clip), False), ("test:bars?frames=2", False), (str(clip), True)):
            source = open_decoded(
                text, Placement(Device.CUDA, processing_device), threads=1, looked_at=looked_at
            )
            frame = source.read()
            source.close()
            assert frame is not None
            assert frame.device_pixels is None
    assert "in.mkv: decoded by the processor: FFmpeg cannot use NVIDIA's decoder" in caplog.text
    assert "test:bars?frames=2: decoded by the processor: only video files" in caplog.text
    assert "in.mkv: decoded by the processor: it decides about effects by the pictures" in caplog.text
    assert not processing_device.interleaved


@pytest.mark.parametrize(
    ("options", "size", "reason"),
    [
        ({}, (72, 128), "h264_nvenc"),
        ({"codec": "hevc_nvenc"}, (72, 128), "hevc_nvenc"),
        ({"codec": "hevc"}, (72, 128), "NVIDIA's encoder was not asked for"),
        ({"preset": "slow"}, (72, 128), "NVIDIA's encoder was not asked for"),
        ({"output": "out.webm"}, (72, 128), "NVIDIA's encoder was not asked for"),
        ({}, (71, 127), "NVIDIA's encoder does not take 127x71 4:2:0 frames"),
    ],
)
@no_gpu
def test_files_are_encoded_by_the_processor_where_nothing_else_can(
    options: dict[str, object], size: tuple[int, int], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = load_config(options={"input": "a.mp4", "output": "out.mp4", **options})
    video = VideoFormat(size, Subsampling.YUV420, 8, Colour(), Fraction(1, 25))
    with caplog.at_level("INFO"):
        assert encoder_of(config, video, DeviceContext(torch.device("cpu"))) is None
    reason = encoders()[reason] or reason if reason.endswith("nvenc") else reason
    assert f"encoded by the processor: {reason}" in caplog.text
    assert encoder_of(config, video, None) is None


def test_where_it_can_nvidias_encoder_takes_the_place_of_the_usual_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "streamfx.encode.available_codecs.encoders", lambda: {"h264_nvenc": None, "hevc_nvenc": None}
    )
    config = load_config(options={"input": "a.mp4", "output": "out.mp4"})
    video = VideoFormat((72, 128), Subsampling.YUV420, 8, Colour(), Fraction(1, 25))
    found = encoder_of(config, video, DeviceContext(torch.device("cpu")))
    assert found is not None
    assert (found.codec, found.pixel_format) == ("h264_nvenc", "nv12")
    assert "--codec h264 takes the processor" in found.note


def test_a_device_that_does_not_exist_is_a_wrong_setting() -> None:
    with pytest.raises(
        ConfigError, match="must be auto, cpu, cuda, or cuda:N for the Nth GPU, counted from 0"
    ):
        load_config(options={"input": "a.mp4", "output": "b.mp4", "device": "gpu"})


@no_gpu
@pytest.mark.parametrize("command", ["transcode", "live"])
def test_on_the_command_line_a_missing_gpu_is_one_line_and_exit_code_2(
    environment: dict[str, str], tmp_path: Path, command: str
) -> None:
    words = [command, "test:bars?frames=2", "out.mkv", "--effect", "tiny", "--device", "cuda"]
    ran = subprocess.run(
        [sys.executable, "-m", "streamfx", *words],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "device cuda cannot be used: NVIDIA's driver knows of no GPU here" in ran.stderr
    assert not (tmp_path / "out.mkv").exists()
