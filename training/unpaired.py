"""Training of two warp-and-mask engines on two unpaired sets of pictures, one engine per direction.

After JP7133003B2: two generators and two critics. What a generator makes of a picture, the translation, is
fused at full size, reduced again and sent through the other generator, which gives the return. The critic of
the domain that it was translated to compares translations with pictures of that domain, the critic of the
domain where it began compares returns with pictures of that one. The source's method begins in one domain;
here it begins in both, so that each generator sees true pictures too. Returns are also compared with what
they began as (Zhu, Park, Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent
Adversarial Networks", 2017).

Which networks a set of probabilities corrects, `tests/training/test_unpaired.py` says of every term:
translations correct their generator and the critic that judges them; returns correct both generators and the
critic that judges them.

Legend of shapes: B pictures, S side of a crop, s reduced side. A is the source domain, B the target domain.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from streamfx.engine.families.warp_mask import WarpMask
from training import losses
from training.anchors import tie, wake
from training.critic import FeatureCritic, belief_term, cycle_term, identity_term, made_term, true_term
from training.directions import Direction, Features, Round
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
        copying = number < options.copying_steps
        with torch.set_grad_enabled(not copying):
            both = self.round(number, rng)
        judged = correct(self.optimisers["critics"], self.critic_terms(both))
        if copying:
            return correct(self.optimisers["generators"], self._copying_terms(both)) | judged
        return correct(self.optimisers["generators"], self.generator_terms(both, rng)) | judged

    def round(self, number: int, rng: np.random.Generator) -> Round:
        """Both directions of a step: pictures of both domains, translated and returned."""
        options = self.options
        factor = draw_factor(options.factors, rng)
        source_B3SS = self._squares(self.source.batch(number), 1.0)
        target_B3SS = self._squares(
            self.target.batch(number), options.stroke_scale * factor**options.stroke_growth
        )
        forth = self._direction((self.forth, self.back), source_B3SS, factor, rng)
        return Round(factor, forth, self._direction((self.back, self.forth), target_B3SS, factor, rng))

    def _direction(
        self,
        generators: tuple[WarpMask, WarpMask],
        given_B3SS: Tensor,
        factor: float,
        rng: np.random.Generator,
    ) -> Direction:
        """Pictures sent through the first generator, and what it made through the second.

        The first would hide what it leaves out in noise that nobody sees (Chu, Zhmoginov, Sandler, "CycleGAN,
        a Master of Steganography", 2017); noise of our own covers it.
        """
        there, home = generators
        reach, deviation = self.options.cycle_reach, self.options.cycle_noise
        made_B3SS, heads_BKss = self._paint(there, given_B3SS, factor)
        sent_B3SS = reach * made_B3SS + (1 - reach) * made_B3SS.detach()
        if deviation > 0:
            sent_B3SS = noisy(sent_B3SS, rng, deviation)
        returned_B3SS, _ = self._paint(home, sent_B3SS, factor)
        seen = self._see(made_B3SS), self._see(returned_B3SS)
        return Direction(given_B3SS, made_B3SS, heads_BKss, returned_B3SS, *seen)

    def critic_terms(self, both: Round) -> dict[str, Tensor]:
        """What both critics pay: for doubting true pictures of their domain, and, half each, for believing
        translations into it and returns to it."""
        forth, back = both.forth, both.back
        sets = {
            "source": (self.critic_source, forth.given_B3SS, back.seen_made, forth.seen_returned),
            "target": (self.critic_target, back.given_B3SS, forth.seen_made, back.seen_returned),
        }
        terms: dict[str, Tensor] = {}
        for domain, (critic, true_B3SS, made, returned) in sets.items():
            with torch.no_grad():
                true = self._see(true_B3SS)
            terms[f"critic {domain} true"] = true_term(self._judge(critic, true, both.factor))
            for name, seen in (("made", made), ("returned", returned)):
                logits = self._judge(critic, [layer.detach() for layer in seen], both.factor)
                terms[f"critic {domain} {name}"] = 0.5 * made_term(logits)
        return terms

    def generator_terms(self, both: Round, rng: np.random.Generator) -> dict[str, Tensor]:
        """What both generators pay; terms of the generator from target to source end in "back"."""
        options = self.options
        critics = {"": self.critic_target, " back": self.critic_source}
        weights = {"": options.weights, " back": options.weights_back}
        terms = self._belief_terms(both, critics, weights)
        # A circle is closed, and paid for, by the generator that leads home.
        there_again = cycle_term(both.back.returned_B3SS, both.back.given_B3SS, options.cycle_pooling)
        terms["cycle"] = options.weights.cycle * there_again
        home_again = cycle_term(both.forth.returned_B3SS, both.forth.given_B3SS)
        terms["cycle back"] = options.weights_back.cycle * home_again
        own = (
            ("", self.forth, both.forth, both.back.given_B3SS),
            (" back", self.back, both.back, both.forth.given_B3SS),
        )
        for which, generator, direction, wanted_B3SS in own:
            found = self._own_terms(generator, weights[which], direction, wanted_B3SS, both.factor, rng)
            terms |= {f"{name}{which}": term for name, term in found.items()}
        return terms

    def _belief_terms(
        self, both: Round, critics: Mapping[str, FeatureCritic], weights: Mapping[str, GeneratorWeights]
    ) -> dict[str, Tensor]:
        """What generators pay for not being believed, by who painted what is judged: translations correct
        their generator, returns also the one whose translations they are of."""
        painted = {
            "": (both.forth.seen_made, both.back.seen_returned),
            " back": (both.back.seen_made, both.forth.seen_returned),
        }
        terms: dict[str, Tensor] = {}
        for which, (made, returned) in painted.items():
            believed = belief_term(self._judge(critics[which], made, both.factor))
            terms[f"belief{which}"] = weights[which].adversarial * believed
            believed = belief_term(self._judge(critics[which], returned, both.factor))
            terms[f"returned{which}"] = weights[which].returned * believed
        return terms

    def _own_terms(
        self,
        generator: WarpMask,
        weights: GeneratorWeights,
        direction: Direction,
        wanted_B3SS: Tensor,
        factor: float,
        rng: np.random.Generator,
    ) -> dict[str, Tensor]:
        """What concerns one generator only: prices, and what it does to pictures of its own domain.

        Args:
            generator: Generator in question.
            weights: Weights of the terms.
            direction: Pictures, and what it painted of them.
            wanted_B3SS: Pictures that are in its target domain already. One of them is enough.
            factor: Factor of the step.
            rng: Random numbers for the temporal term.
        """
        options = self.options
        heads_BKss = direction.heads_BKss
        price = losses.displacement_price(heads_BKss[:, 4:6])
        terms = {
            "grid": weights.grid * losses.grid(heads_BKss[:, :3]),
            "displacement": options.displacement_price * price,
        }
        if weights.identity > 0:
            kept_13SS, _ = self._paint(generator, wanted_B3SS[:1], factor)
            terms["identity"] = weights.identity * identity_term(kept_13SS, wanted_B3SS[:1])
        if weights.temporal > 0:
            moved = self._temporal(generator, direction, factor, rng)
            terms["temporal"] = weights.temporal * moved
        return terms

    def _copying_terms(self, both: Round) -> dict[str, Tensor]:
        given = torch.cat([both.forth.given_B3SS, both.back.given_B3SS])
        copies = [self._paint(generator, given, both.factor)[0] for generator in self._copying]
        return {"copying": torch.stack([identity_term(copy, given) for copy in copies]).sum()}

    def _temporal(
        self, generator: WarpMask, direction: Direction, factor: float, rng: np.random.Generator
    ) -> Tensor:
        """How much the output of one displaced, noisy picture differs from the displaced output."""
        options = self.options
        shift_yx = tuple(int(n) for n in rng.integers(-options.temporal_shift, options.temporal_shift + 1, 2))
        moved_13SS = torch.roll(direction.given_B3SS[:1], shift_yx, (2, 3))
        noisy_13SS = noisy(moved_13SS, rng, options.temporal_noise)
        moved_output_13SS, _ = self._paint(generator, noisy_13SS, factor)
        # What the roll brought in from the other side, and what sees it, is left out.
        inner = slice(options.source.crop // 4, -(options.source.crop // 4))
        return losses.temporal(
            moved_output_13SS[..., inner, inner],
            torch.roll(direction.made_B3SS[:1], shift_yx, (2, 3))[..., inner, inner],
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
