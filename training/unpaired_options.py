"""Settings of the training of two engines on two unpaired sets of pictures."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from streamfx.engine.families.warp_mask import STRIDE
from training.engine_folder import EngineFolder
from training.feed import FeedOptions
from training.loop import LoopOptions
from training.options import NetworkOptions
from training.pictures import Still
from training.weights import WeightsFile


class GeneratorWeights(BaseModel):
    """Of the terms that correct one of both generators."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adversarial: float = Field(
        default=0.5, ge=0, description="weight of the critic's belief in what this generator translates"
    )
    returned: float = Field(
        default=0.25,
        ge=0,
        description="weight of the critic's belief in what this generator returns, which corrects both",
    )
    cycle: float = Field(default=0.5, ge=0, description="weight of the circle that this generator closes")
    identity: float = Field(default=0.1, ge=0)
    temporal: float = Field(default=5.0, ge=0)
    grid: float = Field(default=5.0, ge=0, description="weight of a lattice of pixels in what is translated")


class UnpairedOptions(BaseModel):
    """Settings of `python -m training unpaired`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: FeedOptions = Field(description="pictures of the source domain")
    target: FeedOptions = Field(description="pictures of the target domain")
    target_only: list[str] = Field(
        default=[], description="words, one of which must be in the name of a picture of the target domain"
    )
    out: EngineFolder = Field(description="engine folder to write, source to target")
    out_back: EngineFolder = Field(description="engine folder to write, target to source")
    work: Path = Field(description="folder for checkpoint and log")

    version: str = "1.0.0"
    title: str = Field(default="", description="description of the target domain, for the card")
    source_domain: str = "photo"
    target_domain: str = "painting"
    licence: str = "Apache-2.0"

    network: NetworkOptions = Field(default_factory=lambda: NetworkOptions(norm="none"))
    init: WeightsFile | None = Field(
        default=None,
        description="weights.safetensors of a finished engine that the generator to the target starts from; "
        "random by default",
    )
    critic_width: int = Field(default=32, ge=1)
    critic_learning_rate: float = Field(default=4e-4, gt=0)
    copying_steps: int = Field(
        default=200,
        ge=0,
        description="number of first steps in which generators without `init` learn the identity",
    )
    steps: int = Field(default=3500, ge=1, description="number of steps of all four networks, after those")
    tied_steps: int = Field(
        default=3700, ge=0, description="number of steps at first in which all factors learn together"
    )
    loop: LoopOptions = Field(
        default_factory=lambda: LoopOptions(learning_rate=6e-4, tail=0.4, checkpoint_every=200)
    )
    factors: dict[float, float] = Field(
        default={1.0: 0.3, 1.5: 0.1, 2.0: 0.25, 3.0: 0.1, 4.0: 0.25},
        description="relative frequency of each factor",
    )
    stroke_scale: float = Field(default=1.0, ge=1, description="target pictures are enlarged by this")
    stroke_growth: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="power of the factor by which they are enlarged besides: large pictures, large strokes",
    )

    weights: GeneratorWeights = Field(default_factory=GeneratorWeights, description="source to target")
    weights_back: GeneratorWeights = Field(
        default_factory=lambda: GeneratorWeights(adversarial=0.4, cycle=1.0, identity=0.3),
        description="target to source",
    )
    cycle_reach: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="share of the gradient of what returns that reaches who began the circle",
    )
    cycle_noise: float = Field(
        default=0.0, ge=0, description="deviation of noise added half way, in which nothing can be hidden"
    )
    cycle_pooling: int = Field(
        default=1,
        ge=1,
        description="side of squares whose means are compared where a target picture comes back: what it "
        "shows, not where each stroke was",
    )
    displacement_price: float = Field(default=0.005, ge=0)
    max_displacement_pixels: float = Field(default=4.0, gt=0)
    temporal_shift: int = Field(default=8, ge=0, description="largest displacement, in full-size pixels")
    temporal_noise: float = Field(default=0.01, ge=0, description="deviation of the added noise, of 1")

    @property
    def target_stills(self) -> list[Still]:
        """Pictures of the target domain to train on."""
        return [
            still
            for still in self.target.stills
            if not self.target_only or any(word in still.path.name for word in self.target_only)
        ]

    @model_validator(mode="after")
    def _check(self) -> UnpairedOptions:
        wrong = []
        if (self.source.crop, self.source.batch) != (self.target.crop, self.target.batch):
            wrong.append("source and target must have the same crop and batch")
        if any(factor < 1 or share <= 0 for factor, share in self.factors.items()):
            wrong.append("factors: factors are at least 1, shares above 0")
        if uneven := [factor for factor in self.factors if self.source.crop % (STRIDE * factor)]:
            wrong.append(f"crop {self.source.crop} is no multiple of {STRIDE} times {uneven[0]:g}, a factor")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self
