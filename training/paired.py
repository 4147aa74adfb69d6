"""Training of a warp-and-mask engine on pairs: pictures, and what a slow operator makes of them.

Generator and critic are corrected in turn from the two sets of probabilities that the critic gives, those
for true partners and those for the generator's fused full-size outputs (Goodfellow et al., 2014; Isola, Zhu,
Zhou, Efros, 2017), and the generator by its mean absolute difference to the partner. With
`adversarial_weight` 0 only that difference is left: the network to compare with.

Legend of shapes: B pairs, S side of a crop, W side of the window around it, w reduced window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from streamfx.generate.networks.warp_mask import WarpMask
from training import losses
from training.critic import PatchCritic, belief_term, made_term, true_term
from training.fused import paint
from training.line_wash import line_and_wash
from training.options import NetworkOptions
from training.pictures import Crop, Picture, Pool, draw_factor, to_tensor

Operator = Callable[[Picture, float], Picture]

OPERATORS: dict[str, Operator] = {"line_and_wash": line_and_wash}
REACH = 28
"""Pixels around a crop that its partner depends on, per pixel of pen."""


class PairedOptions(BaseModel):
    """Settings of `python -m training paired`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    content: list[Path] = Field(min_length=1, description="folders of photographs, and clips")
    out: Path = Field(description="engine folder to write")
    work: Path = Field(description="folder for checkpoint, log and previews")
    exclude: list[str] = Field(
        default=[], description="leave out pictures whose path contains one of these words"
    )
    operator: Literal["line_and_wash"] = Field(
        default="line_and_wash", description="what makes the partner of a picture"
    )
    pen_pixels: float = Field(default=1.2, gt=0, description="width of the operator's pen at factor 1")
    pen_growth: float = Field(
        default=0.5, ge=0, description="the pen is as wide as the factor to this power, times pen_pixels"
    )

    name: str = Field(default="", description="name of the engine; the name of the out folder by default")
    version: str = "1.0.0"
    title: str = Field(default="", description="what the engine paints, for the card")
    target_domain: str = "line and wash"
    licence: str = "Apache-2.0"

    network: NetworkOptions = Field(default_factory=lambda: NetworkOptions(norm="none"))
    critic_width: int = Field(default=32, ge=1)
    critic_halvings: int = Field(default=2, ge=1)
    steps: int = Field(default=3000, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    critic_learning_rate: float = Field(default=4e-4, gt=0)
    warm_up_steps: int = Field(default=40, ge=1)
    tail: float = Field(
        default=0.5, gt=0, le=1, description="share of all steps in which the rates fall to zero"
    )
    batch: int = Field(default=3, ge=1)
    crop: int = Field(default=160, ge=32, multiple_of=8, description="side of the crops, in pixels")
    crops: int = Field(default=900, ge=1, description="how many pairs to train on")
    clip_share: float = Field(default=0.25, ge=0, le=1)
    factors: dict[float, float] = Field(
        default={1.0: 0.25, 1.5: 0.1, 2.0: 0.25, 3.0: 0.15, 4.0: 0.25},
        description="how often each factor is drawn",
    )

    difference_weight: float = Field(default=1.0, ge=0, description="of the difference to the partner")
    adversarial_weight: float = Field(
        default=0.03, ge=0, description="of the generator's adversarial term; 0: no critic at all"
    )
    adversarial_from: int = Field(default=800, ge=0, description="step from which the critic corrects")
    grid_weight: float = Field(default=5.0, ge=0)
    displacement_price: float = Field(default=0.005, ge=0)
    max_displacement_pixels: float = Field(default=4.0, gt=0)
    temporal_weight: float = Field(default=10.0, ge=0)
    temporal_crops: int = Field(default=1, ge=1)
    temporal_shift: int = Field(default=8, ge=0, description="largest displacement, in full-size pixels")
    temporal_noise: float = Field(default=0.01, ge=0, description="of full scale 1")

    bfloat16: bool = True
    threads: int = Field(default=2, ge=1)
    seed: int = 7

    def pen(self, factor: float) -> float:
        """Width of the pen, in pixels, of partners at a factor: larger pictures get larger factors."""
        return float(self.pen_pixels * factor**self.pen_growth)


@dataclass
class Pairs:
    """Crops and their partners: every crop belongs to one factor, its partner is made when first needed."""

    options: PairedOptions
    pool: Pool
    made: dict[int, Picture] = field(default_factory=dict)

    def draw(self, rng: np.random.Generator) -> tuple[float, list[int]]:
        """A factor, and which crops of that factor make the batch."""
        factor = draw_factor(self.options.factors, rng)
        factors = sorted(self.options.factors)
        group = range(factors.index(factor) % len(self.pool.crops), len(self.pool.crops), len(factors))
        return factor, [int(index) for index in rng.choice(group, self.options.batch)]

    def partner(self, index: int, factor: float) -> Tensor:
        """What the operator makes of a crop, RGB 3SS in [0, 1]."""
        if index not in self.made:
            crop, pen = self.pool.crops[index], self.options.pen(factor)
            self.made[index] = drawn(crop, OPERATORS[self.options.operator], pen)
        return to_tensor(self.made[index])


def drawn(crop: Crop, operator: Operator, pen_pixels: float) -> Picture:
    """The crop's part, SS3, of what the operator makes of its picture."""
    reach = round(REACH * pen_pixels)
    top, left = max(crop.top - reach, 0), max(crop.left - reach, 0)
    around = crop.picture[top : crop.top + crop.side + reach, left : crop.left + crop.side + reach]
    whole = operator(np.ascontiguousarray(around), pen_pixels)
    down, right = crop.top - top, crop.left - left
    return whole[down : down + crop.side, right : right + crop.side]


class PairedTrainee:
    """Generator and critic of a paired training, and how one step corrects them."""

    def __init__(self, options: PairedOptions, pool: Pool) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.pairs = Pairs(options, pool)
        self.generator = WarpMask(**options.network.model_dump())
        self.critic = PatchCritic(6, options.critic_width, options.critic_halvings)
        self.networks: dict[str, nn.Module] = {"generator": self.generator, "critic": self.critic}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "generator": torch.optim.Adam(
                self.generator.parameters(), lr=options.learning_rate, betas=(0.5, 0.99)
            ),
            "critic": torch.optim.Adam(
                self.critic.parameters(), lr=options.critic_learning_rate, betas=(0.5, 0.99)
            ),
        }

    def step(self, index: int) -> dict[str, float]:
        """Correct the critic, then the generator, once; returns every weighted term."""
        options = self.options
        rng = np.random.default_rng([options.seed, 3, index])
        factor, chosen = self.pairs.draw(rng)
        crops = [self.pairs.pool.crops[number] for number in chosen]
        partner_B3SS = torch.stack([self.pairs.partner(number, factor) for number in chosen])
        source_B3SS = torch.stack([crop.rgb() for crop in crops])
        output_B3SS, heads_B7ww = self.fused([crop.window(factor) for crop in crops], factor)
        terms = {
            "difference": options.difference_weight * losses.imitation(output_B3SS, partner_B3SS),
            "grid": options.grid_weight * losses.grid(heads_B7ww[:, :3]),
            "displacement": options.displacement_price * losses.displacement_price(heads_B7ww[:, 4:6]),
        }
        if options.temporal_weight > 0:
            few = options.temporal_crops
            terms["temporal"] = options.temporal_weight * self._temporal(
                crops[:few], output_B3SS, factor, rng
            )
        judged: dict[str, Tensor] = {}
        if options.adversarial_weight > 0 and index >= options.adversarial_from:
            judged = self._correct_critic(source_B3SS, partner_B3SS, output_B3SS.detach())
            belief = belief_term(self._judge(source_B3SS, output_B3SS))
            terms["belief"] = options.adversarial_weight * belief
        correct(self.optimisers["generator"], terms)
        return {name: term.item() for name, term in (terms | judged).items()}

    def _correct_critic(self, source_B3SS: Tensor, true_B3SS: Tensor, made_B3SS: Tensor) -> dict[str, Tensor]:
        terms = {
            "critic true": true_term(self._judge(source_B3SS, true_B3SS)),
            "critic made": made_term(self._judge(source_B3SS, made_B3SS)),
        }
        correct(self.optimisers["critic"], terms)
        return terms

    def _judge(self, source_B3SS: Tensor, picture_B3SS: Tensor) -> Tensor:
        """Logits for pictures beside their sources."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bfloat16):
            logits_B1hw: Tensor = self.critic(torch.cat([source_B3SS, picture_B3SS], dim=1))
        return logits_B1hw

    def _temporal(
        self, crops: list[Crop], output_B3SS: Tensor, factor: float, rng: np.random.Generator
    ) -> Tensor:
        """How much the output changes with the place of the window and light noise."""
        options = self.options
        down, right = rng.integers(-options.temporal_shift, options.temporal_shift + 1, 2)
        moved = [crop.window(factor, (int(down), int(right))) for crop in crops]
        noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
        noisy = [
            ((rgb + options.temporal_noise * torch.randn(rgb.shape, generator=noise)).clamp(0, 1), top, left)
            for rgb, top, left in moved
        ]
        moved_B3SS, _ = self.fused(noisy, factor)
        return losses.temporal(moved_B3SS, output_B3SS[: len(crops)])

    def fused(self, windows: list[tuple[Tensor, int, int]], factor: float) -> tuple[Tensor, Tensor]:
        """Fused full-size RGB output B3SS of the crops inside `windows`, and the heads B7ww."""
        rgb_B3WW = torch.stack([window for window, _, _ in windows])
        fused_B3WW, heads_B7ww = paint(
            self.generator, rgb_B3WW, factor, self.options.max_displacement_pixels, self.options.bfloat16
        )
        side = self.options.crop
        parts = [
            fused_3WW[:, top : top + side, left : left + side]
            for fused_3WW, (_, top, left) in zip(fused_B3WW, windows, strict=True)
        ]
        return torch.stack(parts), heads_B7ww


def correct(optimiser: torch.optim.Optimizer, terms: dict[str, Tensor]) -> None:
    """One step of an optimiser against the sum of the terms."""
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    optimiser.step()
