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
from torch import Tensor, nn

from streamfx.engine.families.classifier import Classifier
from streamfx.engine.families.restore import HEADS, STRIDE, Restore
from streamfx.engine.folder import read_engine
from streamfx.errors import EngineMismatchError
from training import loop
from training.critic import PatchCritic, belief_term, made_term, true_term
from training.damaged import DamagedFeed, overlap
from training.degrade import Mix
from training.export import export, golden
from training.feed import Feed
from training.fused import enlarge, reduce
from training.pictures import draw_factor
from training.quality import select_good
from training.restore_card import restore_card
from training.restore_options import LEAST_SQUARE, RestoreOptions
from training.weights import start_from

log = logging.getLogger(__name__)

_LOG_SHARE = 0.01  # a decibel then weighs about as much as in L1
_SEEN = 6  # channels: the critic sees the damaged picture and what was made of it


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


def decibels(found_N3SS: Tensor, clean_N3SS: Tensor, least: float = LEAST_SQUARE) -> Tensor:
    """A hundredth of the mean, over pictures, of log(mean square), which is taken for the least one where it
    is less; scalar. Each decibel of each picture's PSNR counts alike, and none above 50 dB (0.00001)."""
    squares_N = (found_N3SS - clean_N3SS).square().mean((1, 2, 3))
    return _LOG_SHARE * torch.log(squares_N.clamp(min=least)).mean()


def least_square(options: RestoreOptions, step: int) -> float:
    """Mean square below which pictures hardly count, at a step. It falls evenly in decibels: at first heavy
    damage is learned from, and pictures that are good already do not yet forbid every change."""
    share = min(1.0, step / options.least_square_until) if options.least_square_until else 1.0
    return float(options.least_square_from ** (1 - share) * LEAST_SQUARE**share)


def unrest(earlier_C3SS: Tensor, later_C3SS: Tensor, moves: Sequence[tuple[int, int]]) -> Tensor:
    """Mean absolute difference of what neighbouring frames of C clips show of the same place; scalar. That of
    the originals is 0, since the same picture moves."""
    differences = [
        torch.sub(*overlap(earlier_3SS, later_3SS, move)).abs().mean()
        for earlier_3SS, later_3SS, move in zip(earlier_C3SS, later_C3SS, moves, strict=False)
    ]
    return torch.stack(differences).mean()
