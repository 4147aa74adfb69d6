"""Progress for programs: one JSON object a line, in a format that stays (docs/films.md describes it)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from streamfx.cli.output import say
from streamfx.pipeline.stats import Snapshot

if TYPE_CHECKING:
    from streamfx.jobs.batch import BatchState
    from streamfx.run.report import Report

FORMAT = 1
"""Raised when a key is taken away or comes to mean something else; keys may be added without."""

OBJECT_EVERY_SECONDS = 1.0


@contextmanager
def objects_shown(stream: TextIO) -> Iterator[Callable[[Snapshot], None]]:
    """Give a function that writes a snapshot: the first, then one a second, and the last."""
    with _now_and_then(stream) as give:
        yield lambda snapshot: give(partial(progress_object, snapshot))


@contextmanager
def batch_shown(stream: TextIO) -> Iterator[Callable[[BatchState], None]]:
    """Give a function that writes where a batch stands: at first, then once a second, and at last."""
    with _now_and_then(stream) as give:
        yield lambda state: give(partial(batch_object, state))


@contextmanager
def _now_and_then(stream: TextIO) -> Iterator[Callable[[Callable[[], dict[str, Any]]], None]]:
    """Give a function that is given what makes an object, and writes it when one is due."""
    due_at, left = 0.0, None

    def give(made: Callable[[], dict[str, Any]]) -> None:
        nonlocal due_at, left
        now, left = time.monotonic(), made
        if now >= due_at:
            due_at, left = now + OBJECT_EVERY_SECONDS, None
            say_object(made(), stream)

    try:
        yield give
    finally:
        if left is not None:
            say_object(left(), stream)


def progress_object(snapshot: Snapshot) -> dict[str, Any]:
    """Return what a line says of a run that goes on.

    Example:
        >>> found = progress_object(Snapshot(10, 9, 0, 1, 100, 0.5, 18.0, 5.0, {}, {}, factors=(4.0,)))
        >>> found["frames"], found["frames_total"], found["eta_seconds"], found["factors"]
        (9, 100, 5.0, [4.0])
    """
    return {
        "format": FORMAT,
        "type": "progress",
        "frames": snapshot.frames_out,
        "frames_total": snapshot.frame_count,
        "elapsed_seconds": round(snapshot.elapsed_seconds, 3),
        "fps": None if snapshot.fps is None else round(snapshot.fps, 3),
        "eta_seconds": None if snapshot.remaining_seconds is None else round(snapshot.remaining_seconds, 3),
        "bytes": snapshot.bytes_out,
        "factors": list(snapshot.factors),
        "dropped": snapshot.frames_dropped,
        "broken": snapshot.frames_failed,
        "repeated": snapshot.frames_repeated,
        "stopping": snapshot.stopping,
    }


def batch_object(state: BatchState) -> dict[str, Any]:
    """Return what a line says of a batch that goes on.

    Example:
        >>> from streamfx.jobs.batch import BatchState
        >>> batch_object(BatchState(2, 9, {"out/a.mp4": (40, 100)}))["running"]
        [{'output': 'out/a.mp4', 'frames': 40, 'frames_total': 100}]
    """
    running = [
        {"output": output, "frames": frames, "frames_total": total}
        for output, (frames, total) in state.running.items()
    ]
    return {
        "format": FORMAT,
        "type": "batch",
        "files": state.done,
        "files_total": state.files,
        "running": running,
    }


def end_object(report: Report) -> dict[str, Any]:
    """Return what the last line says of a run that has ended."""
    account, speed = report.result.account, report.result.speed
    return {
        "format": FORMAT,
        "type": "end",
        "exit_code": report.exit_code,
        "output": report.output.name,
        "frames": account.encoded + account.repeated,
        "elapsed_seconds": round(speed.wall_seconds, 3),
        "fps": None if speed.fps is None else round(speed.fps, 3),
        "bytes": report.output.size_bytes,
        "missing": report.losses,
        "left_out": list(report.left_out),
    }


def say_object(found: dict[str, Any], stream: TextIO) -> None:
    """Write an object as one line, in ASCII, so that no encoding of a terminal or pipe can break it."""
    say(json.dumps(found), stream)
