"""Options of ``streamfx bench`` and ``streamfx bench live``."""

from __future__ import annotations

import argparse
import contextlib
import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from streamfx.engine.factors import check_factor

if TYPE_CHECKING:
    from streamfx.cli.argument_parser import Parser

T = TypeVar("T")

EXIT_CODES = """\
exit codes:
  0    measured
  1    measured, but some of it is missing or wrong: it says what
  2    refused: nothing was measured
  130  stopped (Ctrl-C): the figures are those until then
"""
RUN_DESCRIPTION = """\
How many frames a second there are on this machine, and how long a frame takes. Without options: the effect
wave at 720p and 1080p, in under a minute on two cores. Every combination of what is given is a row; options
that say N,… can be given several times, too. Rows take turns, so that a busy moment meets them all.

levels:
  model     the compiled network alone
  resident  reduce, network and fuse, from and to frames in memory: what latency is made of
  pipeline  decode to encode, file to file: what 'streamfx transcode' does
With --device on a GPU, what goes in lies in its memory already, and the pipeline decodes and encodes there.

'streamfx bench live --help' measures another thing: latency, drops and memory of a live run over time.
"""
RUN_EXAMPLES = """\
examples:
  streamfx bench
  streamfx bench --effect wave,cafe --size 1080p,4k --factor 2,4 --json now.json --plot now.png
  streamfx bench --backend openvino,eager --level model --compare before.json

"""
SIZES = {"360p": (360, 640), "480p": (480, 854), "720p": (720, 1280), "1080p": (1080, 1920),
         "1440p": (1440, 2560), "4k": (2160, 3840)}  # fmt: skip
LIVE_EXAMPLES = """\
examples:
  streamfx bench live --effect wave --seconds 600 --json live.json
  streamfx bench live --size 1920x1080 --sink udp --effect wave --factor 4

"""


def add_bench(
    commands: argparse._SubParsersAction[Parser], fill_live: Callable[[Parser], None]
) -> list[Parser]:
    """Add ``bench`` and return the commands under it.

    Args:
        commands: commands of ``streamfx``.
        fill_live: function that adds the options of a live run.
    """
    bench = commands.add_parser(
        "bench", help="measure on this machine: frames per second, memory; latency live"
    )
    measured = bench.add_subparsers(dest="measured", metavar="WHAT", required=True, parser_class=type(bench))
    return [_add_run(measured), _add_live(measured, fill_live)]


def with_what(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of ``streamfx`` with ``run`` after ``bench``, where nothing says what to measure.

    Example:
        >>> with_what(["bench", "--size", "720p"]), with_what(["bench", "live"]), with_what(["effects"])
        (['bench', 'run', '--size', '720p'], ['bench', 'live'], ['effects'])
    """
    position = next((place for place, word in enumerate(arguments) if not word.startswith("-")), None)
    if position is None or arguments[position] != "bench":
        return list(arguments)
    after = arguments[position + 1 :]
    says_what = bool(after) and not after[0].startswith("-")
    return [*arguments[: position + 1], *(() if says_what else ("run",)), *after]


def _add_run(measured: argparse._SubParsersAction[Parser]) -> Parser:
    command = measured.add_parser(
        "run",
        prog="streamfx bench",  # what it is called without
        help="frames per second, and how long a frame takes; meant where nothing is named",
        description=RUN_DESCRIPTION,
        epilog=RUN_EXAMPLES + EXIT_CODES,
    )
    what = command.add_argument_group("what is measured")
    what.add_argument(
        "--effect",
        metavar="NAME[:KEY=VALUE,…],…",
        action="extend",
        type=_effects,
        help="wave by default; or all",
    )
    what.add_argument(
        "--size", metavar="SIZE,…", action="extend", type=partial(_list, size_of),
        help=f"{', '.join(SIZES)} or WIDTHxHEIGHT; 720p,1080p by default",
    )  # fmt: skip
    what.add_argument(
        "--factor", metavar="N,…", action="extend", type=partial(_list, _factor),
        help="reduction of the picture that the network sees, where there is a choice; 4 by default",
    )  # fmt: skip
    what.add_argument(
        "--level", metavar="LEVEL,…", action="extend", type=partial(_list, str), help="all three by default"
    )
    what.add_argument(
        "--backend", metavar="NAME,…", action="extend", type=partial(_list, str),
        help="library that runs the network; the fastest by default",
    )  # fmt: skip
    what.add_argument(
        "--precision", metavar="NAME,…", action="extend", type=partial(_list, str),
        help="number format of the network, f32, bf16 or int8; the fastest by default",
    )  # fmt: skip
    what.add_argument(
        "--device", metavar="NAME", default="auto",
        help="place of the frames and the networks: auto, cpu, cuda, or cuda:1 for the second GPU",
    )  # fmt: skip
    what.add_argument("--clip", metavar="FILE", help="take the pictures from a video, in its size")
    what.add_argument(
        "--encoder", choices=("auto", "x264", "null:"), default="auto",
        help="encoder of the level pipeline: x264 at its preset ultrafast, null: for none; auto by default: "
        "NVIDIA's where frames live on a GPU that has one, else x264",
    )  # fmt: skip
    how = command.add_argument_group("how")
    how.add_argument(
        "--frames",
        metavar="N",
        type=_count,
        default=120,
        help="least number of frames of each row; 120 by default",
    )
    how.add_argument(
        "--seconds", metavar="N", type=_seconds, default=20.0,
        help="most that the frames of a row may take; 20 by default",
    )  # fmt: skip
    how.add_argument("--rounds", metavar="N", type=_count, default=4, help="turns of each row; 4 by default")
    how.add_argument("--threads", metavar="N", type=_count, help="processor threads to use; all by default")
    then = command.add_argument_group("what becomes of it")
    then.add_argument(
        "--json", metavar="FILE", help="write the figures, with all that is needed to judge them"
    )
    then.add_argument("--plot", metavar="FILE.png", help="draw them (extra 'bench')")
    then.add_argument("--compare", metavar="FILE", help="show them beside those that an earlier --json wrote")
    command.set_defaults(run=_run)
    return command


def _add_live(measured: argparse._SubParsersAction[Parser], fill_live: Callable[[Parser], None]) -> Parser:
    command = measured.add_parser(
        "live",
        help="the whole way live: latency, drops and memory over time",
        description="Run the test picture in its own pace through an effect to an output.\n"
        "Latency is read from the pictures: each has its number in its pixels.",
        epilog=LIVE_EXAMPLES + EXIT_CODES,
    )
    live = command.add_argument_group("measurement")
    live.add_argument(
        "--size",
        metavar="WIDTHxHEIGHT",
        default="1280x720",
        help="size of the test picture; 1280x720 by default",
    )
    live.add_argument(
        "--fps", metavar="N", default="30", help="frame rate of the test picture, per second; 30 by default"
    )
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
    command.set_defaults(run=_live, fill=fill_live)
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


def _count(text: str) -> int:
    """Return a whole number above 0.

    Raises:
        ArgumentTypeError: it is none.
    """
    with contextlib.suppress(ValueError):
        if (count := int(text)) > 0:
            return count
    raise argparse.ArgumentTypeError(f"must be a whole number above 0, found '{text}'")


def _list(read: Callable[[str], T], text: str) -> list[T]:
    """Return what is between the commas."""
    return [read(part.strip()) for part in text.split(",")]


def _effects(text: str) -> list[str]:
    """Return effects; a comma before KEY=VALUE does not end one.

    Example:
        >>> _effects("wave:strength=0.5,factor=2,cafe")
        ['wave:strength=0.5,factor=2', 'cafe']
    """
    return [part.strip() for part in re.split(r",(?![^,:]*=)", text)]


def size_of(text: str) -> tuple[int, int]:
    """Return (height, width).

    Raises:
        ArgumentTypeError: it is no size.
    """
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    size = (int(found[2]), int(found[1])) if found else SIZES.get(text.lower())
    if size is None or min(size) < 1:
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT or one of {', '.join(SIZES)}, found '{text}'")
    return size


def _factor(text: str) -> float:
    """Return a factor.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        return check_factor(float(text))
    except ValueError as error:
        why = str(error) if "must be" in str(error) else "must be a number"
        raise argparse.ArgumentTypeError(f"{why}, found '{text}'") from error


def _run(options: argparse.Namespace) -> int:
    from streamfx.cli.bench_run import bench_run

    return bench_run(options)


def _live(options: argparse.Namespace) -> int:
    from streamfx.cli.bench_live import bench_live

    return bench_live(options)
