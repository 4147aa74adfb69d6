"""The process that has the window: ``python -m streamfx.encode.screens.window_process``.

A library of windows wants the first thread of its process on some systems, and the same thread always on all;
some do not get along with FFmpeg's libraries, and one that hangs must not hang the run. So the window has a
process of its own. Standard input brings the task, one line of JSON, and then pictures: RGB, three bytes a
pixel, row by row. Standard output says ``ready``, ``shown`` after each picture, and at the end ``closed`` or
``error REASON``.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from dataclasses import asdict, dataclass
from typing import IO, Any

_LOOK_MS = 10  # how often the window is served while no picture comes
_UNSEEN = ("dummy", "offscreen")  # ways of SDL to have a window that nobody sees


@dataclass(frozen=True, slots=True)
class WindowTask:
    """What is to be shown.

    Attributes:
        title: title of the window.
        width: width of the pictures, in pixels.
        height: height of the pictures, in pixels.
    """

    title: str
    width: int
    height: int

    @property
    def picture_bytes(self) -> int:
        """Size of a picture."""
        return self.width * self.height * 3

    def line(self) -> bytes:
        """Return the task as the first line of the process's input."""
        return json.dumps(asdict(self)).encode() + b"\n"


def show(task: WindowTask, pictures: queue.Queue[bytes | None], say: IO[str], sdl: Any) -> None:
    """Show pictures until there are no more or the window is closed; for the first thread of the process.

    Args:
        task: title, size and pictures of the window.
        pictures: pictures as they come; None at their end.
        say: place where it is said how things stand.
        sdl: pygame.

    Raises:
        sdl.error: there is no screen.
    """
    sdl.display.init()
    if sdl.display.get_driver() in _UNSEEN and not os.environ.get("SDL_VIDEODRIVER"):
        raise sdl.error("there is no screen")
    size = task.width, task.height
    screen = sdl.display.set_mode(_fitting(size, sdl.display.get_desktop_sizes()[0]), sdl.RESIZABLE)
    sdl.display.set_caption(task.title)
    _tell(say, "ready")
    while True:
        for event in sdl.event.get():
            left = event.type == sdl.KEYDOWN and event.key in (sdl.K_ESCAPE, sdl.K_q)
            if left or event.type == sdl.QUIT:
                _tell(say, "closed")
                return
        try:
            picture = pictures.get(timeout=_LOOK_MS / 1000)
        except queue.Empty:
            continue
        if picture is None:
            return
        screen = sdl.display.get_surface()
        shown = sdl.image.frombuffer(picture, size, "RGB")
        inner = _fitting(size, screen.get_size(), enlarge=True)
        if inner != size:
            shown = sdl.transform.smoothscale(shown, inner)
        screen.fill((0, 0, 0))
        screen.blit(
            shown, [(outer - part) // 2 for outer, part in zip(screen.get_size(), inner, strict=True)]
        )
        sdl.display.flip()
        _tell(say, "shown")


def _fitting(size_wh: tuple[int, int], room_wh: tuple[int, int], *, enlarge: bool = False) -> tuple[int, int]:
    """Return the (width, height) of the same shape that has room.

    Example:
        >>> _fitting((1920, 1080), (1280, 1024)), _fitting((64, 36), (640, 640))
        ((1280, 720), (64, 36))
    """
    scale = min(room / side for side, room in zip(size_wh, room_wh, strict=True))
    scale = scale if enlarge else min(scale, 1.0)
    width, height = (max(round(side * scale), 1) for side in size_wh)
    return width, height


def _tell(say: IO[str], what: str) -> None:
    say.write(f"{what}\n")
    say.flush()


def _read(task: WindowTask, source: IO[bytes], pictures: queue.Queue[bytes | None]) -> None:
    while len(picture := source.read(task.picture_bytes)) == task.picture_bytes:
        pictures.put(picture)
    pictures.put(None)


def main() -> int:
    """Do what the first line of standard input says; return the exit code."""
    say = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer of ours
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    source = sys.stdin.buffer
    task = WindowTask(**json.loads(source.readline()))
    pictures: queue.Queue[bytes | None] = queue.Queue(1)
    threading.Thread(target=_read, args=(task, source, pictures), daemon=True).start()
    try:
        import pygame

        show(task, pictures, say, pygame)
    except ImportError as error:
        _tell(say, f"error {error}")
        return 1
    except pygame.error as error:
        _tell(say, f"error {error}")
        return 1
    return 0


if __name__ == "__main__":
    # Not by way of sys.exit: a thread may still wait for pictures, and libraries for one another.
    code = main()
    sys.stdout.flush()
    os._exit(code)
