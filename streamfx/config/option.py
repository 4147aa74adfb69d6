"""What a setting is called on the command line; it stands with the setting, which is described once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """The command-line option of a setting; its help is the description of the setting.

    Attributes:
        group: heading under which ``--help`` shows it.
        metavar: placeholder of its value; empty for a switch.
        name: name without the dashes; empty: that of the setting.
        repeats: whether it may be given several times.
        switch_off: whether ``--no-NAME`` exists too.
    """

    group: str
    metavar: str = ""
    name: str = ""
    repeats: bool = False
    switch_off: bool = False
