"""Training of an engine on one style picture: warp-and-mask or, without the last phase, luma/chroma.

Three phases, because with everything free from the start the mask closes within a hundred steps, or the
network settles for a change of palette: imitate a teacher (AdaIN); then style and content losses on the bare
translation (mask 1, displacement and gain 0); then the losses on the fused full-size output with all heads
released, each at a price, at random factors. With `imitation_weight` the picture at factor 1 is finished
before the last phase, which brings the larger factors near it: same strokes, same edges, same faces.

Legend of shapes: B crops, S side of a crop, W side of the window around it, w reduced window.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from streamfx.engine.families.warp_mask import FactorConv, WarpMask, anchor_mix
from streamfx.engine.families.yuv_style import YuvStyle
from training import loop, losses
from training.anchors import hold, spread
from training.card import style_card
from training.export import export, golden_of, style_fields
from training.features import Decoder, Encoder, adain
from training.fused import FROM_YUV, TO_YUV, bare, complete, fuse_rgb, heads_of, recolour, reduce
from training.options import StyleOptions
from training.pictures import draw_factor, noisy, read_still, to_short_side, to_tensor
from training.pool import Pool, open_pool
from training.weights import start_from

log = logging.getLogger(__name__)

STYLE_SHORT_SIDE = 480
_LIKENESS = (1.0, 1.0, 1.0, 0.5)  # weights of the encoder's layers

StyleNetwork: TypeAlias = WarpMask | YuvStyle


@dataclass
class StyleSetup:
    """What stays the same during a training: pictures, frozen networks, the style's Gram matrices."""

    options: StyleOptions
    pool: Pool
    encoder: Encoder
    decoder: Decoder
    style_features: list[Tensor]
    style_rgb_13HW: Tensor
    style_grams: list[Tensor]
    grams_at: dict[float, list[Tensor]] = field(default_factory=dict)
    source_features: dict[int, list[Tensor]] = field(default_factory=dict)
    teacher_pictures: dict[int, Tensor] = field(default_factory=dict)
    own_pictures: dict[int, Tensor] = field(default_factory=dict)

    def grams(self, factor: float) -> list[Tensor]:
        """Gram matrices 1CC that outputs at a factor are compared with; computed once.

        A share `style_reach` is of the style picture reduced and enlarged. What is finer than reduced pixels
        cannot be painted everywhere; a network asked for it stamps the same dark marks all over the picture.
        """
        if factor not in self.grams_at:
            with torch.no_grad(), self.precision():
                reduced = [losses.gram(layer) for layer in self.encoder(bare(self.style_rgb_13HW, factor))]
            reach = self.options.style_reach
            self.grams_at[factor] = [
                reach * near + (1 - reach) * whole
                for near, whole in zip(reduced, self.style_grams, strict=True)
            ]
        return self.grams_at[factor]

    def source(self, index: int) -> list[Tensor]:
        """What the output's features at relu3_1 and relu4_1 are compared with, 1Css each; computed once.

        At relu4_1 these are the source's features with the style's moments, the target of Huang, Belongie
        (2017): content that does not pull against style; or, if asked for, the source's own.
        """
        if index not in self.source_features:
            with torch.no_grad(), self.precision():
                features = self.encoder(self.pool.crop(index).rgb()[None].to(self.device))[-2:]
            target = features[-1]
            if self.options.content_of == "style":
                target = adain(target.float(), self.style_features[-1])
            self.source_features[index] = [layer.to(torch.bfloat16) for layer in (features[0], target)]
        return self.source_features[index]

    def teacher(self, index: int) -> Tensor:
        """The teacher's picture 13SS of a crop; computed once."""
        if index not in self.teacher_pictures:
            target = self.source(index)[-1].float()
            if self.options.content_of == "source":
                target = adain(target, self.style_features[-1])
            with torch.no_grad(), self.precision():
                picture = self.decoder(target).float().clamp(0, 1)
            self.teacher_pictures[index] = picture[..., : self.options.crop, : self.options.crop].half()
        return self.teacher_pictures[index]

    def precision(self) -> torch.autocast:
        """Context in which networks run."""
        return self.options.loop.precision()

    @property
    def device(self) -> str:
        """Where networks run."""
        return self.options.loop.device


def open_setup(options: StyleOptions) -> StyleSetup:
    """Read pictures and style and load the frozen networks. Close its pool after use.

    Raises:
        ValueError: The style picture cannot be read, or there is no training picture.
    """
    encoder, decoder = Encoder().to(options.loop.device), Decoder().to(options.loop.device)
    style_rgb_13HW = open_style(options.style).to(options.loop.device)
    features = style_features(encoder, style_rgb_13HW)
    grams = [losses.gram(layer) for layer in features]
    pool = open_pool(
        options.content, options.exclude, options.crops, options.crop, options.clip_share, options.loop.seed
    )
    return StyleSetup(options, pool, encoder, decoder, features, style_rgb_13HW, grams)


def open_style(path: Path) -> Tensor:
    """The style picture 13HW at short side 480, RGB in [0, 1].

    Raises:
        ValueError: The picture cannot be read.
    """
    picture = read_still(path)
    if picture is None:
        raise ValueError(f"style picture {path} cannot be read: not a picture file, or no permission")
    return to_tensor(to_short_side(picture, STYLE_SHORT_SIDE))[None]


def style_features(encoder: Encoder, style_13HW: Tensor) -> list[Tensor]:
    """Features of the style picture, float32."""
    with torch.no_grad():
        features: list[Tensor] = encoder(style_13HW)
    return features


def run(options: StyleOptions) -> None:
    """Train and write the engine."""
    network = train(options)
    fields, card = style_fields(options), style_card(options)
    engine = export(network, options.out, fields, golden_of(network, fields), card)
    log.info("wrote engine %s to %s", engine.name, engine.folder)


def train(options: StyleOptions, on_step: Callable[[int], None] | None = None) -> StyleNetwork:
    """The trained network, in evaluation mode; goes on from the checkpoint in `options.work`, if any."""
    torch.manual_seed(options.loop.seed)
    network = options.network.build()
    if options.init is not None:
        start_from(network, options.init)
    if options.spread:
        spread(network)
    network.to(options.loop.device)
    setup = open_setup(options)
    with closing(setup.pool):
        loop.run(
            StyleTrainee(setup, network),
            options.loop,
            options.total_steps,
            options.work,
            recipe=options,
            phase_starts=options.phase_starts,
            on_step=on_step,
        )
    return network


class StyleTrainee:
    """The network and what corrects it."""

    def __init__(self, setup: StyleSetup, network: StyleNetwork) -> None:
        self._setup, self._network = setup, network
        self._optimiser = torch.optim.Adam(network.parameters(), lr=setup.options.loop.learning_rate)
        self._held = hold(network)
        self.networks = {"generator": network}
        self.optimisers = {"generator": self._optimiser}

    def step(self, number: int) -> dict[str, float]:
        """Correct the network once; returns every weighted term of the loss."""
        options = self._setup.options
        pool = self._setup.pool
        indices = pool.indices(number, options.batch)
        pool.prepare(pool.indices(number + 1, options.batch))
        self._held.on = number >= options.phase_starts[2] and options.imitation_weight > 0
        terms = _teacher_terms if number < options.teacher_steps else _style_terms
        return loop.correct(self._optimiser, terms(self._setup, self._network, indices, number))


def _teacher_terms(
    setup: StyleSetup, network: StyleNetwork, indices: list[int], step: int
) -> dict[str, Tensor]:
    """Imitation of the teacher by the bare translation."""
    indices = [index % min(setup.options.teacher_crops, len(setup.pool)) for index in indices]
    factor = draw_factor(setup.options.translation_factors, _random(setup.options, step))
    windows = [setup.pool.crop(index).window(factor) for index in indices]
    output_B3SS, _ = fused_crops(setup, network, windows, factor, released=False)
    target_B3SS = torch.cat([setup.teacher(index) for index in indices])
    return {"imitation": losses.imitation(output_B3SS, target_B3SS)}


def _style_terms(
    setup: StyleSetup, network: StyleNetwork, indices: list[int], step: int
) -> dict[str, Tensor]:
    """Style, content and temporal terms and, once the heads are released, their prices."""
    options, rng = setup.options, _random(setup.options, step)
    released = step >= options.phase_starts[2]
    factor = draw_factor(options.factors if released else options.translation_factors, rng)
    crops = [setup.pool.crop(index) for index in indices]
    windows = [crop.window(factor) for crop in crops]
    output_B3SS, heads_B7ww = fused_crops(setup, network, windows, factor, released)
    with setup.precision():
        features = setup.encoder(output_B3SS)
    terms = _looks(setup, output_B3SS, features, indices, factor)
    if released and options.imitation_weight > 0:
        own_B3SS = torch.cat([_own(setup, network, index) for index in indices]).float()
        with torch.no_grad(), setup.precision():
            own_features = setup.encoder(own_B3SS)
        likeness = losses.likeness(features, own_features, _LIKENESS)
        difference = losses.imitation(output_B3SS, own_B3SS)
        terms["imitation"] = options.imitation_weight * (likeness + difference)
    square = losses.WHOLE_GRID if isinstance(network, YuvStyle) else {}
    terms["grid"] = options.grid_weight * losses.grid(heads_B7ww[:, :3], **square)
    if options.weight_bias_weight > 0:
        mix_A = anchor_mix(torch.tensor([factor], device=setup.device))
        ratio = _weight_bias(network, mix_A, options.weight_bias_epsilon)
        terms["weight_bias"] = options.weight_bias_weight * ratio
    if released:
        terms["mask"] = options.mask_price * losses.mask_price(heads_B7ww[:, 3:4])
        terms["displacement"] = options.displacement_price * losses.displacement_price(heads_B7ww[:, 4:6])
        terms["detail"] = options.detail_price * losses.detail_price(heads_B7ww[:, 6:7])
    if options.temporal_weight > 0:
        down, right = rng.integers(-options.temporal_shift, options.temporal_shift + 1, 2)
        moved = [crop.window(factor, (int(down), int(right))) for crop in crops[: options.temporal_crops]]
        shaken = [(noisy(rgb, rng, options.temporal_noise), top, left) for rgb, top, left in moved]
        moved_B3SS, _ = fused_crops(setup, network, shaken, factor, released)
        difference = losses.temporal(moved_B3SS, output_B3SS[: len(shaken)])
        terms["temporal"] = options.temporal_weight * difference
    return terms


def _own(setup: StyleSetup, network: StyleNetwork, index: int) -> Tensor:
    """What the network gives for a crop at factor 1, 13SS; computed once its weights for that factor stay."""
    if index not in setup.own_pictures:
        with torch.no_grad():
            window = setup.pool.crop(index).window(1.0)
            picture_13SS, _ = fused_crops(setup, network, [window], 1.0, released=False)
        setup.own_pictures[index] = picture_13SS.half()
    return setup.own_pictures[index]


def _looks(
    setup: StyleSetup, output_B3SS: Tensor, features: list[Tensor], indices: list[int], factor: float
) -> dict[str, Tensor]:
    """What the encoder sees: style against the style picture, content and structure against the sources."""
    options = setup.options
    grams = [losses.gram(layer) for layer in features]
    source = [torch.cat(layers) for layers in zip(*(setup.source(index) for index in indices), strict=True)]
    content_weight = options.content_weight * factor**options.content_growth
    sources_B3SS = torch.stack([setup.pool.crop(index).rgb() for index in indices]).to(setup.device)
    return {
        "style": options.style_weight * losses.style(grams, setup.grams(factor), options.style_pooling),
        "tone": options.tone_weight * losses.tone(output_B3SS, sources_B3SS),
        "content": content_weight * losses.content(features[-1], source[-1]),
        "structure": options.structure_weight * losses.structure(features[-2], source[-2]),
        "variation": options.variation_weight * losses.total_variation(output_B3SS),
    }


def _weight_bias(network: StyleNetwork, mix_A: Tensor, epsilon: float) -> Tensor:
    """The weight-bias ratio of all convolutions, of their weights for a mix of the anchors."""
    mixed = [module.mixed(mix_A) for module in network.modules() if isinstance(module, FactorConv)]
    return losses.weight_bias([weight for weight, _ in mixed], [bias for _, bias in mixed], epsilon)


def _random(options: StyleOptions, step: int) -> np.random.Generator:
    return np.random.default_rng([options.loop.seed, 3, step])


def fused_crops(
    setup: StyleSetup,
    network: StyleNetwork,
    windows: list[tuple[Tensor, int, int]],
    factor: float,
    released: bool,
) -> tuple[Tensor, Tensor]:
    """Fused full-size RGB output B3SS of the crops inside `windows`, and the heads BKww, the translated
    picture in RGB."""
    rgb_B3WW = torch.stack([window for window, _, _ in windows]).to(setup.device)
    with setup.precision():
        heads_BKww = _heads(network, rgb_B3WW, factor)
    used_BKww = heads_BKww if released else complete(heads_BKww[:, :3])
    parts = [
        _fused_crop(setup.options, rgb_3WW, used_Kww, top, left, factor)
        for rgb_3WW, used_Kww, (_, top, left) in zip(rgb_B3WW, used_BKww, windows, strict=True)
    ]
    return torch.stack(parts), heads_BKww


def _heads(network: StyleNetwork, rgb_B3WW: Tensor, factor: float) -> Tensor:
    """Heads BKww of windows, float32, the translated picture in RGB."""
    if isinstance(network, WarpMask) and network.fine:
        planes_B3WW = recolour(rgb_B3WW, TO_YUV)
        heads_BKww = heads_of(network, planes_B3WW, reduce(planes_B3WW, factor), factor)
        return torch.cat([recolour(heads_BKww[:, :3], FROM_YUV), heads_BKww[:, 3:]], dim=1)
    reduced_B3ww = reduce(rgb_B3WW, factor).contiguous(memory_format=torch.channels_last)
    return network.translate(reduced_B3ww, torch.tensor([factor], device=rgb_B3WW.device)).float()


def _fused_crop(
    options: StyleOptions, rgb_3WW: Tensor, heads_Kww: Tensor, top: int, left: int, factor: float
) -> Tensor:
    """Fused full-size crop 3SS at (top, left) of a window: only what the crop can depend on is fused."""
    reach = math.ceil(options.max_displacement_pixels) + 2  # reduced pixels

    def span(start: int) -> slice:
        # Even numbers of reduced pixels are whole numbers of full-size pixels, also at factor 1.5.
        first = max(int(start / factor) - reach, 0) // 2 * 2
        past = -(-(math.ceil((start + options.crop) / factor) + reach) // 2) * 2
        return slice(first, min(past, heads_Kww.shape[2]))

    rows, columns = span(top), span(left)
    above, before = round(rows.start * factor), round(columns.start * factor)
    full_13HW = rgb_3WW[None, :, above : round(rows.stop * factor), before : round(columns.stop * factor)]
    fused_13HW = fuse_rgb(
        full_13HW, heads_Kww[None, :, rows, columns], factor, options.max_displacement_pixels
    )
    side = options.crop
    return fused_13HW[0, :, top - above : top - above + side, left - before : left - before + side]
