"""Where a file goes: links are followed, devices and pipes written through, and only files are replaced."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from io import FileIO
from pathlib import Path

_MOST_NAME_BYTES = 255  # of nearly every file system
# An ending says what is written into it, as that of a file does.
_OWN_DESCRIPTOR = re.compile(
    r"(/dev/(?P<name>stdout|stderr)|(/dev|/proc/self)/fd/(?P<number>\d+))(?P<ending>\.\w+)?"
)
STANDARD_OUTPUT = "/dev/stdout"


def followed(path: Path) -> Path:
    """Return where a symbolic link leads, also to nothing yet; the path itself where it is none."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def is_written_through(path: Path) -> bool:
    """Return whether what is written must go into what is there: a device, a pipe, an open file."""
    return own_descriptor(path) is not None or is_special(path)


def shown_name(path: Path) -> str:
    """Return the name of an output for messages.

    Example:
        >>> shown_name(Path("/dev/stdout.mkv")), shown_name(Path("out.mkv"))
        ('standard output', 'out.mkv')
    """
    return "standard output" if own_descriptor(path) == 1 else str(path)


def own_descriptor(path: Path) -> int | None:
    """Return the number of the open file of this process that a path names; None where it names none.

    Example:
        >>> own_descriptor(Path("/dev/stdout.mkv")), own_descriptor(Path("/dev/null"))
        (1, None)
    """
    own = _OWN_DESCRIPTOR.fullmatch(os.path.abspath(path))
    if own is None:
        return None
    return int(own["number"]) if own["number"] else {"stdout": 1, "stderr": 2}[own["name"]]


def is_special(path: Path) -> bool:
    """Return whether a device or a pipe is there: it can be read or written once, from front to back."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def open_through(path: Path) -> FileIO:
    """Open a device, a pipe or an open file of this process to write into it, behind what is there.

    A pipe is waited for until somebody reads it.

    Raises:
        OSError: it cannot be written.
    """
    descriptor = own_descriptor(path)
    if descriptor is not None:
        return FileIO(os.dup(descriptor), "w")  # opened anew, it would have a place of its own
    return FileIO(os.open(path, os.O_WRONLY | os.O_APPEND), "w")


def beside(path: Path, mark: str) -> Path:
    """Return a hidden name beside a file, with its ending; a long name is cut so that it fits.

    Example:
        >>> beside(Path("films/holiday.mp4"), "partial")
        PosixPath('films/.holiday.partial.mp4')
    """
    stem = path.stem
    while stem and len(os.fsencode(f".{stem}.{mark}{path.suffix}")) > _MOST_NAME_BYTES:
        stem = stem[:-1]
    return path.with_name(f".{stem}.{mark}{path.suffix}")


def visible_beside(path: Path, mark: str) -> Path:
    """Return a name beside a file that nothing has, for what could not become the file itself."""
    number = 1
    while True:
        numbered = mark if number == 1 else f"{mark}-{number}"
        found = beside(path, numbered)
        found = found.with_name(found.name.removeprefix("."))
        if not os.path.lexists(found):
            return found
        number += 1


def name_problem(path: Path) -> str | None:
    """Return why a file cannot have its name, None where it can: most names are too long in bytes."""
    length = len(os.fsencode(path.name))
    if length > _MOST_NAME_BYTES:
        return f"its name has {length} bytes, and {_MOST_NAME_BYTES} are allowed; choose a shorter one"
    return None


def put(made: Path, target: Path, *, replace: bool) -> None:
    """Give a finished file the name ``target``, at once or not at all.

    Args:
        made: place where the finished file is, in the same folder.
        target: name that it gets.
        replace: whether a file of that name may be replaced; anything else never is.

    Raises:
        FileExistsError, IsADirectoryError: something is there that is not to be replaced.
        OSError: it cannot be done.
    """
    if replace:
        with contextlib.suppress(FileNotFoundError):
            mode = os.lstat(target).st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
            if not stat.S_ISREG(mode):
                raise FileExistsError(errno.EEXIST, "it is no file any more", str(target))
        os.replace(made, target)
        return
    try:
        os.link(made, target)  # unlike a renaming, it does not replace
    except FileExistsError:
        raise
    except OSError:  # a file system without links: the name is taken first
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.replace(made, target)
    else:
        made.unlink()


def write_whole(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a file whole or not at all; into a device or a pipe, as it comes.

    Args:
        path: name of the file.
        data: content of the file.
        replace: whether a file of that name may be replaced.

    Raises:
        FileExistsError: there is one that is not to be replaced.
        OSError: it cannot be written there.
    """
    if is_written_through(path):
        with open_through(path) as device:
            device.write(data)
        return
    target = followed(path)
    made = beside(target, "part")
    try:
        made.write_bytes(data)
        put(made, target, replace=replace)
    finally:
        made.unlink(missing_ok=True)


def import_path() -> str:
    """Return where a process that this one starts must look for what it imports: where this one found it."""
    root = str(Path(__file__).parents[2])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])


def printable(text: str) -> str:
    """Return a text that any encoding of Unicode can hold: bytes of a name that are none are spelled out.

    Example:
        >>> printable("caf" + chr(0xDCE9)).isascii()
        True
    """
    return text.encode("utf-8", "backslashreplace").decode()
