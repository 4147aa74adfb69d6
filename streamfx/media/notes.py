"""Notes: what a run makes of its input beside the effects. What must be said is of a kind of its own."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from streamfx.errors import ConfigError

NOTE = 25  # of a log: between information and a warning; the command line shows it
logging.addLevelName(NOTE, "NOTE")

log = logging.getLogger(__name__)


class Converted(str):
    """A note on what is in the output in another form than in the source."""

    __slots__ = ()


class LeftOut(str):
    """A note on what is in the source and not in the output."""

    __slots__ = ()


class AsAsked(str):
    """A note on what is in the source and, because the user said so, not in the output."""

    __slots__ = ()


ALPHA_LEFT_OUT = "alpha is left out"
"""How a note on an output begins that does not hold alpha."""


def left_out(notes: Iterable[str]) -> list[str]:
    """Return the notes on what is not in the output.

    Example:
        >>> left_out(["times are rounded", LeftOut("stream 2 is left out")])
        ['stream 2 is left out']
    """
    return [note for note in notes if isinstance(note, LeftOut)]


def say(notes: Iterable[str], *, but: Collection[str] = ()) -> frozenset[str]:
    """Log what is converted or left out, as asked or not, and return what was logged.

    Args:
        notes: notes of a source or an output; plain text among them is for the report alone.
        but: notes that were logged before.
    """
    kinds = Converted | LeftOut | AsAsked
    said = dict.fromkeys(note for note in notes if isinstance(note, kinds) and note not in but)
    for note in said:
        log.log(logging.WARNING if isinstance(note, LeftOut) else NOTE, "%s", note)
    return frozenset(said)


def refuse_losses(output: str, notes: Iterable[str]) -> None:
    """Refuse an output that would lack something of the source.

    Raises:
        ConfigError: it would; the message says what.
    """
    if lost := left_out(notes):
        raise ConfigError(
            f"{output}: would lack something of the source, which --strict refuses: {'; '.join(lost)}"
        )
