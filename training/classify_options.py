"""Settings of a training of classifiers."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from streamfx.engine.families.classifier import STRIDE
from training import quality
from training.engine_folder import EngineFolder
from training.loop import LoopOptions


class ClassifyOptions(BaseModel):
    """Settings of `python -m training classify`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    good: list[Path] = Field(default=[], description="folders of good pictures: learn to tell quality")
    domains: dict[str, list[Path]] = Field(
        default={}, description="folders and clips of each domain: learn to tell these"
    )
    out: EngineFolder = Field(description="engine folder to write")
    work: Path = Field(description="folder for checkpoint and log")
    sides: list[int] = Field(
        min_length=1,
        description="side of the pictures, in pixels: of windows for quality, of whole pictures for domains",
    )
    batch: int = Field(default=16, ge=2)
    clip_share: float = Field(default=0.1, ge=0, le=1)
    closest: float = Field(
        default=1.25, ge=1, description="largest enlargement of the pictures that squares are cut from"
    )
    grey_share: float = Field(
        default=0.0, ge=0, le=1, description="share of the pictures of domains that lose their colours"
    )
    calibrated_share: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="share of the sources of domains that is not learned from: there the finished network's "
        "probabilities are brought to how often it is right",
    )
    readers: int = Field(default=2, ge=1)
    version: str = "1.0.0"
    licence: str = "Apache-2.0"
    note: str = Field(default="", description="limits that were found, for the card")
    width: int = Field(default=16, ge=1, description="channels of the network's first stage")
    detail: bool = Field(default=False, description="show the network fine detail beside the picture")
    steps: int = Field(default=1500, ge=1)
    rounds_of: int = Field(
        default=300, ge=1, description="batches of damaged windows: each comes again, turned, after these"
    )
    judged: int = Field(default=400, ge=1, description="held-out pictures for the figures, at most")
    loop: LoopOptions = Field(
        default_factory=lambda: LoopOptions(learning_rate=1e-3, warm_up_steps=50, tail=0.6)
    )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the scores."""
        return tuple(self.domains) if self.domains else quality.CLASSES

    @model_validator(mode="after")
    def _check(self) -> ClassifyOptions:
        wrong = []
        if bool(self.good) == bool(self.domains):
            wrong.append("give either good, to tell quality, or domains")
        if self.domains and len(self.domains) < 2:
            wrong.append(f"domains: at least two are needed to tell apart; found {', '.join(self.domains)}")
        paths = [*self.good, *(path for found in self.domains.values() for path in found)]
        wrong += [f"{path} does not exist" for path in paths if not path.exists()]
        wrong += [f"sides: {side} is not a multiple of {STRIDE}" for side in self.sides if side % STRIDE]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self
