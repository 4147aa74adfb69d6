"""Options of ``streamfx transcode`` on what becomes of a film beside the effects."""

from __future__ import annotations

import argparse


def add_film_options(speed: argparse._ArgumentGroup, group: argparse._ArgumentGroup) -> None:
    """Add the options to the groups on speed and on encoding."""
    speed.add_argument(
        "--speed", metavar="N", help="how many times faster than real time a file is to be done; 1 by default"
    )
    group.add_argument(
        "--pixel-format",
        metavar="NAME",
        help="convert pictures to it, yuv420p for instance, as FFmpeg names it",
    )
    group.add_argument(
        "--deinterlace",
        metavar="HOW",
        help="auto (by default): where pictures are flagged as interlaced; off; bwdif or yadif: all pictures",
    )
    group.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="work in segments that survive a crash; go on after those that an earlier run finished",
    )
    group.add_argument(
        "--strict",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="refuse an OUTPUT that would lack something of INPUT",
    )
