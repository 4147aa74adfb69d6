"""Plan: how many steps fit into the minutes that were asked for, on this machine.

Few steps of each phase are tried, in a folder that is thrown away; their time decides how many there will be.
From then on the training is that of its settings: the clock changes nothing any more. A processor that is
busy with something else just now will not be for an hour, so a step counts for at most twice its processor
time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from training.errors import WrongOptions
from training.operators import Operator
from training.own_look.preview import shown_pictures
from training.own_look.recipe import Recipe, Training

LEAST_STEPS = 40
_WARM_STEPS = 2  # whose time says little: pictures are read, memory is taken
_TIMED_STEPS = 4
_TIMED_SECONDS = 6.0  # quick steps are timed for so long
_MOST_TRIED = 60
_BUSY = 2.0  # times its processor time: the most that a step counts for
_SPARE = 0.06  # of the time: sheets, checkpoints, the engine itself


class _TrialOver(Exception):
    """What ends a trial."""


def paces(recipe: Recipe, training: Training, settings: Mapping[str, Any]) -> dict[str, float]:
    """Seconds that a step of each phase takes here.

    Args:
        recipe: Recipe whose steps are timed.
        training: Training of the recipe.
        settings: All that the training needs but the lengths of its phases.
    """
    return {
        phase: _pace(recipe, training, settings, phase) for phase, steps in recipe.phases.items() if steps
    }


def _pace(recipe: Recipe, training: Training, settings: Mapping[str, Any], phase: str) -> float:
    lengths = {name: _MOST_TRIED if name == phase else 0 for name in recipe.phases}
    with tempfile.TemporaryDirectory(prefix="streamfx-trial-") as folder:
        tried = {**settings, **recipe.along, **lengths, "work": Path(folder)}
        if "squares" in training.options.model_fields:  # few, drawn in the first steps: see `drawing_seconds`
            tried["squares"] = int(tried.get("batch", training.options.model_fields["batch"].default))
        loop = tried.get("loop", {})
        alone = loop.get("threads", 1) if loop.get("device", "cpu") == "cpu" else None
        watch = Watch(time.monotonic, time.process_time, alone)
        with suppress(_TrialOver):
            training.train(training.options.model_validate(tried), watch)
    return watch.step_seconds()


class Watch:
    """Notes the time of each step, and ends the trial when there is enough to judge by.

    Args:
        clock: Clock that tells the time.
        spent: Clock of the process's own processor time.
        threads: Processors that a step keeps busy; None where it does not run on processors.
    """

    def __init__(
        self, clock: Callable[[], float], spent: Callable[[], float], threads: int | None = None
    ) -> None:
        self._clock, self._spent, self._threads = clock, spent, threads
        self._times, self._spent_times = [clock()], [spent()]

    def __call__(self, _done: int) -> None:
        self._times.append(self._clock())
        self._spent_times.append(self._spent())
        timed = len(self._times) - 1 - _WARM_STEPS
        if timed >= _TIMED_STEPS and self._times[-1] - self._times[_WARM_STEPS] >= _TIMED_SECONDS:
            raise _TrialOver

    def step_seconds(self) -> float:
        """Time of a step that was no warming up."""
        warm = min(_WARM_STEPS, len(self._times) - 2)
        seconds = self._times[-1] - self._times[warm]
        if self._threads is not None:
            seconds = min(seconds, _BUSY * (self._spent_times[-1] - self._spent_times[warm]) / self._threads)
        return seconds / (len(self._times) - 1 - warm)


def lengths(
    recipe: Recipe, found: Mapping[str, float], seconds: float, preparation_seconds: float = 0.0
) -> dict[str, int]:
    """Settings that are numbers of steps, so that the training takes `seconds`.

    Args:
        recipe: Gives the proportions, and the most.
        found: Seconds that a step of each phase takes.
        seconds: Time that the training may take.
        preparation_seconds: Time that passes whatever the number of steps.

    Raises:
        WrongOptions: There is too little time for a look.

    Example:
        >>> recipe = Recipe(command="style", phases={"teacher_steps": 100, "released_steps": 900})
        >>> lengths(recipe, {"teacher_steps": 1.0, "released_steps": 1.0}, 1000 / 0.94)
        {'teacher_steps': 100, 'released_steps': 900}
    """
    whole = sum(steps * found[phase] for phase, steps in recipe.phases.items() if steps)
    times = min(((1 - _SPARE) * seconds - preparation_seconds) / whole, recipe.most_times)
    scaled = {name: max(round(times * steps), min(steps, 1)) for name, steps in recipe.phases.items()}
    if sum(scaled.values()) < LEAST_STEPS or times <= 0:
        a_step = whole / sum(recipe.phases.values())
        minutes = (LEAST_STEPS * a_step + preparation_seconds) / (1 - _SPARE) / 60
        raise WrongOptions(
            f"{seconds / 60:.1f} minutes are too few: a step takes {a_step:.1f} s here, and a look needs "
            f"{LEAST_STEPS} at the very least; give --minutes {max(1, round(minutes + 0.5))} or more"
        )
    return scaled | {name: max(0, round(times * steps)) for name, steps in recipe.along.items()}


def drawing_seconds(operator: Operator, side: int, squares: int) -> float:
    """Time in which an operator draws the partners of so many squares."""
    square = np.ascontiguousarray(shown_pictures()[0][:side, :side])
    operator(square)  # what it needs is loaded
    began, spent = time.monotonic(), time.thread_time()
    operator(square)
    return squares * min(time.monotonic() - began, _BUSY * (time.thread_time() - spent))
