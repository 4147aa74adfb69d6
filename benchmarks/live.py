"""Live, as a soak: the test picture in its own pace at two sizes, latency read from its pixels, row by row.

    python -m benchmarks.live [--seconds 600] [--effect wave] [--sink null:] [--quick]

What must hold on two cores: at 720p30 no frame is dropped, latency is at most one frame interval at p50 and
two at p99, and neither latency nor memory grows from minute to minute; at 1080p30 a factor is chosen that
holds the rate. One size and more options: ``streamfx bench live``.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks.options import option_parser
from benchmarks.record import record
from streamfx.bench.live import measure_live
from streamfx.bench.rows import growth_per_minute
from streamfx.config.live import LiveConfig
from streamfx.config.loading import load_config

SIZES = ("1280x720", "1920x1080")
FPS = 30
ROW_SECONDS = 60.0


def main() -> None:
    """Measure, print and record."""
    parser = option_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="time of each size; 600 for a soak")
    parser.add_argument("--effect", default="wave")
    parser.add_argument("--sink", default="null:", help="null:, or an address of udp:// on this machine")
    parser.add_argument("--quick", action="store_true", help="720p only, 10 seconds")
    options = parser.parse_args()
    seconds = 10.0 if options.quick else options.seconds
    rows: list[dict[str, Any]] = []
    for size in SIZES[:1] if options.quick else SIZES:
        print(f"{size} at {FPS} fps, {options.effect}, to {options.sink}, {seconds:g} s")
        rows += measure(size, options.effect, options.sink, seconds)
    details = {"fps": FPS, "effect": options.effect, "sink": options.sink, "seconds": seconds}
    print(f"written to {record('live', rows, details).name}")


def measure(size: str, effect: str, sink: str, seconds: float) -> list[dict[str, Any]]:
    """Return one row for each minute, and say what they come to."""
    settings = {
        "input": f"test:bars?size={size}&fps={FPS}&frames=0&live=1", "outputs": (sink,), "effects": (effect,),
    }  # fmt: skip
    config = load_config(None, [f"limits.seconds={seconds}"], settings, model=LiveConfig)
    figures = measure_live(config, ROW_SECONDS)
    for row in figures.rows:
        print(
            f"  {row.from_seconds:5.0f} to {row.to_seconds:4.0f} s: {row.fps:5.1f} fps, "
            f"{row.dropped} dropped, "
            f"latency p50 {row.latency_p50_ms} p99 {row.latency_p99_ms} ms, {row.memory_mib} MiB, "
            f"factor {row.factor}"
        )
    latency, dropped = figures.readings.latency, sum(row.dropped for row in figures.rows)
    print(f"  altogether: {dropped} dropped, {figures.wrong} wrong pictures")
    if latency.p50_seconds is not None and latency.p99_seconds is not None:
        p50, p99 = latency.p50_seconds * FPS, latency.p99_seconds * FPS
        print(f"  latency in frame intervals: p50 {p50:.2f}, p99 {p99:.2f}")
    for figure in ("latency_p50_ms", "latency_p99_ms", "memory_mib"):
        growth = growth_per_minute(figures.rows, figure)
        print(f"  {figure} per minute: {'too few rows' if growth is None else f'{growth:+.2f}'}")
    return [{"size": size, **asdict(row)} for row in figures.rows]


if __name__ == "__main__":
    main()
