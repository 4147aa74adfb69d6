"""Settings of a training of conversion and super-resolution."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from training.engine_folder import EngineFolder
from training.feed import FeedOptions
from training.loop import LoopOptions
from training.weights import WeightsFile


class ConvertSrNetworkOptions(BaseModel):
    """Sizes of the network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    convert_noise: int = Field(default=2, ge=1)
    enlarge_noise: int = Field(default=1, ge=1)
    stem: int = Field(default=16, ge=4, multiple_of=4)
    width: int = Field(default=48, ge=4, multiple_of=4)
    blocks: int = Field(default=4, ge=0)
    enlarge_width: int = Field(default=8, ge=4, multiple_of=4)
    joint: bool = Field(
        default=False,
        description="whether up-scale modules double, normalise and convolve in that order, as in the source",
    )


class ConvertSrOptions(BaseModel):
    """Settings of `python -m training convert_sr`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    style: Path = Field(description="style picture")
    out: EngineFolder = Field(description="engine folder to write")
    work: Path = Field(description="folder for checkpoint and log")
    init: WeightsFile | None = Field(
        default=None, description="weights.safetensors of a finished engine to start from"
    )
    version: str = "1.0.0"
    title: str = Field(default="", description="description of the style picture, for the card")
    target_domain: str = "painting"
    licence: str = "Apache-2.0"

    network: ConvertSrNetworkOptions = Field(default_factory=ConvertSrNetworkOptions)
    feed: FeedOptions
    loop: LoopOptions = Field(default_factory=LoopOptions)
    teacher_steps: int = Field(default=60, ge=0, description="imitating AdaIN, before everything else")
    steps: int = Field(default=1000, ge=1, description="number of steps with all losses")
    side: int = Field(default=112, ge=16, multiple_of=8, description="side of the reduced crops, in pixels")
    tied: float = Field(
        default=0.75, ge=0, le=1, description="share of the steps in which all factors learn the same"
    )
    factors: dict[float, float] = Field(
        default={1.0: 0.3, 1.5: 0.1, 2.0: 0.3, 3.0: 0.15, 4.0: 0.15},
        description="relative frequency of each factor",
    )

    content_weight: float = Field(default=0.06, ge=0)
    style_pooling: float = Field(default=0.8, ge=0, le=1)
    structure_weight: float = Field(default=0.08, ge=0)
    tone_weight: float = Field(default=0.4, ge=0)
    grid_weight: float = Field(default=100.0, ge=0)
    variety_weight: float = Field(default=3.0, ge=0)
    variety: float = Field(
        default=0.25, ge=0, description="the dial: difference of two looks at noise amplitude 1"
    )
    adversarial_weight: float = Field(default=0.05, ge=0)
    critic_rate: float = Field(default=4e-4, gt=0)
    temporal_weight: float = Field(default=10.0, ge=0)
    temporal_noise: float = Field(default=0.01, ge=0)
    enlarge_weight: float = Field(default=10.0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> ConvertSrOptions:
        if not self.style.is_file():
            raise ValueError(f"style picture {self.style} does not exist")
        if any(factor < 1 or share <= 0 for factor, share in self.factors.items()):
            raise ValueError("factors: factors are at least 1, shares above 0")
        return self

    @property
    def total_steps(self) -> int:
        return self.teacher_steps + self.steps
