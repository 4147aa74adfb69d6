"""The virtual camera and the window: what is shown, and what is said where neither can be."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streamfx.capture.opening import open_source
from streamfx.encode.opening import open_sink
from streamfx.encode.screens.virtual_camera import VirtualCameraSink, install_hint
from streamfx.errors import SinkError

SOURCE = "test:bars?size=96x64&fps=25"


class FakeCamera:
    """A virtual camera that keeps what it is sent."""

    def __init__(self, **asked: Any) -> None:
        self.asked, self.sent, self.closed, self.device = asked, list[Any](), False, "/dev/video9"

    def send(self, picture: Any) -> None:
        self.sent.append(picture)

    def close(self) -> None:
        self.closed = True


def test_frames_show_in_the_virtual_camera_in_rgb() -> None:
    made: list[FakeCamera] = []

    def camera(**asked: Any) -> FakeCamera:
        made.append(FakeCamera(**asked))
        return made[0]

    module = SimpleNamespace(Camera=camera, PixelFormat=SimpleNamespace(RGB="rgb"))
    source = open_source(SOURCE)
    sink = VirtualCameraSink("virtual:/dev/video9", source.format, module)
    frame = source.read()
    assert frame is not None
    sink.write(frame)
    sink.finish()
    assert made[0].asked == {"width": 96, "height": 64, "fps": 25.0, "fmt": "rgb", "device": "/dev/video9"}
    assert made[0].sent[0].shape == (64, 96, 3)
    assert made[0].sent[0].dtype == np.uint8
    assert made[0].closed
    assert sink.notes == ["the virtual camera is /dev/video9"]


def test_without_a_virtual_camera_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def camera(**asked: Any) -> None:
        raise RuntimeError("v4l2loopback: no device\nobs: not running")

    module = SimpleNamespace(Camera=camera, PixelFormat=SimpleNamespace(RGB="rgb"))
    video = open_source(SOURCE).format
    with pytest.raises(
        SinkError, match=r"no virtual camera here \(v4l2loopback: no device; obs: not running\); "
    ):
        VirtualCameraSink("virtual:", video, module)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(
        SinkError, match=r"needs pyvirtualcam: pip install 'streamfx\[virtual-camera\]'; then "
    ):
        open_sink("virtual:", format=video)
    assert "modprobe v4l2loopback" in install_hint("Linux")
    assert "OBS" in install_hint("Windows")
    assert "OBS" in install_hint("Darwin")
