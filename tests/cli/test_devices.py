"""``streamfx devices`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamfx.capture.live.video_devices import cameras
from streamfx.cli import main
from streamfx.encode.available_codecs import encoders
from streamfx.encode.codecs import CODECS
from streamfx.hardware.nvidia import Gpu
from streamfx.media.ffmpeg_protocols import protocols
from tests.engines import make_engine


@pytest.fixture(autouse=True)
def _one_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_engine(tmp_path, "tiny")
    monkeypatch.setenv("STREAMFX_ENGINES", str(tmp_path))
    monkeypatch.setenv("STREAMFX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("streamfx.factor.calibration.measure_bandwidth", lambda cores: 20e9)


def test_this_machine_is_shown_with_what_can_run_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices"]) == 0
    text = capsys.readouterr().out
    for words in ("processor ", "cores ", "20 GB/s", "openvino  ", "encoders that open here: h264"):
        assert words in text
    assert "protocols of addresses: rtsp, rtsps, rtmp, " in text
    for name, problem in protocols().items():
        assert (f"  {name:<12}cannot be used: {problem}" in text) is (problem is not None)
    (row,) = (line for line in text.splitlines() if line.startswith("  tiny"))
    assert row.count(" ms") == 3
    assert row.endswith("estimated")


def test_programs_get_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["cpu"]["usable_cores"] >= 1
    assert facts["cpu"]["bandwidth_bytes_per_second"] == 20e9
    assert facts["backends"]["eager"] is None
    assert facts["auto"] == "openvino"
    assert facts["encoders"]["h264"] is None
    assert facts["protocols"]["udp"] is None
    assert set(facts["factors"]["tiny"]) == {"720p", "1080p", "4K"}
    assert set(facts["factors"]["tiny"]["4K"]["frame_seconds"]) == {"1", "2", "4", "8"}


def test_a_gpu_that_is_here_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = Gpu("NVIDIA T4", (7, 5), 40, 1.59e9, 320e9)
    monkeypatch.setattr("streamfx.hardware.nvidia.gpus", lambda: (card,))
    assert main(["devices"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("GPU"))
    assert line == (
        "GPU         NVIDIA T4: compute capability 7.5, 40 multiprocessors, 1.59 GHz, GiB unknown at "
        "320 GB/s, decoders unknown, encoders unknown"
    )


def test_a_device_that_is_not_here_is_estimated_with_its_arithmetic(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["devices", "--for", "T4"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("T4: not measured; NVIDIA T4 datasheet")
    assert " at 1080p, factor 1: a frame takes " in text
    lines = [line for line in text.splitlines() if line.startswith("  translate gpu")]
    assert len(lines) == 3
    assert "40 multiprocessors x 1.59 GHz x 1024 f16 operations x 0.25 reached" in lines[0]
    assert "backends" not in text, "what is here says nothing of a device that is not"


def test_a_device_that_is_not_known_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "--for", "Rasberry Pi 5"]) == 2
    assert "did you mean 'Raspberry Pi 5'?" in capsys.readouterr().err


def test_what_was_calibrated_is_shown_as_measured(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import streamfx

    streamfx.transcode("test:bars?size=64x48&frames=2", "null:", effects=["tiny"], workers=1, threads=1)
    assert main(["devices"]) == 0
    assert "network measured" in capsys.readouterr().out


# ---------------------------------------------------------------- encoders and cameras


def test_every_codec_either_opens_or_says_why_not(capfd: pytest.CaptureFixture[str]) -> None:
    found = encoders()
    assert set(found) == set(CODECS)
    assert found["h264"] is None
    assert found["ffv1"] is None
    assert all(problem is None or problem for problem in found.values())
    assert capfd.readouterr() == ("", ""), "encoders that find no device say so at length otherwise"


def test_cameras_are_named_in_order_of_their_numbers(tmp_path: Path) -> None:
    for number, name in ((10, "Tenth\n"), (2, "Webcam\n")):
        (tmp_path / f"video{number}").mkdir()
        (tmp_path / f"video{number}" / "name").write_text(name)
    (tmp_path / "video3").mkdir()
    assert list(cameras(tmp_path).items()) == [("/dev/video2", "Webcam"), ("/dev/video10", "Tenth")]
    assert cameras(tmp_path / "none") == {}
