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
        help="picture whose style is learned: its strokes, colours and textures",
    )
    look.add_argument(
        "--operator",
        metavar="NAME",
        help="operator whose drawings are learned; a name that does not exist lists those that do",
    )
    look.add_argument(
        "--pairs",
        nargs=2,
        metavar=("SOURCES", "PARTNERS"),
        help="folders of pictures and of what they are to become: each of SOURCES has a partner of the same "
        "name and size in PARTNERS",
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
        help="name of the effect: small letters, digits, - and _",
    )
    engine.add_argument(
        "--out",
        metavar="FOLDER",
        help="write the engine into FOLDER/NAME instead of your folder of engines, where streamfx finds it "
        "by its name",
    )
    engine.add_argument(
        "--overwrite",
        action="store_true",
        help="replace an engine of that name, and forget a training of that name that was broken off",
    )
    training = command.add_argument_group("training")
    training.add_argument(
        "--minutes",
        metavar="N",
        type=_number,
        default=60.0,
        help="length of the training, about; more is better; 60 by default",
    )
    training.add_argument(
        "--pictures",
        metavar="FOLDER",
        help="photographs to learn on instead of those that come with streamfx; pictures like the videos you "
        "have in mind, people among them, are best",
    )
    training.add_argument(
        "--resume",
        action="store_true",
        help="go on with a training of that name that was broken off, from its last checkpoint and with the "
        "settings it was begun with",
    )
    training.add_argument(
        "--threads",
        metavar="N",
        type=int,
        help="number of processor threads to use; all by default",
    )
    training.add_argument(
        "--device",
        metavar="NAME",
        default="cpu",
        help="place of the training: cpu, the default, or cuda, an NVIDIA GPU",
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, found '{text}'") from None


def _train(options: argparse.Namespace) -> int:
    from streamfx.cli.train import train

    return train(options)
