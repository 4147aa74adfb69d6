"""An argument parser that raises where argparse would print a usage page and leave."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from streamfx.errors import ConfigError, did_you_mean


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of printing a usage page, and takes no abbreviations."""

    def __init__(self, prog: str, description: str = "", epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError: a usage error is one line, like every other error of the command line."""
        raise ConfigError(f"{message}{_hint(message)}; '{self.prog} --help' lists what there is")


def _hint(message: str) -> str:
    """Return "; did you mean …?" for an invalid choice that is nearly a valid one."""
    found = re.search(r"invalid choice: '(.+?)' \(choose from (.+)\)", message)
    if not found:
        return ""
    meant = did_you_mean(found[1], re.findall(r"[\w-]+", found[2]))
    return meant and f"; {meant}"
