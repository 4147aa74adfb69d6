"""Cameras, through OpenCV (the extra ``camera``). Compressed pictures are asked for first."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from streamfx.capture.live.settings import LiveSettings
from streamfx.capture.live.timeline import TIME_BASE
from streamfx.capture.live.video_devices import cameras
from streamfx.capture.options import frame_rate, picture_size, split_options
from streamfx.capture.planar import Planarizer, assumptions, colour_of
from streamfx.errors import ConfigError, DecodeError, SourceLostError, SourceOpenError
from streamfx.media.frame import Frame, VideoFormat
from streamfx.media.tracks import Extras

log = logging.getLogger(__name__)

_OPTIONS = {"size": "1280x720", "fps": "30", "format": "mjpg"}
_FORMATS = {"mjpg": "MJPG", "nv12": "NV12", "yuyv": "YUYV", "any": ""}
_EMPTY_READS = 50  # reads without a picture, after which a camera that answers at once is given up
_RATE_LIMIT_FPS = 1000

# What of OpenCV's VideoCapture is used; a test may hand in another.
Device = Any
OpenDevice = Callable[[int | str], Device]


class CameraSource:
    """A camera as a source: ``camera:0``, ``camera:/dev/video0``, ``camera:0?size=1280x720&fps=30``.

    Raw pictures over USB are slow (5 a second at full size, often), so motion JPEG is asked for first
    (``format=mjpg``; nv12, yuyv, any); what the camera agreed to is in ``notes``. It is opened in a thread:
    drivers may take twenty seconds, or for ever.

    Args:
        text: as the user wrote it.
        settings: time limits.
        open_device: opens a device by number or path; None: OpenCV.

    Raises:
        ConfigError: an option is unknown or has no proper value.
        SourceOpenError: OpenCV is missing, there is no such camera, or it gives no picture in time.
    """

    def __init__(
        self, text: str, settings: LiveSettings | None = None, *, open_device: OpenDevice | None = None
    ) -> None:
        head, options = split_options(text, _OPTIONS)
        self.name, self.live, self.shortfall = text, True, 0
        self.notes: list[str] = []
        self.extras: Extras | None = None
        self._settings = settings or LiveSettings()
        self._device_name = _device(text, head)
        self._wanted = _wanted(text, options)
        self._closed, self._reading = threading.Event(), threading.Lock()
        self._index = 0
        self._started_ns: int | None = None
        self._last_pts = -1
        self._decoder: av.VideoCodecContext | None = None
        self._device = self._opened(open_device or _opencv(text))
        try:
            first = self._first_picture()
        except BaseException:
            self.close()
            raise
        self._describe(first)

    def read(self) -> Frame | None:
        """Return the next frame, or None once closed.

        Raises:
            DecodeError: the camera sent a broken picture; the next call goes on after it.
            SourceLostError: the camera gives no pictures any more.
        """
        with self._reading:
            if self._closed.is_set():
                self._device.release()
                return None
            picture = self._grab()
            captured_ns = time.monotonic_ns()
            if picture is None:
                if self._closed.is_set():
                    return None
                raise SourceLostError(
                    f"{self.name}: the camera gives no pictures any more; was it unplugged?"
                )
            frame = self._frame(picture, captured_ns)
            self._index += 1
            return frame

    def close(self) -> None:
        """Release the camera; while another thread reads, when that read returns."""
        self._closed.set()
        if self._reading.acquire(timeout=0.2):
            try:
                self._device.release()
            finally:
                self._reading.release()

    # -- opening --

    def _opened(self, open_device: OpenDevice) -> Device:
        """Open in a thread under the time limit; a camera that opens too late is released there."""
        limit_seconds = self._settings.open_seconds
        done, given_up = threading.Event(), threading.Event()
        found: list[Device] = []

        def open_it() -> None:
            device = open_device(self._device_name)
            if given_up.is_set():
                device.release()
                return
            found.append(device)
            done.set()

        started = time.monotonic()
        threading.Thread(target=open_it, name="streamfx-camera", daemon=True).start()
        if not done.wait(limit_seconds):
            given_up.set()
            raise SourceOpenError(f"{self.name}: the camera did not open within {limit_seconds:g} s")
        log.info("%s: open after %.1f s", self.name, time.monotonic() - started)
        device = found[0]
        if not device.isOpened():
            device.release()
            raise SourceOpenError(f"{self.name}: cannot be opened; {_cameras_here()}")
        return device

    def _first_picture(self) -> VideoFrame:
        self._negotiate()
        deadline = time.monotonic() + self._settings.read_seconds
        problem: DecodeError | None = None
        while time.monotonic() < deadline:
            try:
                picture = self._grab()
            except DecodeError as error:  # the first pictures of many cameras are cut off
                problem = error
                continue
            if picture is not None:
                return picture
        why = f": {problem}" if problem else ""
        raise SourceOpenError(
            f"{self.name}: the camera opened, but gave no picture in {self._settings.read_seconds:g} s{why}"
        )

    def _negotiate(self) -> None:
        """Ask for format, size and rate, in this order: the format decides what sizes and rates there are."""
        size, rate_fps, code = self._wanted
        device = self._device
        if code:
            device.set(_PROPERTY["fourcc"], _fourcc(code))
        device.set(_PROPERTY["width"], size[1])
        device.set(_PROPERTY["height"], size[0])
        device.set(_PROPERTY["fps"], float(rate_fps))
        device.set(_PROPERTY["convert_rgb"], 0)  # the coded data itself, where the driver's interface can
        device.set(_PROPERTY["buffers"], 1)  # a picture that waited in the driver is an old one

    def _describe(self, first: VideoFrame) -> None:
        device = self._device
        planarizer = self._planarizer = Planarizer(first)
        layout = planarizer.layout
        stated_fps = device.get(_PROPERTY["fps"])
        rate_fps = Fraction(stated_fps).limit_denominator(1001) if 0 < stated_fps <= _RATE_LIMIT_FPS else None
        self.format = VideoFormat(
            size=planarizer.size,
            subsampling=layout.subsampling,
            depth=layout.depth,
            colour=colour_of(first, "mjpeg" if self._decoder else ""),
            time_base=TIME_BASE,
            rate_fps=rate_fps,
        )
        height, width = self.format.size
        code = _code_name(device.get(_PROPERTY["fourcc"]))
        rate = f"{float(rate_fps):g} fps" if rate_fps else "at an unknown rate"
        self.notes.append(f"the camera gives {code}, {width}x{height}, {rate}")
        asked = self._wanted
        if (height, width) != asked[0] or (asked[2] and code != asked[2]):
            self.notes.append(f"asked of the camera: {asked[2] or 'any'}, {asked[0][1]}x{asked[0][0]}")
        self.notes.extend(filter(None, (layout.note, assumptions(self.format.colour, height))))

    # -- reading --

    def _grab(self) -> VideoFrame | None:
        """Return the next picture; None when the camera gives none."""
        for _ in range(_EMPTY_READS):
            good, data = self._device.read()
            if good and data is not None and data.size:
                return self._picture(data)
            if self._closed.wait(0.01):
                break
        return None

    def _picture(self, data: NDArray[np.uint8]) -> VideoFrame:
        """Return what the driver gave as a picture: JPEG data, packed YUV, or BGR already converted."""
        flat = data.reshape(-1)
        if flat.size > 2 and (flat[0], flat[1]) == (0xFF, 0xD8):
            return self._decoded(flat.tobytes())
        if data.ndim == 3 and data.shape[2] == 3:
            return VideoFrame.from_ndarray(np.ascontiguousarray(data), format="bgr24")
        if data.ndim == 3 and data.shape[2] == 2:
            return VideoFrame.from_ndarray(np.ascontiguousarray(data), format="yuyv422")
        if data.ndim == 2 and data.shape[0] * 2 == self._wanted[0][0] * 3:
            return VideoFrame.from_ndarray(np.ascontiguousarray(data), format="nv12")
        raise DecodeError(f"{self.name}: the camera gave data of the shape {data.shape}, which is no picture")

    def _decoded(self, data: bytes) -> VideoFrame:
        if self._decoder is None:
            decoder = av.CodecContext.create("mjpeg", "r")
            assert isinstance(decoder, av.VideoCodecContext)
            self._decoder = decoder
        try:
            pictures = self._decoder.decode(av.Packet(data))
        except av.FFmpegError as error:
            raise DecodeError(
                f"{self.name}: picture {self._index} cannot be decoded: {error.strerror}"
            ) from error
        if not pictures:
            raise DecodeError(f"{self.name}: picture {self._index} is not complete")
        return pictures[0]

    def _frame(self, picture: VideoFrame, captured_ns: int) -> Frame:
        self._started_ns = captured_ns if self._started_ns is None else self._started_ns
        ticks = round((captured_ns - self._started_ns) / (float(TIME_BASE) * 1e9))
        self._last_pts = max(ticks, self._last_pts + 1)
        return self.format.frame(
            self._planarizer.planes(picture),
            index=self._index,
            pts=self._last_pts,
            captured_ns=captured_ns,
        )


# Numbers of OpenCV's properties, which are part of its interface (videoio.hpp, VideoCaptureProperties).
_PROPERTY = {"width": 3, "height": 4, "fps": 5, "fourcc": 6, "convert_rgb": 16, "buffers": 38}


def _opencv(text: str) -> OpenDevice:
    try:
        import cv2
    except ImportError as error:
        raise SourceOpenError(
            f"{text}: cameras need OpenCV: pip install 'streamfx[camera]'; {_cameras_here()}"
        ) from error

    def opened(device: int | str) -> Device:
        return cv2.VideoCapture(device)

    return opened


def _device(text: str, head: str) -> int | str:
    name = head.partition(":")[2]
    if name.isdigit():
        return int(name)
    if not name:
        raise ConfigError(f"{text}: which camera? Write camera:0 or camera:/dev/video0; {_cameras_here()}")
    if not Path(name).exists():
        raise SourceOpenError(f"{text}: there is no {name}; {_cameras_here()}")
    return name


def _wanted(text: str, options: dict[str, str]) -> tuple[tuple[int, int], Fraction, str]:
    code = _FORMATS.get(options.get("format", "mjpg").lower())
    if code is None:
        raise ConfigError(f"{text}: format must be {', '.join(_FORMATS)}, found '{options['format']}'")
    size = picture_size(text, "size", options.get("size", _OPTIONS["size"]))
    return size, frame_rate(text, "fps", options.get("fps", _OPTIONS["fps"])), code


def _cameras_here() -> str:
    """Return a sentence on the cameras that the system shows."""
    found = cameras()
    if not found:
        return "this system shows no camera (there is no /dev/video*)"
    return f"this system shows {', '.join(f'{path} ({name})' for path, name in found.items())}"


def _fourcc(code: str) -> int:
    return int.from_bytes(code.encode("ascii"), "little")


def _code_name(number: float) -> str:
    name = int(number).to_bytes(4, "little", signed=False) if 0 < number < 1 << 32 else b""
    text = name.decode("ascii", errors="replace").strip("\0 ")
    return text if text.isprintable() and text else "an unknown format"
