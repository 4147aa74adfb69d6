"""Training of the engine that tells people from the background: MediaPipe's network, led on.

The weights of a network that knows people in front of a camera are the start; they learn what a slow operator
adds to them: people who are far away, people who are several, borders at full size, and that what stands out
is not a person for that alone. All terms are of the matte at full size, as the runtime forms it.

Legend of shapes: B pictures, H x W full size.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from streamfx.engine.families.matting import HEADS, STRIDE, Matting
from training.composed import ComposedFeed, Composer, Masked
from training.export import export, golden
from training.fused import returning_clamp
from training.loop import correct
from training.loop import run as run_loop
from training.matte import matte
from training.matting_start import start_from_mediapipe
from training.pairs import sometimes_dark, stack
from training.person_card import card
from training.person_options import PersonOptions
from training.pictures import Picture, noisy, spoiled
from training.weights import start_from

log = logging.getLogger(__name__)

_LEVELS = 5  # of the pyramid
_NEARLY = 0.02
_BESIDE = 0.2
"""Share of the mean size of the weights of an output channel in the step of each."""
_MOST_BLUR = 1.6  # deviation, in pixels
_BLURRED_SHARE = 0.4  # of the pictures that are spoiled


def run(options: PersonOptions) -> None:
    """Train and write the engine."""
    network = train(options)
    engine = export(network, options.out, engine_fields(options), golden(network), card(options))
    log.info("wrote engine %s to %s", engine.name, engine.folder)


def engine_fields(options: PersonOptions) -> dict[str, Any]:
    """Fields of engine.yaml."""
    return {
        "format": 4,
        "version": options.version,
        "family": "matting",
        "options": {"detail": options.detail},
        "stride": STRIDE,
        "heads": list(HEADS),
        "factors": sorted(options.offered),
        "memory_tolerance": options.memory_tolerance,
        "source_domain": "photo",
        "target_domain": "matte",
        "licence": options.licence,
    }


def train(options: PersonOptions, on_step: Callable[[int], None] | None = None) -> Matting:
    """The trained network, in evaluation mode; goes on from the checkpoint in `options.work`, if any."""
    composer = Composer(options.composed, options.loop.seed)
    with closing(ComposedFeed(composer, options.composed, options.batch, options.loop.seed)) as feed:
        trainee = PersonTrainee(options, feed)
        run_loop(trainee, options.loop, options.steps, options.work, recipe=options, on_step=on_step)
    return trainee.network.eval()


class PersonTrainee:
    """The network, and how one step corrects it."""

    def __init__(self, options: PersonOptions, feed: ComposedFeed) -> None:
        torch.manual_seed(options.loop.seed)
        self.options, self.feed = options, feed
        self.network = begin(options).to(options.loop.device)
        self.networks = {"network": self.network}
        own = [self.network.around, self.network.answer, self.network.slopes]
        new = [parameter for layer in own for parameter in layer.parameters()]
        known = {id(parameter) for parameter in new}
        rest = [parameter for parameter in self.network.parameters() if id(parameter) not in known]
        rate = options.loop.learning_rate
        groups = [{"params": rest, "lr": rate}, {"params": new, "lr": options.detail_rate}]
        adam = torch.optim.Adam(groups, betas=(0.9, 0.99))
        step_in_proportion(adam, rest)
        self.optimisers = {"network": adam}

    def step(self, number: int) -> dict[str, float]:
        """Correct the network once; returns every weighted term."""
        options, device = self.options, self.options.loop.device
        rng = np.random.default_rng([options.loop.seed, 3, number])
        factor, drawn = self.feed.draw(number, options.factors)
        drawn = [_mirrored(one) if rng.random() < 0.5 else one for one in drawn]
        masks = [torch.from_numpy(np.ascontiguousarray(one.mask)).float()[None] / 255 for one in drawn]
        wanted_B1HW = sure(torch.stack(masks)).to(device)
        seen_B3HW = stack([self._spoil(one.picture, rng) for one in drawn]).to(device)
        found_B1HW = self._matte(seen_B3HW, factor)
        terms = likeness(found_B1HW, wanted_B1HW, options.difference_weight, options.pyramid_weight)
        if options.steady_weight > 0 and number % options.steady_every == 0:
            other_13HW = noisy(seen_B3HW[:1], rng, options.steady_noise)
            other_11HW = self._matte(other_13HW, factor).clamp(0, 1)
            terms["steady"] = options.steady_weight * (other_11HW - found_B1HW[:1].clamp(0, 1)).abs().mean()
        return correct(self.optimisers["network"], terms)

    def _matte(self, rgb_B3HW: Tensor, factor: float) -> Tensor:
        return matte(self.network, rgb_B3HW, factor, self.options.loop.precision())

    def _spoil(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """A picture as a poor camera gives it, or as it is; by chance dark."""
        options = self.options
        picture = sometimes_dark(picture, rng)
        if rng.random() >= options.spoiled_share:
            return picture
        if rng.random() < _BLURRED_SHARE:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, _MOST_BLUR)), np.uint8)
        deviation = float(rng.uniform(0, options.spoiled_noise))
        return spoiled(picture, rng, deviation, int(rng.integers(options.spoiled_quality, 101)))


def begin(options: PersonOptions) -> Matting:
    """The network that a training starts from."""
    network = Matting(options.detail)
    if options.init is not None:
        start_from(network, options.init)
    else:
        start_from_mediapipe(network, options.start)
    return network


def step_in_proportion(optimiser: torch.optim.Optimizer, weights: Sequence[nn.Parameter]) -> None:
    """Let an optimiser change weights in proportion to what each is now, and a little to those beside it.

    The weights of a network whose normalisation was folded into them are of very different sizes, from
    0.01 to 30: steps of one size for all would tear it apart.
    """
    scales = [_scale(weight.detach()) for weight in weights]
    before: list[Tensor] = []

    def keep(*_: object) -> None:
        before[:] = [weight.detach().clone() for weight in weights]

    def shrink(*_: object) -> None:
        with torch.no_grad():
            for weight, old, scale in zip(weights, before, scales, strict=True):
                weight.copy_(old + scale * (weight - old))

    optimiser.register_step_pre_hook(keep)
    optimiser.register_step_post_hook(shrink)


def _scale(weight: Tensor) -> Tensor:
    """Size of each weight, with a share of those of its output channel."""
    beside = tuple(range(1, weight.ndim)) or (0,)
    return weight.abs() + _BESIDE * weight.square().mean(beside, keepdim=True).sqrt()


def sure(mask_B1HW: Tensor) -> Tensor:
    """A mask in which whatever is nearly nobody is nobody, and whatever is nearly a person is one."""
    return ((mask_B1HW - _NEARLY) / (1 - 2 * _NEARLY)).clamp(0, 1)


def likeness(
    found_B1HW: Tensor, wanted_B1HW: Tensor, difference_weight: float = 1.0, pyramid_weight: float = 1.0
) -> dict[str, Tensor]:
    """Terms for a matte that is not clamped yet.

    Where it is wrong beyond 0 or 1, the gradient of its difference still leads back. The gradient of the
    pyramid must not lead back, because the pyramid looks at more than one pixel, and what passes a clamp in
    one direction only is then no gradient of anything. A training went wrong by it within 20 steps.
    """
    difference = (returning_clamp(found_B1HW, 0.0, 1.0) - wanted_B1HW).abs().mean()
    return {
        "difference": difference_weight * difference,
        "pyramid": pyramid_weight * pyramid(found_B1HW.clamp(0, 1), wanted_B1HW),
    }


def pyramid(found_B1HW: Tensor, wanted_B1HW: Tensor) -> Tensor:
    """Difference of two mattes in the levels of their Laplacian pyramids, each twice as coarse and counted
    twice as much as the one before (Hou, Liu, "Context-Aware Image Matting for Simultaneous Foreground and
    Alpha Estimation", 2019)."""
    rest = found_B1HW - wanted_B1HW
    total = rest.new_zeros(())
    for level in range(_LEVELS):
        coarse = functional.avg_pool2d(rest, 2, ceil_mode=True, count_include_pad=False)
        back = functional.interpolate(coarse, size=rest.shape[-2:], mode="bilinear", align_corners=False)
        total = total + 2**level * (rest - back).abs().mean()
        rest = coarse
    return total / _LEVELS


def _mirrored(one: Masked) -> Masked:
    return Masked(np.ascontiguousarray(one.picture[:, ::-1]), np.ascontiguousarray(one.mask[:, ::-1]))
