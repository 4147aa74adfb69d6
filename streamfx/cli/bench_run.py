"""The command ``streamfx bench``: options in, every combination measured in turns, its table out."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from streamfx.cli.columns import aligned
from streamfx.cli.output import say
from streamfx.cli.transcode import log_to_stderr, termination_as_interrupt
from streamfx.errors import ConfigError

if TYPE_CHECKING:
    from streamfx.bench.compare import Comparison
    from streamfx.bench.result import BenchConfig, BenchResult, Case, Row

EXIT_MEASURED, EXIT_SOME_FAILED, EXIT_STOPPED = 0, 1, 130
_BUSY = 0.1
_HEAD = ("level", "effect", "size", "factor", "runs with")
_UNKNOWN = "–"


def bench_run(options: Namespace) -> int:
    """Run ``streamfx bench`` and return its exit code: 0, 1 or 130; what is refused is raised."""
    from streamfx.bench.compare import compare
    from streamfx.bench.plot import check_plot, write_plot
    from streamfx.bench.result import read_result
    from streamfx.bench.turns import measure
    from streamfx.report import check_report_path

    config = _config(options)
    for path in filter(None, (options.json, options.plot)):
        check_report_path(path, output="null:", source=options.clip or "null:")
    if options.plot:
        check_plot(Path(options.plot))
    before = read_result(Path(options.compare)) if options.compare else None
    with termination_as_interrupt(), log_to_stderr(debug=options.debug):
        result = measure(config, lambda line: say(f"streamfx: {line}", sys.stderr))
    say("\n".join(_page(result)), sys.stdout)
    if before is not None:
        say("\n".join(["", *_comparison(compare(before, result), before, options.compare)]), sys.stdout)
    if options.json:
        result.write(Path(options.json))
    if options.plot and result.rows:
        write_plot(result, Path(options.plot))
    if result.stopped:
        return EXIT_STOPPED
    return EXIT_SOME_FAILED if result.failed else EXIT_MEASURED


def _config(options: Namespace) -> BenchConfig:
    """Return what is to be measured, defaults filled in."""
    from streamfx.bench.cases import size_of
    from streamfx.bench.levels import level_names
    from streamfx.bench.result import BenchConfig
    from streamfx.device import usable_cores

    if options.clip and options.size:
        raise ConfigError("--clip has a size of its own; leave --size away")
    sizes = [size_of(options.clip)] if options.clip else options.size or [(720, 1280), (1080, 1920)]
    return BenchConfig(
        levels=tuple(options.level or level_names()),
        effects=tuple(_effects(options.effect or ["wave"])),
        sizes=tuple(sizes),
        factors=tuple(options.factor or [4.0]),
        backends=tuple(options.backend or ["auto"]),
        precisions=tuple(options.precision or ["auto"]),
        threads=options.threads or usable_cores(),
        frames=options.frames,
        seconds=options.seconds,
        rounds=options.rounds,
        clip=options.clip,
        encoder=options.encoder,
    )


def _effects(asked: list[str]) -> list[str]:
    """Return the effects asked for, ``all`` as the names of those that are installed."""
    if "all" not in asked:
        return asked
    from streamfx.generate.library import list_effects
    from streamfx.generate.spec import Kind

    return [
        found.name
        for found in list_effects()
        if found.spec is not None and found.spec.kind is not Kind.SCORES
    ]


def _page(result: BenchResult) -> Iterator[str]:
    """Give what was measured, on what, with what, and what it means."""
    device, config = result.device, result.config
    processor = device.processor
    extensions = ", ".join(processor["extensions"]) or "no known extensions"
    yield f"device: {processor['usable_cores']} cores of {processor['name']} ({extensions})"
    for gpu in device.gpus:
        yield f"GPU: {gpu['name']}, driver {device.driver or 'unknown'}"
    clocks = [f"{name} {_range(clock)} MHz" for name, clock in device.clocks_mhz.items()]
    yield f"clocks: {', '.join(clocks) or 'unknown'}; system: {device.system}"
    yield "versions: " + ", ".join(f"{name} {version}" for name, version in result.versions.items())
    yield (
        f"{result.measured_at}, {config.threads} threads, batch 1, {config.rounds} rounds in turns, "
        f"pictures: {config.clip or 'the test picture'}, encoder: {_encoder(config)}"
    )
    if result.rows:
        yield ""
        yield from _table(result)
        yield ""
        yield from (f"{level}: {words}" for level, words in result.includes.items())
    yield from _remarks(result)
    if result.failed:
        yield ""
        yield "not measured:"
        yield from (f"  {failed.case}: {failed.reason}" for failed in result.failed)
    if result.stopped:
        yield "stopped before the end: the figures are those until then"


def _table(result: BenchResult) -> list[str]:
    head = (*_HEAD, "fps", "± %", "p50 ms", "p95 ms", "p99 ms", "MiB", "GPU MiB", "W", "frames")
    lines = [
        (
            *_words(row.case, f"{row.ran.backend} {row.ran.precision}"),
            _number(row.fps), f"{_spread(row):.0f}", _number(row.p50_ms), _number(row.p95_ms),
            _number(row.p99_ms), _whole(row.peak_memory_mib), _whole(row.device_memory_mib),
            " + ".join(f"{watts:.0f}" for watts in row.power_watts.values()) or _UNKNOWN,
            f"{row.frames}",
        )
        for row in result.rows
    ]  # fmt: skip
    columns = [
        column
        for column in zip(head, *lines, strict=True)
        if column[0] != "GPU MiB" or set(column[1:]) != {_UNKNOWN}
    ]
    return aligned(zip(*columns, strict=True), words=len(_HEAD))


def _remarks(result: BenchResult) -> Iterator[str]:
    if not result.rows:
        return
    yield "± %: half of what lies between the fastest and the slowest turn; MiB: most memory of a process "
    yield "that does only this row"
    meters = list(dict.fromkeys(meter for row in result.rows for meter in row.power_watts))
    if meters:
        yield f"W: mean power of the whole device: {' + '.join(meters)}"
    yield from result.notes
    if any(row.p99_ms is None for row in result.rows):
        yield f"{_UNKNOWN} at p95 or p99: fewer than 20 or 100 frames; more --seconds give more frames"
    shares = [row.taken_by_others for row in result.rows if row.taken_by_others is not None]
    if shares and max(shares) > _BUSY:
        yield (
            f"warning: other programs took {min(shares):.0%} to {max(shares):.0%} of the processors; "
            "on a quiet machine the figures are better"
        )


def _comparison(found: Comparison, before: BenchResult, path: str) -> Iterator[str]:
    yield f"compared with {path} of {before.measured_at}, streamfx {before.versions.get('streamfx')}:"
    yield from (f"warning: {warning}" for warning in found.warnings)
    if found.pairs:
        head = (*_HEAD[:-1], "", "fps then", "fps now", "ratio", "p99 then", "p99 now")
        lines = [
            (
                *_words(pair.case, pair.changed or ("" if pair.clear else "may be chance")),
                _number(pair.before.fps), _number(pair.after.fps), f"{pair.ratio:.2f}",
                _number(pair.before.p99_ms), _number(pair.after.p99_ms),
            )
            for pair in found.pairs
        ]  # fmt: skip
        yield from aligned([head, *lines], words=len(_HEAD))
        yield "ratio: fps now to fps then, above 1 is faster; may be chance: turns of then and now overlap"
    else:
        yield "no row is in both"
    yield from (f"only then: {case}" for case in found.only_before)
    yield from (f"only now: {case}" for case in found.only_after)


def _words(case: Case, last: str) -> tuple[str, ...]:
    return case.level, case.effect, case.size, f"{case.factor:g}", last


def _encoder(config: BenchConfig) -> str:
    return "x264 ultrafast" if config.encoder == "x264" else "none, frames are thrown away"


def _range(clock: tuple[float, float]) -> str:
    low, high = (f"{each:.0f}" for each in clock)
    return low if low == high else f"{low} to {high}"


def _spread(row: Row) -> float:
    return 50 * (max(row.turns_fps) - min(row.turns_fps)) / row.fps


def _number(value: float | None) -> str:
    """Return a number in three digits, or all of them before the point."""
    if value is None:
        return _UNKNOWN
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def _whole(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.0f}"
