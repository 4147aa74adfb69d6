"""The whole way live, measured: the test picture in its own pace through effects to an output."""

from __future__ import annotations

import itertools
import math
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamfx.bench.far_end import Listener, read_file
from streamfx.bench.meter import PictureMeter, Readings
from streamfx.bench.rows import IntervalRow, IntervalRows
from streamfx.capture.opening import open_source
from streamfx.config.live import LiveConfig
from streamfx.errors import ConfigError
from streamfx.media.frame import Frame
from streamfx.pipeline.stats import Snapshot
from streamfx.run.assembly import Progress
from streamfx.run.report import Report
from streamfx.streaming import run_live

_HERE = re.compile(r"udp://(127\.0\.0\.1|localhost):\d+")


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """What a measured live run came to.

    Attributes:
        report: report of the run; its stages tell where the time goes.
        rate_fps: rate of the source.
        at_output: latencies read from the pictures when the output had taken them.
        at_far_end: latencies read behind the output: by a receiver of the stream that was sent, or from the
            file that was written, which has no latency; None where nothing can be read there.
        rows: rows, one for each span of the run; their latency is that of a receiver where there is one,
            else of
            the output.
    """

    report: Report
    rate_fps: float
    at_output: Readings
    at_far_end: Readings | None
    rows: tuple[IntervalRow, ...]

    @property
    def received(self) -> bool:
        """Whether the far end is a receiver: latency ends there then."""
        return self.at_far_end is not None and self.at_far_end.latency.count > 0

    @property
    def readings(self) -> Readings:
        """What the rows tell of."""
        return self.at_far_end if self.received and self.at_far_end is not None else self.at_output

    @property
    def wrong(self) -> int:
        """Pictures that were not what they should be, at either place."""
        return self.at_output.wrong + (self.at_far_end.wrong if self.at_far_end else 0)


def measure_live(
    config: LiveConfig,
    cuts_seconds: Sequence[float] | float = 60.0,
    progress: Progress | None = None,
    see: Callable[[Frame], None] | None = None,
) -> LiveFigures:
    """Run the test picture live and return what was measured.

    Args:
        config: config of the run; the input must be ``test:bars`` with ``live=1``, and there is one output.
        cuts_seconds: times at which rows end, in the time of the run; a number: every so many seconds.
        progress: callback that is called now and then, in this thread, with the state of the run.
        see: callback that is called with every frame that the output took, in the encode thread.

    Raises:
        ConfigError: the input has no stamped pictures in their own pace, or there are several outputs.
        (others as ``streamfx.live``)
    """
    rate_fps = _check(config)
    output, received = PictureMeter(), PictureMeter()
    listener = Listener(config.outputs[0], received) if _HERE.fullmatch(config.outputs[0]) else None
    rows = IntervalRows(_cuts(cuts_seconds, config.limits.seconds), received if listener else output)
    try:
        report = run_live(config, _both(rows.look, progress), watch=_Watch((output, received), output, see))
    finally:
        if listener is not None:
            listener.close(output.last)
    far_end = received.readings() if listener else None
    file = Path(config.outputs[0])
    if far_end is None and report.output.size_bytes is not None:
        far_end = read_file(file, rate_fps)
    return LiveFigures(report, rate_fps, output.readings(), far_end, rows.end())


def here_and_free() -> str:
    """Return a UDP address on this machine that nobody uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return f"udp://127.0.0.1:{found.getsockname()[1]}"


@dataclass(frozen=True, slots=True)
class _Watch:
    """Tells the meters what is taken up, and has what was written read; see ``Watch``."""

    told: tuple[PictureMeter, ...]
    output: PictureMeter
    see: Callable[[Frame], None] | None

    def taken(self, frame: Frame) -> None:
        for meter in self.told:
            meter.sent(frame)

    def written(self, frame: Frame, at_seconds: float) -> None:
        self.output.seen(frame.planes[0], at_seconds, frame.index)
        if self.see is not None:
            self.see(frame)


def _check(config: LiveConfig) -> float:
    """Return the rate of the source."""
    if len(config.outputs) > 1:
        raise ConfigError(f"outputs: one at a time is measured, found {len(config.outputs)}")
    source = open_source(config.input) if config.input.startswith("test:") else None
    if source is None or not source.live or source.format.rate_fps is None:
        raise ConfigError(
            f"input: what can be measured is the test picture in its own pace, test:bars?live=1; "
            f"found {config.input}"
        )
    return float(source.format.rate_fps)


def _cuts(given: Sequence[float] | float, end_seconds: float | None) -> Iterator[float]:
    if isinstance(given, Sequence):
        return iter(given)
    last = math.inf if end_seconds is None else end_seconds - given / 2  # no row that is only a few frames
    return itertools.takewhile(lambda cut: cut < last, itertools.count(given, given))


def _both(first: Progress, second: Progress | None) -> Progress:
    def look(snapshot: Snapshot) -> None:
        first(snapshot)
        if second is not None:
            second(snapshot)

    return look
