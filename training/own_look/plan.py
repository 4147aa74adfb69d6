"""Plan: how many steps fit into the minutes that were asked for, on this machine.

Few steps of each phase are tried, in a folder that is thrown away; their time decides how many there will be.
From then on the training is that of its settings: the clock changes nothing any more.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import WrongOptions
from training.own_look.recipe import Recipe, Training

LEAST_STEPS = 40
_WARM_STEPS = 2  # whose time says little: pictures are read, memory is taken
_TIMED_STEPS = 4
_TIMED_SECONDS = 6.0  # quick steps are timed for so long
_MOST_TRIED = 60
_SPARE = 0.06  # of the time: sheets, checkpoints, the engine itself


@dataclass(frozen=True)
class Pace:
    """What a phase costs on this machine.

    Attributes:
        step_seconds: Time of a step.
        first_seconds: Time until the first step was done: pictures are read, partners drawn, networks loaded.
    """

    step_seconds: float
    first_seconds: float


class _Enough(Exception):
    """What ends a trial."""


def paces(recipe: Recipe, training: Training, settings: Mapping[str, Any]) -> dict[str, Pace]:
    """What each phase of a recipe costs here.

    Args:
        recipe: See there.
        training: That of the recipe.
        settings: All that the training needs but the lengths of its phases.
    """
    return {
        phase: _pace(recipe, training, settings, phase) for phase, steps in recipe.phases.items() if steps
    }


def _pace(recipe: Recipe, training: Training, settings: Mapping[str, Any], phase: str) -> Pace:
    lengths = {name: _MOST_TRIED if name == phase else 0 for name in recipe.phases}
    with tempfile.TemporaryDirectory(prefix="streamfx-trial-") as folder:
        tried = {**settings, **recipe.along, **lengths, "work": Path(folder)}
        if "squares" in training.options.model_fields:  # pairs are drawn in the first step, and timed with it
            tried["squares"] = int(tried.get("batch", training.options.model_fields["batch"].default))
        watch = _Watch(time.monotonic)
        with suppress(_Enough):
            training.train(training.options.model_validate(tried), watch)
    return watch.pace()


class _Watch:
    """Notes the time of each step, and ends the trial when there is enough to judge by."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._times = clock, [clock()]

    def __call__(self, _done: int) -> None:
        self._times.append(self._clock())
        timed = len(self._times) - 1 - _WARM_STEPS
        if timed >= _TIMED_STEPS and self._times[-1] - self._times[_WARM_STEPS] >= _TIMED_SECONDS:
            raise _Enough

    def pace(self) -> Pace:
        warm = min(_WARM_STEPS, len(self._times) - 2)
        seconds = (self._times[-1] - self._times[warm]) / (len(self._times) - 1 - warm)
        return Pace(seconds, self._times[1] - self._times[0])


def lengths(
    recipe: Recipe, found: Mapping[str, Pace], seconds: float, preparation_seconds: float = 0.0
) -> dict[str, int]:
    """Settings that are numbers of steps, so that the training takes `seconds`.

    Args:
        recipe: Gives the proportions, and the most.
        found: What each phase costs.
        seconds: How much time there is.
        preparation_seconds: Time that passes whatever the number of steps.

    Raises:
        WrongOptions: There is too little time for a look.

    Example:
        >>> recipe = Recipe(command="style", phases={"teacher_steps": 100, "released_steps": 900})
        >>> found = {"teacher_steps": Pace(1.0, 2.0), "released_steps": Pace(1.0, 2.0)}
        >>> lengths(recipe, found, 1000 / 0.94)
        {'teacher_steps': 100, 'released_steps': 900}
    """
    whole = sum(steps * found[phase].step_seconds for phase, steps in recipe.phases.items() if steps)
    times = min(((1 - _SPARE) * seconds - preparation_seconds) / whole, recipe.most_times)
    scaled = {name: max(round(times * steps), min(steps, 1)) for name, steps in recipe.phases.items()}
    if sum(scaled.values()) < LEAST_STEPS or times <= 0:
        a_step = whole / sum(recipe.phases.values())
        minutes = (LEAST_STEPS * a_step + preparation_seconds) / (1 - _SPARE) / 60
        raise WrongOptions(
            f"{seconds / 60:.1f} minutes are too few: a step takes {a_step:.1f} s here, and a look needs "
            f"{LEAST_STEPS} at the very least; give --minutes {max(1, round(minutes + 0.5))} or, better, 60"
        )
    return scaled | {name: max(0, round(times * steps)) for name, steps in recipe.along.items()}


def preparation_seconds(found: Mapping[str, Pace], squares: int, tried: int) -> float:
    """Time in which all pairs are drawn, of which a trial drew `tried` before its first step was done."""
    first = next(iter(found.values()))
    return max(0.0, first.first_seconds - first.step_seconds) / tried * squares
