"""What several tests check in the same way."""

from __future__ import annotations

import threading
import time

from streamfx.pipeline.flow import RunResult
from streamfx.pipeline.pipeline import Pipeline

KEPT = "streamfx-rows"  # the pool that reduces
STAGES = ("streamfx-capture", "streamfx-generate", "streamfx-encode")


def assert_no_stage_thread_is_left(limit_seconds: float = 30.0) -> None:
    """Fail if a pipeline thread still runs after a moment."""
    deadline = time.monotonic() + limit_seconds
    while left := [thread.name for thread in threading.enumerate() if thread.name in STAGES]:
        assert time.monotonic() < deadline, f"threads left behind: {left}"
        time.sleep(0.005)


def assert_no_thread_is_left(limit_seconds: float = 30.0) -> None:
    """Fail if a thread of ours still runs after a moment, except those that stay for good."""
    deadline = time.monotonic() + limit_seconds
    while left := [name for name in _names() if name.startswith("streamfx") and not name.startswith(KEPT)]:
        assert time.monotonic() < deadline, f"threads left behind: {left}"
        time.sleep(0.005)


def _names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def assert_balanced(pipeline: Pipeline) -> RunResult:
    """Fail unless every frame that came in has exactly one final state; return the result."""
    result = pipeline.result
    assert result is not None
    assert result.account.in_flight == 0
    assert result.account.differences(result.packets_written) == []
    return result
