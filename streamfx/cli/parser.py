"""Arguments of the ``streamfx`` command. Imports nothing heavy: ``streamfx --help`` answers at once."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence

from streamfx.cli.argument_parser import Parser
from streamfx.cli.bench_options import add_bench, size_of, with_what
from streamfx.cli.film_options import add_film_options
from streamfx.cli.job_options import add_jobs
from streamfx.cli.show_options import SHOWING
from streamfx.cli.train_options import add_train
from streamfx.version import __version__

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
        >>> options.input, options.effect
        ('in.mp4', ['wave:strength=0.7'])
    """
    options, unknown = _build().parse_known_args(with_what(arguments))
    if unknown:
        command: Parser = options.parser
        near = difflib.get_close_matches(unknown[0].partition("=")[0], _option_names(command), n=1)
        did_you_mean = f"; did you mean {near[0]}?" if near else ""
        name = command.prog.partition(" ")[2]
        command.error(f"'{unknown[0]}' is not an option or argument of '{name}'{did_you_mean}")
    return options


def _build() -> Parser:
    parser = Parser(prog="streamfx", description=DESCRIPTION, epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"streamfx {__version__}")
    _add_debug(parser, default=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    adders = (_add_transcode, _add_live, _add_serve, *SHOWING, _add_compile, add_train)
    added = [
        *(add(commands) for add in adders),
        *add_jobs(commands, _add_run_options),
        *add_bench(commands, _add_run_options),
    ]
    for command in added:
        # SUPPRESS keeps a --debug given before the command from being reset by the command's own default.
        _add_debug(command, default=argparse.SUPPRESS)
        command.set_defaults(parser=command)
    return parser


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
    speed, encoding = _add_run_options(command)
    add_film_options(speed, encoding)
    command.set_defaults(run=_transcode)
    return command


def _add_live(commands: argparse._SubParsersAction[Parser]) -> Parser:
    command = commands.add_parser(
        "live",
        help="change a live video while it comes: network, camera; to network, files, a virtual camera",
        description="Change a live video while it comes, until it ends, --seconds are over, or Ctrl-C.",
        epilog=LIVE_EXAMPLES + EXIT_CODES,
    )
    command.add_argument(
        "input", metavar="INPUT", nargs="?", help="rtsp:// rtmp:// http(s):// udp://, test:bars, a video file"
    )
    command.add_argument(
        "outputs",
        metavar="OUTPUT",
        nargs="*",
        help="rtmp:// rtsp:// udp://, hls:FOLDER, a video file, web:8080 (a page); several go",
    )
    live = command.add_argument_group("live")
    live.add_argument("--seconds", metavar="N", help="end after this time")
    live.add_argument(
        "--gap", metavar="WHAT", help="shown while the source is away: last (picture), black or pause"
    )
    live.add_argument(
        "--wait",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="wait for a source or server that is away at the start (the default), or refuse the run",
    )
    live.add_argument(
        "--loop", action="store_true", default=None, help="play a file again and again, with its sound"
    )
    _add_run_options(command)
    command.set_defaults(run=_live)
    return command


def _add_serve(commands: argparse._SubParsersAction[Parser]) -> Parser:
    command = commands.add_parser(
        "serve",
        help="offer a page: a visitor's browser sends its camera and gets it back, changed",
        description="Offer a page that sends a visitor's camera here and shows it changed, until Ctrl-C.",
        epilog=SERVE_EXAMPLES,
    )
    page = command.add_argument_group("page")
    page.add_argument("--host", metavar="HOST", help="address to listen at; 127.0.0.1 by default")
    page.add_argument("--port", metavar="N", help="port to listen at; 8080 by default, 0 for any free one")
    page.add_argument("--certificate", metavar="FILE", help="TLS certificate (PEM), for other machines")
    page.add_argument("--key", metavar="FILE", help="private key of the certificate (PEM)")
    page.add_argument(
        "--stun", action="append", metavar="ADDRESS", help="stun:HOST:PORT, where an address translator is"
    )
    look = command.add_argument_group("look")
    look.add_argument("--effect", metavar="NAME[:KEY=VALUE,…]", help="what visitors see first")
    look.add_argument(
        "--factor", metavar="N", help="how many times smaller the network's picture is; auto by default"
    )
    speed = command.add_argument_group("speed")
    speed.add_argument("--visitors", metavar="N", help="most at a time; one for two processors by default")
    speed.add_argument("--backend", metavar="NAME", help="what runs the network")
    speed.add_argument("--threads", metavar="N", help="processor threads for all visitors together")
    run = command.add_argument_group("run")
    run.add_argument("--report", metavar="FOLDER", help="write a report for each visitor into this folder")
    _add_settings(run)
    command.set_defaults(run=_serve)
    return command


def _add_settings(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--config", metavar="FILE", help="read settings from a YAML file, - for standard input; options win"
    )
    group.add_argument(
        "--set",
        action="append",
        metavar="KEY=VALUE",
        help="override one setting by its name in the configuration",
    )


def _add_run_options(
    command: Parser, *, report: bool = True
) -> tuple[argparse._ArgumentGroup, argparse._ArgumentGroup]:
    """Add the options of every command that changes video; return the groups on speed and on encoding."""
    look = command.add_argument_group("look")
    look.add_argument(
        "--effect",
        action="append",
        metavar="NAME[:KEY=VALUE,…]",
        help="effect and its controls ('streamfx effects' lists them); repeat for a chain, applied in order",
    )
    look.add_argument(
        "--factor",
        metavar="N",
        help="how many times smaller the network's picture is; auto by default: the sharpest that keeps up",
    )
    speed = command.add_argument_group("speed")
    _add_where(speed)
    speed.add_argument("--threads", metavar="N", help="processor threads to use")
    encoding = command.add_argument_group("encoding")
    encoding.add_argument("--codec", metavar="NAME", help="video codec of the output")
    encoding.add_argument("--preset", metavar="NAME", help="speed against size, as the codec names it")
    encoding.add_argument(
        "--quality", metavar="N", help="constant quality, as the codec counts it (lower is better)"
    )
    encoding.add_argument(
        "--overwrite",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="replace OUTPUT when it exists",
    )
    run = command.add_argument_group("run")
    if report:
        run.add_argument("--report", metavar="FILE", help="write the account of every frame, as JSON")
    _add_settings(run)
    return speed, encoding


def _add_where(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--backend", metavar="NAME", help="what runs the network ('streamfx devices' lists them)"
    )
    group.add_argument(
        "--device",
        metavar="NAME",
        help="where frames live and networks run: auto, cpu, cuda, or cuda:1 for the second GPU",
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
        help="of the video: 720p, 1080p, 4k or WIDTHxHEIGHT; 1080p by default",
    )
    _add_where(command)
    what = command.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="show what is stored, where, and its size")
    what.add_argument("--clear", action="store_true", help="remove it all; it is made again when needed")
    command.set_defaults(run=_compile)
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
