"""Request: what a user asks of a training of their own look, and whether it can be begun at all.

Imports nothing heavy: what is wrong is said at once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from streamfx.engine.spec import Name
from training.errors import WrongOptions

STARTER = Path(__file__).parents[1] / "starter"
JOB_FILE = "job.json"
SPEC = "engine.yaml"
LEAST_PICTURES = 40
LEAST_PAIRS = 20
_NEEDED_BYTES = 200_000_000
_MOST_MINUTES = 10_000
_NAME = TypeAdapter[str](Name)


@dataclass(frozen=True)
class Request:
    """What was asked for. Of picture, operator and pairs one says what the look is.

    Attributes:
        name: Name of the engine.
        out: Folder in which the engine's folder is put.
        work: Folder for checkpoint, log and sheet, of this training alone.
        picture: Picture whose style is learned.
        operator: Operator that draws the partners of pictures.
        pairs: Folder of pictures, and one of what they are to become.
        pictures: Folder of photographs to learn on instead of the starter set.
        minutes: Length of the training.
        resume: Go on with what was broken off.
        overwrite: Replace an engine of that name, and forget what was broken off.
        threads: Number of processor threads.
        device: cpu, cuda or cuda:1.
        installed: Whether the engine is found by its name, lying where the user's engines do.
    """

    name: str
    out: Path
    work: Path
    picture: Path | None = None
    operator: str | None = None
    pairs: tuple[Path, Path] | None = None
    pictures: Path | None = None
    minutes: float = 60.0
    resume: bool = False
    overwrite: bool = False
    threads: int = 1
    device: str = "cpu"
    installed: bool = True

    @property
    def kind(self) -> str:
        """Which recipe it takes."""
        return "operator" if self.operator is not None else "pairs" if self.pairs is not None else "style"

    @property
    def folder(self) -> Path:
        """Where the engine is written."""
        return self.out / self.name


def check(request: Request, taken: Iterable[str]) -> None:
    """Refuse what cannot be done, as far as that shows without reading a picture.

    Args:
        request: Wishes of the user.
        taken: Names of engines that come with streamfx.

    Raises:
        WrongOptions: Says what is wrong and what to do.
    """
    given = [request.picture is not None, request.operator is not None, request.pairs is not None]
    if sum(given) > 1:
        raise WrongOptions("give one of a style picture, --operator and --pairs: each of them is a look")
    if not any(given) and not request.resume:
        raise WrongOptions("give the picture whose style is wanted, or --operator NAME, or --pairs")
    try:
        _NAME.validate_python(request.name)
    except ValidationError:
        raise WrongOptions(
            f"--name {request.name}: give at most 64 small letters, digits, - and _, the first a letter or a "
            "digit"
        ) from None
    if not 0 < request.minutes < _MOST_MINUTES:
        raise WrongOptions(f"--minutes {request.minutes:g}: give a number above 0, and below {_MOST_MINUTES}")
    if request.threads < 1:
        raise WrongOptions(f"--threads {request.threads}: give a number of at least 1")
    if request.picture is not None and not request.picture.is_file():
        raise WrongOptions(f"there is no picture {request.picture}")
    named = [("--pictures", request.pictures), *(("--pairs", folder) for folder in request.pairs or ())]
    for option, folder in named:
        if folder is not None and not folder.is_dir():
            raise WrongOptions(f"{option} {folder}: there is no such folder")
    if request.name in set(taken):
        raise WrongOptions(
            f"--name {request.name}: an effect of that name comes with streamfx; choose another"
        )
    _free_name(request)
    for folder in (request.work, request.out):
        _room(folder)


def _free_name(request: Request) -> None:
    if request.resume:
        return
    if (request.work / JOB_FILE).is_file() and not request.overwrite:
        raise WrongOptions(
            f"a training of {request.name} was broken off, see {request.work}; go on with --resume, or begin "
            "anew with --overwrite"
        )
    if request.folder.exists() and not (request.folder / SPEC).is_file():
        raise WrongOptions(f"{request.folder} is there and is no engine; choose another --name or --out")
    if request.folder.exists() and not request.overwrite:
        raise WrongOptions(
            f"--name {request.name}: {request.folder} is there already; choose another name, or replace it "
            "with --overwrite"
        )


def _room(folder: Path) -> None:
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    if not there.is_dir():
        raise WrongOptions(f"{folder} cannot be made: {there} is no folder")
    if not os.access(there, os.W_OK):
        raise WrongOptions(f"{folder} cannot be written: you may not write into {there}; give another --out")
    free = shutil.disk_usage(there).free
    if free < _NEEDED_BYTES:
        raise WrongOptions(
            f"{folder}: {free / 1e6:.0f} MB are free on the disk, and a training needs "
            f"{_NEEDED_BYTES / 1e6:.0f}; free some, or name another folder with --out"
        )
