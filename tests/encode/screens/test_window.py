"""The window: in a process of its own, so that neither it nor its library holds the run up."""

from __future__ import annotations

import importlib.util
import io
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import streamfx
from streamfx.capture.opening import open_source
from streamfx.encode.opening import open_sink
from streamfx.encode.screens import window
from streamfx.encode.screens.window import WindowSink
from streamfx.encode.screens.window_process import WindowTask, show
from streamfx.errors import SinkClosedError, SinkError
from streamfx.media.frame import Frame
from tests.servers import wait_until

SOURCE = "test:bars?size=96x64&frames=0"
PROGRAM = Path(__file__).parents[2] / "fake_window.py"


def program(seen: Path, what: str, count: int) -> list[str]:
    """Return a command that has no window, but says what one would."""
    return [sys.executable, str(PROGRAM), str(seen), what, str(count)]


@pytest.fixture
def frames() -> Iterator[Frame]:
    return iter(open_source(SOURCE).read, None)


def no_process_is_left(sink: WindowSink) -> bool:
    return sink._window._process.poll() is not None


def test_a_window_shows_frames_until_it_is_closed(tmp_path: Path, frames: Iterator[Frame]) -> None:
    seen = tmp_path / "seen"
    sink = WindowSink("window:Before", open_source(SOURCE).format, program(seen, "close", 3))

    def write_on() -> None:
        while True:
            sink.write(next(frames))

    with pytest.raises(SinkClosedError, match=r"^window:Before: the window was closed$"):
        write_on()
    sink.abort()
    assert no_process_is_left(sink)
    title, *pictures = seen.read_text().splitlines()
    assert title == "Before"
    # The first cell of the stamp is white: 235 by BT.709 limited range, 255 on the screen.
    assert pictures == [f"{96 * 64 * 3} ffffff"] * 3
    assert 3 <= sink.frames_written <= 5


def test_the_end_of_the_run_closes_the_window(tmp_path: Path, frames: Iterator[Frame]) -> None:
    sink = WindowSink("window:", open_source(SOURCE).format, program(tmp_path / "seen", "close", 99))
    sink.write(next(frames))
    sink.finish()
    sink.abort()
    assert no_process_is_left(sink)


def test_a_window_that_hangs_ends_the_output_and_nothing_else(
    tmp_path: Path, frames: Iterator[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "_SHOW_SECONDS", 0.3)
    monkeypatch.setattr(window, "_CLOSE_SECONDS", 0.05)
    sink = WindowSink("window:", open_source(SOURCE).format, program(tmp_path / "seen", "hang", 1))

    def write_on() -> None:
        while True:
            sink.write(next(frames))

    with pytest.raises(SinkError, match=r"^window:: the window does not answer$"):
        write_on()
    sink.abort()
    assert no_process_is_left(sink)


@pytest.mark.parametrize(
    ("what", "count", "message"),
    [
        ("crash", 1, "the window is gone"),
        ("break", 1, "cannot be shown: the compositor has gone"),
    ],
)
def test_why_a_window_has_gone_is_said(
    tmp_path: Path, frames: Iterator[Frame], what: str, count: int, message: str
) -> None:
    sink = WindowSink("window:", open_source(SOURCE).format, program(tmp_path / "seen", what, count))

    def write_on() -> None:
        while True:
            sink.write(next(frames))

    with pytest.raises(SinkError, match=f"^window:: {message}$"):
        write_on()
    sink.abort()


@pytest.mark.parametrize(
    ("what", "message"),
    [("error", "cannot be shown: no display"), ("deaf", "the window did not open in time")],
)
def test_a_window_that_does_not_come_to_be_is_refused(
    tmp_path: Path, what: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "_OPEN_SECONDS", 60 if what == "error" else 0.2)
    monkeypatch.setattr(window, "_CLOSE_SECONDS", 0.05)
    with pytest.raises(SinkError, match=f"^window:: {message}$"):
        WindowSink("window:", open_source(SOURCE).format, program(tmp_path / "seen", what, 0))


def test_pictures_are_shown_with_square_pixels_and_fit_a_screen() -> None:
    video = replace(open_source(SOURCE).format, size=(2160, 3840))
    assert window._shown_size(video) == (1080, 1920)
    assert window._shown_size(replace(video, size=(576, 720), sample_aspect_ratio=Fraction(16, 15))) == (
        576,
        768,
    )


def test_without_a_screen_or_library_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    video = open_source(SOURCE).format
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(SinkError, match="window:: there is no screen here"):
        open_sink("window:", format=video)
    monkeypatch.setenv("DISPLAY", ":77")
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(SinkError, match=r"windows need pygame-ce: pip install 'streamfx\[window\]'"):
        open_sink("window:", format=video)


class FakeSdl:
    """What of pygame is used."""

    QUIT, KEYDOWN, K_ESCAPE, K_q, RESIZABLE = 256, 768, 27, 113, 16

    class error(Exception):
        """pygame's error."""

    def __init__(self, driver: str = "x11", room: tuple[int, int] = (1280, 800)) -> None:
        self.threads: set[str] = set()
        self.size, self.events, self.blits = room, list[Any](), list[Any]()
        self.display = SimpleNamespace(
            init=self._called,
            get_driver=lambda: driver,
            get_desktop_sizes=lambda: [room],
            set_mode=self._set_mode,
            set_caption=self._called,
            get_surface=lambda: self,
            flip=self._called,
        )
        self.event = SimpleNamespace(get=lambda: [self.events.pop(0)] if self.events else [])
        self.image = SimpleNamespace(frombuffer=lambda picture, size, form: (len(picture), size, form))
        self.transform = SimpleNamespace(smoothscale=lambda shown, size: (*shown, size))

    def get_size(self) -> tuple[int, int]:
        return self.size

    def fill(self, colour: object) -> None:
        self._called()

    def blit(self, shown: object, at: list[int]) -> None:
        self.blits.append((shown, at))

    def _set_mode(self, size: tuple[int, int], flags: int) -> FakeSdl:
        self.size = size
        return self

    def _called(self, *_arguments: object) -> None:
        self.threads.add(threading.current_thread().name)


def test_the_library_is_used_by_one_thread_and_pictures_are_fitted_into_the_window() -> None:
    sdl, said = FakeSdl(), io.StringIO()
    pictures: queue.Queue[bytes | None] = queue.Queue()
    for _ in range(2):
        pictures.put(bytes(1920 * 1080 * 3))
    pictures.put(None)
    show(WindowTask("x", 1920, 1080), pictures, said, sdl)
    assert said.getvalue().split() == ["ready", "shown", "shown"]
    assert sdl.threads == {threading.current_thread().name}
    assert sdl.size == (1280, 720), "no larger than the screen"
    assert sdl.blits[0] == ((1920 * 1080 * 3, (1920, 1080), "RGB", (1280, 720)), [0, 0])


@pytest.mark.parametrize("how", ["closed", "q", "escape"])
def test_closing_q_and_escape_end_it(how: str) -> None:
    sdl, said = FakeSdl(), io.StringIO()
    key = {"q": FakeSdl.K_q, "escape": FakeSdl.K_ESCAPE}.get(how)
    sdl.events = [SimpleNamespace(type=FakeSdl.QUIT if key is None else FakeSdl.KEYDOWN, key=key)]
    show(WindowTask("x", 96, 64), queue.Queue(), said, sdl)
    assert said.getvalue().split() == ["ready", "closed"]


def test_a_window_that_nobody_sees_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    sdl = FakeSdl(driver="offscreen")
    with pytest.raises(FakeSdl.error, match="there is no screen"):
        show(WindowTask("x", 96, 64), queue.Queue(), io.StringIO(), sdl)


needs_pygame = pytest.mark.skipif(
    importlib.util.find_spec("pygame") is None, reason="pygame-ce is not installed"
)


@needs_pygame
def test_frames_go_into_a_real_window_that_nobody_sees(
    frames: Iterator[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    sink = open_sink("window:", format=open_source(SOURCE).format)
    for _ in range(5):
        assert sink.write(next(frames)) is None
    sink.finish()
    assert sink.frames_written == 5


@pytest.mark.slow
@needs_pygame
@pytest.mark.parametrize("server", ["x11", "wayland"])
@pytest.mark.usefixtures("at_home")
def test_a_live_run_shows_a_window_on_a_real_screen(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with screen(server, tmp_path, monkeypatch):
        report = streamfx.live(
            "test:bars?size=320x180&fps=20&live=1&frames=30",
            ["window:", "out.mkv"],
            effects=["tiny"],
            factor=2,
        )
    assert report.exit_code == 0, report.summary()
    assert report.outputs[0].frames_written > 10


class screen:
    """A screen that nobody sees: Xvfb, or Weston without a back end."""

    def __init__(self, server: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
        if server == "x11":
            monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
            self._socket = Path("/tmp/.X11-unix/X93")
            self._command = ["Xvfb", ":93", "-screen", "0", "1280x800x24"]
            monkeypatch.setenv("DISPLAY", ":93")
        else:
            monkeypatch.delenv("DISPLAY", raising=False)
            monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
            monkeypatch.setenv("WAYLAND_DISPLAY", "streamfx")
            folder.chmod(0o700)
            self._socket = folder / "streamfx"
            self._command = ["weston", "--backend=headless-backend.so", "--socket=streamfx", "--idle-time=0"]

    def __enter__(self) -> None:
        try:
            self._process = subprocess.Popen(
                self._command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except FileNotFoundError:
            pytest.skip(f"{self._command[0]} is not installed")
        wait_until(self._socket.exists)
        time.sleep(0.2)  # the socket is there a moment before the server

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
