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
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamfx.engine.families.warp_mask import WarpMask
from streamfx.engine.families.yuv_style import YuvStyle
from training import losses, pairs, warped
from training.anchors import forget_detail, spread, tie, wake
from training.card import plain_card, sources
from training.critic import PatchCritic, belief_term, made_term, true_term
from training.export import export, golden_of, network_fields
from training.fused import paint, paint_whole
from training.loop import correct
from training.loop import run as run_loop
from training.operators.people import finder
from training.paired_options import PairedOptions
from training.pairs import Maker, PairFiles, Pairs, stack
from training.people_pairs import people_pairs
from training.picture_store import PictureStore
from training.pictures import CLIPS, STILLS, Picture, Still, find_stills, noisy, spoiled, still_at
from training.weights import start_from

log = logging.getLogger(__name__)

Places: TypeAlias = NDArray[np.int64]  # (row, column), in pixels

_SHORT_LIVED_BYTES = 64 << 20  # the squares themselves are kept


def run(options: PairedOptions) -> None:
    """Train and write the engine."""
    trainee = train(options)
    if options.warped is not None:
        assert isinstance(trainee.generator, WarpMask)
        warped.forget_hints(trainee.generator)
    fields = engine_fields(options)
    frame = golden_of(trainee.generator, fields)
    engine = export(trainee.generator, options.out, fields, frame, card(options))
    log.info("wrote engine %s to %s", engine.name, engine.folder)


def engine_fields(options: PairedOptions) -> dict[str, Any]:
    """Fields of engine.yaml."""
    return network_fields(
        options.network,
        version=options.version,
        max_displacement_pixels=options.max_displacement_pixels,
        memory_tolerance=options.memory_tolerance,
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
        self.generator = options.network.build().to(device)
        if options.init is None:
            if isinstance(self.generator, WarpMask):
                wake(self.generator)
        else:
            start_from(self.generator, options.init)
        if options.spread:
            spread(self.generator)
            if isinstance(self.generator, WarpMask):
                forget_detail(self.generator)
        if options.warped is not None:
            assert isinstance(self.generator, WarpMask)
            warped.only_warp(self.generator)
        self._grid = losses.WHOLE_GRID if isinstance(self.generator, YuvStyle) else {}
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
        if isinstance(self.generator, WarpMask) and options.warped and number % options.warped.fused_every:
            heads_BKss = warped.heads(self.generator, source_B3SS, factor, options.loop.precision())
            told = warped.terms(both_BNSS, heads_BKss, factor, options.warped)
            return correct(self.optimisers["generator"], told)
        output_B3SS, heads_BKss = self._paint(source_B3SS, factor)
        terms = {
            "difference": options.difference_weight * losses.imitation(output_B3SS, partner_B3SS),
            "slopes": options.slopes_weight * losses.slopes(output_B3SS, partner_B3SS),
            "crispness": options.crispness_weight * losses.crispness(output_B3SS, partner_B3SS),
            "grid": options.grid_weight * losses.grid(heads_BKss[:, :3], **self._grid),
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
        if isinstance(self.generator, YuvStyle):
            return paint_whole(self.generator, rgb_B3SS, factor, precision)
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
            clips = [path for path in options.content if path.suffix.lower() in CLIPS]
            picture_store = later.enter_context(
                closing(PictureStore(_stills(options), clips, _SHORT_LIVED_BYTES))
            )
            operator = options.draws()
            assert operator is not None
            make = pairs.drawn(picture_store, operator, options.square, options.clip_share, seed)
            if options.warped is not None:
                people = later.enter_context(closing(warped.open_people(options.warped)))
                other = partial(pairs.any_square, picture_store, options.square, options.clip_share)
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
    elif options.style is not None:
        made = f"painted in the colours and strokes of `{options.style.name}`"
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
        stills = [still_at(path) for path in options.warped.people if path.suffix.lower() in STILLS]
        on += f" People: {sources(stills, options.warped.people)}"
    does = f"Makes {options.title or options.target_domain} of pictures and video."
    return plain_card(options.out.name, does, options.network, options.factors, [how, on])
