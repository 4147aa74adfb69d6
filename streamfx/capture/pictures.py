"""Pictures as a source: a numbered sequence, a folder, or a single one."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
from av import VideoFrame

from streamfx.capture.options import frame_rate, split_options
from streamfx.capture.planar import Planarizer, colour_of
from streamfx.errors import DecodeError, FrameError, SourceOpenError
from streamfx.extras import Extras
from streamfx.frame import Frame, VideoFormat

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".tga", ".exr", ".jp2")
_NUMBER = re.compile(r"%(0\d+)?d")
_OPTIONS = {"rate": "25"}


def is_pictures(text: str) -> bool:
    """Return whether ``text`` names pictures rather than a video: a number pattern, a folder or a picture
    file."""
    path = Path(text.partition("?")[0])
    return bool(_NUMBER.search(path.name)) or path.suffix.lower() in ENDINGS or path.is_dir()


class PictureSource:
    """Pictures as frames, in order of their numbers, or of their names for a folder.

    Args:
        text: ``frames/%05d.png``, a folder or one picture; ``?rate=`` sets frames per second (25 when left
            out).

    Raises:
        ConfigError: an option is unknown or has no proper value.
        SourceOpenError: there are no such pictures, or the first one cannot be read.
    """

    def __init__(self, text: str) -> None:
        head, options = split_options(text, _OPTIONS)
        rate_fps = frame_rate(text, "rate", options.get("rate", "25"))
        self.name, self.live, self.notes = text, False, list[str]()
        self.extras: Extras | None = None
        self.shortfall = 0
        self._paths = _find(Path(head), self.notes)
        self._index = self._position = 0
        self._closed = threading.Event()
        try:
            first = _decode(self._paths[0])
        except DecodeError as error:
            raise SourceOpenError(str(error)) from error
        self._planarizer = Planarizer(first)
        layout = self._planarizer.layout
        self.notes.extend([layout.note] if layout.note else [])
        self.format = VideoFormat(
            size=self._planarizer.size,
            subsampling=layout.subsampling,
            depth=layout.depth,
            colour=colour_of(first, "mjpeg" if self._paths[0].suffix.lower() in (".jpg", ".jpeg") else ""),
            time_base=1 / rate_fps,
            rate_fps=rate_fps,
            rotation_degrees=round(first.rotation / 90) * 90,
            frame_count=len(self._paths),
            duration_seconds=float(len(self._paths) / rate_fps),
        )

    def read(self) -> Frame | None:
        """Return the next picture, or None at the end or once closed.

        Raises:
            DecodeError: this picture cannot be read; the next call goes on after it.
        """
        if self._closed.is_set() or self._position == len(self._paths):
            return None
        path, pts = self._paths[self._position], self._position
        self._position += 1
        picture = _decode(path)
        if not self._planarizer.fits(picture):
            height, width = self.format.size
            self._note_once(f"pictures unlike the first ({width}x{height}) are converted to be like it")
        try:
            planes = self._planarizer.planes(picture)
        except (av.FFmpegError, FrameError) as error:
            raise DecodeError(f"{path}: cannot be used: {error}") from error
        frame = self.format.frame(
            planes,
            index=self._index,
            pts=pts,
            duration=1,
            captured_ns=time.monotonic_ns(),
        )
        self._index += 1
        return frame

    def close(self) -> None:
        """End the source: every later read returns None."""
        self._closed.set()

    def _note_once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _find(path: Path, notes: list[str]) -> list[Path]:
    """Return the pictures ``path`` stands for, in order.

    Raises:
        SourceOpenError: there are none.
    """
    if path.is_dir():
        found = sorted((p for p in path.iterdir() if p.suffix.lower() in ENDINGS), key=_natural)
        if not found:
            raise SourceOpenError(f"{path}: is a folder without pictures ({' '.join(ENDINGS)})")
        return found
    pattern = _NUMBER.search(path.name)
    if pattern is None:
        if not path.is_file():
            raise SourceOpenError(f"{path}: no such file in {path.absolute().parent}")
        return [path]
    if not path.parent.is_dir():
        raise SourceOpenError(f"{path}: there is no folder {path.absolute().parent}")
    before, after = path.name[: pattern.start()], path.name[pattern.end() :]
    width = int(pattern[1] or 1)
    numbered = re.compile(re.escape(before) + rf"(\d{{{width},}})" + re.escape(after))
    numbers = {int(m[1]): p for p in path.parent.iterdir() if (m := numbered.fullmatch(p.name))}
    if not numbers:
        raise SourceOpenError(f"{path}: no picture of that pattern in {path.absolute().parent}")
    order = sorted(numbers)
    missing = order[-1] - order[0] + 1 - len(order)
    if missing:
        gap = next(a + 1 for a, b in pairwise(order) if b > a + 1)
        notes.append(f"{missing} numbers are missing in the sequence, the first is {gap}; the rest closes up")
    return [numbers[number] for number in order]


def _natural(path: Path) -> list[tuple[int, str]]:
    """Return a sort key that puts picture2 before picture10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _decode(path: Path) -> VideoFrame:
    try:
        with av.open(f"file:{path.absolute()}", "r", metadata_errors="surrogateescape") as file:
            return next(_frames(file))
    except StopIteration as error:
        raise DecodeError(f"{path}: no picture in it") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DecodeError(f"{path}: not a picture that can be read: {reason}") from error


def _frames(file: av.container.InputContainer) -> Iterator[VideoFrame]:
    yield from file.decode(video=0)
