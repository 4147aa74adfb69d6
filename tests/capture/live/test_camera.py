"""Cameras: what is asked for and agreed to, opening under a limit, what is said when there is none."""

from __future__ import annotations

import io
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streamfx.capture.live.camera import CameraSource
from streamfx.capture.live.settings import LiveSettings
from streamfx.capture.opening import open_source
from streamfx.capture.pattern import read_stamp
from streamfx.errors import ConfigError, DecodeError, SourceLostError, SourceOpenError
from tests.media import video_frame
from tests.servers import wait_until

SIZE = (96, 160)
QUICK = LiveSettings(open_seconds=0.2, read_seconds=0.2)


def jpeg(number: int) -> NDArray[np.uint8]:
    """Return a test picture as a driver gives motion JPEG: one row of bytes."""
    data = io.BytesIO()
    with av.open(data, "w", format="mjpeg") as out:
        stream: Any = out.add_stream("mjpeg", rate=25, options={"qmin": "2", "qmax": "2"})
        stream.codec_context.height, stream.codec_context.width = SIZE
        stream.codec_context.pix_fmt = "yuvj422p"
        picture = video_frame(SIZE, number, "yuvj422p")
        picture.pts = 0
        out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return np.frombuffer(data.getvalue(), np.uint8)[None]


@dataclass
class FakeDevice:
    """A camera as OpenCV shows it, which gives ``pictures`` and then nothing."""

    pictures: list[NDArray[np.uint8]]
    opens: bool = True
    asked: dict[int, float] = field(default_factory=dict)
    released: bool = False

    def isOpened(self) -> bool:
        return self.opens

    def set(self, number: int, value: float) -> bool:
        self.asked[number] = value
        return True

    def get(self, number: int) -> float:
        return {5: 25.0, 6: float(int.from_bytes(b"MJPG", "little"))}.get(number, 0.0)

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        return (True, self.pictures.pop(0)) if self.pictures else (False, None)

    def release(self) -> None:
        self.released = True


def test_compressed_pictures_are_asked_for_and_decoded_without_a_detour() -> None:
    device = FakeDevice([jpeg(number) for number in range(4)])
    source = CameraSource("camera:0?size=160x96", QUICK, open_device=lambda _: device)
    assert device.asked[6] == int.from_bytes(b"MJPG", "little")
    assert (device.asked[3], device.asked[4]) == (160, 96)
    assert source.live
    frames = [source.read() for _ in range(3)]
    assert [read_stamp(frame.planes[0]) for frame in frames if frame] == [1, 2, 3]
    assert all(frame is not None and frame.size == SIZE for frame in frames)
    assert "the camera gives MJPG, 160x96, 25 fps" in source.notes
    source.close()
    assert device.released
    assert source.read() is None


def test_what_the_camera_did_not_agree_to_is_noted() -> None:
    source = CameraSource("camera:0?format=nv12", QUICK, open_device=lambda _: FakeDevice([jpeg(0)]))
    assert "asked of the camera: NV12, 1280x720" in source.notes


@pytest.mark.parametrize("shape", [(96, 160, 3), (96, 160, 2)])
def test_raw_pictures_are_taken_too(shape: tuple[int, ...]) -> None:
    pictures = [np.full(shape, 90, np.uint8), np.full(shape, 90, np.uint8)]
    source = CameraSource("camera:0", QUICK, open_device=lambda _: FakeDevice(pictures))
    frame = source.read()
    assert frame is not None
    assert frame.size == SIZE
    source.close()


def test_a_camera_that_is_unplugged_is_lost_and_a_broken_picture_is_not() -> None:
    pictures = [jpeg(0), np.zeros((1, 50), np.uint8), jpeg(2)]
    source = CameraSource("camera:0", QUICK, open_device=lambda _: FakeDevice(pictures))
    with pytest.raises(DecodeError, match="the camera gave data of the shape"):
        source.read()
    assert source.read() is not None
    with pytest.raises(SourceLostError, match=r"gives no pictures any more; was it unplugged?"):
        source.read()


def test_a_camera_that_opens_too_late_is_given_up_and_released() -> None:
    device, opening = FakeDevice([jpeg(0)]), threading.Event()

    def open_late(_: int | str) -> FakeDevice:
        opening.wait(30)
        return device

    with pytest.raises(SourceOpenError, match=r"the camera did not open within 0\.2 s"):
        CameraSource("camera:0", QUICK, open_device=open_late)
    opening.set()
    wait_until(lambda: device.released)


def test_a_camera_that_is_not_there_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceOpenError, match=r"camera:7: cannot be opened; this system shows "):
        CameraSource("camera:7", QUICK, open_device=lambda _: FakeDevice([], opens=False))
    monkeypatch.setattr("streamfx.capture.live.camera.cameras", lambda: {"/dev/video2": "Webcam"})
    with pytest.raises(SourceOpenError, match=r"this system shows /dev/video2 \(Webcam\)"):
        CameraSource("camera:7", QUICK, open_device=lambda _: FakeDevice([], opens=False))
    with pytest.raises(SourceOpenError, match=r"the camera opened, but gave no picture in 0\.2 s"):
        CameraSource("camera:7", QUICK, open_device=lambda _: FakeDevice([]))
    with pytest.raises(SourceOpenError, match=r"there is no /dev/video99; this system shows"):
        open_source("camera:/dev/video99")
    with pytest.raises(ConfigError, match="which camera"):
        open_source("camera:")
    with pytest.raises(ConfigError, match="format must be mjpg, nv12, yuyv, any, found 'h264'"):
        open_source("camera:0?format=h264")


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(SourceOpenError, match=r"cameras need OpenCV: pip install 'streamfx\[camera\]'; this"):
        open_source("camera:0")


def test_times_follow_the_clock() -> None:
    source = CameraSource("camera:0", QUICK, open_device=lambda _: FakeDevice([jpeg(n) for n in range(4)]))
    first = source.read()
    time.sleep(0.05)
    second = source.read()
    assert first is not None
    assert second is not None
    assert first.pts == 0
    assert second.time_seconds >= 0.05
