"""Training of two warp-and-mask engines on two unpaired sets of pictures, one engine per direction.

Two generators and two critics. What a generator makes of a picture is fused at full size, reduced again and
sent through the other generator, back to the domain where it began (Zhu, Park, Isola, Efros, "Unpaired
Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017). Both sets of probabilities of
both critics correct all four networks.

Legend of shapes: B pictures, S side of a crop, s reduced side. A is the source domain, B the target domain.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from streamfx.generate.networks.warp_mask import WarpMask
from training import losses
from training.critic import PatchCritic, belief_term, cycle_term, identity_term, made_term, true_term
from training.fused import paint
from training.options import NetworkOptions
from training.paired import correct
from training.pictures import Picture, draw_factor, to_short_side, to_tensor


class UnpairedOptions(BaseModel):
    """Settings of `python -m training unpaired`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: list[Path] = Field(min_length=1, description="folders and clips of the source domain")
    target: list[Path] = Field(min_length=1, description="folders and clips of the target domain")
    out: Path = Field(description="engine folder to write, source to target")
    out_back: Path = Field(description="engine folder to write, target to source")
    work: Path = Field(description="folder for checkpoint, log and previews")
    exclude: list[str] = Field(
        default=[], description="leave out pictures whose path contains one of these words"
    )
    target_only: list[str] = Field(
        default=[],
        description="of the target's folders, only pictures whose path contains one of these words",
    )

    version: str = "1.0.0"
    title: str = Field(default="", description="what the target domain is, for the card")
    source_domain: str = "photo"
    target_domain: str = "painting"
    licence: str = "Apache-2.0"

    network: NetworkOptions = Field(default_factory=lambda: NetworkOptions(norm="none"))
    critic_width: int = Field(default=32, ge=1)
    critic_halvings: int = Field(default=3, ge=1)
    copying_steps: int = Field(
        default=300, ge=0, description="at first, in which generators learn to give back what they see"
    )
    steps: int = Field(default=4500, ge=1, description="of all networks, after those")
    learning_rate: float = Field(default=6e-4, gt=0)
    critic_learning_rate: float = Field(default=4e-4, gt=0)
    warm_up_steps: int = Field(default=40, ge=1)
    tail: float = Field(
        default=0.4, gt=0, le=1, description="share of all steps in which the rates fall to zero"
    )
    batch: int = Field(default=2, ge=1)
    crop: int = Field(default=192, ge=48, multiple_of=48, description="side of the crops, in pixels")
    pictures: int = Field(default=900, ge=1, description="of each domain, at most")
    clip_share: float = Field(default=0.2, ge=0, le=1)
    factors: dict[float, float] = Field(
        default={1.0: 0.3, 1.5: 0.1, 2.0: 0.25, 3.0: 0.1, 4.0: 0.25},
        description="how often each factor is drawn",
    )
    stroke_growth: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="pictures of the target are enlarged by the factor to this power: larger pictures, larger "
        "strokes",
    )

    adversarial_weight: float = Field(default=0.1, ge=0)
    cycle_weight: float = Field(default=0.5, ge=0)
    identity_weight: float = Field(default=0.1, ge=0)
    grid_weight: float = Field(default=5.0, ge=0)
    displacement_price: float = Field(default=0.005, ge=0)
    max_displacement_pixels: float = Field(default=4.0, gt=0)
    temporal_weight: float = Field(default=5.0, ge=0)
    temporal_shift: int = Field(default=8, ge=0, description="largest displacement, in full-size pixels")
    temporal_noise: float = Field(default=0.01, ge=0, description="of full scale 1")

    bfloat16: bool = True
    threads: int = Field(default=2, ge=1)
    seed: int = 7


class UnpairedTrainee:
    """Both generators and critics of an unpaired training, and how one step corrects them."""

    def __init__(self, options: UnpairedOptions, source: list[Picture], target: list[Picture]) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.source, self.target = source, target
        self.forth, self.back = (WarpMask(**options.network.model_dump()) for _ in range(2))
        self.critic_source, self.critic_target = (
            PatchCritic(4, options.critic_width, options.critic_halvings) for _ in range(2)
        )
        self.networks: dict[str, nn.Module] = {
            "forth": self.forth,
            "back": self.back,
            "critic_source": self.critic_source,
            "critic_target": self.critic_target,
        }
        generators = [*self.forth.parameters(), *self.back.parameters()]
        critics = [*self.critic_source.parameters(), *self.critic_target.parameters()]
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "generators": torch.optim.Adam(generators, lr=options.learning_rate, betas=(0.5, 0.99)),
            "critics": torch.optim.Adam(critics, lr=options.critic_learning_rate, betas=(0.5, 0.99)),
        }

    def step(self, index: int) -> dict[str, float]:
        """Correct both critics, then both generators, once; returns every weighted term."""
        options = self.options
        rng = np.random.default_rng([options.seed, 3, index])
        factor = draw_factor(options.factors, rng)
        source_B3SS = self._draw(self.source, 1.0, rng)
        target_B3SS = self._draw(self.target, factor**options.stroke_growth, rng)
        if index < options.copying_steps:
            terms = self._copying_terms(source_B3SS, target_B3SS, factor)
            correct(self.optimisers["generators"], terms)
            return {name: term.item() for name, term in terms.items()}
        made_target_B3SS, heads_B7ss = self._paint(self.forth, source_B3SS, factor)
        made_source_B3SS, back_heads_B7ss = self._paint(self.back, target_B3SS, factor)
        judged = {
            "critics true": true_term(self._judge(self.critic_source, source_B3SS, factor))
            + true_term(self._judge(self.critic_target, target_B3SS, factor)),
            "critics made": made_term(self._judge(self.critic_source, made_source_B3SS.detach(), factor))
            + made_term(self._judge(self.critic_target, made_target_B3SS.detach(), factor)),
        }
        correct(self.optimisers["critics"], judged)
        terms = {
            "belief target": options.adversarial_weight
            * belief_term(self._judge(self.critic_target, made_target_B3SS, factor)),
            "belief source": options.adversarial_weight
            * belief_term(self._judge(self.critic_source, made_source_B3SS, factor)),
            "cycle": options.cycle_weight
            * (
                cycle_term(self._paint(self.back, made_target_B3SS, factor)[0], source_B3SS)
                + cycle_term(self._paint(self.forth, made_source_B3SS, factor)[0], target_B3SS)
            ),
            "identity": options.identity_weight * self._identity(source_B3SS, target_B3SS, factor),
            "grid": options.grid_weight
            * (losses.grid(heads_B7ss[:, :3]) + losses.grid(back_heads_B7ss[:, :3])),
            "displacement": options.displacement_price
            * (
                losses.displacement_price(heads_B7ss[:, 4:6])
                + losses.displacement_price(back_heads_B7ss[:, 4:6])
            ),
        }
        if options.temporal_weight > 0:
            terms["temporal"] = options.temporal_weight * (
                self._temporal(self.forth, source_B3SS, made_target_B3SS, factor, rng)
                + self._temporal(self.back, target_B3SS, made_source_B3SS, factor, rng)
            )
        correct(self.optimisers["generators"], terms)
        return {name: term.item() for name, term in (terms | judged).items()}

    def _copying_terms(self, source_B3SS: Tensor, target_B3SS: Tensor, factor: float) -> dict[str, Tensor]:
        both = torch.cat([source_B3SS, target_B3SS])
        return {
            "copying": identity_term(self._paint(self.forth, both, factor)[0], both)
            + identity_term(self._paint(self.back, both, factor)[0], both)
        }

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
        noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
        moved_13SS = torch.roll(rgb_B3SS[:1], shift_yx, (2, 3))
        noisy_13SS = moved_13SS + options.temporal_noise * torch.randn(moved_13SS.shape, generator=noise)
        moved_output_13SS, _ = self._paint(generator, noisy_13SS.clamp(0, 1), factor)
        # What the roll brought in from the other side, and what sees it, is left out.
        inner = slice(options.crop // 4, -(options.crop // 4))
        return losses.temporal(
            moved_output_13SS[..., inner, inner],
            torch.roll(output_B3SS[:1], shift_yx, (2, 3))[..., inner, inner],
        )

    def _paint(self, generator: WarpMask, rgb_B3SS: Tensor, factor: float) -> tuple[Tensor, Tensor]:
        options = self.options
        return paint(generator, rgb_B3SS, factor, options.max_displacement_pixels, options.bfloat16)

    def _judge(self, critic: PatchCritic, picture_B3SS: Tensor, factor: float) -> Tensor:
        """Logits for pictures; the factor is laid beside them, as strokes grow with it."""
        plane_B1SS = torch.full_like(picture_B3SS[:, :1], float(np.log2(factor)) / 3)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bfloat16):
            logits_B1hw: Tensor = critic(torch.cat([picture_B3SS, plane_B1SS], dim=1))
        return logits_B1hw

    def _draw(self, pictures: list[Picture], enlargement: float, rng: np.random.Generator) -> Tensor:
        """A batch of random crops B3SS, half of them mirrored, of pictures enlarged by `enlargement`."""
        side = round(self.options.crop / enlargement)
        crops = []
        for index in rng.integers(len(pictures), size=self.options.batch):
            picture = pictures[index]
            top, left = (int(rng.integers(0, size - side + 1)) for size in picture.shape[:2])
            crop = picture[top : top + side, left : left + side][:, :: int(rng.choice([1, -1]))]
            crops.append(to_tensor(to_short_side(np.ascontiguousarray(crop), self.options.crop)))
        return torch.stack(crops)
