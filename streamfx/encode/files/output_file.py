"""A file that takes its name when it is complete, and what to say when it cannot be written."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from io import FileIO
from pathlib import Path

from streamfx.errors import ConfigError, SinkError, TooLarge, TooLargeError
from streamfx.media.paths import (
    beside,
    followed,
    is_written_through,
    name_problem,
    open_through,
    own_descriptor,
    put,
    shown_name,
    visible_beside,
)

_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file size limit is reached",
    errno.EPIPE: "nobody reads it any more",
}


class OutputFile:
    """Written under a hidden name in the folder of ``path``, with the same ending.

    A symbolic link is followed. A device or a pipe is written through instead: it has its name already, and
    there is no moving about in it. What is written is unbuffered (the muxer has a buffer): it survives the
    end of the process.

    Args:
        path: the name it takes in the end.
        replace: whether a file of that name may be replaced.
        written: whether anything is written; else what is given is forgotten.

    Attributes:
        through: whether it is written through.
        partial: place where it is until then.
        size_bytes: number of bytes in it.

    Raises:
        OSError: it cannot be created.
    """

    def __init__(self, path: Path, *, replace: bool = True, written: bool = True) -> None:
        self._forgets = not written
        self.through = is_written_through(path)
        self.path = path if self.through else followed(path)
        self._replace = replace
        self._position = self.size_bytes = 0
        self.partial = self.path if self.through else beside(self.path, f"partial-{secrets.token_hex(4)}")
        self.name = str(self.partial)  # PyAV puts it into its messages
        if self._forgets:
            self._raw = FileIO(os.devnull, "w")
        else:
            self._raw = open_through(path) if self.through else FileIO(self.partial, "x")

    def write(self, data: bytes) -> int:
        """Write all of ``data`` and return its length: FFmpeg takes a short write for a whole one."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._raw.write(rest) or 0 :]
        self._position += len(data)
        self.size_bytes = max(self.size_bytes, self._position)
        return len(data)

    def seekable(self) -> bool:
        """Return whether the position of the next write can be moved."""
        return not self.through

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position of the next write, and return it."""
        if self._forgets:
            start = (0, self._position, self.size_bytes)[whence]
            self._position = start + offset
        else:
            self._position = self._raw.seek(offset, whence)
        return self._position

    def tell(self) -> int:
        """Return the position of the next write."""
        return self._position if self._forgets else self._raw.tell()

    def close(self) -> None:
        """Bring everything to the disk and close. Safe to call twice."""
        if not self._raw.closed:
            try:
                if not (self.through or self._forgets):
                    os.fsync(self._raw.fileno())
            finally:
                self._raw.close()

    def complete(self) -> None:
        """Close the file and give it its name.

        Raises:
            FileExistsError: something has that name by now which is not to be replaced.
            OSError: it cannot be done.
        """
        self.close()
        if not self.through:
            put(self.partial, self.path, replace=self._replace)

    def keep(self) -> Path | None:
        """Close a file that could not be completed and give it a visible name beside its own.

        Returns:
            Path of the file now; None when there was nothing in it, and it is gone.
        """
        with contextlib.suppress(OSError):
            self.close()
        if self.through or self._forgets:
            return None
        with contextlib.suppress(OSError):
            if self.partial.stat().st_size:
                target = visible_beside(self.path, "partial")
                put(self.partial, target, replace=False)
                return target
            self.partial.unlink()
        return None

    def remove(self) -> None:
        """Close and delete the file. Safe to call twice."""
        with contextlib.suppress(OSError):
            self.close()
        if not (self.through or self._forgets):
            with contextlib.suppress(OSError):
                self.partial.unlink(missing_ok=True)


def refuse_target(path: Path, source_path: Path | None, overwrite: bool) -> None:
    """Refuse a path that cannot or must not be written.

    Raises:
        ConfigError: it is the source.
        SinkError: a folder, in no folder, there already, without permission, or its name is too long.
    """
    if problem := name_problem(path):
        raise SinkError(f"{path}: {problem}")
    if (descriptor := own_descriptor(path)) is not None:
        _refuse_descriptor(path, descriptor)
        return
    target = followed(path)
    folder = target.absolute().parent
    if path.is_dir():
        raise SinkError(f"{path}: is a folder; give a file name")
    if not folder.is_dir():
        raise SinkError(f"{path}: there is no folder {folder}; create it first")
    if path.exists() and source_path is not None and source_path.exists() and path.samefile(source_path):
        raise ConfigError(f"{path}: is the source itself ({source_path}); choose another name")
    if is_written_through(path):
        if not os.access(path, os.W_OK):
            raise SinkError(f"{path}: no permission to write to it")
        return
    if path.exists() and not overwrite:
        raise SinkError(f"{path}: exists already; allow overwriting (--overwrite) or choose another name")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SinkError(f"{path}: no permission to write in {folder}")


def _refuse_descriptor(path: Path, descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError as error:
        raise SinkError(f"{shown_name(path)}: is not open: {error.strerror}") from error
    if os.isatty(descriptor):
        raise SinkError(
            f"{shown_name(path)}: is a terminal, which shows no films; send it into a pipe or a file"
        )


def refuse_too_large(
    file: OutputFile, most_bytes: int | None, picture_bytes: int, shown_seconds: float
) -> None:
    """Remove a file that is complete but for its name, and larger than it may be.

    Args:
        file: the file.
        most_bytes: size that it may have; None: any.
        picture_bytes: bytes of pictures in it.
        shown_seconds: time for which they are shown.

    Raises:
        TooLargeError: it is larger.
    """
    size_bytes = file.partial.stat().st_size
    if most_bytes is not None and size_bytes > most_bytes:
        file.remove()
        raise TooLargeError(
            f"{file.path}: would be {size_bytes} bytes large, and {most_bytes} are allowed",
            TooLarge(size_bytes, picture_bytes, shown_seconds),
        )


def write_problem(error: Exception) -> str:
    """Return why writing failed, in words."""
    text = getattr(error, "strerror", None) or str(error)
    return _NO_ROOM.get(getattr(error, "errno", None) or 0, text)
