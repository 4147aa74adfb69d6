"""Every error is a StreamfxError and the builtin a Python user would catch, and a test reads its message."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from streamfx import errors
from streamfx.errors import StageFailedError, StreamfxError

TESTS = Path(__file__).parent
BUILTINS = {
    "ConfigError": ValueError,
    "SourceOpenError": OSError,
    "SourceAwayError": OSError,
    "SourceLostError": ConnectionError,
    "DecodeError": ValueError,
    "FrameError": ValueError,
    "EngineNotFoundError": LookupError,
    "EngineMismatchError": ValueError,
    "EngineCorruptError": ValueError,
    "BackendUnavailableError": RuntimeError,
    "DeviceMemoryError": MemoryError,
    "SinkError": OSError,
    "TooLargeError": OSError,
    "SinkAwayError": OSError,
    "SinkClosedError": OSError,
    "StageFailedError": RuntimeError,
}
CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, Exception) and value is not StreamfxError
}


def test_the_classes_are_those_listed_here() -> None:
    assert set(CLASSES) == set(BUILTINS)


@pytest.mark.parametrize("name", BUILTINS)
def test_an_error_is_ours_and_also_a_builtin_and_says_what_it_means(name: str) -> None:
    assert issubclass(CLASSES[name], StreamfxError)
    assert issubclass(CLASSES[name], BUILTINS[name])
    assert CLASSES[name].__doc__


@pytest.mark.parametrize("name", BUILTINS)
def test_the_message_of_an_error_is_read_by_some_test(name: str) -> None:
    # By match=, or by keeping the exception, or finding it as the cause of another, and reading its text.
    reads = re.compile(rf"pytest\.raises\(\s*{name}\s*(,\s*match=|\)\s*as )|__cause__, {name}\)")
    assert any(reads.search(path.read_text(encoding="utf-8")) for path in TESTS.rglob("test_*.py"))


def test_a_message_survives_the_way_through_os_error() -> None:
    # OSError with several arguments would treat them as errno and text; one argument stays a message.
    for name in ("SourceOpenError", "SinkError", "SourceLostError"):
        assert str(CLASSES[name]("clip.mp4: no such file")) == "clip.mp4: no such file"


def test_a_failed_stage_says_which_and_where_even_after_pickling() -> None:
    error = StageFailedError("generate failed at frame 3: not finite", "generate", 3)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.stage, copy.frame_index) == (str(error), "generate", 3)
