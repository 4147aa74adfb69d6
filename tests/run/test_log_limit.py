"""What happens again and again fills no screen and no disk."""

from __future__ import annotations

import logging

import pytest

from streamfx.cli.transcode import log_to_stderr
from streamfx.run.log_limit import LineLimit, limited


def test_lines_of_a_kind_are_limited_and_those_left_out_are_counted() -> None:
    seconds = [0.0]
    limit = LineLimit(most=3, within_seconds=60, now=lambda: seconds[0])
    assert [limit.passes("a") for _ in range(10)] == [0, 0, 0, *[None] * 7]
    assert limit.passes("b") == 0, "another kind has room of its own"
    seconds[0] = 61
    assert [limit.passes("a") for _ in range(2)] == [7, 0]


def test_kinds_without_number_are_not_all_remembered() -> None:
    limit = LineLimit(most=1)
    for number in range(1000):
        assert limit.passes(number) == 0
    assert len(limit._kinds) <= 200


def test_what_is_told_of_visitors_is_limited() -> None:
    seconds, told = [0.0], list[str]()
    tell = limited(told.append, LineLimit(most=2, within_seconds=60, now=lambda: seconds[0]))
    for number in range(5):
        tell(f"visitor {number} came")
    seconds[0] = 60
    tell("visitor 5 came")
    assert told == ["visitor 0 came", "visitor 1 came", "3 more such lines were left out", "visitor 5 came"]


def test_the_log_of_the_command_is_limited_except_for_debugging(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("streamfx.tests")
    for debug, shown in ((False, 5), (True, 50)):
        with log_to_stderr(debug=debug):
            for number in range(50):
                log.warning("lost %d", number)
            log.warning("another")
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == shown + 1
        assert lines[0] == "streamfx: warning: lost 0"
        assert lines[-1] == "streamfx: warning: another"
