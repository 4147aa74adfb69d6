"""A window on the screen, through OpenCV's highgui (the extra ``window``)."""

from __future__ import annotations

import os
import sys
from typing import Any

from streamfx.encode.pixels import Packer
from streamfx.errors import SinkError
from streamfx.frame import Frame, VideoFormat

_EXTRA = "pip install 'streamfx[window]'"
_LARGEST = 1080  # rows; a larger picture would not fit on the screen
_ESCAPE, _Q = 27, ord("q")


class WindowSink:
    """Shows frames in a window: ``window:`` or ``window:TITLE``. Closing it, q or Esc ends the output.

    Args:
        text: the output as the user wrote it.
        video: format of the frames.
        module: OpenCV; None: import it.

    Raises:
        SinkError: OpenCV is missing or comes without windows, or there is no screen.
    """

    def __init__(self, text: str, video: VideoFormat, module: Any = None) -> None:
        self.name = text
        self.notes: list[str] = []
        self.frames_written = self.packets_written = 0
        self._title = text.partition(":")[2] or "streamfx"
        self._video, self._packer = video, Packer(video, "", video.colour.code_range)
        self._opencv, self._is_open = module or _opencv(text), False

    def write(self, frame: Frame) -> None:
        """Show one frame.

        Raises:
            SinkError: the window was closed, or cannot be shown.
        """
        # The window lives in the thread that writes: that is the one that must serve it.
        opencv = self._opencv
        try:
            if not self._is_open:
                self._open()
            picture = self._packer.to_rgb(self._packer.own_picture(frame), "bgr24")
            opencv.imshow(self._title, picture.to_ndarray())
            key = opencv.waitKey(1) & 0xFF
            closed = opencv.getWindowProperty(self._title, opencv.WND_PROP_VISIBLE) < 1
        except opencv.error as error:
            raise SinkError(f"{self.name}: cannot be shown: {_first_line(error)}") from error
        if closed or key in (_ESCAPE, _Q):
            raise SinkError(f"{self.name}: the window was closed")
        self.frames_written += 1
        self.packets_written += 1

    def finish(self) -> None:
        """Close the window."""
        self.abort()

    def abort(self) -> None:
        """Close the window."""
        if self._is_open:
            self._is_open = False
            try:
                self._opencv.destroyWindow(self._title)
            except self._opencv.error:
                return  # it was closed by hand

    def _open(self) -> None:
        height, width = self._video.size
        scale = min(_LARGEST / height, 1.0)
        self._opencv.namedWindow(self._title, self._opencv.WINDOW_NORMAL)
        self._is_open = True
        self._opencv.resizeWindow(self._title, round(width * scale), round(height * scale))


def _opencv(text: str) -> Any:
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise SinkError(
            f"{text}: there is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set); there, "
            "write hls:FOLDER or an address instead"
        )
    try:
        import cv2
    except ImportError as error:
        raise SinkError(f"{text}: windows need OpenCV: {_EXTRA}") from error
    try:
        cv2.namedWindow("streamfx-probe", cv2.WINDOW_NORMAL)
        cv2.destroyWindow("streamfx-probe")
    except cv2.error as error:
        raise SinkError(
            f"{text}: this OpenCV shows no windows (opencv-python-headless?): remove "
            f"opencv-python-headless, then {_EXTRA}; it says: {_first_line(error)}"
        ) from error
    return cv2


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
