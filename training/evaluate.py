"""Figures of an engine on pictures and clips it never saw.

Style: relative Gram distance, mean of relu1_1 to relu4_1; content: MSE at relu4_1; both pictures at short
side 480. Sharpness: gradient energy at full size against the same network at factor 1. Flicker: warping error
of clips."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from streamfx.errors import EngineMismatchError
from streamfx.generate.engine import CARD, read_engine
from streamfx.generate.networks.warp_mask import WarpMask
from training import losses
from training.card import with_figures
from training.export import document
from training.features import Decoder, Encoder, adain
from training.fused import bare, fuse_rgb, reduce
from training.options import EvaluateOptions
from training.pictures import (
    Picture,
    Still,
    find_stills,
    read_clip,
    read_still,
    to_picture,
    to_short_side,
    to_tensor,
)
from training.sheet import cell, centre, jpeg, sheet
from training.style import open_style, style_features
from training.temporal import motion, warping_error

log = logging.getLogger(__name__)

FACTORS = (1.0, 2.0, 4.0)
SHORT_SIDE = 480


@dataclass(frozen=True)
class Stylizer:
    """A network ready to stylize whole pictures, on the CPU, by the reference path."""

    network: WarpMask
    max_displacement_pixels: float
    detail: bool = True

    def __call__(self, picture: Picture, factor: float) -> Picture:
        """Fused full-size picture HW3."""
        return to_picture(self.rgb(to_tensor(picture)[None], factor)[0])

    @torch.no_grad()
    def rgb(self, rgb_13HW: Tensor, factor: float) -> Tensor:
        """Fused full-size RGB 13HW; height and width must be multiples of 4 times the factor."""
        heads_17hw = self.network.translate(reduce(rgb_13HW, factor), torch.tensor([factor]))
        if not self.detail:
            heads_17hw = torch.cat([heads_17hw[:, :6], torch.zeros_like(heads_17hw[:, 6:])], dim=1)
        return fuse_rgb(rgb_13HW, heads_17hw, factor, self.max_displacement_pixels)


def open_stylizer(folder: Path) -> Stylizer:
    """Stylizer of a warp-and-mask engine folder.

    Raises:
        EngineMismatchError: The engine is of another family.
    """
    engine = read_engine(folder)
    network = engine.network()
    if not isinstance(network, WarpMask):
        raise EngineMismatchError(
            f"{folder} is of family {engine.spec.family}; only warp_mask can be evaluated"
        )
    return Stylizer(network, engine.spec.max_displacement_pixels)


@dataclass(frozen=True)
class Figures:
    """Means over the held-out pictures for one method at one factor."""

    method: str
    factor: float | None
    style: float
    layers: tuple[float, ...]
    content: float | None
    sharpness: float | None
    pictures: int


@dataclass(frozen=True)
class Flicker:
    """Warping error (code values) of one clip at one factor; `excess` is what the source itself does not
    have."""

    clip: str
    method: str
    factor: float | None
    warping_error: float
    excess: float


def choose(stills: Iterable[Still], count: int) -> list[Still]:
    """Up to `count` held-out pictures, spread evenly over their sources, in a fixed order."""
    by_source: dict[str, list[Still]] = {}
    for still in stills:
        if still.held_out:
            by_source.setdefault(still.source, []).append(still)
    turns = max((len(found) for found in by_source.values()), default=0)
    in_turn = [found[turn] for turn in range(turns) for found in by_source.values() if turn < len(found)]
    return in_turn[:count]


def gradient_energy(picture: Picture) -> float:
    """Mean squared step between neighbouring pixels of the luma, in code values."""
    luma = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return float(np.square(np.diff(luma, axis=0)).mean() + np.square(np.diff(luma, axis=1)).mean())


class Judge:
    """Measures pictures against one style; holds the frozen networks."""

    def __init__(self, style_features: Sequence[Tensor], encoder: Encoder) -> None:
        self.encoder = encoder
        self.decoder = Decoder()
        self.style_features = list(style_features)
        self.grams = [losses.gram(features) for features in style_features]

    @torch.no_grad()
    def measure(self, features: Sequence[Tensor], source_1Chw: Tensor) -> tuple[list[float], float]:
        """Relative Gram distance of each layer, and content distance to the source's last layer."""
        return self.style_layers(features), losses.content(features[-1], source_1Chw).item()

    @torch.no_grad()
    def style_layers(self, features: Sequence[Tensor]) -> list[float]:
        """Relative Gram distance of each layer."""
        return [
            losses.relative_gram(losses.gram(f), g).item() for f, g in zip(features, self.grams, strict=True)
        ]

    @torch.no_grad()
    def features(self, picture: Picture) -> list[Tensor]:
        """Features of an RGB picture."""
        with torch.autocast("cpu", torch.bfloat16):
            features: list[Tensor] = self.encoder(to_tensor(picture)[None])
        return features

    @torch.no_grad()
    def adain(self, picture: Picture) -> Picture:
        """What AdaIN makes of a picture: the yardstick."""
        with torch.autocast("cpu", torch.bfloat16):
            rgb = self.decoder(adain(self.features(picture)[-1], self.style_features[-1]))
        return to_picture(rgb[0, :, : picture.shape[0], : picture.shape[1]])


def judge_pictures(stylizer: Stylizer, judge: Judge, stills: Sequence[Still]) -> list[Figures]:
    """Figures of the engine at every factor, of AdaIN and of the untouched pictures, over `stills`."""
    plain = replace(stylizer, detail=False)
    measured: dict[tuple[str, float | None], list[tuple[list[float], float, float]]] = {}
    for number, still in enumerate(stills, 1):
        read = read_still(still.path)
        if read is None:
            continue
        picture = to_whole_strides(to_short_side(read, SHORT_SIDE))
        outputs: dict[tuple[str, float | None], Picture] = {
            ("engine", factor): stylizer(picture, factor) for factor in FACTORS
        }
        outputs["engine without detail", 4.0] = plain(picture, 4.0)
        outputs["AdaIN", None] = judge.adain(picture)
        outputs["untouched", None] = picture
        source = judge.features(picture)
        reference = max(gradient_energy(outputs["engine", 1.0]), 1e-6)
        for key, output in outputs.items():
            features = source if key[0] == "untouched" else judge.features(output)
            layers, content = judge.measure(features, source[-1])
            measured.setdefault(key, []).append((layers, content, gradient_energy(output) / reference))
        if number % 10 == 0:
            log.info("judged %d of %d pictures", number, len(stills))
    return [_mean(method, factor, values) for (method, factor), values in measured.items()]


def judge_style(judge: Judge, style_13HW: Tensor) -> list[Figures]:
    """Figures of the style picture itself, reduced and enlarged as a bare translation is.

    They say what a factor costs a network that translates perfectly: only the detail gain can win it back.
    """
    figures = []
    for factor in FACTORS[1:]:
        layers = judge.style_layers(judge.features(to_picture(bare(style_13HW, factor)[0])))
        rounded = tuple(round(value, 4) for value in layers)
        figures.append(Figures("the style itself", factor, float(np.mean(layers)), rounded, None, None, 1))
    return figures


def _mean(method: str, factor: float | None, values: Sequence[tuple[list[float], float, float]]) -> Figures:
    layers = np.mean([layer for layer, _, _ in values], axis=0)
    content, sharpness = (float(np.mean([value[index] for value in values])) for index in (1, 2))
    per_layer = tuple(round(float(value), 4) for value in layers)
    return Figures(method, factor, float(layers.mean()), per_layer, content, sharpness, len(values))


def judge_clip(stylizers: dict[str, Stylizer], clip: Path, first: int, count: int) -> list[Flicker]:
    """Warping errors of a clip: the source's own, and every stylizer's at every factor."""
    frames = [to_whole_strides(frame) for frame in read_clip(clip, first, count)]
    motions = [motion(before, now) for before, now in pairwise(frames)]
    own = warping_error(frames, motions)
    found = [Flicker(clip.stem, "source", None, own, 0.0)]
    for method, stylizer in stylizers.items():
        for factor in FACTORS:
            error = warping_error([stylizer(frame, factor) for frame in frames], motions)
            found.append(Flicker(clip.stem, method, factor, error, error - own))
    log.info("judged clip %s", clip.name)
    return found


def to_whole_strides(picture: Picture, unit: int = 16) -> Picture:
    """Centre part of a picture whose sides are multiples of `unit`, so that every factor divides them."""
    height, width = (side // unit * unit for side in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return np.ascontiguousarray(picture[top : top + height, left : left + width])


def tables(figures: Sequence[Figures], flicker: Sequence[Flicker]) -> str:
    """Both tables as Markdown, with what they show."""
    lines = [
        f"Held-out pictures ({figures[0].pictures if figures else 0}) and clips only: no crop of their",
        "sources was in the training. Short side 480. Style: mean relative Gram distance, lower is closer to",
        "the style. Content: mean squared difference at relu4_1, lower is closer to the source. Sharpness:",
        "gradient energy against the same network at factor 1. The style itself: its picture, reduced and",
        "enlarged, which is as close as a network without detail gain could come. Warping error in code",
        "values.",
        "",
        "| method | factor | style (relative Gram distance) | relu1_1, 2_1, 3_1, 4_1 | content | sharpness |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for f in figures:
        layers = ", ".join(f"{value:.3f}" for value in f.layers)
        start = f"| {f.method} | {_number(f.factor)} | {f.style:.3f} | {layers} |"
        content, sharpness = ("" if value is None else f"{value:.2f}" for value in (f.content, f.sharpness))
        lines.append(f"{start} {content} | {sharpness} |")
    if flicker:
        lines += [
            "",
            "| clip | method | factor | warping error | beyond the source |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {f.clip} | {f.method} | {_number(f.factor)} | {f.warping_error:.2f} | {f.excess:.2f} |"
            for f in flicker
        ]
    return "\n".join(lines) + "\n"


def picture_sheet(stylizer: Stylizer, pictures: Sequence[Picture], side: int = 232) -> Picture:
    """Before and after at every factor, whole pictures, and below them the centres at full size."""
    rows, crops = [], []
    for number, picture in enumerate(pictures):
        whole = to_whole_strides(to_short_side(picture, SHORT_SIDE))
        versions = [whole, *(stylizer(whole, factor) for factor in FACTORS)]
        rows.append([cell(version, side) for version in versions])
        if number in (0, len(pictures) - 1):
            crops.append([centre(version, side) for version in versions])
    return sheet(rows + crops, ["source", *(f"factor {factor:g}" for factor in FACTORS)])


def as_json(figures: Sequence[Figures], flicker: Sequence[Flicker]) -> dict[str, list[dict[str, object]]]:
    """Both tables as JSON values."""
    return {"pictures": [asdict(f) for f in figures], "clips": [asdict(f) for f in flicker]}


def _number(factor: float | None) -> str:
    return "" if factor is None else f"{factor:g}"


def run(options: EvaluateOptions) -> None:
    """Judge an engine; print the figures, save them with a sheet, and write both into its folder if asked."""
    torch.set_num_threads(options.threads)
    stylizers = {"engine": open_stylizer(options.engine)}
    stylizers |= {name: open_stylizer(folder) for name, folder in options.against.items()}
    encoder = Encoder()
    style_13HW = open_style(options.style)
    judge = Judge(style_features(encoder, style_13HW), encoder)
    chosen = choose(find_stills(options.pictures, options.exclude), options.count)
    figures = judge_pictures(stylizers["engine"], judge, chosen)
    figures += judge_style(judge, style_13HW)
    flicker = [
        row
        for clip in options.videos
        for row in judge_clip(stylizers, clip, options.first_frame, options.frames)
    ]
    shown = [
        picture
        for still in chosen[:: max(1, len(chosen) // 4)][:4]
        if (picture := read_still(still.path)) is not None
    ]
    shown += [frame for clip in options.videos[:1] for frame in read_clip(clip, options.first_frame, 1)]
    drawn = jpeg(picture_sheet(stylizers["engine"], shown))
    text = tables(figures, flicker)
    options.work.mkdir(parents=True, exist_ok=True)
    (options.work / "evaluation.json").write_text(json.dumps(as_json(figures, flicker), indent=1) + "\n")
    (options.work / "sheet.jpg").write_bytes(drawn)
    print(text)
    if options.document:
        card = (options.engine / CARD).read_text(encoding="utf-8")
        document(options.engine, with_figures(card, text), drawn)
