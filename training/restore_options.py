"""Settings of the training of restoration: closed, typed, checked at once."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from streamfx.engine.families.restore import STRIDE
from training.damaged import SPARE
from training.degrade import KINDS
from training.engine_folder import EngineFolder
from training.feed import FeedOptions
from training.loop import LoopOptions
from training.weights import WeightsFile

LEAST_SQUARE = 1e-5  # 50 dB: the figures end there too


class RestoreNetworkOptions(BaseModel):
    """Sizes of the network; see `Restore`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    near: int = Field(default=24, ge=1)
    middle: int = Field(default=48, ge=1)
    low: int = Field(default=80, ge=1)
    near_blocks: int = Field(default=1, ge=0)
    middle_blocks: int = Field(default=1, ge=0)
    low_blocks: int = Field(default=3, ge=1)


class RestoreOptions(BaseModel):
    """Settings of `python -m training restore`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feed: FeedOptions
    out: EngineFolder = Field(description="engine folder to write")
    work: Path = Field(description="folder for checkpoint and log")
    init: WeightsFile | None = Field(default=None, description="weights.safetensors to start from")
    judge: Path | None = Field(
        default=None, description="engine folder of a quality classifier: train on what it calls good"
    )
    least_side_pixels: int = Field(default=500, ge=1, description="short side of the pictures it selects")

    version: str = "1.0.0"
    target_domain: str = Field(default="photo", description="kind of picture that comes out, for routes")
    licence: str = "Apache-2.0"
    history: str = Field(default="", description="origin of the weights of init, for the card")

    network: RestoreNetworkOptions = Field(default_factory=RestoreNetworkOptions)
    loop: LoopOptions = Field(
        default_factory=lambda: LoopOptions(learning_rate=8e-4, warm_up_steps=100, tail=0.65)
    )
    steps: int = Field(default=9000, ge=0, description="number of steps for fidelity")
    critic_steps: int = Field(
        default=0, ge=0, description="number of steps after them that train the critic alone"
    )
    joint_steps: int = Field(
        default=0, ge=0, description="number of steps after those with L1 and the critic's judgement"
    )
    adversarial_weight: float = Field(default=1e-4, ge=0)
    temporal_weight: float = Field(default=0.15, ge=0)
    decibels: bool = Field(
        default=True, description="L1 gives way to the picture's PSNR, so that each decibel counts alike"
    )
    least_square_from: float = Field(
        default=LEAST_SQUARE,
        ge=LEAST_SQUARE,
        description="mean square below which pictures hardly count, at the start; it falls to that of 50 dB",
    )
    least_square_until: int = Field(default=0, ge=0, description="step at which it has fallen")
    single_share: float = Field(
        default=0.0, ge=0, le=1, description="share of pictures with one kind of damage alone"
    )
    single_kinds: dict[str, float] = Field(
        default={}, description="relative frequency of each kind alone; 1 where it is not named"
    )
    clean_share: float = Field(default=0.0, ge=0, le=1, description="share of pictures that are not damaged")
    temporal_clips: int = Field(
        default=2, ge=0, description="clips of each batch of which two frames are restored"
    )
    factors: dict[float, float] = Field(
        default={1.0: 0.8, 2.0: 0.14, 4.0: 0.06}, description="relative frequency of each factor"
    )

    @property
    def side(self) -> int:
        """Of the pictures that are restored, in pixels."""
        return self.feed.crop - SPARE

    @property
    def phases(self) -> tuple[int, int, int]:
        """Steps at which fidelity, critic and joint loss end."""
        critic = self.steps + self.critic_steps
        return self.steps, critic, critic + self.joint_steps

    @model_validator(mode="after")
    def _check(self) -> RestoreOptions:
        wrong = []
        if self.judge is not None and not self.judge.is_dir():
            wrong.append(f"judge {self.judge} does not exist; train it: python -m training classify")
        for factor, share in self.factors.items():
            if factor < 1 or share <= 0:
                wrong.append("factors: factors are at least 1, shares above 0")
            elif (self.side / factor) % STRIDE:
                wrong.append(
                    f"feed.crop {self.feed.crop}: {SPARE} less, divided by factor {factor:g}, must be a "
                    f"multiple of {STRIDE}"
                )
        if self.single_share + self.clean_share > 1:
            wrong.append(f"single_share {self.single_share:g} and clean_share {self.clean_share:g} exceed 1")
        if unknown := sorted(set(self.single_kinds) - set(KINDS)):
            wrong.append(
                f"single_kinds: {', '.join(unknown)} is no kind of damage; known: {', '.join(KINDS)}"
            )
        if any(frequency < 0 for frequency in self.single_kinds.values()):
            wrong.append("single_kinds: frequencies are at least 0")
        if self.joint_steps and not self.critic_steps:
            wrong.append(
                f"critic_steps 0: joint_steps {self.joint_steps} need a critic that was trained before"
            )
        if self.temporal_clips > self.feed.batch:
            wrong.append(f"temporal_clips {self.temporal_clips} is more than feed.batch {self.feed.batch}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self
