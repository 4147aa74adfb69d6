"""Pictures as a source: a numbered sequence, a folder, or a single one."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
from av import VideoFrame

from streamfx.capture.files.geometry import shaped
from streamfx.capture.files.orientation import Filters, turn_of_photo
from streamfx.capture.files.preparation import Preparation, filtered
from streamfx.capture.options import frame_rate, split_options
from streamfx.capture.planar import Planarizer, colour_of
from streamfx.errors import DecodeError, FrameError, SourceOpenError
from streamfx.media.frame import Colour, Frame, Plane, Planes, VideoFormat
from streamfx.media.notes import Converted, LeftOut
from streamfx.media.photo_metadata import is_animated, made_upright, read_exif, read_icc
from streamfx.media.tracks import OtherTracks, Photo

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".tga", ".exr", ".jp2")
_NUMBER = re.compile(r"%(0\d+)?d")
_LOOKED_AT_BYTES = 1 << 16
_OPTIONS = {"rate": "25"}


def is_pictures(text: str) -> bool:
    """Return whether ``text`` names pictures rather than a video: a number pattern, a folder, a pattern of
    names, or a picture file that holds one picture."""
    path = Path(text.partition("?")[0])
    if os.path.isdir(path) or _is_glob(path):
        return True
    if path.suffix.lower() in ENDINGS:
        return not _holds_several(path)
    return bool(_NUMBER.search(path.name)) and not os.path.isfile(path)


class PictureSource:
    """Pictures as frames, in order of their numbers, or of their names for a folder; all stand upright.

    Args:
        text: ``frames/%05d.png``, a folder, ``folder/*.jpg`` or one picture; ``?rate=`` sets frames per
            second (25 when left out).
        preparation: whether alpha is kept, whether pictures of a folder keep their sizes (else all become
            like the first), and their geometry.

    Attributes:
        photos: metadata of the frames' files beside the pixels, by the number of the frame. Grows while
            reading.
        names: names of all files, in order.
        alone: whether each picture stands by itself, and is no frame of a film.
        (the others are those of ``Source``)

    Raises:
        ConfigError: an option is unknown or has no proper value.
        SourceOpenError: there are no such pictures, or the first one cannot be read.
    """

    def __init__(self, text: str, *, preparation: Preparation | None = None) -> None:
        head, options = split_options(text, _OPTIONS)
        rate_fps = frame_rate(text, "rate", options.get("rate", "25"))
        self.name, self.live, self.notes = text, False, list[str]()
        self.other_tracks: OtherTracks | None = None
        self.shortfall = 0
        self.photos: dict[int, Photo] = {}
        path, asked = Path(head), preparation or Preparation()
        self._paths = _find(path, self.notes)
        self.names = [each.name for each in self._paths]
        self.alone = asked.alone and _NUMBER.search(path.name) is None
        self._keeps_alpha, self._geometry = asked.alpha, asked.geometry
        self._index = self._position = 0
        self._closed = threading.Event()
        try:
            first = self._read(self._paths[0])[0]
        except DecodeError as error:
            raise SourceOpenError(str(error)) from error
        self._planarizer = Planarizer(first)
        layout = self._planarizer.layout
        self.notes.extend([layout.note] if layout.note else [])
        shape = VideoFormat(
            size=self._planarizer.size,
            subsampling=layout.subsampling,
            depth=layout.depth,
            colour=_colour(first, self._paths[0]),
            time_base=1 / rate_fps,
            rate_fps=rate_fps,
            frame_count=len(self._paths),
            duration_seconds=float(len(self._paths) / rate_fps),
        )
        self.format = replace(shape, alpha=self._shows_through(self._planarizer, first))

    def read(self) -> Frame | None:
        """Return the next picture, or None at the end or once closed.

        Raises:
            DecodeError: this picture cannot be read; the next call goes on after it.
        """
        if self._closed.is_set() or self._position == len(self._paths):
            return None
        path, pts = self._paths[self._position], self._position
        self._position += 1
        picture, photo = self._read(path)
        try:
            form, planes, alpha = self._planes(picture, path)
        except (av.FFmpegError, FrameError) as error:
            raise DecodeError(f"{path}: cannot be used: {error}") from error
        self.photos[self._index] = photo
        frame = form.frame(
            planes,
            index=self._index,
            pts=pts,
            duration=1,
            captured_ns=time.monotonic_ns(),
            alpha=alpha,
        )
        self._index += 1
        return frame

    def close(self) -> None:
        """End the source: every later read returns None."""
        self._closed.set()

    def _planes(self, picture: VideoFrame, path: Path) -> tuple[VideoFormat, Planes, Plane | None]:
        """Return format, planes and alpha of a picture: its own, or those of the first."""
        if self.alone:
            planarizer = Planarizer(picture)
            form = replace(
                self.format,
                size=planarizer.size,
                subsampling=planarizer.layout.subsampling,
                depth=planarizer.layout.depth,
                colour=_colour(picture, path),
            )
            if self._shows_through(planarizer, picture):
                return form, *planarizer.with_alpha(picture)
            return form, planarizer.planes(picture), None
        if not self._planarizer.fits(picture):
            height, width = self.format.size
            note = f"pictures unlike the first ({width}x{height}) are converted to be like it"
            self._note_once(Converted(note))
        if self.format.alpha:
            return self.format, *self._planarizer.with_alpha(picture)
        return self.format, self._planarizer.planes(picture), None

    def _shows_through(self, planarizer: Planarizer, picture: VideoFrame) -> bool:
        """Return whether a picture's alpha is kept; where it is not, say so."""
        # In a film, later pictures may show through where the first does not.
        film = len(self._paths) > 1 and not self.alone
        if not planarizer.shows_through(picture, seen=not film):
            return False
        if not self._keeps_alpha:
            self._note_once(LeftOut("alpha is left out: the output does not hold it"))
        return self._keeps_alpha

    def _read(self, path: Path) -> tuple[VideoFrame, Photo]:
        """Return a picture, standing upright, and what its file holds beside it."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DecodeError(f"{path}: not a picture that can be read: {error.strerror}") from error
        exif = read_exif(data)
        tags = b"" if path.suffix.lower() in (".tif", ".tiff") else made_upright(exif)
        return self._shaped(_decode(path), turn_of_photo(exif), path), Photo(path.name, tags, read_icc(data))

    def _shaped(self, picture: VideoFrame, turn: Filters, path: Path) -> VideoFrame:
        """Return a picture upright, and cut, turned and scaled as was asked for."""
        try:
            found = shaped(picture, turn, self._geometry, None)
            for note in found.notes:
                self._note_once(Converted(note))
            return filtered(picture, found.filters)
        except (ValueError, av.FFmpegError) as error:
            raise DecodeError(f"{path}: {error}") from error

    def _note_once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _colour(picture: VideoFrame, path: Path) -> Colour:
    return colour_of(picture, "mjpeg" if path.suffix.lower() in (".jpg", ".jpeg") else "")


def _holds_several(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return is_animated(file.read(_LOOKED_AT_BYTES))
    except OSError:
        return False  # what is wrong with it is said when it is opened


def _is_glob(path: Path) -> bool:
    return "*" in path.name and not os.path.lexists(path)


def _find(path: Path, notes: list[str]) -> list[Path]:
    """Return the pictures ``path`` stands for, in order.

    Raises:
        SourceOpenError: there are none.
    """
    if path.is_dir() or _is_glob(path):
        inside = path.iterdir() if path.is_dir() else path.parent.glob(path.name)
        found = sorted((p for p in inside if p.suffix.lower() in ENDINGS and p.is_file()), key=_natural)
        if not found:
            what = "is a folder without pictures" if path.is_dir() else "fits no pictures"
            raise SourceOpenError(f"{path}: {what} ({' '.join(ENDINGS)})")
        return found
    pattern = None if path.is_file() else _NUMBER.search(path.name)
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
