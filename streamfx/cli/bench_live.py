"""The command ``streamfx bench live``: options in, one measurement, its tables out."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from streamfx.cli.live import live_config
from streamfx.cli.output import say
from streamfx.cli.progress import ShowProgress, status_lines
from streamfx.cli.tables import aligned
from streamfx.cli.transcode import run_and_report
from streamfx.errors import SinkError
from streamfx.media.stage import EFFECT_STAGES, Stage

if TYPE_CHECKING:
    from streamfx.bench.live import LiveFigures
    from streamfx.bench.meter import Readings
    from streamfx.bench.rows import IntervalRow
    from streamfx.config.live import LiveConfig
    from streamfx.run.report import Report

EXIT_WRONG_PICTURES = 1
_SECONDS = "60"  # where nothing says how long
_STAGES = (
    Stage.CAPTURE,
    Stage.WAITING,
    *EFFECT_STAGES,
    Stage.ON_DEVICE,
    Stage.GENERATE,
    Stage.WAITING_TO_ENCODE,
    Stage.ENCODE,
    Stage.LATENCY,
)


def bench_live(options: Namespace) -> int:
    """Run ``streamfx bench live`` and return its exit code: 0, 1 or 130; what is refused is raised."""
    config = _live_config(options)
    found: list[LiveFigures] = []

    def run(show: ShowProgress) -> Report:
        from streamfx.bench.live import measure_live

        found.append(measure_live(config, options.every, show))
        return found[0].report

    code = run_and_report(run, status_lines(), debug=options.debug)
    if not found:  # it failed on the way, and that was said
        return code
    figures = found[0]
    say(
        "\n".join(["", *_rows_table(figures), "", *_stages_table(figures.report), "", *_words(figures)]),
        sys.stdout,
    )
    if options.json is not None:
        _write(Path(options.json), figures)
    return code or (EXIT_WRONG_PICTURES if figures.wrong else 0)


def _live_config(options: Namespace) -> LiveConfig:
    from streamfx.bench.live import here_and_free
    from streamfx.run.report import check_report_path

    source = f"test:bars?size={options.size}&fps={options.fps}&frames=0&live=1"
    sink = here_and_free() if options.sink == "udp" else options.sink
    options.input, options.outputs = source, [sink]
    if options.effects is None and options.config is None:
        options.effects = ["wave"]
    if getattr(options, "limits.seconds") is None:
        setattr(options, "limits.seconds", _SECONDS)
    config = live_config(options)
    if options.json is not None:
        check_report_path(options.json, output=sink, source=source)
    return config


def _rows_table(figures: LiveFigures) -> list[str]:
    head = (
        "from s",
        "to s",
        "in",
        "out",
        "dropped",
        "fps",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "max ms",
        "MiB",
        "factor",
    )
    rows = [
        (
            f"{row.from_seconds:.0f}", f"{row.to_seconds:.0f}", f"{row.frames_in}", f"{row.frames_out}",
            f"{row.dropped}", f"{row.fps:.1f}", *map(_number, _latency(row)), _number(row.memory_mib),
            "–" if row.factor is None else f"{row.factor:g}",
        )
        for row in figures.rows
    ]  # fmt: skip
    return aligned([head, *rows])


def _latency(row: IntervalRow) -> tuple[float | None, ...]:
    return row.latency_p50_ms, row.latency_p95_ms, row.latency_p99_ms, row.latency_max_ms


def _stages_table(report: Report) -> list[str]:
    lines: list[Sequence[str]] = [("stage", "p50 ms", "p95 ms", "p99 ms", "max ms")]
    for name in _STAGES:
        times = report.result.stages.get(name)
        if times is not None:
            seconds = (times.p50_seconds, times.p95_seconds, times.p99_seconds, times.max_seconds)
            lines.append((name, *(_number(None if each is None else each * 1e3) for each in seconds)))
    return aligned(lines)


def _words(figures: LiveFigures) -> list[str]:
    """Return what the tables come to, in words."""
    from streamfx.bench.rows import growth_per_minute

    readings, interval = figures.readings, 1 / figures.rate_fps  # seconds
    latency = readings.latency
    where = "received and decoded" if figures.received else "taken by the output"
    lines = [f"pictures read where they are {where}: {readings.pictures}, {_wrong(readings)}"]
    if figures.at_far_end is not None and not figures.received:
        far = figures.at_far_end
        lines.append(f"pictures read from the file: {far.pictures}, {_wrong(far)}")
    if latency.p50_seconds is not None and latency.p99_seconds is not None:
        p50, p99 = latency.p50_seconds, latency.p99_seconds
        lines.append(
            f"latency read from the pictures: p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms: "
            f"{p50 / interval:.2f} and {p99 / interval:.2f} of {interval * 1e3:.1f} ms, the time of a picture"
        )
    growth = [
        f"{name} {slope:+.2f} {unit}"
        for name, figure, unit in (
            ("p50", "latency_p50_ms", "ms"), ("p99", "latency_p99_ms", "ms"), ("memory", "memory_mib", "MiB")
        )
        if (slope := growth_per_minute(figures.rows, figure)) is not None
    ]  # fmt: skip
    return lines + ([f"growth per minute after the first row: {', '.join(growth)}"] if growth else [])


def _wrong(readings: Readings) -> str:
    parts = (
        (readings.unreadable, "unreadable"), (readings.mistaken, "not the one expected"),
        (readings.out_of_order, "out of order"),
    )  # fmt: skip
    return ", ".join(f"{count} {what}" for count, what in parts if count) or "every one the right one"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _write(path: Path, figures: LiveFigures) -> None:
    from streamfx.bench.rows import growth_per_minute

    growing = ("latency_p50_ms", "latency_p99_ms", "memory_mib")
    facts = {
        "rate_fps": figures.rate_fps,
        "rows": [asdict(row) for row in figures.rows],
        "growth_per_minute": {name: growth_per_minute(figures.rows, name) for name in growing},
        "at_output": asdict(figures.at_output),
        "at_far_end": asdict(figures.at_far_end) if figures.at_far_end else None,
        "report": figures.report.model_dump(mode="json"),
    }
    try:
        path.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise SinkError(f"{path}: cannot write the figures: {error.strerror}") from error
