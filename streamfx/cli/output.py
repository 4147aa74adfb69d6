"""What the command says, to readers that may be gone: a closed pipe or terminal must not end the work."""

from __future__ import annotations

import contextlib
import os
import sys
from io import TextIOWrapper
from typing import TextIO

from streamfx.errors import printable
from streamfx.media.addresses import without_credentials


def say(text: str, stream: TextIO) -> None:
    """Print one line, secrets hidden; where nobody reads any more, drop this line and all that follow."""
    text = printable(without_credentials(text))
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        # Names of files and tags may hold what the terminal's encoding does not.
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        print(text, file=stream, flush=True)
    except OSError:  # a broken pipe, or a terminal that was closed
        with contextlib.suppress(OSError, ValueError):
            silence(stream.fileno())


def silence(descriptor: int) -> None:
    """Send what is written to a file descriptor nowhere.

    Python would else complain once more, about what is still buffered, when it flushes at exit.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def prepare_streams() -> None:
    """Let stdout and stderr take any text; give a process that was started without one that leads nowhere.

    Else the next file that is opened would take the place of the missing one, and get what libraries print.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names and help hold what not every encoding does
            stream.reconfigure(errors="backslashreplace")
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # it stays open
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
