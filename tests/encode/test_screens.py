"""The virtual camera and the window: what is shown, and what is said where neither can be."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streamfx.capture.source import open_source
from streamfx.encode.sink import open_sink
from streamfx.encode.virtual_camera import VirtualCameraSink, install_hint
from streamfx.encode.window import WindowSink
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


class FakeOpenCV:
    """The windows of OpenCV; ``visible`` says whether the user has closed this one."""

    WND_PROP_VISIBLE, WINDOW_NORMAL = 4, 0

    class error(Exception):
        """OpenCV's error."""

    def __init__(self) -> None:
        self.shown, self.visible, self.key, self.windows = list[Any](), 1, -1, set[str]()

    def namedWindow(self, title: str, flags: int) -> None:
        self.windows.add(title)

    def resizeWindow(self, title: str, width: int, height: int) -> None:
        self.size = (height, width)

    def imshow(self, title: str, picture: Any) -> None:
        self.shown.append(picture)

    def waitKey(self, milliseconds: int) -> int:
        return self.key

    def getWindowProperty(self, title: str, what: int) -> float:
        return self.visible

    def destroyWindow(self, title: str) -> None:
        self.windows.remove(title)


@pytest.mark.parametrize("how", ["closed", "q"])
def test_a_window_shows_frames_until_it_is_closed(how: str) -> None:
    opencv, source = FakeOpenCV(), open_source(SOURCE)
    sink = WindowSink("window:Before", source.format, opencv)
    frame = source.read()
    assert frame is not None
    sink.write(frame)
    assert opencv.windows == {"Before"}
    assert opencv.shown[0].shape == (64, 96, 3)
    if how == "q":
        opencv.key = ord("q")
    else:
        opencv.visible = 0
    with pytest.raises(SinkError, match="window:Before: the window was closed"):
        sink.write(frame)
    sink.abort()
    assert opencv.windows == set()


def test_without_a_screen_or_windows_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    video = open_source(SOURCE).format
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(SinkError, match="window:: there is no screen here"):
        open_sink("window:", format=video)
    monkeypatch.setenv("DISPLAY", ":77")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(SinkError, match=r"windows need OpenCV: pip install 'streamfx\[window\]'"):
        open_sink("window:", format=video)
    headless = FakeOpenCV()

    def no_windows(title: str, flags: int) -> None:
        raise FakeOpenCV.error("The function is not implemented.\nRebuild the library")

    headless.namedWindow = no_windows  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "cv2", headless)
    with pytest.raises(
        SinkError, match=r"this OpenCV shows no windows .* it says: The function is not implemented"
    ):
        open_sink("window:", format=video)
