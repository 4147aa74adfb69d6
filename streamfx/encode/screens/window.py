"""A window on the screen, in a process of its own (the extra ``window``)."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Sequence

from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from streamfx.encode.pixels import AV_RANGES, Packer
from streamfx.encode.screens.window_process import WindowTask
from streamfx.errors import SinkClosedError, SinkError
from streamfx.media.frame import Frame, VideoFormat
from streamfx.media.paths import import_path

_EXTRA = "pip install 'streamfx[window]'"
_PROGRAM = (sys.executable, "-P", "-m", "streamfx.encode.screens.window_process")
_LARGEST = 1080  # rows; a larger picture would not fit on the screen
_OPEN_SECONDS = 15.0
_SHOW_SECONDS = 5.0
_CLOSE_SECONDS = 1.0


class WindowSink:
    """Shows frames in a window: ``window:`` or ``window:TITLE``. Closing it, q or Esc ends the output.

    The window belongs to another process (see ``window_process.py``): whatever hangs there, writing has a
    time limit, and that process can be ended.

    Args:
        text: the output as the user wrote it.
        video: format of the frames.
        program: program that shows the window; None: that of streamfx.

    Raises:
        SinkError: the library is missing, or there is no screen.
    """

    def __init__(self, text: str, video: VideoFormat, program: Sequence[str] | None = None) -> None:
        self.name = text
        self.notes: list[str] = []
        self.frames_written = self.packets_written = 0
        if program is None:
            check_screen(text)
        height, width = _shown_size(video)
        self._task = WindowTask(text.partition(":")[2] or "streamfx", width, height)
        self._video, self._packer = video, Packer(video, "", video.colour.code_range)
        self._reformatter = VideoReformatter()
        self._window = _Window(self._task, program or _PROGRAM)
        if not self._window.wait_until_open(_OPEN_SECONDS):
            problem = self._window.problem or "the window did not open in time"
            self.abort()
            raise SinkError(f"{self.name}: {problem}")

    def write(self, frame: Frame) -> None:
        """Show one frame.

        Raises:
            SinkClosedError: the window was closed.
            SinkError: it does not answer, or is gone.
        """
        picture = self._packer.own_picture(frame)
        colour = self._video.colour.assumed(self._video.size[0])
        picture.colorspace, picture.color_range = int(colour.matrix), AV_RANGES[colour.code_range]
        rgb = self._reformatter.reformat(
            picture,
            width=self._task.width,
            height=self._task.height,
            format="rgb24",
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.BICUBIC,
        )
        if not self._window.give(rgb.to_ndarray().tobytes(), _SHOW_SECONDS):
            if self._window.was_closed:
                raise SinkClosedError(f"{self.name}: the window was closed")
            raise SinkError(f"{self.name}: {self._window.problem or 'the window does not answer'}")
        self.frames_written += 1
        self.packets_written += 1

    def finish(self) -> None:
        """Close the window."""
        self._window.close()

    def abort(self) -> None:
        """Close the window."""
        self._window.close()


class _Window:
    """The process that has the window, and the thread that speaks with it."""

    def __init__(self, task: WindowTask, program: Sequence[str]) -> None:
        self.problem: str | None = None
        self.was_closed = False
        self._state = threading.Condition()
        self._open = self._ended = False
        self._picture: bytes | None = None  # the next one
        self._process = subprocess.Popen(
            list(program),
            env=os.environ | {"PYTHONPATH": import_path(), "PYGAME_HIDE_SUPPORT_PROMPT": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for the run, which ends the window
        )
        self._thread = threading.Thread(target=self._speak, args=(task,), name="streamfx-window", daemon=True)
        self._thread.start()

    def wait_until_open(self, limit_seconds: float) -> bool:
        """Return whether the window is there, within a time."""
        with self._state:
            self._state.wait_for(lambda: self._open or self._ended, limit_seconds)
            return self._open and not self._ended

    def give(self, picture: bytes, limit_seconds: float) -> bool:
        """Have a picture shown once the one before is; return whether that was done in time."""
        with self._state:
            taken = self._state.wait_for(lambda: self._picture is None or self._ended, limit_seconds)
            if not taken or self._ended:
                return False
            self._picture = picture
            self._state.notify_all()
            return True

    def close(self) -> None:
        """Close the window, at once where it does not do so by itself. May be called twice."""
        with self._state:
            self._ended = True
            self._state.notify_all()
        self._thread.join(_CLOSE_SECONDS)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _speak(self, task: WindowTask) -> None:
        answers, pictures = self._process.stdout, self._process.stdin
        assert answers is not None
        assert pictures is not None
        try:
            pictures.write(task.line())
            while self._is_well(answers.readline().decode(errors="replace").strip()):
                with self._state:
                    self._state.wait_for(lambda: self._picture is not None or self._ended)
                    if self._ended:
                        break
                    picture, self._picture = self._picture, None
                    self._state.notify_all()
                rest = memoryview(picture or b"")
                while rest:
                    rest = rest[pictures.write(rest) :]
        except OSError:  # it takes no more; perhaps it has said why
            while self._is_well(answers.readline().decode(errors="replace").strip()):
                pass
        with contextlib.suppress(OSError):
            pictures.close()  # at which the process ends
        with self._state:
            self._ended = True
            self._state.notify_all()

    def _is_well(self, answer: str) -> bool:
        """Take an answer of the process; return whether the window is there."""
        if answer == "closed":
            self.problem, self.was_closed = "the window was closed", True
        elif answer.startswith("error "):
            self.problem = f"cannot be shown: {answer.removeprefix('error ')}"
        elif answer not in ("ready", "shown"):
            self.problem = self.problem or "the window is gone"
        with self._state:
            self._open = self._open or answer == "ready"
            self._state.notify_all()
        return self.problem is None


def check_screen(text: str) -> None:
    """Refuse a window where none can be had.

    Raises:
        SinkError: there is no screen, or the library is missing.
    """
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, screens)):
        raise SinkError(
            f"{text}: there is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set); there, "
            "write hls:FOLDER or an address instead"
        )
    if importlib.util.find_spec("pygame") is None:
        raise SinkError(f"{text}: windows need pygame-ce: {_EXTRA}")


def _shown_size(video: VideoFormat) -> tuple[int, int]:
    """Return the (height, width) that frames are shown at, with square pixels."""
    height, width = video.size
    wide = width * float(video.sample_aspect_ratio or 1)
    scale = min(1.0, _LARGEST / height)
    return max(round(height * scale), 1), max(round(wide * scale), 1)
