"""A journal: lines of JSON with a checksum each, on the disk before anything relies on them."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from streamfx.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Entry = dict[str, Any]


def has_locks() -> bool:
    """Return whether the system has locks that keep two runs off one journal."""
    return fcntl is not None


def checked_line(entry: Mapping[str, Any]) -> str:
    r"""Return an entry as a line of a journal.

    Example:
        >>> checked_line({"segment": 3})
        '5eba8315 {"segment": 3}\n'
    """
    text = json.dumps(entry)
    return f"{zlib.crc32(text.encode()):08x} {text}\n"


def read_journal(path: Path) -> list[Entry]:
    """Return the entries up to the first that is not whole: a line torn by a crash ends what is known.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    entries = []
    for line in path.read_bytes().split(b"\n"):
        checksum, _, text = line.partition(b" ")
        if checksum != f"{zlib.crc32(text):08x}".encode():
            break
        entries.append(json.loads(text))
    return entries


class Journal:
    """A journal being written. One process at a time has it.

    Args:
        path: path of the file, which is made where there is none. What is torn at its end is cut off.

    Attributes:
        entries: entries that it holds, in order.

    Raises:
        ConfigError: another process has it.
        OSError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        is_new = not path.exists()
        self._file: IO[bytes] = path.open("a+b", buffering=0)
        try:
            self._claim()
            self.entries = read_journal(path)
            self._file.truncate(sum(len(checked_line(entry)) for entry in self.entries))
        except BaseException:
            self._file.close()
            raise
        if is_new:
            sync_folder(path.parent)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Write an entry; it is on the disk when this returns.

        Raises:
            OSError: it cannot be written.
        """
        self._file.write(checked_line(entry).encode())
        os.fsync(self._file.fileno())
        self.entries.append(dict(entry))

    def clear(self) -> None:
        """Forget everything."""
        self._file.truncate(0)
        os.fsync(self._file.fileno())
        self.entries.clear()

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        self._file.close()

    def _claim(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"{self.path}: another run is at work on this output; wait for it, or choose another one"
            ) from error


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, as far as the system does that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def changes(before: Mapping[str, Any], now: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Yield what differs between two descriptions, one phrase each.

    Example:
        >>> list(changes({"quality": 20, "versions": {"av": 18}}, {"quality": 22, "versions": {"av": 19}}))
        ['quality (was 20, is 22)', 'versions.av (was 18, is 19)']
    """
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from changes(old, new, f"{within}{name}.")
        elif old != new:
            yield f"{within}{name} (was {_short(old)}, is {_short(new)})"


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) < 40 else f"{text[:37]}…"
