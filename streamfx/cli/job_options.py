"""Options of the commands around a transcode: ``preview`` before it, ``batch`` for many, ``verify`` after."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pydantic import BaseModel

    from streamfx.cli.argument_parser import Parser

BATCH_EXAMPLES = """\
examples:
  streamfx batch films --output-dir styled --effect wave
  streamfx batch "films/**/*.mov" one.mp4 --output-dir styled --ending .mp4 --effect wave
  streamfx batch --list files.txt --output-dir styled --config batch.yaml

exit codes:
  0    every file is finished, now or before, and everything is there
  1    a file failed, or something of it is missing: the summary says which and why
  2    refused: nothing was written
  130  stopped (Ctrl-C): the same command goes on from there
"""

PREVIEW_EXAMPLES = """\
examples:
  streamfx preview in.mp4 --effect wave -o sheet.png
  streamfx preview in.mp4 --at 12.5 --effect wave --effect toon:strength=0.7 --factor 1,2,4 -o sheet.png

exit codes:
  0    the sheet is written
  2    refused: nothing was written
"""

VERIFY_EXAMPLES = """\
examples:
  streamfx verify in.mp4 out.mp4
  streamfx verify in.mp4 out.mkv --report report.json --json

exit codes:
  0    nothing differs, or nothing but what the report says
  1    something differs
  2    refused: one of them cannot be read
"""


AddAll: TypeAlias = "Callable[[Parser, type[BaseModel]], None]"
"""Adds the options of a configuration to a command."""


def add_jobs(commands: argparse._SubParsersAction[Parser], add_all: AddAll) -> list[Parser]:
    """Add the commands; return them."""
    return [_add_preview(commands), _add_batch(commands, add_all), _add_verify(commands)]


def _add_preview(commands: argparse._SubParsersAction[Parser]) -> Parser:
    command = commands.add_parser(
        "preview",
        help="show what effects make of moments of a film, at several factors, on one sheet",
        description="Show what effects make of moments of a film: a sheet with a row for each moment and "
        "effect, the source first and then each factor, labelled.",
        epilog=PREVIEW_EXAMPLES,
    )
    command.add_argument("input", metavar="INPUT", nargs="?", help="video to look at")
    command.add_argument("-o", "--output", metavar="SHEET", help="picture to write: .png, .jpg or .jpeg")
    command.set_defaults(run=_preview, fill=_fill_preview)
    return command


def _add_batch(commands: argparse._SubParsersAction[Parser], add_all: AddAll) -> Parser:
    command = commands.add_parser(
        "batch",
        help="change many video files: files, folders, globs; go on where an earlier batch ended",
        description="Change many video files. What an earlier batch finished is skipped; one that fails "
        "holds up no other. Each gets a report (OUTPUT.json), all of them a summary.",
        epilog=BATCH_EXAMPLES,
    )
    command.add_argument("inputs", metavar="INPUT", nargs="*", help="a file, a folder, or a glob in quotes")
    add_progress(command)
    command.set_defaults(run=_batch, fill=partial(_fill_batch, add_all))
    return command


def _add_verify(commands: argparse._SubParsersAction[Parser]) -> Parser:
    command = commands.add_parser(
        "verify",
        help="read a film and what was made of it from end to end, and say what differs",
        description="Read two films from end to end and say what differs, but for what an effect changes: "
        "frames, times, tracks (decoded), tags, colours, HDR metadata; black or frozen stretches.",
        epilog=VERIFY_EXAMPLES,
    )
    command.add_argument("input", metavar="IN", help="the source")
    command.add_argument("output", metavar="OUT", help="the film that was made of it")
    command.add_argument(
        "--report", metavar="FILE", help="the run's own report: losses that it names are expected"
    )
    command.add_argument("--json", action="store_true", help="print JSON, for programs")
    command.set_defaults(run=_verify)
    return command


def add_progress(command: Parser) -> None:
    """Add the option that says how progress is shown."""
    command.add_argument(
        "--progress",
        choices=("plain", "json", "none"),
        help="display on stderr: plain lines, on a terminal too; json, one object a line for programs; or "
        "none; by default a bar on a terminal, and plain lines elsewhere",
    )


def _fill_preview(command: Parser) -> None:
    from streamfx.cli.settings import add_settings
    from streamfx.config.preview import PreviewConfig

    add_settings(command, PreviewConfig)


def _fill_batch(add_all: AddAll, command: Parser) -> None:
    from streamfx.jobs.settings import BatchConfig

    add_all(command, BatchConfig)


def _preview(options: argparse.Namespace) -> int:
    from streamfx.cli.preview import preview

    return preview(options)


def _verify(options: argparse.Namespace) -> int:
    from streamfx.cli.verify import verify

    return verify(options)


def _batch(options: argparse.Namespace) -> int:
    from streamfx.cli.batch import batch

    return batch(options)
