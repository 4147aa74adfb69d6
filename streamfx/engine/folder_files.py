"""Files of an engine folder that may come from a stranger: read within limits, or not at all.

Whatever the sizes that a folder states, nothing is read or allocated before they are compared with what an
engine may have; and what is not an ordinary file (a device without an end, a pipe) is not opened.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

import yaml

MIB = 1 << 20
MOST_BYTES = {
    "engine.yaml": MIB // 4,
    "weights.safetensors": 512 * MIB,
    "golden.npz": 64 * MIB,
    "card.md": MIB,
}
_MOST_BYTES_OF_OTHERS = 32 * MIB  # pictures, for people
MOST_FILES = 16
_MOST_ENTRIES, _MOST_LETTERS, _DEEPEST = 2000, 2000, 8


def read_file(path: Path) -> bytes:
    """Return what an ordinary file holds, if that is no more than a file of its name may.

    Raises:
        OSError: there is none, it is something else, or it is larger; says which, not where.
    """
    most = MOST_BYTES.get(path.name, _MOST_BYTES_OF_OTHERS)
    _check(os.stat(path), most)
    # Not to wait, should it have become a pipe in between; and looked at again once it is open.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with io.FileIO(os.open(path, flags)) as file:
        _check(os.fstat(file.fileno()), most)
        data = bytearray()
        while len(data) <= most and (piece := file.read(MIB)):
            data += piece
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it grows while it is read, beyond the {most} bytes that it may have")
    return bytes(data)


def read_values(data: bytes) -> object:
    """Return the plain values of a description in YAML.

    Raises:
        ValueError: it is no YAML, or none that describes an engine: too many values, nested too deep, with
            aliases, which grow without bound, or with characters that are not to be printed.
    """
    try:
        entries = depth = 0
        for event in yaml.parse(data, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("aliases (*name) are not allowed")
            entries += isinstance(event, yaml.NodeEvent)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if entries > _MOST_ENTRIES or depth > _DEEPEST:
                raise ValueError(f"more than {_MOST_ENTRIES} values, or nested deeper than {_DEEPEST}")
            if isinstance(event, yaml.ScalarEvent):
                _check_text(event.value)
        return yaml.safe_load(data)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(str(error).partition("\n")[0]) from error


def _check(status: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not an ordinary file")
    if status.st_size > most:
        raise OSError(errno.EFBIG, f"it has {status.st_size} bytes, more than the {most} that it may have")


def _check_text(text: str) -> None:
    if len(text) > _MOST_LETTERS:
        raise ValueError(f"a value of {len(text)} letters, more than {_MOST_LETTERS}")
    if not text.replace("\n", "").isprintable():
        raise ValueError(f"{text!a} holds characters that cannot be printed")
