"""Training of a warp-and-mask engine on pairs: pictures, and what a slow operator makes of them.

Generator and critic are corrected in turn from the two sets of probabilities that the critic gives, those
for true partners and those for the generator's fused full-size outputs (Goodfellow et al., 2014; Isola, Zhu,
Zhou, Efros, 2017), and the generator by its difference to the partner: of colours, of slopes, and of how
crisp each neighbourhood is. With `adversarial_weight` 0 only these are left.

Sources may be spoiled as cameras spoil them, noisy and compressed, while partners are those of the clean
picture: a drawing does not draw the noise.

Legend of shapes: B pairs, S side of a crop, s reduced side.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from streamfx.engine.families.warp_mask import FINE, STRIDE, WarpMask
from training import losses, pairs, warped
from training.anchors import forget_detail, spread, tie, wake
from training.card import plain_card, sources
from training.critic import PatchCritic, belief_term, made_term, true_term
from training.engine_folder import EngineFolder
from training.export import export, golden, network_fields
from training.fused import paint
from training.loop import LoopOptions, correct
from training.loop import run as run_loop
from training.operators import OPERATORS
from training.operators.people import finder
from training.options import NetworkOptions
from training.pairs import Maker, PairFiles, Pairs, stack
from training.people_pairs import people_pairs
from training.pictures import CLIPS, Picture, Still, find_stills, noisy, spoiled
from training.shelf import Shelf
from training.warped import WarpedOptions
from training.weights import WeightsFile, start_from

log = logging.getLogger(__name__)

Places: TypeAlias = NDArray[np.int64]  # (row, column), in pixels

_SHORT_LIVED_BYTES = 64 << 20  # the squares themselves are kept


class PairedOptions(BaseModel):
    """Settings of `python -m training paired`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    content: list[Path] = Field(
        min_length=1, description="folders of photographs, and clips; one folder where partners are files"
    )
    operator: str | None = Field(default=None, description="what draws the partner of a picture")
    partners: Path | None = Field(
        default=None, description="instead: folder of partners with the pictures' names and sizes"
    )
    pairs: Path | None = Field(
        default=None, description="folder that keeps drawn pairs for further trainings with the same settings"
    )
    out: EngineFolder = Field(description="engine folder to write")
    work: Path = Field(description="folder for checkpoint and log")
    init: WeightsFile | None = Field(
        default=None, description="weights.safetensors of a finished engine to start from"
    )
    spread: bool = Field(
        default=False, description="start every factor from the weights of init for factor 1"
    )
    exclude: list[str] = Field(
        default=[], description="leave out pictures whose path contains one of these words"
    )

    warped: WarpedOptions | None = Field(
        default=None,
        description="for the operator caricature: pairs of people, and only displacement is learned",
    )

    version: str = "1.0.0"
    title: str = Field(default="", description="what the engine makes of a picture, for the card")
    source_domain: str = "photo"
    target_domain: str = "painting"
    licence: str = "Apache-2.0"

    network: NetworkOptions = Field(default_factory=lambda: NetworkOptions(norm="none"))
    critic_width: int = Field(default=32, ge=1)
    critic_halvings: int = Field(default=2, ge=1)
    critic_learning_rate: float = Field(default=4e-4, gt=0)
    steps: int = Field(default=6000, ge=1)
    tied_steps: int = Field(default=6000, ge=0, description="at first, in which all factors learn together")
    loop: LoopOptions = Field(default_factory=lambda: LoopOptions(tail=0.6, checkpoint_every=200))
    squares: int = Field(default=800, ge=1, description="how many pairs of squares to train on")
    square: int = Field(default=160, ge=32, description="side of the squares, in pixels")
    clip_share: float = Field(default=0.25, ge=0, le=1, description="share of squares that come from clips")
    batch: int = Field(default=4, ge=1)
    crop: int = Field(default=96, ge=32, description="side of what a step sees of a square, in pixels")
    crops: dict[float, int] = Field(
        default={}, description="sides at factors where they differ from crop, in pixels"
    )
    factors: dict[float, float] = Field(
        default={1.0: 0.18, 1.5: 0.1, 2.0: 0.28, 3.0: 0.14, 4.0: 0.3},
        description="how often each factor is drawn",
    )
    spoiled_share: float = Field(default=0.0, ge=0, le=1, description="share of sources that are spoiled")
    spoiled_noise: float = Field(default=5.0, ge=0, description="largest deviation of their noise, in codes")
    spoiled_quality: int = Field(default=50, ge=1, le=100, description="worst quality of their JPEG")

    difference_weight: float = Field(default=1.0, ge=0, description="of the difference to the partner")
    slopes_weight: float = Field(default=0.0, ge=0, description="of the difference of slopes of luma")
    crispness_weight: float = Field(default=0.0, ge=0, description="of the difference of crispness")
    adversarial_weight: float = Field(
        default=0.06, ge=0, description="of the generator's adversarial term; 0: no critic at all"
    )
    adversarial_from: int = Field(default=700, ge=0, description="step from which the critic corrects")
    grid_weight: float = Field(default=5.0, ge=0)
    displacement_price: float = Field(default=0.005, ge=0)
    max_displacement_pixels: float = Field(default=4.0, gt=0)
    temporal_weight: float = Field(default=20.0, ge=0)
    temporal_every: int = Field(default=3, ge=1, description="steps from one temporal term to the next")
    temporal_shift: int = Field(default=8, ge=0, description="largest displacement, in full-size pixels")
    temporal_noise: float = Field(default=0.01, ge=0, description="deviation of the added noise, of 1")

    def crop_at(self, factor: float) -> int:
        """Side of what a step at a factor sees of a square, in pixels."""
        return self.crops.get(factor, self.crop)

    @model_validator(mode="after")
    def _check(self) -> PairedOptions:
        given = [*self.content, *([self.partners] if self.partners is not None else [])]
        wrong = [f"{path} does not exist" for path in given if not path.exists()]
        if (self.operator is None) == (self.partners is None):
            wrong.append("give either operator, which draws partners, or partners, a folder")
        if self.operator is not None and self.operator not in OPERATORS:
            wrong.append(f"there is no operator {self.operator!r}; known: {', '.join(OPERATORS)}")
        if self.partners is not None and (len(self.content) > 1 or not self.content[0].is_dir()):
            wrong.append("with partners, content is one folder")
        if self.warped is not None and self.operator != "caricature":
            wrong.append("warped is for the operator caricature")
        if any(factor < 1 or share <= 0 for factor, share in self.factors.items()):
            wrong.append("factors: factors are at least 1, shares above 0")
        wrong += [
            f"crop {self.crop_at(factor)} is no multiple of {STRIDE} times factor {factor:g}"
            for factor in self.factors
            if self.crop_at(factor) % (STRIDE * factor)
        ]
        largest = max(map(self.crop_at, self.factors))
        if self.square < largest + 2 * self.temporal_shift:
            wrong.append(
                f"square {self.square} leaves no room to move a crop of {largest} by {self.temporal_shift}"
            )
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def run(options: PairedOptions) -> None:
    """Train and write the engine."""
    trainee = train(options)
    if options.warped is not None:
        warped.forget_hints(trainee.generator)
    frame = golden(trainee.generator, fine_luma=FINE * options.network.fine)
    engine = export(trainee.generator, options.out, engine_fields(options), frame, card(options))
    log.info("wrote engine %s to %s", engine.name, engine.folder)


def engine_fields(options: PairedOptions) -> dict[str, Any]:
    """Fields of engine.yaml."""
    return network_fields(
        options.network,
        version=options.version,
        max_displacement_pixels=options.max_displacement_pixels,
        domains=(options.source_domain, options.target_domain),
        licence=options.licence,
        factors=options.factors,
    )


def train(options: PairedOptions, on_step: Callable[[int], None] | None = None) -> PairedTrainee:
    """The trained networks, in evaluation mode; goes on from the checkpoint in `options.work`, if any."""
    with _open_pairs(options) as opened:
        trainee = PairedTrainee(options, opened)
        run_loop(trainee, options.loop, options.steps, options.work, recipe=options, on_step=on_step)
    return trainee


class PairedTrainee:
    """Generator and critic, and how one step corrects them."""

    def __init__(self, options: PairedOptions, opened: Pairs) -> None:
        torch.manual_seed(options.loop.seed)
        self.options, self.pairs = options, opened
        device = options.loop.device
        self.generator = WarpMask(**options.network.model_dump(exclude={"family"})).to(device)
        if options.init is None:
            wake(self.generator)
        else:
            start_from(self.generator, options.init)
        if options.spread:
            spread(self.generator)
            forget_detail(self.generator)
        if options.warped is not None:
            warped.only_warp(self.generator)
        self._tied = tie(self.generator)
        self.critic = PatchCritic(6, options.critic_width, options.critic_halvings).to(device)
        self.networks = {"generator": self.generator, "critic": self.critic}
        # Faces are few: squared gradients are averaged over more steps, else one that has many is a shock.
        memory = 0.99 if options.warped is None else 0.999
        self.optimisers = {
            name: torch.optim.Adam(network.parameters(), lr=rate, betas=(momentum, memory))
            for (name, network), rate, momentum in zip(
                self.networks.items(),
                (options.loop.learning_rate, options.critic_learning_rate),
                (0.9, 0.5),
                strict=True,
            )
        }

    def step(self, number: int) -> dict[str, float]:
        """Correct the critic, then the generator, once; returns every weighted term."""
        options = self.options
        self._tied.on = number < options.tied_steps
        rng = np.random.default_rng([options.loop.seed, 3, number])
        factor, drawn = self.pairs.draw(number)
        side = options.crop_at(factor)
        flips = ((square, rng.choice([False, True])) for square in drawn)
        squares = [self._spoil(warped.mirrored(square) if flip else square, rng) for square, flip in flips]
        place_yx = rng.integers(options.temporal_shift, options.square - side - options.temporal_shift + 1, 2)
        both_BNSS = self._crops(squares, place_yx, side)
        source_B3SS, partner_B3SS = both_BNSS[:, :3], both_BNSS[:, 3:6]
        if options.warped is not None and number % options.warped.fused_every:
            heads_BKss = warped.heads(self.generator, source_B3SS, factor, options.loop.precision())
            told = warped.terms(both_BNSS, heads_BKss, factor, options.warped)
            return correct(self.optimisers["generator"], told)
        output_B3SS, heads_BKss = self._paint(source_B3SS, factor)
        terms = {
            "difference": options.difference_weight * losses.imitation(output_B3SS, partner_B3SS),
            "slopes": options.slopes_weight * losses.slopes(output_B3SS, partner_B3SS),
            "crispness": options.crispness_weight * losses.crispness(output_B3SS, partner_B3SS),
            "grid": options.grid_weight * losses.grid(heads_BKss[:, :3]),
            "displacement": options.displacement_price * losses.displacement_price(heads_BKss[:, 4:6]),
        }
        if options.warped is not None:
            terms |= warped.terms(both_BNSS, heads_BKss, factor, options.warped)
        if options.temporal_weight > 0 and number % options.temporal_every == 0:
            shift_yx = rng.integers(-options.temporal_shift, options.temporal_shift + 1, 2)
            moved_13SS = self._crops(squares[:1], place_yx + shift_yx, side)[:, :3]
            steadiness = self._temporal(moved_13SS, output_B3SS[:1], shift_yx, factor, rng)
            terms["temporal"] = options.temporal_weight * steadiness
        judged: dict[str, float] = {}
        if options.adversarial_weight > 0 and number >= options.adversarial_from:
            made_logits = self._judge(source_B3SS, output_B3SS.detach())
            true_logits = self._judge(source_B3SS, partner_B3SS)
            doubts = {"critic true": true_term(true_logits), "critic made": made_term(made_logits)}
            judged = correct(self.optimisers["critic"], doubts)
            belief = belief_term(self._judge(source_B3SS, output_B3SS))
            terms["belief"] = options.adversarial_weight * belief
        return correct(self.optimisers["generator"], terms) | judged

    def _spoil(self, square: Picture, rng: np.random.Generator) -> Picture:
        """A pair whose source is spoiled, or as it is."""
        options = self.options
        if rng.random() >= options.spoiled_share:
            return square
        deviation = float(rng.uniform(0, options.spoiled_noise))
        quality = int(rng.integers(options.spoiled_quality, 101))
        return np.concatenate([spoiled(square[..., :3], rng, deviation, quality), square[..., 3:]], axis=2)

    def _crops(self, squares: list[Picture], place_yx: Places, side: int) -> Tensor:
        """Pairs BNSS at a place of the squares, in [0, 1]."""
        top, left = place_yx
        crops = [square[top : top + side, left : left + side] for square in squares]
        return stack(crops).to(self.options.loop.device)

    def _paint(self, rgb_B3SS: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        options = self.options
        precision = options.loop.precision()
        return paint(self.generator, rgb_B3SS, factor, options.max_displacement_pixels, precision)

    def _judge(self, source_B3SS: Tensor, picture_B3SS: Tensor) -> Tensor:
        """Logits for pictures beside their sources."""
        with self.options.loop.precision():
            logits_B1hw: Tensor = self.critic(torch.cat([source_B3SS, picture_B3SS], dim=1))
        return logits_B1hw

    def _temporal(
        self,
        moved_13SS: Tensor,
        output_13SS: Tensor,
        shift_yx: Places,
        factor: float,
        rng: np.random.Generator,
    ) -> Tensor:
        """How much the output changes with the place of the crop and light noise, in the middle of both."""
        noisy_13SS = noisy(moved_13SS, rng, self.options.temporal_noise)
        moved_output_13SS, _ = self._paint(noisy_13SS, factor)
        side = output_13SS.shape[-1]
        margin = side // 6
        down, right = (int(shift) for shift in shift_yx)
        rows, columns = (slice(margin + away, side - margin + away) for away in (down, right))
        inner = slice(margin, side - margin)
        return losses.temporal(moved_output_13SS[..., inner, inner], output_13SS[..., rows, columns])


@contextmanager
def _open_pairs(options: PairedOptions) -> Iterator[Pairs]:
    seed = options.loop.seed
    with ExitStack() as later:
        if options.partners is not None:
            files = PairFiles(options.content[0], options.partners, options.square, options.exclude, seed)
            make: Maker = later.enter_context(closing(files)).make
        else:
            assert options.operator is not None
            clips = [path for path in options.content if path.suffix.lower() in CLIPS]
            shelf = later.enter_context(closing(Shelf(_stills(options), clips, _SHORT_LIVED_BYTES)))
            operator = OPERATORS[options.operator]
            make = pairs.drawn(shelf, operator, options.square, options.clip_share, seed)
            if options.warped is not None:
                people = later.enter_context(closing(warped.open_people(options.warped)))
                other = partial(pairs.any_square, shelf, options.square, options.clip_share)
                make = people_pairs(people, other, finder(), options.square, options.warped, seed)
            if options.pairs is not None:
                make = pairs.kept(make, options.pairs)
        opened = Pairs(make, options.squares, options.factors, options.batch, seed)
        yield later.enter_context(closing(opened))


def _stills(options: PairedOptions) -> list[Still]:
    folders = [path for path in options.content if path.is_dir()]
    return [still for still in find_stills(folders, options.exclude) if not still.held_out]


def card(options: PairedOptions) -> str:
    """Card of a freshly trained engine."""
    made = "read from files"
    if options.operator is not None:
        made = f"drawn by the operator `{options.operator}`"
    believed = ""
    if options.adversarial_weight > 0:
        believed = (
            f"belief of a critic of patches that sees source and picture {options.adversarial_weight:g}, "
            f"from step {options.adversarial_from} on (the critic's Adam at "
            f"{options.critic_learning_rate:g}), "
        )
    told = ""
    if options.warped is not None:
        told = (
            f"squared difference of the displacement to the field that drew the partner "
            f"{options.warped.field_weight:g} (alone but in one step of {options.warped.fused_every}; "
            f"the mask stays 0, so that nothing but displacement shows), where things move and how much they "
            f"grow, told to heads that do not show, {options.warped.hint_weight:g}, "
        )
    start = "random weights" if options.init is None else "the weights of another engine"
    start += ", those for factor 1 at every factor" if options.spread else ""
    how = (
        f"`python -m training paired` from {start}, seed {options.loop.seed}, {options.steps} steps, "
        f"in the first {options.tied_steps} of which all factors learn together, batch {options.batch} of "
        f"{options.crop} x {options.crop} pixels, Adam at "
        f"{options.loop.learning_rate:g} with a linear tail. Partners {made}. Losses and weights, on the "
        f"fused full-size output at random factors: mean absolute difference to the partner "
        f"{options.difference_weight:g}, of slopes {options.slopes_weight:g}, of crispness "
        f"{options.crispness_weight:g}, {believed}{told}grid of pixels {options.grid_weight:g}, price of the "
        f"displacement {options.displacement_price:g}, temporal term {options.temporal_weight:g} in one "
        f"step of {options.temporal_every}."
    )
    on = f"Pairs: {options.squares} squares out of {sources(_stills(options), options.content)}"
    if options.warped is not None:
        on += f" and of {len(options.warped.people)} pictures and clips of people"
    does = f"Makes {options.title or options.target_domain} of pictures and video."
    return plain_card(options.out.name, does, options.network, options.factors, [how, on])
