"""Pictures as output, of any kind there is: numbered, a single one, or named as the source's."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from streamfx.encode.containers import CONTAINERS
from streamfx.encode.encoding import Encoding
from streamfx.encode.files.lost_tags import tags_without_a_place
from streamfx.encode.files.picture_file import PictureWriter
from streamfx.encode.files.picture_kinds import ENDINGS, kind_of
from streamfx.encode.tracks.asked import refuse_beside_pictures
from streamfx.errors import ConfigError, SinkError
from streamfx.media.frame import Frame, VideoFormat
from streamfx.media.notes import Converted, LeftOut
from streamfx.media.paths import beside, followed, is_written_through, name_problem, open_through, put
from streamfx.media.tracks import OtherTracks, Photo

_NUMBER = re.compile(r"%(0\d+)?d")
_FOLDER_PATTERN = "%05d.png"
_WRITERS = 8  # formats of pictures for which an encoder stays open


@dataclass(frozen=True, slots=True)
class Photos:
    """The picture files that frames come from.

    Attributes:
        names: names of all, in order, without folders.
        files: metadata beside the pixels, by the number of the frame.
    """

    names: Sequence[str]
    files: Mapping[int, Photo]


def is_pictures(text: str) -> bool:
    """Return whether ``text`` names pictures: a number pattern, a folder, or a file ending of pictures."""
    path = Path(text)
    ending = path.suffix.lower()
    is_pattern = bool(_NUMBER.search(path.name)) and ending not in CONTAINERS
    return is_pattern or ending in ENDINGS or takes_any_size(text)


def is_still(text: str, video: VideoFormat) -> bool:
    """Return whether ``text`` names pictures, and no animation of several frames in one file.

    Args:
        text: the output.
        video: format of the frames, which says how many there are.
    """
    several = video.frame_count != 1 and Path(text).suffix.lower() in CONTAINERS
    numbered = _NUMBER.search(Path(text).name) is not None
    return is_pictures(text) and (numbered or takes_any_size(text) or not several)


def takes_any_size(text: str) -> bool:
    """Return whether ``text`` names a folder, in which each picture may have its own size and name."""
    return text.endswith("/") or os.path.isdir(text)


class PictureSink:
    """Writes each frame as a picture. Each appears under its name only when it is complete.

    Args:
        text: ``out/%05d.png``, numbered from 1; one file name for a single picture; or a folder,
            which gets the names of ``photos``, or without those ``%05d.png``.
        video: format of the frames; in a folder each frame may have its own.
        photos: the files that frames come from; None where they come from none.
        other_tracks: tracks and tags of a film beside its pictures, which are left out; None without.
        encoding: encoding, whose quality is that of the kind of picture; see `picture_kinds`.

    Raises:
        ConfigError: not a kind of picture that can be written, or a quality it does not have.
        SinkError: the folder is missing or cannot be written to, or pictures are there already.
    """

    def __init__(
        self,
        text: str,
        video: VideoFormat,
        *,
        photos: Photos | None = None,
        other_tracks: OtherTracks | None = None,
        encoding: Encoding | None = None,
    ) -> None:
        path, folder = Path(text), takes_any_size(text)
        encoding = encoding or Encoding()
        quality, overwrite = encoding.quality, encoding.overwrite
        refuse_beside_pictures(encoding.tracks, text)
        if encoding.bits_per_second is not None:
            raise ConfigError(f"{text}: pictures have no bit rate; leave it out, or write a video file: .mp4")
        self.name, self.notes = text, list[str]()
        self.frames_written = self.packets_written = self.bytes_written = 0
        self._photos = photos
        if other_tracks is not None:
            self.notes += [
                LeftOut(f"{stream} is left out: pictures hold none") for stream in other_tracks.streams
            ]
            self.notes += tags_without_a_place(other_tracks, (), "a picture")
        self._named: dict[str, Path] = {}
        self._video, self._quality, self._overwrite = video, quality, overwrite
        self._writers: OrderedDict[tuple[VideoFormat, str], PictureWriter] = OrderedDict()
        if folder and photos is not None:
            self._named = _targets(path, photos.names, self.notes)
        self._path = path / _FOLDER_PATTERN if folder else path
        if not self._named:
            self._writer(video, self._path)  # refuses what cannot be
        elif quality is not None and not any(map(has_quality, self._named.values())):
            raise ConfigError(f"PNG has no quality setting; leave quality={quality} out")
        self._one_only = not folder and _NUMBER.search(path.name) is None
        if self._one_only and (video.frame_count or 1) > 1:
            raise ConfigError(
                f"{path}: names one picture, and there are {video.frame_count} frames; "
                f"write {path.stem}%05d{path.suffix}"
            )
        first = self._named.values() if self._named else [self._numbered(1)]
        prepare_folder(self._path, list(first), overwrite, create=encoding.written)

    def write(self, frame: Frame) -> None:
        """Write one frame as the next picture.

        Raises:
            SinkError: it cannot be written, or a second picture comes for a single file name. Those written
                stay.
        """
        number = self.frames_written + 1
        if self._one_only and number > 1:
            raise SinkError(
                f"{self._path}: names one picture, and a second frame came; "
                f"write {self._path.stem}%05d{self._path.suffix}"
            )
        photo = self._photos.files.get(frame.index) if self._photos else None
        target = self._named[photo.name] if photo is not None and self._named else self._numbered(number)
        try:
            writer = self._writer(self._video if _is_like(frame, self._video) else frame.format, target)
            data = writer.written(frame, photo)
            self.notes.extend(note for note in writer.notes if note not in self.notes)
            self._place(data, target)
        except FileExistsError as error:
            raise SinkError(f"{target}: appeared meanwhile, and is not replaced") from error
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SinkError(f"{target}: cannot be written: {reason}") from error
        self.frames_written = self.packets_written = number
        self.bytes_written += len(data)

    def finish(self) -> None:
        """Do nothing: every picture is complete already."""

    def abort(self) -> None:
        """Do nothing: what is there is complete, and stays."""

    def _place(self, data: bytes, target: Path) -> None:
        """Write a picture, whole or not at all, where its name leads."""
        if is_written_through(target):
            with open_through(target) as device:
                device.write(data)
            return
        target = followed(target)
        partial = beside(target, f"partial-{secrets.token_hex(4)}")
        try:
            partial.write_bytes(data)
            put(partial, target, replace=self._overwrite)
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def _numbered(self, number: int) -> Path:
        name = _NUMBER.sub(lambda m: f"%{m[1] or ''}d" % number, self._path.name)
        return self._path.with_name(name)

    def _writer(self, video: VideoFormat, target: Path) -> PictureWriter:
        """Return what writes pictures of a format into files of the kind of ``target``."""
        key = (video, target.suffix.lower())
        writer = self._writers.pop(key, None)
        if writer is None:
            quality = self._quality if has_quality(target) or not self._named else None
            writer = PictureWriter(target, video, quality)
            self.notes.extend(note for note in writer.notes if note not in self.notes)
        self._writers[key] = writer
        if len(self._writers) > _WRITERS:
            self._writers.popitem(last=False)
        return writer


def has_quality(path: Path) -> bool:
    """Return whether pictures of a kind have a quality setting.

    Raises:
        ConfigError: none that can be written.
    """
    return kind_of(path).qualities is not None


def _is_like(frame: Frame, video: VideoFormat) -> bool:
    found = (frame.size, frame.subsampling, frame.depth, frame.colour, frame.alpha is not None)
    return found == (video.size, video.subsampling, video.depth, video.colour, video.alpha)


def _targets(folder: Path, names: Sequence[str], notes: list[str]) -> dict[str, Path]:
    """Return under which name each picture is written: its own, as PNG where its kind cannot be written."""
    targets: dict[str, Path] = {}
    others = [name for name in names if Path(name).suffix.lower() not in ENDINGS]
    for name in names:
        if name not in others:
            targets[name] = folder / name
            continue
        png = f"{Path(name).stem}.png"
        taken = png in names or any(path.name == png for path in targets.values())
        targets[name] = folder / (f"{name}.png" if taken else png)
    if others:
        kinds = ", ".join(sorted({Path(name).suffix.lower() for name in others}))
        notes.append(Converted(f"pictures of the kind {kinds} are written as PNG"))
    return targets


def prepare_folder(path: Path, targets: Sequence[Path], overwrite: bool, *, create: bool = True) -> None:
    """Create the folder where its parent exists; refuse what cannot or must not be written.

    Without ``create``, only refuse what would be.
    """
    folder = path.absolute().parent
    if not folder.is_dir() and not create:
        above = folder.parent
        if folder.exists() or not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise SinkError(f"{path}: the folder {folder} cannot be created in {above}")
        return
    if not folder.is_dir():
        try:
            folder.mkdir()
        except OSError as error:
            raise SinkError(f"{path}: the folder {folder} cannot be created: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SinkError(f"{path}: no permission to write in {folder}")
    if long := next((problem for target in targets if (problem := name_problem(target))), None):
        raise SinkError(f"{path}: {long}")
    there = next((each for each in targets if each.exists() and not is_written_through(each)), None)
    if not overwrite and there is not None:
        raise SinkError(f"{there}: exists already; allow overwriting (--overwrite) or choose another name")
