"""Options of the benchmarks: the docstring of the program is its help, and all speak of rounds alike."""

from __future__ import annotations

import argparse

from streamfx.hardware.cpu import usable_cores


def option_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is ``description``, as it is written."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def kernel_options(description: str | None, *, quick: str, rounds: int) -> argparse.Namespace:
    """Return the options of a benchmark of one step, and give OpenCV and torch as many threads.

    Args:
        description: description of the program.
        quick: description of what ``--quick`` leaves.
        rounds: number of rounds by default.
    """
    import cv2
    import torch

    made = option_parser(description)
    made.add_argument("--quick", action="store_true", help=quick)
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--threads", type=int, default=usable_cores())
    options = made.parse_args()
    cv2.setNumThreads(options.threads)
    torch.set_num_threads(options.threads)
    return options
