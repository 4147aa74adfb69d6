"""Training of two warp-and-mask engines on two unpaired sets of pictures, one engine per direction.

Two generators and two critics. What a generator makes of a picture is fused at full size, reduced again and
sent through the other generator, back to the domain where it began (Zhu, Park, Isola, Efros, "Unpaired
Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017). Both sets of probabilities of
both critics correct all four networks.

Legend of shapes: B pictures, S side of a crop, s reduced side. A is the source domain, B the target domain.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from streamfx.engine.families.warp_mask import WarpMask
from training import losses
from training.anchors import tie, wake
from training.critic import FeatureCritic, belief_term, cycle_term, identity_term, made_term, true_term
from training.export import export, golden_of, network_fields
from training.features import Encoder
from training.feed import Feed, Squares
from training.fused import paint
from training.loop import correct
from training.loop import run as run_loop
from training.pairs import stack
from training.pictures import draw_factor, noisy, to_short_side
from training.unpaired_card import card
from training.unpaired_options import GeneratorWeights, UnpairedOptions
from training.weights import start_from

log = logging.getLogger(__name__)

Features: TypeAlias = list[Tensor]
"""Of a batch of pictures, at the layers that critics look at."""


def run(options: UnpairedOptions) -> None:
    """Train and write both engines."""
    trainee = train(options)
    domains = options.source_domain, options.target_domain
    for generator, out, between in (
        (trainee.forth, options.out, domains),
        (trainee.back, options.out_back, domains[::-1]),
    ):
        fields = network_fields(
            options.network,
            version=options.version,
            max_displacement_pixels=options.max_displacement_pixels,
            domains=between,
            licence=options.licence,
            factors=options.factors,
        )
        frame = golden_of(generator, fields)
        engine = export(generator, out, fields, frame, card(options, out.name, between))
        log.info("wrote engine %s to %s", engine.name, engine.folder)


def train(options: UnpairedOptions, on_step: Callable[[int], None] | None = None) -> UnpairedTrainee:
    """The trained networks, in evaluation mode; goes on from the checkpoint in `options.work`, if any."""
    seed = options.loop.seed
    with (
        Feed(options.source, seed) as source,
        Feed(options.target, seed + 1, options.target_stills) as target,
    ):
        trainee = UnpairedTrainee(options, source, target)
        steps = options.copying_steps + options.steps
        starts = (0, options.copying_steps)
        run_loop(
            trainee, options.loop, steps, options.work, recipe=options, phase_starts=starts, on_step=on_step
        )
    return trainee


class UnpairedTrainee:
    """Both generators and critics, and how one step corrects them."""

    def __init__(self, options: UnpairedOptions, source: Feed, target: Feed) -> None:
        torch.manual_seed(options.loop.seed)
        self.options = options
        self.source, self.target = source, target
        device = options.loop.device
        self.forth, self.back = (options.network.build().to(device) for _ in range(2))
        for generator in (self.forth, self.back):
            wake(generator)
        self._copying = [self.forth, self.back]
        if options.init is not None:
            start_from(self.forth, options.init)
            self._copying = [self.back]
        self._ties = [tie(generator) for generator in (self.forth, self.back)]
        self.critic_source, self.critic_target = (
            FeatureCritic(1, options.critic_width).to(device) for _ in range(2)
        )
        self._encoder = Encoder().to(device)
        self.networks = {
            "forth": self.forth,
            "back": self.back,
            "critic_source": self.critic_source,
            "critic_target": self.critic_target,
        }
        generators = [*self.forth.parameters(), *self.back.parameters()]
        critics = [*self.critic_source.parameters(), *self.critic_target.parameters()]
        self.optimisers = {
            "generators": torch.optim.Adam(generators, lr=options.loop.learning_rate, betas=(0.5, 0.99)),
            "critics": torch.optim.Adam(critics, lr=options.critic_learning_rate, betas=(0.5, 0.99)),
        }

    def step(self, number: int) -> dict[str, float]:
        """Correct both critics, then both generators, once; returns every weighted term."""
        options = self.options
        for tied in self._ties:
            tied.on = number < options.tied_steps
        rng = np.random.default_rng([options.loop.seed, 3, number])
        factor = draw_factor(options.factors, rng)
        source_B3SS = self._squares(self.source.batch(number), 1.0)
        target_B3SS = self._squares(
            self.target.batch(number), options.stroke_scale * factor**options.stroke_growth
        )
        copying = number < options.copying_steps
        with torch.set_grad_enabled(not copying):
            made_target = self._paint(self.forth, source_B3SS, factor)
            made_source = self._paint(self.back, target_B3SS, factor)
            seen_source, seen_target = self._see(made_source[0]), self._see(made_target[0])
        judged = self._correct_critics((source_B3SS, target_B3SS), (seen_source, seen_target), factor)
        if copying:
            copied = self._copying_terms(source_B3SS, target_B3SS, factor)
            return correct(self.optimisers["generators"], copied) | judged
        terms = self._adversarial_terms(seen_source, seen_target, factor)
        terms |= self._cycle_terms((source_B3SS, target_B3SS), (made_source[0], made_target[0]), factor, rng)
        terms |= self._generator_terms(
            self.forth, options.weights, (source_B3SS, made_target), target_B3SS, factor, rng
        )
        terms_back = self._generator_terms(
            self.back, options.weights_back, (target_B3SS, made_source), source_B3SS, factor, rng
        )
        terms |= {f"{name} back": term for name, term in terms_back.items()}
        return correct(self.optimisers["generators"], terms) | judged

    def _correct_critics(
        self, true: tuple[Tensor, Tensor], made: tuple[Features, Features], factor: float
    ) -> dict[str, float]:
        """Correct both critics once, each from both of its sets of probabilities."""
        terms: dict[str, Tensor] = {}
        critics = {"source": self.critic_source, "target": self.critic_target}
        for (domain, critic), true_B3SS, features in zip(critics.items(), true, made, strict=True):
            with torch.no_grad():
                wanted = self._see(true_B3SS)
            terms[f"critic {domain} true"] = true_term(self._judge(critic, wanted, factor))
            found = [layer.detach() for layer in features]
            terms[f"critic {domain} made"] = made_term(self._judge(critic, found, factor))
        return correct(self.optimisers["critics"], terms)

    def _adversarial_terms(self, source: Features, target: Features, factor: float) -> dict[str, Tensor]:
        weights, weights_back = self.options.weights, self.options.weights_back
        return {
            "belief": weights.adversarial * belief_term(self._judge(self.critic_target, target, factor)),
            "belief back": weights_back.adversarial
            * belief_term(self._judge(self.critic_source, source, factor)),
        }

    def _cycle_terms(
        self,
        begun: tuple[Tensor, Tensor],
        made: tuple[Tensor, Tensor],
        factor: float,
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """What differs in pictures of both domains that were sent to the other one, `made`, and back.

        A generator would hide what it leaves out in noise that nobody sees (Chu, Zhmoginov, Sandler,
        "CycleGAN, a Master of Steganography", 2017); noise of our own covers it.
        """
        options = self.options
        reach, deviation = options.cycle_reach, options.cycle_noise
        sent = [reach * picture + (1 - reach) * picture.detach() for picture in made]
        if deviation > 0:
            sent = [noisy(picture, rng, deviation) for picture in sent]
        back_again_B3SS, _ = self._paint(self.forth, sent[0], factor)
        returned_B3SS, _ = self._paint(self.back, sent[1], factor)
        back_again = cycle_term(back_again_B3SS, begun[1], options.cycle_pooling)
        return {
            "cycle": options.weights.cycle * back_again,
            "cycle back": options.weights_back.cycle * cycle_term(returned_B3SS, begun[0]),
        }

    def _generator_terms(
        self,
        generator: WarpMask,
        weights: GeneratorWeights,
        pair: tuple[Tensor, tuple[Tensor, Tensor]],
        wanted_B3SS: Tensor,
        factor: float,
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """What concerns one generator only: prices, and what it does to pictures of its own domain.

        Args:
            generator: Generator in question.
            weights: Weights of the terms.
            pair: Pictures, and what it painted of them: pictures and heads.
            wanted_B3SS: Pictures that are in its target domain already. One of them is enough.
            factor: Factor of the step.
            rng: Random numbers for the temporal term.
        """
        options = self.options
        given_B3SS, (made_B3SS, heads_B7ss) = pair
        price = losses.displacement_price(heads_B7ss[:, 4:6])
        terms = {
            "grid": weights.grid * losses.grid(heads_B7ss[:, :3]),
            "displacement": options.displacement_price * price,
        }
        if weights.identity > 0:
            kept_13SS, _ = self._paint(generator, wanted_B3SS[:1], factor)
            terms["identity"] = weights.identity * identity_term(kept_13SS, wanted_B3SS[:1])
        if weights.temporal > 0:
            moved = self._temporal(generator, given_B3SS, made_B3SS, factor, rng)
            terms["temporal"] = weights.temporal * moved
        return terms

    def _copying_terms(self, source_B3SS: Tensor, target_B3SS: Tensor, factor: float) -> dict[str, Tensor]:
        both = torch.cat([source_B3SS, target_B3SS])
        copies = [self._paint(generator, both, factor)[0] for generator in self._copying]
        return {"copying": torch.stack([identity_term(copy, both) for copy in copies]).sum()}

    def _temporal(
        self,
        generator: WarpMask,
        rgb_B3SS: Tensor,
        output_B3SS: Tensor,
        factor: float,
        rng: np.random.Generator,
    ) -> Tensor:
        """How much the output of one displaced, noisy picture differs from the displaced output."""
        options = self.options
        shift_yx = tuple(int(n) for n in rng.integers(-options.temporal_shift, options.temporal_shift + 1, 2))
        moved_13SS = torch.roll(rgb_B3SS[:1], shift_yx, (2, 3))
        noisy_13SS = noisy(moved_13SS, rng, options.temporal_noise)
        moved_output_13SS, _ = self._paint(generator, noisy_13SS, factor)
        # What the roll brought in from the other side, and what sees it, is left out.
        inner = slice(options.source.crop // 4, -(options.source.crop // 4))
        return losses.temporal(
            moved_output_13SS[..., inner, inner],
            torch.roll(output_B3SS[:1], shift_yx, (2, 3))[..., inner, inner],
        )

    def _paint(self, generator: WarpMask, rgb_B3SS: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        options = self.options
        return paint(generator, rgb_B3SS, factor, options.max_displacement_pixels, options.loop.precision())

    def _see(self, picture_B3SS: Tensor) -> Features:
        """What critics look at."""
        with self.options.loop.precision():
            features: Features = self._encoder(picture_B3SS, deepest=3)
        return features

    def _judge(self, critic: FeatureCritic, features: Features, factor: float) -> Tensor:
        """Logits for pictures; the factor is laid beside them, as strokes grow with it."""
        with self.options.loop.precision():
            logits_BLhw: Tensor = critic(features, (float(np.log2(factor)) / 3,))
        return logits_BLhw

    def _squares(self, squares_B1SS3: Squares, enlargement: float) -> Tensor:
        """A batch B3SS of the feed's squares: their first corner, enlarged to their size."""
        side = round(self.options.source.crop / enlargement)
        corners = [np.ascontiguousarray(square[0, :side, :side]) for square in squares_B1SS3]
        return stack([to_short_side(corner, self.options.source.crop) for corner in corners]).to(
            self.options.loop.device
        )
