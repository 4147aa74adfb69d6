"""Settings of `python -m training person`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.engine_folder import EngineFolder
from training.evaluation.network import JUDGES
from training.loop import LoopOptions
from training.weights import WeightsFile


class ComposedOptions(BaseModel):
    """How pictures of people are put together, section `composed`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    people: list[Path] = Field(min_length=1, description="clips, photographs and folders of people")
    behind: list[Path] = Field(
        min_length=1, description="photographs and folders without people: what is behind them"
    )
    exclude: list[str] = Field(
        default=[], description="leave out photographs whose path contains one of these words"
    )
    masks: Path = Field(description="folder that keeps what the operator draws of people")
    kept: Path | None = Field(
        default=None,
        description="folder that keeps pictures once they are put together, for trainings with the same "
        "settings",
    )
    clip_share: float = Field(default=0.6, ge=0, le=1, description="share of people that come from clips")
    pictures: int = Field(default=1200, ge=1, description="number of pictures that are put together")
    sizes: list[tuple[int, int]] = Field(
        default=[(384, 512), (288, 512), (480, 384)], description="height and width of the pictures"
    )
    as_they_are: float = Field(
        default=0.3, ge=0, le=1, description="share of pictures of people before their own background"
    )
    empty: float = Field(default=0.2, ge=0, le=1, description="share of pictures without people")
    smallest: float = Field(default=0.15, gt=0, description="height of the smallest people, of a picture's")
    largest: float = Field(default=1.3, gt=0, description="height of the largest people, of a picture's")


class PersonOptions(BaseModel):
    """Settings of `python -m training person`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    composed: ComposedOptions
    out: EngineFolder = Field(description="engine folder to write")
    work: Path = Field(description="folder for checkpoint and log")
    start: Path = Field(
        default=JUDGES / "selfie_segmentation.tflite", description="network of MediaPipe to start from"
    )
    init: WeightsFile | None = Field(
        default=None, description="instead: weights.safetensors of a finished engine to start from"
    )
    version: str = "1.0.0"
    licence: str = "Apache-2.0"
    note: str = Field(default="", description="limits that the card tells")

    detail: bool = Field(default=True, description="whether the network answers to the source's own detail")
    detail_rate: float = Field(default=1e-3, gt=0, description="learning rate of the layers that do")
    steps: int = Field(default=6000, ge=0)
    loop: LoopOptions = Field(
        default_factory=lambda: LoopOptions(learning_rate=3e-4, tail=0.6, checkpoint_every=200),
        description="the learning rate is that of weights of size 1; others change in proportion",
    )
    batch: int = Field(default=4, ge=1)
    factors: dict[float, float] = Field(
        default={1.5: 0.2, 2.0: 0.4, 3.0: 0.25, 4.0: 0.15}, description="relative frequency of each factor"
    )
    offered: list[float] = Field(
        default=[1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0],
        min_length=1,
        description="factors that the engine offers: what counts is the size of the reduced picture",
    )
    spoiled_share: float = Field(default=0.5, ge=0, le=1, description="share of pictures that are spoiled")
    spoiled_noise: float = Field(default=8.0, ge=0, description="largest deviation of their noise, in codes")
    spoiled_quality: int = Field(default=40, ge=1, le=100, description="worst quality of their JPEG")

    difference_weight: float = Field(default=1.0, ge=0, description="weight of the difference to the mask")
    pyramid_weight: float = Field(
        default=1.0, ge=0, description="weight of the difference of detail, at five sizes"
    )
    steady_weight: float = Field(default=1.0, ge=0, description="weight of the change with other noise")
    steady_every: int = Field(default=3, ge=1, description="steps from one such term to the next")
    steady_noise: float = Field(default=0.012, ge=0, description="deviation of that noise, of full scale 1")
    memory_tolerance: float = Field(
        default=0.03,
        ge=0,
        le=1,
        description="change of the reduced picture, as a share of all codes, up to which the finished engine "
        "takes the heads of the frames before into account; 0: each frame stands alone",
    )

    @model_validator(mode="after")
    def _check(self) -> PersonOptions:
        given = [*self.composed.people, *self.composed.behind, self.start]
        wrong = [f"{path} does not exist" for path in given if not path.exists()]
        if any(factor < 1 or share <= 0 for factor, share in self.factors.items()):
            wrong.append("factors: factors are at least 1, shares above 0")
        if self.composed.as_they_are + self.composed.empty > 1:
            wrong.append("composed: as_they_are and empty are more than 1 together")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self
