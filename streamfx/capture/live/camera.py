"""Cameras, through OpenCV (the extra ``camera``). Compressed pictures are asked for first."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import av
import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from streamfx.capture.live.connection import Arrival, Connection, PictureArrived
from streamfx.capture.live.settings import LiveSettings
from streamfx.capture.live.source import LiveSource
from streamfx.capture.live.timeline import TIME_BASE
from streamfx.capture.live.video_devices import cameras
from streamfx.capture.options import frame_rate, picture_size, split_options
from streamfx.errors import ConfigError, DecodeError, SourceLostError, SourceOpenError

if TYPE_CHECKING:
    from av.stream import Stream

log = logging.getLogger(__name__)

_OPTIONS = {"size": "1280x720", "fps": "30", "format": "mjpg"}
_FORMATS = {"mjpg": "MJPG", "nv12": "NV12", "yuyv": "YUYV", "any": ""}
_EMPTY_READS = 50  # reads without a picture, after which a camera that answers at once is given up
_RATE_LIMIT_FPS = 1000

Wanted: TypeAlias = tuple[tuple[int, int], Fraction, str]
"""Size (height, width), rate and format to ask a camera for."""

# What of OpenCV's VideoCapture is used; a test may hand in another.
Device = Any
OpenDevice = Callable[[int | str], Device]


def open_camera(
    text: str,
    settings: LiveSettings | None = None,
    *,
    open_device: OpenDevice | None = None,
) -> LiveSource:
    """Return a camera as a source: ``camera:0``, ``camera:/dev/video0``, ``camera:0?size=1280x720&fps=30``.

    Raw pictures over USB are slow (5 a second at full size, often), so motion JPEG is asked for first
    (``format=mjpg``; nv12, yuyv, any); what the camera agreed to is in ``notes``.

    Args:
        text: text as the user wrote it.
        settings: time limits and more; its options are properties of the camera, such as ``exposure``.
        open_device: function that opens a device by number or path; None: OpenCV.

    Raises:
        ConfigError: an option is unknown or has no proper value.
        SourceOpenError: OpenCV is missing, there is no such camera, or it gives no picture in time.
    """
    settings, closed = settings or LiveSettings(), threading.Event()
    head, options = split_options(text, _OPTIONS)
    device, wanted = _device(text, head), _wanted(text, options)
    properties = _properties(text, settings.options)
    opener = open_device or _opencv(text)

    def connect() -> Connection:
        return CameraConnection(text, settings, partial(opener, device), wanted, properties, closed)

    return LiveSource(text, connect, settings, close_waits=closed.set)


class CameraConnection:
    """A camera for as long as it gives pictures; see ``Connection``.

    It is opened in a thread: drivers may take twenty seconds, or for ever.

    Args:
        name: name of the camera, for messages.
        settings: time limits.
        open_device: function that opens it.
        wanted: size, rate and format to ask for.
        properties: further ones to set, as OpenCV numbers them.
        closed: set when the source is closed.

    Raises:
        SourceOpenError: it cannot be opened, or gives no picture in time.
    """

    def __init__(
        self,
        name: str,
        settings: LiveSettings,
        open_device: Callable[[], Device],
        wanted: Wanted,
        properties: Mapping[int, float],
        closed: threading.Event,
    ) -> None:
        self._name, self._settings, self._wanted = name, settings, wanted
        self._properties, self._closed = properties, closed
        self.others: list[Stream] = []
        self.notes: list[str] = []
        self.finite = False
        self.sample_aspect_ratio: Fraction | None = None
        self._pictures, self.codec = 0, ""
        self._decoder: av.VideoCodecContext | None = None
        self._device = self._opened(open_device)
        try:
            self._first: VideoFrame | None = self._first_picture()
        except BaseException:
            self.close()
            raise
        stated_fps = self._device.get(_PROPERTY["fps"])
        known = 0 < stated_fps <= _RATE_LIMIT_FPS
        self.rate_fps = Fraction(stated_fps).limit_denominator(1001) if known else None
        self._note_agreed(self._first)

    def receive(self) -> Sequence[Arrival]:
        """Return the next picture; its time is that of its arrival.

        Raises:
            DecodeError: the camera sent a broken picture; the next call goes on after it.
            SourceLostError: the camera gives no pictures any more.
        """
        picture, self._first = self._first or self._grab(), None
        arrived_ns = time.monotonic_ns()
        if picture is None:
            if self._closed.is_set():
                return []
            raise SourceLostError(f"{self._name}: the camera gives no pictures any more; was it unplugged?")
        self._pictures += 1
        picture.pts, picture.time_base = round(arrived_ns / (float(TIME_BASE) * 1e9)), TIME_BASE
        return [PictureArrived(picture, arrived_ns)]

    def close(self) -> None:
        """Release the camera."""
        self._device.release()

    # -- opening --

    def _opened(self, open_device: Callable[[], Device]) -> Device:
        """Open in a thread under the time limit; a camera that opens too late is released there."""
        limit_seconds = self._settings.open_seconds
        done, given_up = threading.Event(), threading.Event()
        found: list[Device] = []

        def open_it() -> None:
            device = open_device()
            if given_up.is_set():
                device.release()
                return
            found.append(device)
            done.set()

        started = time.monotonic()
        threading.Thread(target=open_it, name="streamfx-camera", daemon=True).start()
        if not done.wait(limit_seconds):
            given_up.set()
            raise SourceOpenError(f"{self._name}: the camera did not open within {limit_seconds:g} s")
        log.info("%s: open after %.1f s", self._name, time.monotonic() - started)
        device = found[0]
        if not device.isOpened():
            device.release()
            raise SourceOpenError(f"{self._name}: cannot be opened; {_cameras_here()}")
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
            f"{self._name}: the camera opened, but gave no picture in {self._settings.read_seconds:g} s{why}"
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
        for number, value in self._properties.items():
            if not device.set(number, value):
                name = next(name for name, each in _ADJUSTABLE.items() if each == number)
                self.notes.append(f"the camera cannot set {name}")

    def _note_agreed(self, first: VideoFrame) -> None:
        code = _code_name(self._device.get(_PROPERTY["fourcc"]))
        rate = f"{float(self.rate_fps):g} fps" if self.rate_fps else "at an unknown rate"
        self.notes.append(f"the camera gives {code}, {first.width}x{first.height}, {rate}")
        size, _, asked = self._wanted
        if (first.height, first.width) != size or (asked and code != asked):
            self.notes.append(f"asked of the camera: {asked or 'any'}, {size[1]}x{size[0]}")

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
        raise DecodeError(f"{self._name}: the camera gave data of shape {data.shape}, which is no picture")

    def _decoded(self, data: bytes) -> VideoFrame:
        if self._decoder is None:
            decoder = av.CodecContext.create("mjpeg", "r")
            assert isinstance(decoder, av.VideoCodecContext)
            self._decoder, self.codec = decoder, "mjpeg"
        try:
            pictures = self._decoder.decode(av.Packet(data))
        except av.FFmpegError as error:
            raise DecodeError(
                f"{self._name}: picture {self._pictures} cannot be decoded: {error.strerror}"
            ) from error
        if not pictures:
            raise DecodeError(f"{self._name}: picture {self._pictures} is not complete")
        return pictures[0]


# Numbers of OpenCV's properties, which are part of its interface (videoio.hpp, VideoCaptureProperties).
_PROPERTY = {"width": 3, "height": 4, "fps": 5, "fourcc": 6, "convert_rgb": 16, "buffers": 38}


# Those that a user may set, by the names of OpenCV's in small letters.
_ADJUSTABLE = {
    "brightness": 10, "contrast": 11, "saturation": 12, "hue": 13, "gain": 14, "exposure": 15,
    "sharpness": 20, "auto_exposure": 21, "gamma": 22, "temperature": 23, "zoom": 27, "focus": 28,
    "autofocus": 39, "auto_wb": 44, "wb_temperature": 45,
}  # fmt: skip


def _properties(text: str, options: Sequence[tuple[str, str]]) -> dict[int, float]:
    """Return numbers and values of the properties that the setting ``source.options`` names.

    Raises:
        ConfigError: there is no such property, or its value is no number.
    """
    found: dict[int, float] = {}
    for name, value in options:
        if name not in _ADJUSTABLE:
            raise ConfigError(
                f"{text}: a camera has no option '{name}'; those of cameras are: {', '.join(_ADJUSTABLE)}"
            )
        try:
            found[_ADJUSTABLE[name]] = float(value)
        except ValueError as error:
            raise ConfigError(f"{text}: option '{name}' must be a number, found '{value}'") from error
    return found


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


def _wanted(text: str, options: dict[str, str]) -> Wanted:
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
