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
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors.torch import load_file
from torch import Tensor

from streamfx.generate.networks.warp_mask import STRIDE, WarpMask
from training import losses
from training.anchors import tie, wake
from training.card import plain_card, sources
from training.critic import FeatureCritic, belief_term, cycle_term, identity_term, made_term, true_term
from training.export import export, golden, network_fields
from training.features import Encoder
from training.feed import Feed, FeedOptions, Squares
from training.fused import paint
from training.loop import LoopOptions, correct
from training.loop import run as run_loop
from training.options import NetworkOptions
from training.pairs import stack
from training.pictures import Still, draw_factor, noisy, to_short_side

log = logging.getLogger(__name__)

Features: TypeAlias = list[Tensor]
"""Of a batch of pictures, at the layers that critics look at."""


class UnpairedOptions(BaseModel):
    """Settings of `python -m training unpaired`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: FeedOptions = Field(description="pictures of the source domain")
    target: FeedOptions = Field(description="pictures of the target domain")
    target_only: list[str] = Field(
        default=[], description="of the target, only pictures whose name contains one of these words"
    )
    out: Path = Field(description="engine folder to write, source to target")
    out_back: Path = Field(description="engine folder to write, target to source")
    work: Path = Field(description="folder for checkpoint and log")

    version: str = "1.0.0"
    title: str = Field(default="", description="what the target domain is, for the card")
    source_domain: str = "photo"
    target_domain: str = "painting"
    licence: str = "Apache-2.0"

    network: NetworkOptions = Field(default_factory=lambda: NetworkOptions(norm="none"))
    init: Path | None = Field(
        default=None,
        description="weights.safetensors of a finished engine that the generator to the target starts from; "
        "random by default",
    )
    critic_width: int = Field(default=32, ge=1)
    critic_learning_rate: float = Field(default=4e-4, gt=0)
    copying_steps: int = Field(
        default=200,
        ge=0,
        description="at first, in which generators without `init` learn to give back what they see",
    )
    steps: int = Field(default=3500, ge=1, description="of all four networks, after those")
    tied_steps: int = Field(default=3700, ge=0, description="at first, in which all factors learn together")
    loop: LoopOptions = Field(
        default_factory=lambda: LoopOptions(learning_rate=6e-4, tail=0.4, checkpoint_every=200)
    )
    factors: dict[float, float] = Field(
        default={1.0: 0.3, 1.5: 0.1, 2.0: 0.25, 3.0: 0.1, 4.0: 0.25},
        description="how often each factor is drawn",
    )
    stroke_scale: float = Field(default=1.0, ge=1, description="target pictures are enlarged by this")
    stroke_growth: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="and by the factor to this power: large pictures, large strokes",
    )

    adversarial_weight: float = Field(default=0.1, ge=0)
    cycle_weight: float = Field(default=0.5, ge=0)
    cycle_noise: float = Field(
        default=0.0, ge=0, description="deviation of noise added half way, in which nothing can be hidden"
    )
    cycle_pooling: int = Field(
        default=1,
        ge=1,
        description="side of squares whose means are compared where a target picture comes back: what it "
        "shows, not where each stroke was",
    )
    identity_weight: float = Field(default=0.1, ge=0)
    grid_weight: float = Field(default=5.0, ge=0)
    displacement_price: float = Field(default=0.005, ge=0)
    max_displacement_pixels: float = Field(default=4.0, gt=0)
    temporal_weight: float = Field(default=5.0, ge=0)
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
        )
        engine = export(generator, out, fields, golden(generator), card(options, out.name, between))
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
        run_loop(trainee, options.loop, steps, options.work, phase_starts=starts, on_step=on_step)
    return trainee


class UnpairedTrainee:
    """Both generators and critics, and how one step corrects them."""

    def __init__(self, options: UnpairedOptions, source: Feed, target: Feed) -> None:
        torch.manual_seed(options.loop.seed)
        self.options = options
        self.source, self.target = source, target
        device = options.loop.device
        sizes = options.network.model_dump(exclude={"family"})
        self.forth, self.back = (WarpMask(**sizes).to(device) for _ in range(2))
        for generator in (self.forth, self.back):
            wake(generator)
        self._copying = [self.forth, self.back]
        if options.init is not None:
            self.forth.load_state_dict(load_file(options.init))
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
        if number < options.copying_steps:
            return correct(
                self.optimisers["generators"], self._copying_terms(source_B3SS, target_B3SS, factor)
            )
        made_target = self._paint(self.forth, source_B3SS, factor)
        made_source = self._paint(self.back, target_B3SS, factor)
        seen_source, seen_target = self._see(made_source[0]), self._see(made_target[0])
        judged = self._correct_critics((source_B3SS, target_B3SS), (seen_source, seen_target), factor)
        terms = self._adversarial_terms(seen_source, seen_target, factor)
        terms |= self._cycle_terms((source_B3SS, target_B3SS), (made_source[0], made_target[0]), factor, rng)
        terms["identity"] = options.identity_weight * self._identity(source_B3SS, target_B3SS, factor)
        terms |= self._prices(made_target[1]) | self._prices(made_source[1], " back")
        if options.temporal_weight > 0:
            terms["temporal"] = options.temporal_weight * (
                self._temporal(self.forth, source_B3SS, made_target[0], factor, rng)
                + self._temporal(self.back, target_B3SS, made_source[0], factor, rng)
            )
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
        weight = self.options.adversarial_weight
        return {
            "belief source": weight * belief_term(self._judge(self.critic_source, source, factor)),
            "belief target": weight * belief_term(self._judge(self.critic_target, target, factor)),
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
        noise = options.cycle_noise
        sent_source, sent_target = (noisy(picture, rng, noise) if noise else picture for picture in made)
        returned_B3SS, _ = self._paint(self.back, sent_target, factor)
        back_again_B3SS, _ = self._paint(self.forth, sent_source, factor)
        back_again = cycle_term(back_again_B3SS, begun[1], options.cycle_pooling)
        return {
            "cycle": options.cycle_weight * cycle_term(returned_B3SS, begun[0]),
            "cycle back": options.cycle_weight * back_again,
        }

    def _prices(self, heads_B7ss: Tensor, which: str = "") -> dict[str, Tensor]:
        price = losses.displacement_price(heads_B7ss[:, 4:6])
        return {
            f"grid{which}": self.options.grid_weight * losses.grid(heads_B7ss[:, :3]),
            f"displacement{which}": self.options.displacement_price * price,
        }

    def _copying_terms(self, source_B3SS: Tensor, target_B3SS: Tensor, factor: float) -> dict[str, Tensor]:
        both = torch.cat([source_B3SS, target_B3SS])
        copies = [self._paint(generator, both, factor)[0] for generator in self._copying]
        return {"copying": torch.stack([identity_term(copy, both) for copy in copies]).sum()}

    def _identity(self, source_B3SS: Tensor, target_B3SS: Tensor, factor: float) -> Tensor:
        """What both generators change in one picture each that is in their target domain already."""
        kept_target_13SS, _ = self._paint(self.forth, target_B3SS[:1], factor)
        kept_source_13SS, _ = self._paint(self.back, source_B3SS[:1], factor)
        return identity_term(kept_target_13SS, target_B3SS[:1]) + identity_term(
            kept_source_13SS, source_B3SS[:1]
        )

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


def card(options: UnpairedOptions, name: str, domains: tuple[str, str]) -> str:
    """Card of one of both freshly trained engines."""
    how = (
        f"`python -m training unpaired` from random weights, seed {options.loop.seed}: two generators, one "
        f"per direction, and two critics of patches; {options.copying_steps} steps of giving back what they "
        f"see, then {options.steps} of all four; in the first {options.tied_steps} "
        f"all factors learn together; batch {options.source.batch} of {options.source.crop} x "
        f"{options.source.crop} pixels of each domain, Adam at {options.loop.learning_rate:g} (critics "
        f"{options.critic_learning_rate:g}) with a linear tail, at random factors; paintings are enlarged by "
        f"the factor to the power {options.stroke_growth:g}. Losses and weights, on the fused full-size "
        f"output: belief of the critics {options.adversarial_weight:g}, cycle {options.cycle_weight:g}, "
        f"identity {options.identity_weight:g}, grid of pixels {options.grid_weight:g}, price of the "
        f"displacement {options.displacement_price:g}, temporal term {options.temporal_weight:g}."
    )
    told = [
        f"{options.source_domain}: {sources(options.source.stills, options.source.content)}",
        f"{options.target_domain}: {sources(options.target_stills, options.target.content)}",
    ]
    what = f" ({options.title})" if options.title else ""
    does = f"Turns pictures and video of the domain {domains[0]} into {domains[1]}{what}."
    return plain_card(name, does, options.network, [how, *told])
