"""Cameras: what is asked for and agreed to, opening under a limit, what is said when there is none."""

from __future__ import annotations

import io
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streamfx.capture.live.camera import open_camera
from streamfx.capture.live.settings import Gap, LiveSettings
from streamfx.capture.live.source import LiveSource
from streamfx.capture.opening import open_source
from streamfx.capture.pattern import read_stamp
from streamfx.errors import ConfigError, DecodeError, SourceLostError, SourceOpenError
from streamfx.media.backoff import Backoff
from streamfx.media.frame import Frame
from tests.media import video_frame
from tests.servers import wait_until

SIZE = (96, 160)
QUICK = LiveSettings(0.5, 0.5, Gap.PAUSE, Backoff(attempts=1, first_seconds=0.01))


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
    """A camera as OpenCV shows it, which gives ``pictures`` at a pace, and then nothing.

    Those but the first wait until ``shown`` is set: a live source throws away what comes before it is read.
    """

    pictures: list[NDArray[np.uint8]]
    opens: bool = True
    shown: threading.Event = field(default_factory=threading.Event)
    given: int = 0
    pause_seconds: float = 0.01
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
        if self.given and self.pictures:
            self.shown.wait(5)
            time.sleep(self.pause_seconds)
        self.given += 1
        return (True, self.pictures.pop(0)) if self.pictures else (False, None)

    def release(self) -> None:
        self.released = True


def show(source: LiveSource, device: FakeDevice) -> None:
    """Let the device give its pictures as soon as the source is read: before, they are thrown away."""

    def wait() -> None:
        wait_until(lambda: not source._receiver._unwanted.is_set())
        device.shown.set()

    threading.Thread(target=wait).start()


def stamps_of(source: LiveSource, last: int) -> list[int | None]:
    """Return the numbers in the pictures up to one; that of the opening is left out where it got old."""
    stamps: list[int | None] = []
    while last not in stamps:
        frame = source.read()
        assert frame is not None
        assert frame.size == SIZE
        stamps.append(read_stamp(frame.planes[0]))
    return stamps


def test_compressed_pictures_are_asked_for_and_decoded_without_a_detour() -> None:
    device = FakeDevice([jpeg(number) for number in range(4)])
    source = open_camera("camera:0?size=160x96", QUICK, open_device=lambda _: device)
    assert device.asked[6] == int.from_bytes(b"MJPG", "little")
    assert (device.asked[3], device.asked[4]) == (160, 96)
    assert source.live
    show(source, device)
    assert stamps_of(source, 3)[-3:] == [1, 2, 3]
    assert "the camera gives MJPG, 160x96, 25 fps" in source.notes
    source.close()
    wait_until(lambda: device.released)
    assert source.read() is None


def test_what_the_camera_did_not_agree_to_is_noted() -> None:
    device = FakeDevice([jpeg(0)])
    source = open_camera("camera:0?format=nv12", QUICK, open_device=lambda _: device)
    assert "asked of the camera: NV12, 1280x720" in source.notes
    device.shown.set()
    source.close()


@pytest.mark.parametrize("shape", [(96, 160, 3), (96, 160, 2)])
def test_raw_pictures_are_taken_too(shape: tuple[int, ...]) -> None:
    device = FakeDevice([np.full(shape, 90, np.uint8), np.full(shape, 90, np.uint8)])
    source = open_camera("camera:0", QUICK, open_device=lambda _: device)
    show(source, device)
    frame = source.read()
    assert frame is not None
    assert frame.size == SIZE
    source.close()


def test_a_camera_that_is_unplugged_for_good_is_lost_and_a_broken_picture_is_not() -> None:
    devices = [FakeDevice([jpeg(0), np.zeros((1, 50), np.uint8), jpeg(2)])]
    first = devices[0]
    source = open_camera(
        "camera:0", QUICK, open_device=lambda _: devices.pop() if devices else FakeDevice([])
    )
    show(source, first)
    with pytest.raises(DecodeError, match="the camera gave data of shape"):
        stamps_of(source, 2)
    assert stamps_of(source, 2) == [2]
    with pytest.raises(SourceLostError, match=r"lost, and not back after 1 attempt; .* gave no picture in"):
        source.read()
    source.close()


def test_a_camera_that_is_plugged_in_again_goes_on() -> None:
    devices = [FakeDevice([jpeg(0), jpeg(1)]), FakeDevice([jpeg(2), jpeg(3)])]
    for device in devices:
        device.shown.set()
    left = list(reversed(devices))
    settings = replace(QUICK, gap=Gap.LAST, reconnect=Backoff(attempts=3, first_seconds=0.01))
    devices[0].shown.clear()
    source = open_camera("camera:0", settings, open_device=lambda _: left.pop())
    show(source, devices[0])
    frames: list[Frame] = []
    while not frames or read_stamp(frames[-1].planes[0]) != 3:
        frame = source.read()
        assert frame is not None
        frames.append(frame)
    assert [outage.reason for outage in source.outages] == [
        "the camera gives no pictures any more; was it unplugged?"
    ]
    times = [frame.pts for frame in frames]
    assert times == sorted(set(times))
    assert devices[0].released
    source.close()


def test_pictures_of_another_size_are_scaled_into_the_first() -> None:
    device = FakeDevice([jpeg(0), np.full((192, 320, 3), 90, np.uint8)])
    source = open_camera("camera:0", QUICK, open_device=lambda _: device)
    show(source, device)
    while not any("pictures came as 320x192 too" in note for note in source.notes):
        frame = source.read()
        assert frame is not None
        assert frame.size == SIZE
    source.close()


@pytest.mark.parametrize(("gap", "luma"), [(Gap.LAST, None), (Gap.BLACK, 0)])
def test_a_camera_that_stands_still_is_bridged(gap: Gap, luma: int | None) -> None:
    device = FakeDevice([jpeg(0), jpeg(1)])  # the second waits until the test lets it go on
    source = open_camera("camera:0", replace(QUICK, gap=gap), open_device=lambda _: device)
    frame = source.read()
    while frame is not None and not frame.repeated:
        frame = source.read()
    assert frame is not None
    if luma is not None:
        assert set(np.unique(frame.planes[0])) == {luma}
    assert source.outages[0].repeated == 1
    device.shown.set()
    source.close()


def test_options_are_properties_of_the_camera() -> None:
    device = FakeDevice([jpeg(0)])
    given = replace(QUICK, options=(("exposure", "-6"), ("autofocus", "0")))
    source = open_camera("camera:0", given, open_device=lambda _: device)
    assert (device.asked[15], device.asked[39]) == (-6.0, 0.0)
    device.shown.set()
    source.close()
    for options, message in (
        ((("shutter", "1"),), "a camera has no option 'shutter'; those of cameras are: brightness, "),
        ((("exposure", "long"),), "option 'exposure' must be a number, found 'long'"),
    ):
        with pytest.raises(ConfigError, match=message):
            open_camera("camera:0", replace(QUICK, options=options), open_device=lambda _: device)


def test_a_camera_that_opens_too_late_is_given_up_and_released() -> None:
    device, opening = FakeDevice([jpeg(0)]), threading.Event()

    def open_late(_: int | str) -> FakeDevice:
        opening.wait(30)
        return device

    with pytest.raises(SourceOpenError, match=r"the camera did not open within 0\.5 s"):
        open_camera("camera:0", QUICK, open_device=open_late)
    opening.set()
    wait_until(lambda: device.released)


def test_a_camera_that_is_not_there_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceOpenError, match=r"camera:7: cannot be opened; this system shows "):
        open_camera("camera:7", QUICK, open_device=lambda _: FakeDevice([], opens=False))
    monkeypatch.setattr("streamfx.capture.live.camera.cameras", lambda: {"/dev/video2": "Webcam"})
    with pytest.raises(SourceOpenError, match=r"this system shows /dev/video2 \(Webcam\)"):
        open_camera("camera:7", QUICK, open_device=lambda _: FakeDevice([], opens=False))
    with pytest.raises(SourceOpenError, match=r"the camera opened, but gave no picture in 0\.5 s"):
        open_camera("camera:7", QUICK, open_device=lambda _: FakeDevice([]))
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
    device = FakeDevice([jpeg(number) for number in range(4)], pause_seconds=0.05)
    source = open_camera("camera:0", QUICK, open_device=lambda _: device)
    show(source, device)
    first, second = source.read(), source.read()
    assert first is not None
    assert second is not None
    assert first.pts == 0
    assert second.time_seconds >= 0.05
    source.close()
