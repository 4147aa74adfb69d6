"""Training of a restoration engine: good pictures are damaged, and the network learns to undo it.

First fidelity. The loss is each picture's PSNR, in decibels: under L1 (`decibels: false`) a network blurs
what is nearly good, since that costs little beside heavy noise. At the start small errors hardly count
(`least_square_from`): a fresh network would stay where it adds nothing, because any change worsens good
pictures by as much as it betters bad ones. Neighbouring frames, which show the same but for their damage,
must come out alike.

Then, where asked for, the joint loss of the patent CN115131218A: L1 + 0.0001 Σ -log D. D is the probability
that a critic, which sees the damaged picture and what was made of it, gives each patch; the sum is over the
patches of a picture, of which the mean over pictures is taken. The critic is trained before, for
`critic_steps`, on what the network gives after the first part; then both are corrected in turn.

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
from torch import Tensor, nn

from streamfx.engine.families.classifier import Classifier
from streamfx.engine.families.restore import HEADS, STRIDE, Restore
from streamfx.engine.folder import read_engine
from streamfx.errors import EngineMismatchError
from training import loop
from training.critic import PatchCritic, belief_term, made_term, true_term
from training.damaged import SPARE, DamagedFeed, overlap
from training.degrade import KINDS, Mix
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
_SEEN = 6  # channels: the critic sees the damaged picture and what was made of it


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
        default=_LEAST_SQUARE,
        ge=_LEAST_SQUARE,
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
        "target_domain": options.target_domain,
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
    mix = Mix(options.single_share, options.clean_share, options.single_kinds)
    damaged = DamagedFeed(feed, options.side, options.loop.seed, options.feed.readers, mix)
    try:
        trainee = RestoreTrainee(options, network, damaged)
        fidelity, critic, end = options.phases
        loop.run(
            trainee,
            options.loop,
            end,
            options.work,
            recipe=options,
            phase_starts=sorted({0, fidelity, critic}),
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
        self._critic = PatchCritic(_SEEN, width=24, halvings=3).to(options.loop.device)
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
        fidelity, critic, _ = options.phases
        if fidelity <= number < critic:
            with torch.no_grad(), options.loop.precision():
                found_N3SS = restored(self._network, given_N3SS, factor)
            return self._correct_critic(given_N3SS, found_N3SS, clean_N3SS)
        with options.loop.precision():
            found_N3SS = restored(self._network, given_N3SS, factor)
        terms = self._terms(number, given_N3SS, found_N3SS, clean_N3SS)
        # While small errors hardly count, calm would: it is cheapest had by blur.
        if (count := options.temporal_clips) and number >= options.least_square_until:
            later = found_N3SS[len(batch.moves_B) :]
            terms["temporal"] = options.temporal_weight * unrest(found_N3SS[:count], later, batch.moves_B)
        values = loop.correct(self._optimiser, terms)
        if number >= critic:
            values |= self._correct_critic(given_N3SS, found_N3SS.detach(), clean_N3SS)
        return values

    def _terms(
        self, number: int, given_N3SS: Tensor, found_N3SS: Tensor, clean_N3SS: Tensor
    ) -> dict[str, Tensor]:
        options = self._options
        if number >= options.phases[1]:
            with options.loop.precision():
                logits_N1hw = judgement(self._critic, given_N3SS, found_N3SS)
            return joint(found_N3SS, clean_N3SS, logits_N1hw, options.adversarial_weight)
        if options.decibels:
            return {"decibels": decibels(found_N3SS, clean_N3SS, least_square(options, number))}
        return {"l1": l1(found_N3SS, clean_N3SS)}

    def _correct_critic(self, given_N3SS: Tensor, found_N3SS: Tensor, clean_N3SS: Tensor) -> dict[str, float]:
        with self._options.loop.precision():
            made, true = (judgement(self._critic, given_N3SS, p) for p in (found_N3SS, clean_N3SS))
        return loop.correct(
            self._critic_optimiser, {"critic_made": made_term(made), "critic_true": true_term(true)}
        )


def judgement(critic: nn.Module, given_N3SS: Tensor, shown_N3SS: Tensor) -> Tensor:
    """Logits N1hw of the probability that what is shown is the original of the damaged picture that is given:
    the critic sees both, so a fine picture that shows something else is no original."""
    logits_N1hw: Tensor = critic(torch.cat([given_N3SS, shown_N3SS], dim=1))
    return logits_N1hw


def joint(
    found_N3SS: Tensor, clean_N3SS: Tensor, logits_N1hw: Tensor, weight: float = 1e-4
) -> dict[str, Tensor]:
    """Terms of the joint loss, scalars: mean absolute difference, and weighted sum of -log D over the patches
    of a picture, mean over pictures."""
    patches = logits_N1hw[0].numel()
    return {"l1": l1(found_N3SS, clean_N3SS), "adversarial": weight * patches * belief_term(logits_N1hw)}


def restored(network: Restore, given_N3SS: Tensor, factor: float) -> Tensor:
    """Restored pictures N3SS, RGB: as the runtime does it, the enlarged residual is added at full size."""
    reduced_N3ss = reduce(given_N3SS, factor).contiguous(memory_format=torch.channels_last)
    residual_N3ss = network.translate(reduced_N3ss, torch.tensor([factor], device=given_N3SS.device))
    return given_N3SS + enlarge(residual_N3ss.float(), *given_N3SS.shape[-2:])


def l1(found_N3SS: Tensor, clean_N3SS: Tensor) -> Tensor:
    """Mean absolute difference to the originals; scalar."""
    return (found_N3SS - clean_N3SS).abs().mean()


def decibels(found_N3SS: Tensor, clean_N3SS: Tensor, least: float = _LEAST_SQUARE) -> Tensor:
    """A hundredth of the mean, over pictures, of log(mean square), which is taken for the least one where it
    is less; scalar. Each decibel of each picture's PSNR counts alike, and none above 50 dB (0.00001)."""
    squares_N = (found_N3SS - clean_N3SS).square().mean((1, 2, 3))
    return _LOG_SHARE * torch.log(squares_N.clamp(min=least)).mean()


def least_square(options: RestoreOptions, step: int) -> float:
    """Mean square below which pictures hardly count, at a step. It falls evenly in decibels: at first heavy
    damage is learned from, and pictures that are good already do not yet forbid every change."""
    share = min(1.0, step / options.least_square_until) if options.least_square_until else 1.0
    return float(options.least_square_from ** (1 - share) * _LEAST_SQUARE**share)


def unrest(earlier_C3SS: Tensor, later_C3SS: Tensor, moves: Sequence[tuple[int, int]]) -> Tensor:
    """Mean absolute difference of what neighbouring frames of C clips show of the same place; scalar. That of
    the originals is 0, since the same picture moves."""
    differences = [
        torch.sub(*overlap(earlier_3SS, later_3SS, move)).abs().mean()
        for earlier_3SS, later_3SS, move in zip(earlier_C3SS, later_C3SS, moves, strict=False)
    ]
    return torch.stack(differences).mean()
