"""What ``streamfx bench`` shows: what was measured on what, the rows, what they mean, and what failed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from streamfx.bench.compare import Comparison
from streamfx.bench.result import BUSY, BenchResult, Case, Row
from streamfx.cli.tables import aligned

_HEAD = ("level", "effect", "size", "factor", "runs with")
_WHERE_KNOWN = ("GPU MiB", "W")
_UNKNOWN = "–"
_WIDTH = 110
_ENCODERS = {"x264": "x264 ultrafast", "null:": "none, frames are thrown away"}


def page(result: BenchResult) -> Iterator[str]:
    """Give the lines of what was measured."""
    yield from _wrapped(_circumstances(result))
    if result.rows:
        yield ""
        yield from _table(result)
        yield ""
        yield from _wrapped(f"{level}: {words}" for level, words in result.includes.items())
        yield from _wrapped(_remarks(result))
    if result.failed:
        yield ""
        yield "not measured:"
        yield from (f"  {failed.case}: {failed.reason}" for failed in result.failed)
    if result.stopped:
        yield "stopped before the end: the figures are those until then"


def comparison(found: Comparison, before: BenchResult, path: str) -> Iterator[str]:
    """Give the lines of what became of the figures of ``before``, which were read from ``path``."""
    yield f"compared with {path} of {before.measured_at}, streamfx {before.versions.get('streamfx')}:"
    yield from (f"warning: {warning}" for warning in found.warnings)
    if found.pairs:
        head = (*_HEAD[:-1], "remark", "fps then", "fps now", "ratio", "p99 then", "p99 now")
        lines = [
            (
                *_words(pair.case, pair.changed or ("" if pair.clear else "may be chance")),
                _number(pair.before.fps), _number(pair.after.fps), f"{pair.ratio:.2f}",
                _number(pair.before.p99_ms), _number(pair.after.p99_ms),
            )
            for pair in found.pairs
        ]  # fmt: skip
        yield from aligned([head, *lines], words=len(_HEAD))
        yield from _wrapped(
            ["ratio: fps now to fps then, above 1 is faster; may be chance: some turn of the slower one was "
             "as fast as one of the faster"]
        )  # fmt: skip
    else:
        yield "no row is in both"
    yield from (f"only then: {case}" for case in found.only_before)
    yield from (f"only now: {case}" for case in found.only_after)


def _circumstances(result: BenchResult) -> Iterator[str]:
    device, config = result.device, result.config
    processor = device.processor
    extensions = ", ".join(processor["extensions"]) or "no known extensions"
    yield f"device: {processor['usable_cores']} cores of {processor['name']} ({extensions})"
    for gpu in device.gpus:
        yield f"GPU: {gpu['name']}, driver {device.driver or 'unknown'}"
    clocks = [f"{name} {_range(clock)} MHz" for name, clock in device.clocks_mhz.items()]
    yield f"clocks: {', '.join(clocks) or 'unknown'}; system: {device.system}"
    yield "versions: " + ", ".join(f"{name} {version}" for name, version in result.versions.items())
    encoder = " or ".join(_ENCODERS.get(name, name) for name in result.encoders)
    yield (
        f"{result.measured_at}, {config.threads} threads, batch 1, {config.rounds} rounds in turns, "
        f"pictures: {config.clip or 'the test picture'}, encoder: {encoder}"
    )


def _table(result: BenchResult) -> list[str]:
    head = (*_HEAD, "fps", "± %", "p50 ms", "p95 ms", "p99 ms", "MiB", "GPU MiB", "W", "frames")
    lines = [
        (
            *_words(row.case, str(row.ran)),
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
        if column[0] not in _WHERE_KNOWN or set(column[1:]) != {_UNKNOWN}
    ]
    return aligned(zip(*columns, strict=True), words=len(_HEAD))


def _remarks(result: BenchResult) -> Iterator[str]:
    yield (
        "± %: half of what lies between the fastest and the slowest turn; MiB: most memory of a process that "
        "does only this row"
    )
    meters = list(dict.fromkeys(meter for row in result.rows for meter in row.power_watts))
    if meters:
        yield f"W: mean power of the whole device: {' + '.join(meters)}"
    yield from result.notes
    if any(row.p99_ms is None for row in result.rows):
        yield f"{_UNKNOWN} at p95 or p99: fewer than 20 or 100 frames; more --seconds give more frames"
    if (share := result.taken_by_others) > BUSY:
        yield (
            f"warning: other programs took up to {share:.0%} of the processors; "
            "on a quiet machine the figures are better"
        )


def _wrapped(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield from textwrap.wrap(line, _WIDTH, subsequent_indent="  ")


def _words(case: Case, last: str) -> tuple[str, ...]:
    return case.level, case.effect, case.size, f"{case.factor:g}", last


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
