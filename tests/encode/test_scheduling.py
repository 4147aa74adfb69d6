"""Scheduling: encoders run beside other programs, not ahead of them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from streamfx.capture.opening import open_source
from streamfx.encode.encoding import Encoding
from streamfx.encode.opening import open_sink
from streamfx.encode.scheduling import ordinary_scheduling

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="only Linux has policies")


def policies() -> set[int]:
    return {os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")}


def test_what_a_library_changes_is_changed_back() -> None:
    before, go_on = policies(), threading.Event()
    with ordinary_scheduling():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # which anyone may
        begun = threading.Thread(target=go_on.wait)  # inherits it
        begun.start()
        assert os.SCHED_BATCH in policies()
    try:
        assert policies() == before
    finally:
        go_on.set()
        begun.join()


def test_av1_is_encoded_without_a_place_before_other_programs(tmp_path: Path) -> None:
    source = open_source("test:bars?size=128x72&frames=2")
    sink = open_sink(
        str(tmp_path / "out.mkv"), format=source.format, encoding=Encoding(codec="av1", preset="10")
    )
    try:
        assert policies() == {os.SCHED_OTHER}
    finally:
        sink.abort()
        source.close()
