"""Options of ``streamfx train``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamfx.cli.argument_parser import Parser

DESCRIPTION = """\
Learn a look of your own and install it as an effect: from one picture, whose style every video then takes on;
from a slow operator, which draws what a fast network then learns to draw; or from pairs of pictures of yours.

A sheet of people close up, people far away and a scene is drawn every few minutes, so that you see what
becomes of it. After a quarter of an hour there is a first engine to try; the one of the end is better.
"""
EPILOG = """\
examples:
  streamfx train my.jpg --name mine
  streamfx train my.jpg --name mine --minutes 120 --pictures photos
  streamfx train --operator toon --name comic
  streamfx train --name mine --resume

exit codes:
  0    the engine is trained and installed
  1    the training failed, and says why; what was done until then is kept where that helps
  2    refused: nothing was written
  130  stopped (Ctrl-C): go on with --resume
"""


def add_train(commands: argparse._SubParsersAction[Parser]) -> Parser:
    """Add ``train`` and return it."""
    command = commands.add_parser(
        "train",
        help="learn a look of your own from a picture, and install it as an effect",
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    look = command.add_argument_group("look: one of these")
    look.add_argument(
        "picture",
        metavar="PICTURE",
        nargs="?",
        help="This picture's style is learned: its strokes, colours and textures.",
    )
    look.add_argument(
        "--operator",
        metavar="NAME",
        help="What this operator draws is learned; a name that does not exist lists those that do.",
    )
    look.add_argument(
        "--pairs",
        nargs=2,
        metavar=("SOURCES", "PARTNERS"),
        help="What became of each picture of the folder SOURCES is learned from the picture of the same name "
        "and size in the folder PARTNERS.",
    )
    _add_rest(command)
    command.set_defaults(run=_train)
    return command


def _add_rest(command: Parser) -> None:
    engine = command.add_argument_group("engine")
    engine.add_argument(
        "--name",
        metavar="NAME",
        required=True,
        help="This is what the effect will be called: small letters, digits, - and _.",
    )
    engine.add_argument(
        "--out",
        metavar="FOLDER",
        help="The engine is written into FOLDER/NAME instead of your folder of engines, where streamfx finds "
        "it by its name.",
    )
    engine.add_argument(
        "--overwrite",
        action="store_true",
        help="An engine of that name is replaced, and a training of that name that was broken off is "
        "forgotten.",
    )
    training = command.add_argument_group("training")
    training.add_argument(
        "--minutes",
        metavar="N",
        type=_number,
        default=60.0,
        help="The training takes about so many minutes, 60 unless told otherwise; more are better.",
    )
    training.add_argument(
        "--pictures",
        metavar="FOLDER",
        help="The network learns on the photographs below this folder instead of those that come with "
        "streamfx; pictures like the videos you have in mind, people among them, are best.",
    )
    training.add_argument(
        "--resume",
        action="store_true",
        help="A training of that name that was broken off goes on from its last checkpoint, with the "
        "settings it was begun with.",
    )
    training.add_argument(
        "--threads",
        metavar="N",
        type=int,
        help="So many processor threads are used; as many as there are cores unless told otherwise.",
    )
    training.add_argument(
        "--device",
        metavar="NAME",
        default="cpu",
        help="The network is trained there: cpu, the default, or cuda, an NVIDIA GPU.",
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, found '{text}'") from None


def _train(options: argparse.Namespace) -> int:
    from streamfx.cli.train import train

    return train(options)
