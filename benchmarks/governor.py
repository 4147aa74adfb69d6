"""The governor under load: the other processors are taken away for a while and given back.

    python -m benchmarks.governor [--before 60] [--load 60] [--after 120] [--size 1280x720] [--frames FOLDER]

The test picture runs live through an effect, as in ``streamfx bench live``. After ``--before`` seconds
processes start that only compute, one for each processor but one, each bound to its own; after ``--load``
more they end. What must hold: the factor becomes larger under load, the rate holds, and the factor is back
afterwards. Figures are by phase; each decision of the governor is told with its time; a picture at every
factor that was in force is kept as PNG.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.options import option_parser
from benchmarks.record import record
from streamfx.bench.live import LiveFigures, measure_live
from streamfx.config.live import LiveConfig
from streamfx.config.loading import load_config
from streamfx.encode.opening import open_sink
from streamfx.media.frame import Frame, VideoFormat
from streamfx.pipeline.stats import Snapshot

PHASES = ("before", "loaded", "after")
_SURE_AFTER_FRAMES = 10
_BUSY = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"


def main() -> None:
    """Measure, print and record."""
    parser = option_parser(__doc__)
    parser.add_argument("--before", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--load", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--after", type=float, default=120.0, metavar="SECONDS")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--effect", default="wave")
    parser.add_argument(
        "--frames", type=Path, default=Path("governor-frames"), help="folder for the pictures"
    )
    options = parser.parse_args()
    decisions = logging.getLogger("streamfx.factor.watch")
    decisions.setLevel(logging.INFO)
    decisions.addHandler(logging.StreamHandler())
    spans = (options.before, options.load, options.after)
    source = f"test:bars?size={options.size}&fps={options.fps}&frames=0&live=1"
    settings = {"input": source, "outputs": ("null:",), "effects": (options.effect,)}
    config = load_config(None, [f"limits.seconds={sum(spans)}"], settings, model=LiveConfig)
    gallery, changes = Gallery(), (spans[0], spans[0] + spans[1])
    with Load(*changes) as load:

        def look(snapshot: Snapshot) -> None:
            load.look(snapshot)
            gallery.look(snapshot)

        figures = measure_live(config, changes, look, gallery.see)
    rows = tell(figures)
    gallery.write(options.frames)
    details = {
        "size": options.size,
        "fps": options.fps,
        "effect": options.effect,
        "spans_seconds": list(spans),
    }
    print(f"written to {record('governor', rows, details).name}")


def tell(figures: LiveFigures) -> list[dict[str, Any]]:
    """Print phases and decisions; return the phases as rows."""
    rows = [{"phase": phase, **asdict(row)} for phase, row in zip(PHASES, figures.rows, strict=False)]
    for row in rows:
        print(
            f"{row['phase']:7}{row['from_seconds']:5.0f} to {row['to_seconds']:4.0f} s: "
            f"{row['fps']:5.1f} fps, {row['dropped']} dropped, "
            f"latency p50 {row['latency_p50_ms']} p99 {row['latency_p99_ms']} ms, "
            f"factor {row['factor']:g} at its end"
        )
    factor = figures.report.factor
    if factor is not None:
        print(factor.reason)
        for made in factor.decisions:
            print(f"at {made.time_seconds:6.1f} s: factor {made.before:g} to {made.after:g}: {made.why}")
    return rows


class Load:
    """Processes that compute, from one moment of a run to another; each is bound to a processor of its own.

    Args:
        from_seconds: start, in the time of the run.
        to_seconds: end, in the time of the run.
    """

    def __init__(self, from_seconds: float, to_seconds: float) -> None:
        self._from, self._to = from_seconds, to_seconds
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def look(self, snapshot: Snapshot) -> None:
        """Start and end when it is time to."""
        wanted = self._from <= snapshot.elapsed_seconds < self._to
        if wanted and not self._processes:
            taken = sorted(os.sched_getaffinity(0))[1:]
            print(f"  {snapshot.elapsed_seconds:.1f} s: processors {taken} are loaded", flush=True)
            self._processes = [
                subprocess.Popen([sys.executable, "-c", _BUSY, f"{processor}"]) for processor in taken
            ]
        elif not wanted and self._processes:
            self._end()
            print(f"  {snapshot.elapsed_seconds:.1f} s: the load is gone", flush=True)

    def _end(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes = []


class Gallery:
    """Keeps one picture for every factor that was in force."""

    def __init__(self) -> None:
        self._factor: float | None = None
        self._since = 0
        self._kept: dict[float, Frame] = {}

    def look(self, snapshot: Snapshot) -> None:
        """Take which factor is in force."""
        factor = snapshot.factors[0]
        if factor != self._factor:
            self._factor, self._since = factor, 0

    def see(self, frame: Frame) -> None:
        """Take a frame that was written; those soon after a change may be of the factor before."""
        self._since += 1
        if self._factor is not None and self._since == _SURE_AFTER_FRAMES:
            self._kept.setdefault(self._factor, frame)

    def write(self, folder: Path) -> None:
        """Write the pictures as PNG."""
        folder.mkdir(parents=True, exist_ok=True)
        for factor, frame in sorted(self._kept.items()):
            path = folder / f"factor-{factor:g}.png"
            form = VideoFormat(frame.size, frame.subsampling, frame.depth, frame.colour, frame.time_base)
            sink = open_sink(str(path), format=form)
            sink.write(frame)
            sink.finish()
            print(f"factor {factor:g}: {path}")


if __name__ == "__main__":
    main()
