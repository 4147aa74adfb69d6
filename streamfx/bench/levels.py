"""Levels: how much of a frame's way is measured, and what opens each. A new one is an entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeAlias

from streamfx.bench.level import Opened, Setup

if TYPE_CHECKING:
    from streamfx.run.placement import Place

Level: TypeAlias = "Callable[[Setup, Place], AbstractContextManager[Opened]]"
"""Opens a case where frames live and networks run; what it gives is closed with it."""


def _model(setup: Setup, place: Place) -> AbstractContextManager[Opened]:
    from streamfx.bench.main_memory import open_model

    return open_model(setup, place)


def _resident(setup: Setup, place: Place) -> AbstractContextManager[Opened]:
    from streamfx.bench.main_memory import open_resident

    return open_resident(setup, place)


def _pipeline(setup: Setup, place: Place) -> AbstractContextManager[Opened]:
    from streamfx.bench.end_to_end import open_pipeline

    return open_pipeline(setup, place)


LEVELS: Mapping[str, Level] = {"model": _model, "resident": _resident, "pipeline": _pipeline}
"""By the name a user gives, the shortest way first."""
