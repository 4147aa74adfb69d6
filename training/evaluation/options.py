"""Settings of an evaluation: closed, typed, checked at once."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.evaluation.limits import Manner
from training.evaluation.material import Material


class LookOptions(BaseModel):
    """What stylizing engines are judged on, beside `pictures`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: list[Material] = Field(
        min_length=1, description="pictures and frames in which faces are looked for"
    )
    clips: list[Material] = Field(min_length=1, description="frames that follow one another")
    still: list[Material] = Field(min_length=1, description="scenes that are shown as if nothing moved")
    shown: list[Material] = Field(min_length=1, description="pictures of the sheet: people close up and far")
    moving: Material | None = Field(default=None, description="frames of the moving sheet")

    @property
    def paths(self) -> list[Path]:
        """All files."""
        moving = [self.moving] if self.moving is not None else []
        return [one.path for one in (*self.people, *self.clips, *self.still, *self.shown, *moving)]


class EvaluateOptions(BaseModel):
    """Settings of `python -m training evaluate`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: Path = Field(description="engine folder")
    style: Path | None = Field(default=None, description="style picture, for engines that have one")
    pictures: list[Path] = Field(
        default=[],
        description="folders of photographs, good ones for a classifier of quality; the held-out ones are "
        "used",
    )
    domains: dict[str, list[Path]] = Field(
        default={},
        description="folders of each domain, in the order of the classes, for a classifier of domains; "
        "photographs and folders of people and of nobody, for an engine that tells people",
    )
    side: int = Field(
        default=160,
        ge=16,
        multiple_of=16,
        description="side of windows, or short side of whole pictures, in pixels, for a classifier",
    )
    looks: Path | None = Field(
        default=None, description="table of windows that were looked at, for a classifier of quality"
    )
    seed: int = Field(default=1009, ge=0, description="seed of the damages that pictures are given")
    videos: list[Path] = Field(default=[], description="clips that were not in the training")
    exclude: list[str] = Field(
        default=[], description="leave out pictures whose path contains one of these words"
    )
    kept: list[str] = Field(
        default=[],
        description="instead of held-out pictures those whose path contains one of these words, which the "
        "recipe of the training excluded",
    )
    operator: str | None = Field(
        default=None, description="operator that drew the partners of a paired training"
    )
    partners: Path | None = Field(
        default=None,
        description="instead: folder of partners with the names and sizes of those in pictures, one folder",
    )
    classifier: str = Field(
        default="", description="engine that tells domains, its name or folder: judges the target domain"
    )
    chain: bool = Field(
        default=True, description="show a classical chain beside engines that restore, which takes minutes"
    )
    against: dict[str, Path] = Field(
        default={}, description="other engine folders that are shown beside, by name"
    )
    look: LookOptions | None = Field(
        default=None, description="judge a stylizing engine by everything that a look must hold, on this"
    )
    manner: Manner | None = Field(
        default=None,
        description="limits that a look is held to; by default painterly with a style picture, else "
        "portrait-safe",
    )
    factors: list[float] = Field(
        default=[1.0, 2.0, 4.0],
        min_length=1,
        description="factors to judge a look at, where the engine offers them",
    )
    count: int = Field(default=50, ge=1)
    first_frame: int = Field(default=0, ge=0)
    frames: int = Field(default=24, ge=2)
    work: Path = Field(description="folder for evaluation.json and the sheet")
    document: bool = Field(default=False, description="write figures and sheet into the engine folder")
    threads: int = Field(default=2, ge=1)

    @property
    def held_to(self) -> Manner:
        """The limits that a look is held to."""
        return self.manner or (Manner.PORTRAIT if self.style is None else Manner.PAINTERLY)

    @model_validator(mode="after")
    def _check(self) -> EvaluateOptions:
        paths = [self.engine, *self.pictures, *self.videos, *self.against.values()]
        paths += [path for folders in self.domains.values() for path in folders]
        paths += [self.looks] if self.looks is not None else []
        paths += [self.style] if self.style is not None else []
        paths += [self.partners] if self.partners is not None else []
        paths += self.look.paths if self.look is not None else []
        if missing := [str(path) for path in paths if not path.exists()]:
            raise ValueError(f"do not exist: {', '.join(missing)}")
        if self.partners is not None and self.operator is not None:
            raise ValueError("give either operator, which draws partners, or partners, a folder")
        if self.partners is not None and len(self.pictures) != 1:
            raise ValueError("with partners, pictures is one folder")
        return self
