"""Every error streamfx raises: one root, and each class is also the builtin a Python user would catch.

A message says what was asked, what was found, where, and what to do. Causes are chained: ``raise … from``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, NamedTuple


def printable(text: str) -> str:
    r"""Return text with what a terminal would obey, or show elsewhere than it stands, spelled out.

    What a message names may come from a stranger: a file's name, a folder of engines, a server.

    Example:
        >>> printable(f"{chr(27)}[2Jü"), printable("ü")
        ('\\x1b[2Jü', 'ü')
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode()
        for letter in text
    )


def did_you_mean(asked: str, known: Iterable[str]) -> str:
    """Return the question whether the known name that is nearest was meant, "" where none is near.

    Example:
        >>> did_you_mean("h265x", ["h264", "h265", "av1"]), did_you_mean("gif", ["h264"])
        ("did you mean 'h265'?", '')
    """
    near = difflib.get_close_matches(asked, list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else ""


class StreamfxError(Exception):
    """Root of all errors raised on purpose by streamfx."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ConfigError(StreamfxError, ValueError):
    """A setting, option or configuration file is wrong; names file, line, column and key where known."""


class SourceOpenError(StreamfxError, OSError):
    """A source cannot be opened: missing, empty, not a video, no permission, no such device."""


class SourceAwayError(SourceOpenError):
    """A source is not there now: nobody answers, or nothing comes. Another time it may be."""


class SourceLostError(StreamfxError, ConnectionError):
    """A source that was open is gone and the allowed attempts to get it back are used up."""


class DecodeError(StreamfxError, ValueError):
    """One frame or packet of a source is broken; capture goes on with the next one."""


class FrameError(StreamfxError, ValueError):
    """A frame, plane or head has the wrong shape, type, depth or value range."""


class EngineNotFoundError(StreamfxError, LookupError):
    """No engine of that name; the message lists the folders searched and the engines found."""


class EngineMismatchError(StreamfxError, ValueError):
    """An engine does not fit what it is asked to do, or its output differs from its golden frame."""


class EngineCorruptError(StreamfxError, ValueError):
    """A file of an engine folder is missing, unreadable or does not have the hash that was recorded."""


class BackendUnavailableError(StreamfxError, RuntimeError):
    """The backend asked for cannot run here; the message says why, and which ones can."""


class DeviceMemoryError(StreamfxError, MemoryError):
    """A device has not enough memory, or too many frames are held in it."""


class SinkError(StreamfxError, OSError):
    """An output cannot be opened or written."""


class TooLarge(NamedTuple):
    """How large a file would be, how much of that are pictures, and how long they are shown."""

    size_bytes: int
    picture_bytes: int
    seconds: float


class TooLargeError(SinkError):
    """A finished file would be larger than it may be, and was not kept; ``found`` says how large."""

    def __init__(self, message: str, found: TooLarge) -> None:
        super().__init__(message)
        self.found = found


class SinkAwayError(SinkError):
    """An output is not there now: nobody answers. Another time somebody may."""


class SinkClosedError(SinkError):
    """An output was closed by who looked at it, which is no failure."""


class StageFailedError(StreamfxError, RuntimeError):
    """A pipeline stage failed; the original exception is its ``__cause__``.

    Attributes:
        stage: capture, generate or encode.
        frame_index: the frame it was working on, None when it was not working on one.
        report: the account of the run that failed, a `streamfx.Report`; None when there is none.
    """

    def __init__(self, message: str, stage: str = "", frame_index: int | None = None) -> None:
        super().__init__(message)
        self.stage = stage
        self.frame_index = frame_index
        self.report: Any = None  # of a type that would have to import the errors
