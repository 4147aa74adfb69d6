"""Progress of a run on stderr: a bar on a terminal, a line every few seconds elsewhere, or as asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TextIO

from streamfx.cli.output import say
from streamfx.cli.progress_json import objects_shown
from streamfx.media.stage import Stage
from streamfx.pipeline.stats import Snapshot

LINE_EVERY_SECONDS = 5.0
STEPS_LINE_EVERY_SECONDS = 30.0

ShowProgress = Callable[[Snapshot], None]


def shown_as(
    kind: str | None, usual: Callable[[], AbstractContextManager[ShowProgress]]
) -> AbstractContextManager[ShowProgress]:
    """Return what shows the progress on stderr as it was asked for.

    Args:
        kind: "plain": lines, on a terminal too; "json": lines for programs; "none"; None: as usual.
        usual: progress display where none was asked for.
    """
    if kind == "json":
        return objects_shown(sys.stderr)
    if kind == "none":
        return nullcontext(lambda _snapshot: None)
    return usual()


@contextmanager
def progress_lines(stream: TextIO | None = None) -> Iterator[ShowProgress]:
    """Give a function that says every few seconds how far a run is: lines, on a terminal too."""
    yield _lines(sys.stderr if stream is None else stream, describe)


@contextmanager
def progress(stream: TextIO | None = None) -> Iterator[ShowProgress]:
    """Give a function that shows a snapshot, and clear up after the last one.

    Args:
        stream: stream to write to; None takes stderr, so that stdout stays free for results.
    """
    stream = sys.stderr if stream is None else stream
    if stream.isatty():
        with _bar(stream) as move:
            yield lambda snapshot: move(snapshot.frames_out, snapshot.frame_count, describe(snapshot))
    else:
        yield _lines(stream, describe)


@contextmanager
def steps_shown(
    stream: TextIO | None = None, *, lines: bool = False
) -> Iterator[Callable[[int, int, str], None]]:
    """Give a function that shows how many steps of how many are done, and what there is to say of them.

    Args:
        stream: stream to write to; None takes stderr.
        lines: lines, on a terminal too.
    """
    stream = sys.stderr if stream is None else stream
    if stream.isatty() and not lines:
        with _bar(stream) as move:
            yield move
        return
    due = _now_and_then(STEPS_LINE_EVERY_SECONDS)

    def show(_done: int, _steps: int, text: str) -> None:
        if due():
            say(f"streamfx: {text}", stream)

    yield show


@contextmanager
def status_lines(stream: TextIO | None = None) -> Iterator[ShowProgress]:
    """Give a function that says every few seconds how a live run goes: lines, on a terminal too."""
    yield _lines(sys.stderr if stream is None else stream, describe_live)


def describe_live(snapshot: Snapshot) -> str:
    """Return how long it runs, the rate, the latency, and what was lost, in words.

    Example:
        >>> from streamfx.pipeline.stats import Times
        >>> times = {"latency": Times(9, 0.04, 0.041, 0.052, 0.06, 0.07)}
        >>> describe_live(Snapshot(12, 9, 2, 1, None, 65.0, 18.0, None, {}, times))
        '1:05, 9 frames out, 18.0 fps, latency p50 41 ms p95 52 ms, 2 dropped, 1 broken'
    """
    parts = [clock(snapshot.elapsed_seconds), f"{snapshot.frames_out} frames out"]
    if snapshot.fps is not None:
        parts.append(f"{snapshot.fps:.1f} fps")
    latency = snapshot.stages.get(Stage.LATENCY)
    if latency is not None and latency.p50_seconds is not None and latency.p95_seconds is not None:
        p50_ms, p95_ms = latency.p50_seconds * 1000, latency.p95_seconds * 1000
        parts.append(f"latency p50 {p50_ms:.0f} ms p95 {p95_ms:.0f} ms")
    if snapshot.factors:
        parts.append(_factors(snapshot))
    if snapshot.frames_repeated:
        parts.append(f"{snapshot.frames_repeated} repeated")
    parts += _losses(snapshot)
    return ", ".join(parts)


def describe(snapshot: Snapshot) -> str:
    """Return frames done, rate, time left, size so far, factor and stage times in words.

    Example:
        >>> from streamfx.pipeline.stats import Times
        >>> times = {"decode": Times(9, 0.0012, 0.001, 0.002, 0.002, 0.002)}
        >>> describe(Snapshot(10, 9, 0, 1, 100, 0.5, 18.0, 5.0, {}, times, factors=(4,), bytes_out=1_250_000))
        '9 of 100 frames, 18.0 fps, 0:05 left, 1.2 MB, factor 4, decode 1.2 ms, 1 broken'
    """
    of = "" if snapshot.frame_count is None else f" of {snapshot.frame_count}"
    parts = [f"{snapshot.frames_out}{of} frames"]
    if snapshot.fps is not None:
        parts.append(f"{snapshot.fps:.1f} fps")
    if snapshot.remaining_seconds is not None and not snapshot.stopping:
        parts.append(f"{clock(snapshot.remaining_seconds)} left")
    if snapshot.bytes_out:
        parts.append(f"{snapshot.bytes_out / 1e6:.1f} MB")
    if snapshot.factors:
        parts.append(_factors(snapshot))
    for stage in (Stage.DECODE, Stage.GENERATE, Stage.ENCODE):
        times = snapshot.stages.get(stage)
        if times is not None and times.mean_seconds is not None:
            parts.append(f"{stage} {times.mean_seconds * 1000:.1f} ms")
    return ", ".join(parts + _losses(snapshot))


def _factors(snapshot: Snapshot) -> str:
    return "factor " + " and ".join(f"{factor:g}" for factor in snapshot.factors)


def _losses(snapshot: Snapshot) -> list[str]:
    parts = []
    if snapshot.frames_dropped:
        parts.append(f"{snapshot.frames_dropped} dropped")
    if snapshot.frames_failed:
        parts.append(f"{snapshot.frames_failed} broken")
    if snapshot.stopping:
        parts.append("stopping, the output is being completed")
    return parts


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds, with hours when there are any.

    Example:
        >>> clock(65.4), clock(3 * 3600 + 5)
        ('1:05', '3:00:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _lines(stream: TextIO, describe: Callable[[Snapshot], str]) -> ShowProgress:
    due = _now_and_then(LINE_EVERY_SECONDS)

    def show(snapshot: Snapshot) -> None:
        if due():
            say(f"streamfx: {describe(snapshot)}", stream)

    return show


def _now_and_then(every_seconds: float) -> Callable[[], bool]:
    """Return a function that says whether a line is due."""
    shown_at: float | None = None

    def due() -> bool:
        nonlocal shown_at
        now = time.monotonic()
        if shown_at is None:
            shown_at = now  # the first line comes after a while too: a short run says nothing but its result
        if now - shown_at < every_seconds:
            return False
        shown_at = now
        return True

    return due


@contextmanager
def _bar(stream: TextIO) -> Iterator[Callable[[int, int | None, str], None]]:
    """Give a function that moves a bar: how much is done, of how much, and what to say beside it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(bar_width=30), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(file=stream), transient=True, refresh_per_second=4) as bar:
        task = bar.add_task("preparing", total=None)

        def move(done: int, total: int | None, text: str) -> None:
            bar.update(task, completed=done, total=total, description=text)

        yield move
