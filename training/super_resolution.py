"""Training of a super-resolution engine, x2 with the same weights at every level.

After JP7446997B2 and Navarrete Michelini, Zhu, Liu, "Multi-Scale Recursive and Perception-Distortion
Controllable Image Super-Resolution" (2018).

First distortion alone; then, in one step of `perception_every`, squares go through twice: without noise for
the lowest distortion, with noise of amplitude 1 for the best perception.

Legend of shapes: B squares, S their side, pictures of a level B3S_lS_l.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from streamfx.engine.families.super_resolution import HEADS, MOST_LEVELS, SCALE, STRIDE, SuperResolution
from training import loop, losses
from training.contextual import contextual_of_layers
from training.engine_folder import EngineFolder
from training.export import STRENGTH, export, golden
from training.features import Encoder
from training.feed import Feed, FeedOptions
from training.loop import LoopOptions
from training.metrics import perceptual_distance
from training.relativistic import ScaleCritic, relativistic
from training.super_resolution_card import card
from training.upscaled import draw_noise, reduce_bicubic, to_8_bits, upscale
from training.weights import WeightsFile, start_from

log = logging.getLogger(__name__)

_DEEPEST = 3  # the encoder's layers relu1_1, relu2_1 and relu3_1: detail, not content


class SuperResolutionNetworkOptions(BaseModel):
    """Sizes of the network."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: int = Field(default=32, ge=2, multiple_of=2)
    rounds: int = Field(default=2, ge=0, description="rounds of back-projection")
    levels: int = Field(
        default=1,
        ge=1,
        le=MOST_LEVELS,
        description="number of doublings that the engine makes at once: with more than one, features are "
        "corrected down to those of the picture that went in",
    )
    shared: bool = Field(
        default=False, description="whether all rounds of back-projection have the same weights"
    )
    noisy: bool = Field(
        default=False, description="whether noise goes into every round of back-projection as well"
    )


class SuperResolutionOptions(BaseModel):
    """Settings of `python -m training upscale`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feed: FeedOptions
    out: EngineFolder = Field(description="engine folder to write")
    out_twice: EngineFolder | None = Field(
        default=None,
        description="engine folder to write besides, of the first level alone: with the weights that all "
        "levels have it makes pictures twice as large",
    )
    work: Path = Field(description="folder for checkpoint and log")
    init: WeightsFile | None = Field(
        default=None, description="weights.safetensors of a finished engine to start from"
    )
    version: str = "1.0.0"
    licence: str = "Apache-2.0"

    network: SuperResolutionNetworkOptions = Field(default_factory=SuperResolutionNetworkOptions)
    distortion_steps: int = Field(
        default=8000, ge=0, description="number of steps with the distortion terms alone"
    )
    perception_steps: int = Field(
        default=1200, ge=0, description="number of steps in which all terms take part, in turns"
    )
    perception_every: int = Field(
        default=3,
        ge=1,
        description="number of steps of which one sees all terms; the others, cheaper, distortion alone",
    )
    loop: LoopOptions = Field(default_factory=LoopOptions)
    levels: int = Field(
        default=2, ge=1, le=MOST_LEVELS, description="number of doublings that are seen in training"
    )
    second_level: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="share of the steps with distortion alone that see all levels, not only x2",
    )
    noisy_squares: int = Field(
        default=4, ge=1, description="squares of each batch that go through a second time, with noise"
    )

    distortion_weight: float = Field(default=10.0, ge=0)
    contextual_weight: float = Field(default=0.1, ge=0)
    contextual_places: int = Field(
        default=1024, ge=2, description="number of places of each layer that are compared"
    )
    perceptual_weight: float = Field(default=2.0, ge=0)
    grid_weight: float = Field(
        default=1000.0, ge=0, description="weight against patterns that repeat with the pixels that went in"
    )
    adversarial_weight: float = Field(default=0.001, ge=0)
    critic_width: int = Field(default=24, ge=1)
    critic_rate: float = Field(default=2e-4, gt=0, description="learning rate of the critic")

    @property
    def total_steps(self) -> int:
        """Steps of both phases."""
        return self.distortion_steps + self.perception_steps

    @model_validator(mode="after")
    def _check(self) -> SuperResolutionOptions:
        wrong = []
        if self.feed.crop % 2 ** (self.levels + 1):
            wrong.append(f"feed.crop {self.feed.crop} is not a multiple of {2 ** (self.levels + 1)}")
        if self.feed.crop < 48:
            wrong.append(f"feed.crop {self.feed.crop} is less than 48")
        if self.noisy_squares > self.feed.batch:
            wrong.append(f"noisy_squares {self.noisy_squares} is more than feed.batch {self.feed.batch}")
        if self.network.levels > self.levels:
            wrong.append(
                f"network.levels {self.network.levels} is more than levels {self.levels}, which are trained"
            )
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class SuperResolutionTrainee:
    """The network, its critic and what corrects both."""

    def __init__(self, options: SuperResolutionOptions, network: SuperResolution, feed: Feed) -> None:
        self._options, self._network, self._feed = options, network, feed
        self._device = torch.device(options.loop.device)
        self._critic = ScaleCritic(options.levels, options.critic_width).to(self._device)
        self._encoder = Encoder().to(self._device)
        generator = torch.optim.Adam(network.parameters(), lr=options.loop.learning_rate)
        critic = torch.optim.Adam(self._critic.parameters(), lr=options.critic_rate, betas=(0.5, 0.9))
        self.networks = {"generator": network, "critic": self._critic}
        self.optimisers = {"generator": generator, "critic": critic}

    def step(self, number: int) -> dict[str, float]:
        """Correct the network once, and in the second phase its critic; returns every weighted term."""
        options = self._options
        since = number - options.distortion_steps
        perception = since >= 0 and since % options.perception_every == 0
        rng = np.random.default_rng([options.loop.seed, 6, number])
        levels = options.levels if perception or rng.random() < options.second_level else 1
        truths, low = self._pictures(number, levels, turns=int(rng.integers(4)))
        terms = self._distortion(low, truths)
        if not perception:
            return loop.correct(self.optimisers["generator"], terms)
        random = torch.Generator().manual_seed(int(rng.integers(2**62)))
        seen, low = [truth[: options.noisy_squares] for truth in truths], low[: options.noisy_squares]
        with options.loop.precision():
            noisy = upscale(self._network, low, draw_noise(low, levels, 1.0, random))
        terms |= self._perception(noisy, seen, low, random)
        terms["grid"] = options.grid_weight * grid(noisy, seen)
        terms["adversarial"] = options.adversarial_weight * relativistic(*self._scores(noisy, seen))
        values = loop.correct(self.optimisers["generator"], terms)
        made = [picture.detach() for picture in noisy]
        scores_made, scores_true = self._scores(made, seen)
        critic = {"critic": relativistic(scores_true, scores_made)}
        return values | loop.correct(self.optimisers["critic"], critic)

    def _pictures(self, number: int, levels: int, turns: int) -> tuple[list[Tensor], Tensor]:
        """The true pictures of every level, the smallest first, and the picture to enlarge, in 8 bits."""
        squares = torch.from_numpy(self._feed.batch(number)[:, 0]).to(self._device)
        true_B3SS = torch.rot90(squares.permute(0, 3, 1, 2), turns, (2, 3)).float().contiguous() / 255
        truths = [reduce_bicubic(true_B3SS, SCALE**smaller) for smaller in reversed(range(levels))]
        return truths, to_8_bits(reduce_bicubic(true_B3SS, SCALE**levels))

    def _distortion(self, low: Tensor, truths: Sequence[Tensor]) -> dict[str, Tensor]:
        """Mean absolute differences, summed over levels: to the truth, and once reduced again to what went
        in."""
        quiet = draw_noise(low, len(truths), 0.0, torch.Generator())
        with self._options.loop.precision():
            outputs = upscale(self._network, low, quiet)
        weight = self._options.distortion_weight
        pairs = list(zip(outputs, truths, strict=True))
        return {
            "distortion": weight * _sum((output - truth).abs().mean() for output, truth in pairs),
            "consistency": weight * _sum((small - low).abs().mean() for small in reduced_again(outputs)),
        }

    def _perception(
        self, outputs: Sequence[Tensor], truths: Sequence[Tensor], low: Tensor, random: torch.Generator
    ) -> dict[str, Tensor]:
        """What the encoder sees, summed over levels: the contextual loss to the truth, and once reduced again
        to what went in; and the perceptual distance to the truth, place by place."""
        options = self._options
        with torch.no_grad():
            *wanted, wanted_low = (self._layers(picture) for picture in (*truths, low))
        found = [self._layers(picture) for picture in outputs]
        again = [self._layers(picture) for picture in reduced_again(outputs)]
        contextual = _sum(
            contextual_of_layers(layers[1:], true_layers[1:], options.contextual_places, random)
            for layers, true_layers in (
                *zip(found, wanted, strict=True),
                *((layers, wanted_low) for layers in again),
            )
        )
        perceptual = _sum(
            perceptual_distance(layers, true_layers).mean()
            for layers, true_layers in zip(found, wanted, strict=True)
        )
        return {
            "contextual": options.contextual_weight * contextual,
            "perceptual": options.perceptual_weight * perceptual,
        }

    def _layers(self, rgb_B3HW: Tensor) -> list[Tensor]:
        with self._options.loop.precision():
            layers: list[Tensor] = self._encoder(rgb_B3HW, _DEEPEST)
        return layers

    def _scores(self, outputs: Sequence[Tensor], truths: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        with self._options.loop.precision():
            made, true = self._critic(outputs), self._critic(truths)
        return made.float(), true.float()


def reduced_again(outputs: Sequence[Tensor]) -> list[Tensor]:
    """Outputs of all levels at the size of what went in."""
    return [reduce_bicubic(output, SCALE ** (level + 1)) for level, output in enumerate(outputs)]


def grid(outputs: Sequence[Tensor], truths: Sequence[Tensor]) -> Tensor:
    """Sum over levels of the grid in what differs from the truth; scalar.

    A pixel that goes in becomes 2 x 2 pixels, then 4 x 4: a pattern that repeats so is what a network invents
    first, and what is seen first.
    """
    squares = [SCALE ** (level + 1) for level in range(len(outputs))]
    return _sum(
        losses.grid(output - truth, 4 * square, square)
        for output, truth, square in zip(outputs, truths, squares, strict=True)
    )


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()


def run(options: SuperResolutionOptions) -> None:
    """Train and write the engine."""
    network = train(options)
    written = [(network, options.out, options.network)]
    if options.out_twice is not None:
        once = options.network.model_copy(update={"levels": 1})
        written.append((first_level(network, once), options.out_twice, once))
    for each, out, sizes in written:
        frame = golden(each, factor=1.0, noise_channels=each.noise_channels, grain=0.05)
        described = options.model_copy(update={"out": out, "network": sizes})
        engine = export(each, out, fields(described, each), frame, card(described))
        log.info("wrote engine %s to %s", engine.name, engine.folder)


def first_level(network: SuperResolution, options: SuperResolutionNetworkOptions) -> SuperResolution:
    """A network of one level with the weights that a network of several has for its levels."""
    once = SuperResolution(**options.model_dump())
    weights = network.state_dict()
    once.load_state_dict({name: weights[name] for name in once.state_dict()})
    return once.eval()


def train(options: SuperResolutionOptions, on_step: Callable[[int], None] | None = None) -> SuperResolution:
    """The trained network, in evaluation mode; goes on from the checkpoint in `options.work`, if any."""
    torch.manual_seed(options.loop.seed)
    network = SuperResolution(**options.network.model_dump())
    if options.init is not None:
        start_from(network, options.init, may_lack=_of_options(network))
    network.to(options.loop.device)
    with Feed(options.feed, options.loop.seed) as feed:
        loop.run(
            SuperResolutionTrainee(options, network, feed),
            options.loop,
            options.total_steps,
            options.work,
            recipe=options,
            phase_starts=sorted({0, options.distortion_steps}),
            on_step=on_step,
        )
    return network


def _of_options(network: SuperResolution) -> list[str]:
    """Names of the weights that a network of one level, without noise in its rounds, has not: they begin
    where they change nothing."""
    noisy = [f"rounds.{number}.blend" for number in range(len(network.rounds))]
    return [name for name in network.state_dict() if name in ("carry", "thin", *noisy)]


def fields(options: SuperResolutionOptions, network: SuperResolution) -> dict[str, Any]:
    """Fields of engine.yaml."""
    sizes = options.network
    further = sizes.model_dump(exclude_defaults=True, exclude={"features", "rounds"})
    return {
        "format": 4 if further else 1,
        "version": options.version,
        "family": "super_resolution",
        "options": {"features": sizes.features, "rounds": sizes.rounds} | further,
        "stride": STRIDE,
        "factors": [1.0],
        "heads": list(HEADS),
        "max_displacement_pixels": 0.0,
        "noise_channels": network.noise_channels,
        "scale": SCALE**network.levels,
        "margin_pixels": network.margin_pixels,
        "source_domain": "photo",
        "target_domain": "enlargement",
        "controls": STRENGTH | {"noise_amplitude": {"low": 0.0, "high": 1.0, "default": 0.0}},
        "licence": options.licence,
    }
