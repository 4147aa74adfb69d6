"""Training of a restoration engine: good pictures are damaged, and the network learns to undo it.

The loss is each picture's PSNR, in decibels: under L1 (`decibels: false`) a network blurs what is nearly
good, since that costs little beside heavy noise. It begins with mean squares: a fresh network would stay
where it adds nothing, because any change worsens good pictures by as much as it betters bad ones.
Neighbouring frames, which show the same but for their damage, must come out alike. From `adversarial_from` on
a critic's 0.0001 Σ -log D is added; it costs PSNR, so the shipped recipe never comes to it.

Legend of shapes: B clips, N pictures (the first frames of all clips, then the second ones of some), S side,
s reduced side.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from streamfx.engine.families.classifier import Classifier
from streamfx.engine.families.restore import HEADS, STRIDE, Restore
from streamfx.engine.folder import read_engine
from streamfx.errors import EngineMismatchError
from training import loop
from training.critic import PatchCritic, belief_term, made_term, true_term
from training.damaged import SPARE, Damaged, DamagedFeed, overlap
from training.engine_folder import EngineFolder
from training.export import export, golden
from training.feed import Feed, FeedOptions
from training.fused import enlarge, reduce
from training.loop import LoopOptions
from training.pictures import draw_factor
from training.quality import select_good
from training.restore_card import restore_card
from training.weights import WeightsFile, start_from

log = logging.getLogger(__name__)

_LEAST_SQUARE = 1e-5  # 50 dB: the figures end there too
_LOG_SHARE = 0.01  # a decibel then weighs about as much as in L1
_SQUARES = 20.0  # times the mean square is about as large as the mean absolute difference


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
    licence: str = "Apache-2.0"
    history: str = Field(default="", description="origin of the weights of init, for the card")

    network: RestoreNetworkOptions = Field(default_factory=RestoreNetworkOptions)
    loop: LoopOptions = Field(
        default_factory=lambda: LoopOptions(learning_rate=8e-4, warm_up_steps=100, tail=0.65)
    )
    steps: int = Field(default=9000, ge=1)
    adversarial_from: int = Field(
        default=0, ge=0, description="step from which the adversarial term counts; steps and more: never"
    )
    adversarial_weight: float = Field(default=1e-4, ge=0)
    temporal_weight: float = Field(default=0.15, ge=0)
    decibels: bool = Field(
        default=True, description="L1 gives way to the picture's PSNR, so that each decibel counts alike"
    )
    squares_until: int = Field(
        default=1500,
        ge=0,
        description="number of steps at first with mean squares only, in place of all other terms",
    )
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
        if self.temporal_clips > self.feed.batch:
            wrong.append(f"temporal_clips {self.temporal_clips} is more than feed.batch {self.feed.batch}")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def run(options: RestoreOptions) -> None:
    """Train and write the engine."""
    network = train(options)
    fields = {
        "version": options.version,
        "family": "restore",
        "options": options.network.model_dump(),
        "stride": STRIDE,
        "factors": sorted({1.0, *options.factors}),
        "heads": list(HEADS),
        "max_displacement_pixels": 0.0,
        "margin_pixels": network.margin_pixels,
        "source_domain": "photo",
        "target_domain": "photo",
        "licence": options.licence,
    }
    frame = golden(network, factor=1.0, grain=0.08)
    engine = export(network, options.out, fields, frame, restore_card(options))
    log.info("wrote engine %s to %s", engine.name, engine.folder)


def train(options: RestoreOptions, on_step: Callable[[int], None] | None = None) -> Restore:
    """The trained network, in evaluation mode; goes on from the checkpoint in `options.work`, if any."""
    torch.manual_seed(options.loop.seed)
    network = Restore(**options.network.model_dump())
    if options.init is not None:
        start_from(network, options.init)
    network.to(options.loop.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.set_num_threads(options.loop.threads)
    stills = options.feed.stills
    if options.judge is not None:
        judge, readers = open_judge(options.judge), options.feed.readers
        stills = select_good(stills, judge, options.least_side_pixels, readers, options.work)
    feed = Feed(options.feed, options.loop.seed, stills)
    damaged = DamagedFeed(feed, options.side, options.loop.seed, options.feed.readers)
    try:
        trainee = RestoreTrainee(options, network, damaged)
        starts = sorted({0, options.squares_until, options.adversarial_from})
        loop.run(
            trainee,
            options.loop,
            options.steps,
            options.work,
            recipe=options,
            phase_starts=starts,
            on_step=on_step,
        )
    finally:
        damaged.close()
    return network


def open_judge(folder: Path) -> Classifier:
    """Network of a quality classifier's engine folder.

    Raises:
        EngineMismatchError: It is of another family.
    """
    engine = read_engine(folder)
    network = engine.network()
    if not isinstance(network, Classifier):
        raise EngineMismatchError(f"judge {folder} is of family {engine.spec.family}; give a classifier")
    return network


class RestoreTrainee:
    """Network and critic, and what corrects them."""

    def __init__(self, options: RestoreOptions, network: Restore, damaged: DamagedFeed) -> None:
        self._options, self._network, self._damaged = options, network, damaged
        self._critic = PatchCritic(3, width=24, halvings=3).to(options.loop.device)
        rate = options.loop.learning_rate
        self._optimiser = torch.optim.Adam(network.parameters(), lr=rate)
        self._critic_optimiser = torch.optim.Adam(self._critic.parameters(), lr=rate / 2, betas=(0.5, 0.99))
        self.networks = {"generator": network, "critic": self._critic}
        self.optimisers = {"generator": self._optimiser, "critic": self._critic_optimiser}

    def step(self, number: int) -> dict[str, float]:
        """Correct the network and, once it has a say, the critic; returns every weighted term."""
        options = self._options
        batch = self._damaged.batch(number)
        factor = draw_factor(options.factors, np.random.default_rng([options.loop.seed, 3, number]))
        given_N3SS, clean_N3SS = (
            torch.cat([frames_B23SS[:, 0], frames_B23SS[: options.temporal_clips, 1]]).to(options.loop.device)
            for frames_B23SS in (batch.damaged_B23SS, batch.clean_B23SS)
        )
        with options.loop.precision():
            found_N3SS = restored(self._network, given_N3SS, factor)
        if number < options.squares_until:
            squares = _SQUARES * (found_N3SS - clean_N3SS).square().mean()
            return loop.correct(self._optimiser, {"squares": squares})
        terms = self._terms(batch, found_N3SS, clean_N3SS)
        judged = number >= options.adversarial_from
        if judged:
            with options.loop.precision():
                logits = self._critic(found_N3SS)
            # A sum over pictures, of the mean over their patches.
            terms["adversarial"] = options.adversarial_weight * len(found_N3SS) * belief_term(logits)
        values = loop.correct(self._optimiser, terms)
        if judged:
            values |= self._correct_critic(found_N3SS.detach(), clean_N3SS)
        return values

    def _terms(self, batch: Damaged, found_N3SS: Tensor, clean_N3SS: Tensor) -> dict[str, Tensor]:
        options = self._options
        distance = decibels if options.decibels else l1
        terms = {distance.__name__: distance(found_N3SS, clean_N3SS)}
        if count := options.temporal_clips:
            later = found_N3SS[len(batch.moves_B) :]
            terms["temporal"] = options.temporal_weight * unrest(found_N3SS[:count], later, batch.moves_B)
        return terms

    def _correct_critic(self, found_N3SS: Tensor, clean_N3SS: Tensor) -> dict[str, float]:
        with self._options.loop.precision():
            made, true = self._critic(found_N3SS), self._critic(clean_N3SS)
        return loop.correct(
            self._critic_optimiser, {"critic_made": made_term(made), "critic_true": true_term(true)}
        )


def restored(network: Restore, given_N3SS: Tensor, factor: float) -> Tensor:
    """Restored pictures N3SS, RGB: as the runtime does it, the enlarged residual is added at full size."""
    reduced_N3ss = reduce(given_N3SS, factor).contiguous(memory_format=torch.channels_last)
    residual_N3ss = network.translate(reduced_N3ss, torch.tensor([factor], device=given_N3SS.device))
    return given_N3SS + enlarge(residual_N3ss.float(), *given_N3SS.shape[-2:])


def l1(found_N3SS: Tensor, clean_N3SS: Tensor) -> Tensor:
    """Mean absolute difference to the originals; scalar."""
    return (found_N3SS - clean_N3SS).abs().mean()


def decibels(found_N3SS: Tensor, clean_N3SS: Tensor) -> Tensor:
    """A hundredth of the mean, over pictures, of log(mean square + 0.00001); scalar. Each decibel of each
    picture's PSNR counts alike, as far as 50 dB."""
    squares_N = (found_N3SS - clean_N3SS).square().mean((1, 2, 3))
    return _LOG_SHARE * torch.log(squares_N + _LEAST_SQUARE).mean()


def unrest(earlier_C3SS: Tensor, later_C3SS: Tensor, moves: Sequence[tuple[int, int]]) -> Tensor:
    """Mean absolute difference of what neighbouring frames of C clips show of the same place; scalar. That of
    the originals is 0, since the same picture moves."""
    differences = [
        torch.sub(*overlap(earlier_3SS, later_3SS, move)).abs().mean()
        for earlier_3SS, later_3SS, move in zip(earlier_C3SS, later_C3SS, moves, strict=False)
    ]
    return torch.stack(differences).mean()
