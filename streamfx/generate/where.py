"""Where: the part of the picture that an effect acts on."""

from __future__ import annotations

from enum import StrEnum


class Where(StrEnum):
    """Part of the picture that an effect acts on; what lies outside stays as it is."""

    ALL = "all"
    PERSON = "person"
    BACKGROUND = "background"
