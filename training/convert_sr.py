"""Training of a conversion and super-resolution engine: a style picture is the target domain.

Each step sends crops through the converter twice, with different noise. Both outputs keep the content, take
the style and must look true to a critic; how far their styles are apart is set by a dial, times the amplitude
of the noise. The super-resolver learns from the converter's own outputs: they are the large pictures, their
reductions the small ones, and a second critic tells both kinds apart.

Legend of shapes: B crops, S side of a square of the feed, s side of a reduced crop, L channels of noise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from streamfx.engine.families.convert_sr import HEADS, SCALE, STRIDE, ConvertSr
from streamfx.engine.families.warp_mask import affine, anchor_mix
from streamfx.engine.spec import DETAIL_AMPLITUDE
from training import losses
from training.anchors import tie
from training.convert_sr_card import card
from training.convert_sr_options import ConvertSrOptions
from training.critic import PatchCritic, belief_term, made_term, true_term
from training.export import STRENGTH, export, golden
from training.features import Decoder, Encoder, adain
from training.feed import Feed
from training.fused import reduce, returning_clamp
from training.loop import correct
from training.loop import run as run_loop
from training.pictures import draw_factor, noisy
from training.style import open_style, style_features
from training.variety import style_difference, variety
from training.weights import start_from

log = logging.getLogger(__name__)


class ConvertSrTrainee:
    """The two stages, their critics, and what corrects them."""

    def __init__(self, options: ConvertSrOptions, network: ConvertSr, feed: Feed) -> None:
        self._options, self._network, self._feed = options, network, feed
        self._tie = tie(network)
        self._device = torch.device(options.loop.device)
        self._encoder, self._decoder = Encoder().to(self._device), Decoder().to(self._device)
        self._style_13HW = open_style(options.style).to(self._device)
        self._style_features = style_features(self._encoder, self._style_13HW)
        self._grams: dict[float, list[Tensor]] = {}
        self._critic = PatchCritic(3).to(self._device)
        self._detail_critic = PatchCritic(3, halvings=2).to(self._device)
        self.networks = {
            "generator": network, "critic": self._critic, "detail_critic": self._detail_critic,
        }  # fmt: skip
        rates = {"generator": options.loop.learning_rate, "critic": options.critic_rate}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(self.networks[name].parameters(), rates.get(name, options.critic_rate),
                                   betas=(0.9 if name == "generator" else 0.5, 0.999))
            for name in self.networks
        }  # fmt: skip

    def step(self, number: int) -> dict[str, float]:
        """Correct generator and critics once; returns every weighted term."""
        options = self._options
        rng = np.random.default_rng([options.loop.seed, 7, number])
        factor = draw_factor(options.factors, rng)
        self._tie.on = number < options.tied * options.total_steps
        reduced_B3ss = self._reduced(number, factor)
        if number < options.teacher_steps:
            return correct(self.optimisers["generator"], self._imitation(reduced_B3ss, factor, rng))
        amplitude = float(rng.uniform(0, 1)) if rng.random() < 0.5 else 1.0
        return self._correct_all(reduced_B3ss, factor, amplitude, rng)

    def grams(self, factor: float) -> list[Tensor]:
        """Gram matrices 1CC of the style picture, reduced as the source is; computed once."""
        if factor not in self._grams:
            with torch.no_grad(), self._options.loop.precision():
                features = self._encoder(reduce(self._style_13HW, factor))
            self._grams[factor] = [losses.gram(layer) for layer in features]
        return self._grams[factor]

    def _reduced(self, number: int, factor: float) -> Tensor:
        """Crops B3ss of batch `number`, reduced."""
        squares_BSS3 = self._feed.batch(number)[:, 0]
        full = squares_BSS3.shape[1]
        side = min(self._options.side, int(full / factor) // 8 * 8)
        used = round(side * factor)
        codes_BSS3 = torch.from_numpy(squares_BSS3[:, :used, :used]).to(self._device)
        return reduce(codes_BSS3.permute(0, 3, 1, 2).float() / 255, factor)

    def _noise(self, like_B3ss: Tensor, amplitude: float, rng: np.random.Generator) -> Tensor:
        network = self._options.network
        channels = network.convert_noise + network.enlarge_noise
        shape = (like_B3ss.shape[0], channels, *like_B3ss.shape[2:])
        return amplitude * torch.from_numpy(rng.standard_normal(shape, np.float32)).to(self._device)

    def _mix(self, factor: float) -> Tensor:
        return anchor_mix(torch.tensor([factor], device=self._device))

    def _imitation(self, rgb_B3ss: Tensor, factor: float, rng: np.random.Generator) -> dict[str, Tensor]:
        with torch.no_grad(), self._options.loop.precision():
            features = self._encoder(rgb_B3ss)[-1]
            side = rgb_B3ss.shape[-1]
            teacher_B3ss = self._decoder(adain(features, self._style_features[-1]))[..., :side, :side]
        with self._options.loop.precision():
            made_B3ss = self._convert(rgb_B3ss, self._noise(rgb_B3ss, 1.0, rng), self._mix(factor))
        return {"imitation": losses.imitation(made_B3ss, teacher_B3ss.float().clamp(0, 1))}

    def _convert(self, rgb_B3ss: Tensor, noise: Tensor, mix_A: Tensor) -> Tensor:
        """As `ConvertSr.convert`, but what was clamped can come back."""
        converter = self._network.converter
        made_B3ss: Tensor = converter(rgb_B3ss, noise[:, : self._options.network.convert_noise], mix_A)
        return returning_clamp(made_B3ss.float(), 0.0, 1.0)

    def _correct_all(
        self, rgb_B3ss: Tensor, factor: float, amplitude: float, rng: np.random.Generator
    ) -> dict[str, float]:
        options = self._options
        mix_A = self._mix(factor)
        noises = [self._noise(rgb_B3ss, amplitude, rng) for _ in range(2)]
        with options.loop.precision():
            made = [self._convert(rgb_B3ss, noise, mix_A) for noise in noises]
            enlarged_B3ss, large_B3ss = self._enlarge(made[0].detach(), amplitude, factor, rng)
        terms = self._looks(rgb_B3ss, made, factor, amplitude)
        terms["temporal"] = options.temporal_weight * self._temporal(rgb_B3ss, noises[0], made[0], mix_A, rng)
        terms["enlarge"] = options.enlarge_weight * (enlarged_B3ss - large_B3ss).abs().mean()
        with options.loop.precision():
            believed = belief_term(self._critic(torch.cat(made)))
            believed_detail = belief_term(self._detail_critic(enlarged_B3ss))
        terms["adversarial"] = options.adversarial_weight * believed
        terms["detail_adversarial"] = options.adversarial_weight * believed_detail
        values = correct(self.optimisers["generator"], terms)
        true_B3ss = self._style_crops(made[0], factor, rng)
        values |= self._correct_critic("critic", true_B3ss, torch.cat(made).detach())
        return values | self._correct_critic("detail_critic", large_B3ss, enlarged_B3ss.detach())

    def _enlarge(
        self, large_B3ss: Tensor, amplitude: float, factor: float, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """The converter's pictures, reduced and enlarged again by the super-resolver, and as they were."""
        small_B3hh = reduce(large_B3ss, SCALE)
        noise = self._noise(small_B3hh, amplitude, rng)[:, self._options.network.convert_noise :]
        yuv_B3ss = self._network.enlarger(small_B3hh, noise, self._mix(SCALE * factor)).float()
        return affine(yuv_B3ss, functional.pad(self._network.from_yuv, (0, 1))), large_B3ss

    def _looks(
        self, rgb_B3ss: Tensor, made: Sequence[Tensor], factor: float, amplitude: float
    ) -> dict[str, Tensor]:
        """What the encoder sees in both outputs: style, content, and how much noise varies the style."""
        options, targets = self._options, self.grams(factor)
        with torch.no_grad(), options.loop.precision():
            *_, fine, coarse = self._encoder(rgb_B3ss)
        target_B = adain(coarse.float(), self._style_features[-1])
        with options.loop.precision():
            features = [self._encoder(picture) for picture in made]
        grams = [[losses.gram(layer) for layer in layers] for layers in features]
        difference_B = style_difference(grams[0], grams[1], targets)
        terms = [
            (
                losses.style(matrices, targets, options.style_pooling),
                losses.content(layers[-1], target_B),
                losses.structure(layers[-2], fine),
                losses.tone(picture, rgb_B3ss, cell_pixels=8),
                losses.grid(picture, 32, 4),
            )
            for matrices, layers, picture in zip(grams, features, made, strict=True)
        ]
        style, content, structure, tone, grid = (
            torch.stack(both).mean() for both in zip(*terms, strict=True)
        )
        return {
            "style": style,
            "content": options.content_weight * content,
            "structure": options.structure_weight * structure,
            "tone": options.tone_weight * tone,
            "grid": options.grid_weight * grid,
            "variety": options.variety_weight * variety(difference_B, options.variety * amplitude),
        }

    def _temporal(
        self, rgb_B3ss: Tensor, noise: Tensor, made_B3ss: Tensor, mix_A: Tensor, rng: np.random.Generator
    ) -> Tensor:
        """The picture moves by whole pixels; the noise, fixed for a shot, does not."""
        down, right = (int(shift) for shift in rng.integers(-4, 5, 2))
        moved_B3ss = noisy(rgb_B3ss.roll((down, right), (2, 3)), rng, self._options.temporal_noise)
        with self._options.loop.precision():
            again_B3ss = self._convert(moved_B3ss, noise, mix_A)
        # What the roll brought in from the other side, and what sees it, is left out: convolutions of a
        # trained converter see 20 pixels far. Beyond, its norms see the whole picture alike.
        margin = rgb_B3ss.shape[-1] // 4
        inside = (..., slice(margin, -margin), slice(margin, -margin))
        return losses.temporal(again_B3ss[inside], made_B3ss.roll((down, right), (2, 3))[inside])

    def _style_crops(self, like_B3ss: Tensor, factor: float, rng: np.random.Generator) -> Tensor:
        """True pictures: random crops of the style picture, reduced as the source is."""
        style_13HW = reduce(self._style_13HW, factor)
        batch, side = like_B3ss.shape[0], min(like_B3ss.shape[-1], *style_13HW.shape[-2:])
        places = [[int(rng.integers(0, n - side + 1)) for n in style_13HW.shape[-2:]] for _ in range(batch)]
        return torch.cat([style_13HW[..., y : y + side, x : x + side] for y, x in places])

    def _correct_critic(self, name: str, true_B3ss: Tensor, made_B3ss: Tensor) -> dict[str, float]:
        critic: nn.Module = self.networks[name]
        with self._options.loop.precision():
            terms = {
                f"{name}_true": true_term(critic(true_B3ss)),
                f"{name}_made": made_term(critic(made_B3ss)),
            }
        return correct(self.optimisers[name], terms)


def run(options: ConvertSrOptions) -> None:
    """Train and write the engine."""
    network = train(options)
    frame = golden(network, noise_channels=options.network.convert_noise + options.network.enlarge_noise)
    engine = export(network, options.out, engine_fields(options), frame, card(options))
    log.info("wrote engine %s to %s", engine.name, engine.folder)


def train(options: ConvertSrOptions, on_step: Callable[[int], None] | None = None) -> ConvertSr:
    """The trained network, in evaluation mode; goes on from the checkpoint in `options.work`, if any."""
    torch.manual_seed(options.loop.seed)
    network = ConvertSr(**options.network.model_dump())
    if options.init is not None:
        start_from(network, options.init)
    network.to(options.loop.device)
    with Feed(options.feed, options.loop.seed) as feed:
        run_loop(
            ConvertSrTrainee(options, network, feed),
            options.loop,
            options.total_steps,
            options.work,
            recipe=options,
            phase_starts=(0, options.teacher_steps),
            on_step=on_step,
        )
    return network


def engine_fields(options: ConvertSrOptions) -> dict[str, Any]:
    """Fields of engine.yaml."""
    network = options.network
    return {
        "name": options.out.name,
        "version": options.version,
        "family": "convert_sr",
        "options": network.model_dump(exclude={} if network.joint else {"joint"}),
        "stride": STRIDE,
        "factors": sorted(
            {max(factor, SCALE) for factor in options.factors}
        ),  # as large as the frame at most
        "heads": list(HEADS),
        "scale": SCALE,
        "noise_channels": network.convert_noise + network.enlarge_noise,
        "source_domain": "photo",
        "target_domain": options.target_domain,
        "format": 4,
        "detail_noise_channels": network.enlarge_noise,
        "controls": STRENGTH
        | {name: {"low": 0.0, "high": 1.0, "default": 1.0} for name in ("noise_amplitude", DETAIL_AMPLITUDE)},
        "licence": options.licence,
    }
