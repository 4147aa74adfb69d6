"""Live outcome: what came of a live run beside its frames: when the source was away, and of each output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streamfx.capture.live.outages import Outage
from streamfx.capture.live.source import LiveSource
from streamfx.capture.source import Source
from streamfx.config.live import LiveConfig
from streamfx.encode.files.file import FileSink
from streamfx.encode.files.verify import verify_output
from streamfx.encode.sink import Sink
from streamfx.pipeline.fan_out import OutputAccount, SeveralSinks
from streamfx.run.controls import RunControls


def interruptions(source: Source) -> tuple[Outage, ...]:
    """Return the times when a live source was away."""
    return tuple(source.outages) if isinstance(source, LiveSource) else ()


def accounts(sink: Sink) -> tuple[OutputAccount, ...]:
    """Return the account of each of several outputs, and of what was recorded from pages."""
    branches = sink.branches if isinstance(sink, SeveralSinks) else []
    recorded = [account for each in _each(sink) for account in getattr(each, "recordings", ())]
    return (*(branch.account for branch in branches), *recorded)


def losses(config: LiveConfig, source: Source, sink: Sink, controls: RunControls) -> Iterator[str]:
    """Yield what went wrong where the account of the frames does not show it."""
    if isinstance(source, LiveSource) and source.damaged:
        yield f"{source.name}: {source.damaged} pictures came damaged"
    yield from controls.failures
    for branch in sink.branches if config.verify and isinstance(sink, SeveralSinks) else ():
        if isinstance(branch.sink, FileSink) and branch.finished:
            found = verify_output(branch.sink.path, branch.sink.expected())
            yield from (f"{branch.name}: {problem}" for problem in found)


def _each(sink: Sink) -> Sequence[Sink]:
    return [branch.sink for branch in sink.branches] if isinstance(sink, SeveralSinks) else [sink]
