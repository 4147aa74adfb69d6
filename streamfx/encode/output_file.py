"""A file that takes its name when it is complete, and what to say when it cannot be written."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from streamfx.errors import ConfigError, SinkError

_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file size limit is reached",
}


class OutputFile:
    """Written under a hidden name in the folder of ``path``, with the same ending.

    It is written unbuffered (the muxer has a buffer): what was written survives the end of the process.

    Args:
        path: the name it takes in the end.

    Raises:
        OSError: it cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.stem}.partial-{secrets.token_hex(4)}{path.suffix}")
        self.name = str(self.partial)  # PyAV puts it into its messages
        self._raw = self.partial.open("xb", buffering=0)

    def write(self, data: bytes) -> int:
        """Write all of ``data`` and return its length: FFmpeg takes a short write for a whole one."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._raw.write(rest) :]
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position of the next write, and return it."""
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """Return the position of the next write."""
        return self._raw.tell()

    def close(self) -> None:
        """Bring everything to the disk and close. Safe to call twice."""
        if not self._raw.closed:
            try:
                os.fsync(self._raw.fileno())
            finally:
                self._raw.close()

    def complete(self) -> None:
        """Close the file and give it its name, in place of what had it."""
        self.close()
        os.replace(self.partial, self.path)

    def keep(self) -> Path | None:
        """Close a file that could not be completed and give it a visible name beside its own.

        Returns:
            Where it is now; None when there was nothing in it, and it is gone.
        """
        target = self.path.with_name(f"{self.path.stem}.partial{self.path.suffix}")
        with contextlib.suppress(OSError):
            self.close()
        with contextlib.suppress(OSError):
            if self.partial.stat().st_size:
                os.replace(self.partial, target)
                return target
            self.partial.unlink()
        return None

    def remove(self) -> None:
        """Close and delete the file. Safe to call twice."""
        with contextlib.suppress(OSError):
            self.close()
        with contextlib.suppress(OSError):
            self.partial.unlink(missing_ok=True)


def refuse_target(path: Path, source_path: Path | None, overwrite: bool) -> None:
    """Refuse a path that cannot or must not be written.

    Raises:
        ConfigError: it is the source.
        SinkError: a folder, in no folder, there already, or without permission.
    """
    folder = path.absolute().parent
    if path.is_dir():
        raise SinkError(f"{path}: is a folder; give a file name")
    if not folder.is_dir():
        raise SinkError(f"{path}: there is no folder {folder}; create it first")
    if path.exists():
        if source_path is not None and source_path.exists() and path.samefile(source_path):
            raise ConfigError(f"{path}: is the source itself ({source_path}); choose another name")
        if not overwrite:
            raise SinkError(f"{path}: exists already; allow overwriting (--overwrite) or choose another name")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SinkError(f"{path}: no permission to write in {folder}")


def write_problem(error: Exception) -> str:
    """Return why writing failed, in words."""
    text = getattr(error, "strerror", None) or str(error)
    return _NO_ROOM.get(getattr(error, "errno", None) or 0, text)
