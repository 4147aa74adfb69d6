"""Options of ``streamfx bench``: each thing that is measured is a command under it, as in ``bench live``."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamfx.cli.parser import Parser

EXIT_CODES = """\
exit codes:
  0    measured
  1    measured, but pictures or frames are missing or wrong: it says which
  2    refused: nothing was measured
  130  stopped (Ctrl-C): the figures are those until then
"""
LIVE_EXAMPLES = """\
examples:
  streamfx bench live --effect wave --seconds 600 --json live.json
  streamfx bench live --size 1920x1080 --sink udp --effect wave --factor 4

"""


def add_bench(
    commands: argparse._SubParsersAction[Parser], add_run_options: Callable[[Parser], object]
) -> list[Parser]:
    """Add ``bench`` and return the commands under it.

    Args:
        commands: of ``streamfx``.
        add_run_options: adds the options of every command that changes video.
    """
    bench = commands.add_parser(
        "bench", help="measure on this machine", description="Measure on this machine: one of these."
    )
    measured = bench.add_subparsers(dest="measured", metavar="WHAT", required=True, parser_class=type(bench))
    return [_add_live(measured, add_run_options)]


def _add_live(
    measured: argparse._SubParsersAction[Parser], add_run_options: Callable[[Parser], object]
) -> Parser:
    command = measured.add_parser(
        "live",
        help="the whole way live: latency, drops and memory over time",
        description="Run the test picture in its own pace through an effect to an output.\n"
        "Latency is read from the pictures: each has its number in its pixels.",
        epilog=LIVE_EXAMPLES + EXIT_CODES,
    )
    live = command.add_argument_group("measurement")
    live.add_argument(
        "--size", metavar="WIDTHxHEIGHT", default="1280x720", help="of the test picture; 1280x720 by default"
    )
    live.add_argument(
        "--fps", metavar="N", default="30", help="of the test picture, per second; 30 by default"
    )
    live.add_argument("--seconds", metavar="N", default="60", help="how long; 60 by default")
    live.add_argument(
        "--every", metavar="N", type=_seconds, default=60.0, help="seconds of each row; 60 by default"
    )
    live.add_argument(
        "--sink",
        metavar="OUTPUT",
        default="null:",
        help="null: by default; udp: sent, received and decoded again here; a video file, read again "
        "afterwards; or any other output of 'streamfx live'",
    )
    live.add_argument("--json", metavar="FILE", help="write the figures and the report of the run, as JSON")
    add_run_options(command)
    command.set_defaults(run=_live)
    return command


def _seconds(text: str) -> float:
    """Return a span of time.

    Raises:
        ArgumentTypeError: it is none.
    """
    with contextlib.suppress(ValueError):
        if 0 < (seconds := float(text)) < math.inf:
            return seconds
    raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, found '{text}'")


def _live(options: argparse.Namespace) -> int:
    from streamfx.cli.bench import bench_live

    return bench_live(options)
