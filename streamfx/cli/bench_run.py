"""The command ``streamfx bench``: options in, every combination measured in turns, its table out."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from streamfx.cli.output import say
from streamfx.cli.transcode import log_to_stderr, termination_as_interrupt
from streamfx.errors import ConfigError

if TYPE_CHECKING:
    from streamfx.bench.result import BenchConfig

EXIT_MEASURED, EXIT_SOME_FAILED, EXIT_STOPPED = 0, 1, 130


def bench_run(options: Namespace) -> int:
    """Run ``streamfx bench`` and return its exit code: 0, 1 or 130; what is refused is raised."""
    from streamfx.bench.compare import compare
    from streamfx.bench.plot import check_plot, write_plot
    from streamfx.bench.result import read_result
    from streamfx.bench.rounds import measure
    from streamfx.cli.bench_page import comparison, page
    from streamfx.run.report import check_report_path

    config = _config(options)
    for path in filter(None, (options.json, options.plot)):
        check_report_path(path, output="null:", source=options.clip or "null:")
    if options.plot:
        check_plot(Path(options.plot))
    before = read_result(Path(options.compare)) if options.compare else None
    with termination_as_interrupt(), log_to_stderr(debug=options.debug):
        result = measure(config, lambda line: say(f"streamfx: {line}", sys.stderr))
    say("\n".join(page(result)), sys.stdout)
    if before is not None:
        say("\n".join(["", *comparison(compare(before, result), before, options.compare)]), sys.stdout)
    if options.json:
        result.write(Path(options.json))
    if options.plot and result.rows:
        write_plot(result, Path(options.plot))
    elif options.plot:
        say(f"streamfx: {options.plot} was not drawn: there are no rows", sys.stderr)
    if result.stopped:
        return EXIT_STOPPED
    return EXIT_SOME_FAILED if result.failed else EXIT_MEASURED


def _config(options: Namespace) -> BenchConfig:
    """Return what is to be measured, defaults filled in."""
    from streamfx.bench.cases import size_of
    from streamfx.bench.levels import LEVELS
    from streamfx.bench.result import BenchConfig
    from streamfx.hardware.cpu import usable_cores

    if options.clip and options.size:
        raise ConfigError("--clip has a size of its own; leave --size away")
    sizes = [size_of(options.clip)] if options.clip else options.size or [(720, 1280), (1080, 1920)]
    return BenchConfig(
        levels=tuple(options.level or LEVELS),
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
        device=options.device,
    )


def _effects(asked: list[str]) -> list[str]:
    """Return the effects asked for, ``all`` as the names of those that are installed."""
    if "all" not in asked:
        return asked
    from streamfx.engine.library import list_effects

    return [found.name for found in list_effects()]
