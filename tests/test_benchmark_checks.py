"""What benchmarks check is checked: a fault in a run is seen, and a good run passes."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.choice import off
from benchmarks.outages import checks
from benchmarks.outages.breaker import Outage
from benchmarks.outages.peers import LINE_BYTES, ReceivedPicture, read_log

FPS = 25
GOOD = [ReceivedPicture(0, number / FPS, number / FPS, number) for number in range(100)]
SOUND: dict[str, Any] = {
    "recovered": 2, "balanced": True, "sizes": 1, "left": [], **checks.timeline(GOOD, FPS),
}  # fmt: skip


def seen(times: Sequence[float], stamps: Sequence[int | None]) -> list[ReceivedPicture]:
    return [ReceivedPicture(0, time, time, stamp) for time, stamp in zip(times, stamps, strict=True)]


def test_a_good_run_passes() -> None:
    assert checks.problems(SOUND, kills=2) == []
    assert checks.recovery([Outage(3, 1, 1, 2.0, 100.0), Outage(3, 1, 2, 4.0, 101.5)]) == {
        "kills": 3, "outages": 2, "recovered": 2, "recovered_median_seconds": 3.0,
        "recovered_longest_seconds": 4.0,
        "memory_grew_mib": 1.5,
    }  # fmt: skip


def test_each_fault_is_named() -> None:
    faults: dict[str, Any] = {
        "recovered": 1,
        "balanced": False,
        "forward": False,
        "largest_gap_seconds": 2.0,
        "sizes": 2,
    }
    faults |= {"pictures_in_order": False, "lag_grew_seconds": 5.0, "left": ["streamfx-receive"]}
    assert checks.problems(SOUND | faults, kills=2) == [
        "recovered 1 of 2 times",
        "the account does not balance",
        "times do not go forward",
        "a gap of 2.0 s",
        "old pictures came after new ones",
        "pictures are 5.0 s further behind",
        "sizes 2",
        "left behind: ['streamfx-receive']",
    ]


def test_times_that_stand_still_are_seen_except_where_a_server_gives_them_anew() -> None:
    still = seen([0.0, 0.04, 0.04, 0.08], [0, 1, 2, 3])
    assert not checks.timeline(still, FPS)["forward"]
    assert checks.timeline(still, FPS, retimed=True)["forward"]


def test_pictures_that_fall_behind_are_seen_and_one_that_is_shown_again_is_not_behind() -> None:
    late = seen([number * 0.05 for number in range(100)], range(100))
    assert checks.timeline(late, FPS)["lag_grew_seconds"] > 0.8
    again = seen([number / FPS for number in range(200)], [*range(100), *[99] * 90, *range(190, 200)])
    assert checks.timeline(again, FPS)["lag_grew_seconds"] == 0
    assert not checks.timeline(seen([0, 1, 2], [5, None, 3]), FPS)["pictures_in_order"]


def test_what_is_left_behind_is_named(monkeypatch: Any) -> None:
    monkeypatch.setattr(checks, "_PATIENCE_SECONDS", 0.0)
    before = checks.Belongings.now()
    with socket.socket():
        left = checks.Belongings.now().beyond(before)
    assert (left["files_left"], left["threads_left"], left["left"]) == (1, 0, ["socket"])


def test_a_log_of_pictures_is_read_as_it_was_written(tmp_path: Path) -> None:
    lines = [ReceivedPicture(3, 23087.1234, 1.5, None), ReceivedPicture(4, 123087.1234, 3600.5, 1048575)]
    text = "".join(each.line() for each in lines)
    assert len(text) == 2 * LINE_BYTES
    (tmp_path / "log").write_text(text)
    assert read_log(tmp_path / "log") == lines


def test_too_long_and_too_short_a_prediction_are_off_by_as_much() -> None:
    rows = [{"estimated_ratio": ratio} for ratio in (1.25, 0.8, 1.25)]
    assert off(rows, "estimated") == (0.25, 0.25)
