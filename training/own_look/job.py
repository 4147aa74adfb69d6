"""Job: a training of an own look that was begun, kept in its work folder, so that it can go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from streamfx.hardware.cpu import cpu
from training import checkpoint
from training.errors import WrongOptions
from training.operators import OPERATORS
from training.own_look import plan
from training.own_look.recipe import TRAININGS, Recipe, Training, read_recipe, started
from training.own_look.request import JOB_FILE, LEAST_PAIRS, LEAST_PICTURES, STARTER, Request
from training.paired_options import PairedOptions
from training.pairs import PairFiles
from training.pictures import find_stills, read_still

_STATE = (JOB_FILE, "*.checkpoint.safetensors", "checkpoint.json", "style-picture.*")
_LEAST_SIDE = 128  # of a style picture, in pixels
_CHECKPOINT_SECONDS = 60.0


class JobState(BaseModel):
    """What is kept of a job.

    Attributes:
        kind: Kind of recipe.
        settings: Settings of the training, complete.
        step_seconds: Measured time of a step in each phase.
        seconds: Time that it has run, in all.
        early: Whether the first engine was written.
    """

    model_config = ConfigDict(extra="forbid")

    kind: str
    settings: dict[str, Any]
    step_seconds: dict[str, float]
    seconds: float = 0.0
    early: bool = False


@dataclass
class Job:
    """A training that can be run, or go on.

    Attributes:
        request: Request of the user.
        recipe: Recipe by which it is done.
        options: Settings of the training.
        kept: State that is written into the work folder.
    """

    request: Request
    recipe: Recipe
    options: Any
    kept: JobState

    @property
    def training(self) -> Training:
        return TRAININGS[self.recipe.command]

    @property
    def steps(self) -> dict[str, int]:
        """Steps of each phase, in order."""
        return {phase: getattr(self.options, phase) for phase in self.recipe.phases}

    @property
    def total_steps(self) -> int:
        return sum(self.steps.values())

    def done(self) -> int:
        """Steps that were done when the last checkpoint was saved."""
        return checkpoint.steps_done(self.request.work)

    def seconds_left(self, done: int) -> float:
        """Time of the steps that are left after `done`, as it was measured at the start."""
        left, past = 0.0, done
        for phase, steps in self.steps.items():
            left += max(0, steps - past) * self.kept.step_seconds.get(phase, 0.0)
            past = max(0, past - steps)
        return left

    def save(self) -> None:
        checkpoint.replace(self.request.work / JOB_FILE, self.kept.model_dump_json(indent=1))


def begin(request: Request, say: Callable[[str], None]) -> Job:
    """A new job: pictures are looked at, steps are timed, settings are settled.

    Raises:
        WrongOptions: Something that was asked for cannot be; says what to do.
    """
    _forget(request.work)
    try:
        job = _begun(request, say)
    except BaseException:
        _forget(request.work)  # what is refused, or stopped so early, leaves nothing behind
        with suppress(OSError):
            request.work.rmdir()
        raise
    job.save()
    return job


def _begun(request: Request, say: Callable[[str], None]) -> Job:
    recipe = read_recipe(request.kind)
    training = TRAININGS[recipe.command]
    settings = _settings(request, recipe)
    nominal = _validated(training, settings | recipe.phases | recipe.along)
    say("looking how fast this machine is: half a minute or so")
    found = plan.paces(recipe, training, settings)
    prepared = 0.0
    if isinstance(nominal, PairedOptions) and (draw := nominal.draws()) is not None:
        prepared = plan.drawing_seconds(draw, nominal.square, nominal.squares)
    settings |= plan.lengths(recipe, found, 60 * request.minutes, prepared)
    settings["loop"] |= {"checkpoint_every": max(1, round(_CHECKPOINT_SECONDS / min(found.values())))}
    options = _validated(training, settings)
    kept = JobState(kind=request.kind, settings=options.model_dump(mode="json"), step_seconds=found)
    return Job(request, recipe, options, kept)


def resume(request: Request) -> Job:
    """The job that was broken off, with the settings it was begun with.

    Raises:
        WrongOptions: There is none, or it is of another look.
    """
    path = request.work / JOB_FILE
    try:
        kept = JobState.model_validate_json(path.read_text(encoding="utf-8"))
        recipe = read_recipe(kept.kind)
        settings = kept.settings | {"out": str(request.folder), "work": str(request.work)}
        settings["loop"] |= {"threads": request.threads, "device": request.device}
        options = TRAININGS[recipe.command].options.model_validate(settings)
    except FileNotFoundError as error:
        raise WrongOptions(
            f"there is nothing to go on with: {request.work} holds no training; leave out --resume"
        ) from error
    except (OSError, ValidationError) as error:
        raise WrongOptions(
            f"{path} does not tell how to go on ({str(error).splitlines()[0]}); begin anew with --overwrite"
        ) from error
    named = [request.picture, request.operator, request.pairs]
    if any(named) and request.kind != kept.kind:
        raise WrongOptions(f"what was broken off in {request.work} is a look of another kind, {kept.kind}")
    return Job(request, recipe, options, kept)


def _settings(request: Request, recipe: Recipe) -> dict[str, Any]:
    """Settings of the training, but for the lengths of its phases."""
    settings = started(recipe)
    settings |= {
        "out": request.folder,
        "work": request.work,
        "target_domain": request.name,
        "licence": "LicenseRef-not-stated",
        "loop": {
            "bfloat16": _bfloat16_is_quick(request.device),
            **settings.get("loop", {}),
            "threads": request.threads,
            "device": request.device,
        },
    }
    if request.pairs is not None:
        sources, partners = (folder.absolute() for folder in request.pairs)
        _enough(sources, LEAST_PAIRS, "pairs", f"--pairs {sources}")
        PairFiles(sources, partners, 1, [], 0).close()  # refuses pictures without a partner
        return settings | {"content": [sources], "partners": partners, "title": f"what {partners} shows"}
    content = request.pictures.absolute() if request.pictures is not None else STARTER
    _enough(content, LEAST_PICTURES, "pictures", f"--pictures {content}")
    settings["content"] = [content]
    if request.operator is not None:
        if request.operator not in OPERATORS:
            raise WrongOptions(
                f"--operator {request.operator}: there is none of that name; there are {', '.join(OPERATORS)}"
            )
        return settings | {"operator": request.operator, "title": f"{request.operator} drawings"}
    assert request.picture is not None
    return settings | {"style": _keep(request.picture, request.work), "title": request.picture.stem}


def _bfloat16_is_quick(device: str) -> bool:
    """Whether networks train faster in bfloat16 there; a processor without instructions for it emulates
    it."""
    return device != "cpu" or any(name.endswith("BF16") for name in cpu().extensions)


def _validated(training: Training, settings: Mapping[str, Any]) -> Any:
    try:
        return training.options.model_validate(settings)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise WrongOptions("; ".join(wrong)) from error


def _enough(folder: Path, least: int, what: str, option: str) -> None:
    usable = sum(not still.held_out for still in find_stills([folder]))
    if usable < least:
        raise WrongOptions(
            f"{option}: {usable} {what} to learn from, not counting the fifth that is kept for evaluation, "
            f"are too few; give at least {round(least / 0.8)}"
            + (", or leave out --pictures for those that come with streamfx" if what == "pictures" else "")
        )


def _keep(picture: Path, work: Path) -> Path:
    """Put a copy of the style picture into the work folder, so that a training goes on without the original.

    Raises:
        WrongOptions: It is no picture, or too small.
    """
    read = read_still(picture)
    if read is None:
        raise WrongOptions(f"{picture} cannot be read: it is no picture file, or you may not read it")
    height, width = read.shape[:2]
    if min(height, width) < _LEAST_SIDE:
        raise WrongOptions(
            f"{picture} is {width} x {height} pixels: too small to show strokes; give one of at least "
            f"{_LEAST_SIDE} pixels each way, better 600"
        )
    work.mkdir(parents=True, exist_ok=True)
    copy = work.absolute() / f"style-picture{picture.suffix.lower()}"
    shutil.copyfile(picture, copy)
    return copy


def finish(job: Job) -> None:
    """Leave nothing to go on with: sheet and log stay."""
    _remove(job.request.work, _STATE)


def _forget(work: Path) -> None:
    """Remove what an earlier training left in its work folder, and nothing else."""
    _remove(work, (*_STATE, "log.jsonl", "sheet.jpg"))


def _remove(work: Path, patterns: Iterable[str]) -> None:
    for pattern in patterns:
        for path in work.glob(pattern):
            path.unlink()
