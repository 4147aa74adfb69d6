"""Options of the commands that only show something: ``effects``, ``devices`` and ``schema``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamfx.cli.argument_parser import Parser


def _add_effects(commands: argparse._SubParsersAction[Parser]) -> Parser:
    command = commands.add_parser("effects", help="list the effects and their controls")
    command.add_argument("name", metavar="NAME", nargs="?", help="show one effect only")
    command.add_argument("--json", action="store_true", help="print JSON, for programs")
    command.set_defaults(run=_effects)
    return command


def _add_devices(commands: argparse._SubParsersAction[Parser]) -> Parser:
    command = commands.add_parser(
        "devices", help="show this machine, what can run on it, and the factor each effect gets"
    )
    command.add_argument(
        "--for",
        dest="device",
        metavar="DEVICE",
        help="estimate for a device that need not be here, T4 or 'Raspberry Pi 5' for instance",
    )
    command.add_argument("--json", action="store_true", help="print JSON, for programs")
    command.set_defaults(run=_devices)
    return command


def _add_schema(commands: argparse._SubParsersAction[Parser]) -> Parser:
    command = commands.add_parser("schema", help="print the JSON schema of configuration files")
    command.add_argument(
        "--for",
        dest="configured",
        choices=("transcode", "batch", "live", "serve"),
        default="transcode",
        help="the command that is configured; transcode by default",
    )
    command.set_defaults(run=_schema)
    return command


def _effects(options: argparse.Namespace) -> int:
    from streamfx.cli.show import effects

    return effects(options)


def _devices(options: argparse.Namespace) -> int:
    from streamfx.cli.devices import devices

    return devices(options)


def _schema(options: argparse.Namespace) -> int:
    from streamfx.cli.show import schema

    return schema(options)


SHOWING = (_add_effects, _add_devices, _add_schema)
