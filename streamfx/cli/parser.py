"""Arguments of the ``streamfx`` command. Imports nothing heavy: ``streamfx --help`` answers at once."""

from __future__ import annotations

import argparse
import platform
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from streamfx.cli.argument_parser import Parser
from streamfx.cli.bench_options import add_bench, size_of, with_what
from streamfx.cli.job_options import add_jobs, add_progress
from streamfx.cli.show_options import SHOWING
from streamfx.cli.train_options import add_train
from streamfx.errors import did_you_mean
from streamfx.hardware.software import versions

if TYPE_CHECKING:
    from pydantic import BaseModel

DESCRIPTION = "Changes how a video looks, at the full resolution of the source."
EXIT_CODES = """\
exit codes:
  0    everything is there
  1    finished, or ended early, and frames are missing: the report says which and why
  2    refused: nothing was written
  130  stopped (Ctrl-C): the output holds what was done until then; a second Ctrl-C stops at once
"""
TRANSCODE_EXAMPLES = """\
examples:
  streamfx transcode in.mp4 out.mp4 --effect wave
  streamfx transcode in.mkv out.mkv --effect wave:strength=0.7 --codec hevc --report report.json
  streamfx transcode in.mp4 part.mp4 --effect wave --start 0:01:30 --duration 20

"""
LIVE_EXAMPLES = """\
examples:
  streamfx live rtsp://camera.local/1 rtmp://server/app/key --effect wave
  streamfx live udp://0.0.0.0:5000 hls:web/stream recording.mp4 --effect wave --seconds 60
  streamfx live camera:0 web:8080 --effect wave

"""
SERVE_EXAMPLES = """\
examples:
  streamfx serve --effect wave
  streamfx serve --host 0.0.0.0 --certificate cert.pem --key key.pem

"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parsed arguments; ``run`` in them is the command, a function from them to an exit code.

    Raises:
        ConfigError: unknown command or option, or a value that is not one.

    Example:
        >>> options = parse(["transcode", "in.mp4", "out.mp4", "--effect", "wave:strength=0.7"])
        >>> options.input, options.effects
        ('in.mp4', ['wave:strength=0.7'])
    """
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    options, unknown = _build(wanted).parse_known_args(with_what(arguments))
    if unknown:
        command: Parser = options.parser
        meant = did_you_mean(unknown[0].partition("=")[0], _option_names(command))
        name = command.prog.partition(" ")[2]
        command.error(f"'{unknown[0]}' is not an option or argument of '{name}'{meant and f'; {meant}'}")
    return options


def _build(wanted: str | None) -> Parser:
    """Return the parser of the command, with all options of the command under it that is wanted."""
    parser = Parser(prog="streamfx", description=DESCRIPTION, epilog=EXIT_CODES)
    parser.add_argument(
        "--version", action=_ShowVersions, nargs=0, help="show program's version number and exit"
    )
    _add_debug(parser, default=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    adders = (_add_transcode, _add_live, _add_serve, *SHOWING, _add_compile, add_train)
    added = [
        *(add(commands) for add in adders),
        *add_jobs(commands, add_all),
        *add_bench(commands, fill_live),
    ]
    for command in added:
        fill = command.get_default("fill")
        if fill is not None and command.prog.split()[1] == wanted:
            fill(command)
        # SUPPRESS keeps a --debug given before the command from being reset by the command's own default.
        _add_debug(command, default=argparse.SUPPRESS)
        command.set_defaults(parser=command)
    return parser


class _ShowVersions(argparse.Action):
    """Prints the version, and below it those of what a report of a fault should name."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print them, a line each, and end the program."""
        for name, number in versions(["openvino"]).items():
            print(name, number)
        print(platform.system(), platform.release(), platform.machine())
        parser.exit()


def _add_debug(parser: Parser, default: object) -> None:
    parser.add_argument(
        "--debug", action="store_true", default=default, help="show tracebacks and detailed logs"
    )


def _add_transcode(commands: argparse._SubParsersAction[Parser]) -> Parser:
    command = commands.add_parser(
        "transcode",
        help="change a video file and write a new one, with its sound",
        description="Change a video file and write a new one; sound, subtitles and chapters travel along.",
        epilog=TRANSCODE_EXAMPLES + EXIT_CODES,
    )
    command.add_argument("input", metavar="INPUT", nargs="?", help="video to read")
    command.add_argument(
        "output", metavar="OUTPUT", nargs="?", help="video to write; the ending picks the container"
    )
    add_progress(command)
    command.add_argument(
        "--dry-run",
        action="store_true",
        help="say what would be read, kept, converted and left out, how long it takes and how big it gets; "
        "write nothing",
    )
    command.set_defaults(run=_transcode, fill=_fill_transcode)
    return command


def _add_live(commands: argparse._SubParsersAction[Parser]) -> Parser:
    command = commands.add_parser(
        "live",
        help="change a live video while it comes: network, camera; to network, files, a virtual camera",
        description="Change a live video while it comes, until it ends, --seconds are over, or Ctrl-C.",
        epilog=LIVE_EXAMPLES + EXIT_CODES,
    )
    command.add_argument(
        "input",
        metavar="INPUT",
        nargs="?",
        help="rtsp:// rtmp:// http(s):// udp://, whip:8090, test:bars, a video file",
    )
    command.add_argument(
        "outputs",
        metavar="OUTPUT",
        nargs="*",
        help="rtmp:// rtsp:// udp://, hls:FOLDER, a video file, web:8080 (a page); several go",
    )
    add_progress(command)
    command.set_defaults(run=_live, fill=fill_live)
    return command


def _add_serve(commands: argparse._SubParsersAction[Parser]) -> Parser:
    command = commands.add_parser(
        "serve",
        help="offer a page: a visitor's browser sends its camera and gets it back, changed",
        description="Offer a page that sends a visitor's camera here and shows it changed, until Ctrl-C.",
        epilog=SERVE_EXAMPLES,
    )
    command.set_defaults(run=_serve, fill=_fill_serve)
    return command


# The options of settings are made from the configuration, which takes time to load: only when a command runs,
# or its help is asked for.


def _fill_transcode(command: Parser) -> None:
    from streamfx.config.transcode import TranscodeConfig

    add_all(command, TranscodeConfig)


def fill_live(command: Parser) -> None:
    """Add the options of a live run."""
    from streamfx.config.live import LiveConfig

    add_all(command, LiveConfig)


def _fill_serve(command: Parser) -> None:
    from streamfx.config.serve import ServeConfig

    add_all(command, ServeConfig)


def _fill_compile(command: Parser) -> None:
    from streamfx.cli.settings import add_settings
    from streamfx.config.transcode import TranscodeConfig

    add_settings(command, TranscodeConfig, only=("backend", "device"))


def add_all(command: Parser, model: type[BaseModel]) -> None:
    """Add the options of a configuration, the file of settings and single ones."""
    from streamfx.cli.settings import add_settings

    add_settings(command, model)
    group = command.add_argument_group("settings")
    group.add_argument(
        "--config",
        metavar="FILE",
        help="file of settings, YAML (- for standard input); options win over it",
    )
    group.add_argument(
        "--set",
        action="append",
        metavar="KEY=VALUE",
        help="any setting by its name in the configuration ('streamfx schema' lists them)",
    )


def _add_compile(commands: argparse._SubParsersAction[Parser]) -> Parser:
    command = commands.add_parser(
        "compile", help="compile effects ahead of their first use; show or empty what is kept of that"
    )
    command.add_argument("effects", metavar="EFFECT", nargs="*", help="effects, as --effect takes them")
    command.add_argument(
        "--factor", metavar="N", help="compile for one factor; by default for each that a run may choose"
    )
    command.add_argument(
        "--size",
        metavar="SIZE",
        type=size_of,
        default="1080p",
        help="size of the video: 720p, 1080p, 4k or WIDTHxHEIGHT; 1080p by default",
    )
    what = command.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="show what is stored, where, and its size")
    what.add_argument("--clear", action="store_true", help="remove it all; it is made again when needed")
    command.set_defaults(run=_compile, fill=_fill_compile)
    return command


# The commands are imported when they run: each knows what it needs, and --help needs none of it.


def _transcode(options: argparse.Namespace) -> int:
    from streamfx.cli.transcode import transcode

    return transcode(options)


def _live(options: argparse.Namespace) -> int:
    from streamfx.cli.live import live

    return live(options)


def _serve(options: argparse.Namespace) -> int:
    from streamfx.cli.serve import serve

    return serve(options)


def _compile(options: argparse.Namespace) -> int:
    from streamfx.cli.compile import compile_engines

    return compile_engines(options)


def _option_names(command: Parser) -> list[str]:
    return re.findall(r"(?<![\w-])--[a-z-]+", command.format_help())
