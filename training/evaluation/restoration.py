"""Restoration: how much nearer to the originals damaged pictures come, beside a classical chain.

The chain is what one would do with OpenCV: a median against single bad pixels, non-local means (Buades,
Coll, Morel, "A Non-Local Algorithm for Image Denoising", 2005) against noise, unsharp masking against blur.
Its four settings are tuned on damaged training pictures for the best mean PSNR, by coordinate search.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import torch

from training.degrade import KINDS, Degradation, degrade, draw, draw_one
from training.evaluation.chosen import to_whole_strides
from training.evaluation.section import Cell, Section
from training.features import Encoder
from training.metrics import perceptual_distance, ssim
from training.pictures import Picture, Still, read_clip, read_still, to_tensor
from training.quality import psnr
from training.sheet import centre, sheet
from training.temporal import motion, warping_error

log = logging.getLogger(__name__)

SIDE = 256
MIXED = "random combinations"
GOOD = "not damaged"
_COMBINATIONS = 8  # of each picture: they differ so much that one of each says little
_BLIND, _TOLD = "tuned chain", "chain told the kind"

Method: TypeAlias = Callable[[Picture], Picture]
Example: TypeAlias = tuple[str, Picture, Picture]


@dataclass(frozen=True)
class Chain:
    """Settings of the classical chain; the first of each is "off".

    Attributes:
        median: Side of the median filter, in pixels; 1 is off.
        luma: Filter strength of non-local means for luma, in code values; 0 is off together with chroma.
        chroma: The same for chroma.
        sharpen: Amount of unsharp masking with a deviation of 1.5 pixels.
    """

    median: int = 1
    luma: float = 0.0
    chroma: float = 0.0
    sharpen: float = 0.0

    def __call__(self, picture: Picture) -> Picture:
        """Restored RGB picture HW3."""
        found = cv2.medianBlur(picture, self.median) if self.median > 1 else picture
        if self.luma or self.chroma:
            # Non-local means for colour expects BGR; what it takes apart is luma and chroma.
            bgr = cv2.cvtColor(found, cv2.COLOR_RGB2BGR)
            bgr = cv2.fastNlMeansDenoisingColored(bgr, None, self.luma, self.chroma, 5, 15)
            found = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        if self.sharpen:
            smooth = cv2.GaussianBlur(found, (0, 0), 1.5)
            found = cv2.addWeighted(found, 1 + self.sharpen, smooth, -self.sharpen, 0)
        return np.asarray(found, np.uint8)


_CHOICES: Mapping[str, tuple[float, ...]] = {
    "luma": (0, 3, 6, 10, 15),
    "median": (1, 3),
    "chroma": (0, 3, 6, 10, 15),
    "sharpen": (0, 0.2, 0.5, 1.0),
}


def tune(examples: Sequence[Example]) -> Chain:
    """The settings with the best mean PSNR, found by two rounds of trying one setting after the other."""
    measured: dict[Chain, float] = {}

    def worth(chain: Chain) -> float:
        if chain not in measured:
            measured[chain] = float(np.mean([psnr(chain(damaged), clean) for _, damaged, clean in examples]))
        return measured[chain]

    best = Chain()
    for _ in range(2):
        for name, values in _CHOICES.items():
            best = max((replace(best, **{name: value}) for value in values), key=worth)  # type: ignore[arg-type]
    log.info("tuned chain: %s", _said(best))
    return best


def examples(stills: Sequence[Still], kind: str, seed: int) -> Iterator[Example]:
    """Centre squares of pictures, damaged by one kind, by random combinations or not at all: kind, damaged,
    original."""
    for place, still in enumerate(stills):
        picture = read_still(still.path)
        if picture is None:
            continue
        side = min(SIDE, *(length // 16 * 16 for length in picture.shape[:2]))
        top, left = ((length - side) // 2 for length in picture.shape[:2])
        clean = np.ascontiguousarray(picture[top : top + side, left : left + side])
        rng = np.random.default_rng([seed, [*KINDS, MIXED, GOOD].index(kind), place])
        chosen = [] if kind == GOOD else _combination(rng) if kind == MIXED else [draw_one(kind, rng)]
        yield kind, degrade([clean] * 3, chosen, rng)[-1], clean


def _combination(rng: np.random.Generator) -> list[Degradation]:
    """A random combination that is not empty: what is not damaged is judged as a kind of its own."""
    while not (chosen := draw(rng)):
        pass
    return chosen


def restoration(
    methods: Mapping[str, Method], training: Sequence[Still], held_out: Sequence[Still], seed: int
) -> Section:
    """PSNR of damaged pictures and what methods gain, for combinations and for each kind.

    Args:
        methods: Restore a picture, by name.
        training: Pictures on which the classical chain is tuned; none: it is left out.
        held_out: Pictures on which all are measured.
        seed: Seed of the damages; one that training did not use.
    """
    chain = tune(list(examples(training, MIXED, seed + 1))) if training else None
    rows: list[list[Cell]] = []
    columns = {"damage": "", "PSNR of the input": ".2f"}
    for name in (*methods, *((_BLIND, _TOLD) if chain else ())):
        columns |= {f"{name}: gain": "+.2f", f"{name}: SSIM": ".3f"}
    for kind in (MIXED, *KINDS, GOOD):
        compared = dict(methods)
        if chain is not None:
            told = chain if kind == MIXED else tune(list(examples(training[::2], kind, seed + 1)))
            compared |= {_BLIND: chain, _TOLD: told}
        draws = _COMBINATIONS if kind == MIXED else 1
        found = [one for draw in range(draws) for one in examples(held_out, kind, seed + 10 * draw)]
        before = float(np.mean([psnr(damaged, clean) for _, damaged, clean in found]))
        row: list[Cell] = [kind.replace("_", " "), before]
        for method in compared.values():
            made = [(method(damaged), clean) for _, damaged, clean in found]
            after = float(np.mean([psnr(picture, clean) for picture, clean in made]))
            row += [after - before, _mean_ssim(made)]
        rows.append(row)
        log.info("judged %s", kind)
    return Section(
        "restoration",
        f"Centre squares of {SIDE} pixels of {len(held_out)} held-out pictures, with degradations of seeds "
        "that training never used. PSNR over R, G and B in dB, at most 50, mean over pictures; gain: what is "
        f"added to that of the input. The combinations are those of the training (above), {_COMBINATIONS} of "
        "each picture, none of them empty." + ("" if chain is None else _about(chain, len(training))),
        columns,
        rows,
    )


def perception(
    methods: Mapping[str, Method], held_out: Sequence[Still], seed: int, encoder: Encoder
) -> Section:
    """Perceptual distance to the originals, of damaged pictures and of what methods make of them.

    Args:
        methods: Restore a picture, by name.
        held_out: Pictures on which they are measured.
        seed: Seed of the damages, as for `restoration`, of which the first combinations are taken.
        encoder: Network whose features are compared.
    """
    rows: list[list[Cell]] = []
    for kind in (MIXED, *KINDS, GOOD):
        distances = [
            _looks_apart([damaged, *(method(damaged) for method in methods.values())], clean, encoder)
            for _, damaged, clean in examples(held_out, kind, seed)
        ]
        rows.append([kind.replace("_", " "), *np.mean(distances, axis=0).tolist()])
        log.info("looked at %s", kind)
    return Section(
        "perception",
        "Perceptual distance to the originals: mean squared difference of VGG-19 features scaled to length "
        "1, relu1_1 to relu4_1; lower is closer. The same pictures, one combination of each.",
        {"damage": "", "input": ".4f"} | dict.fromkeys(methods, ".4f"),
        rows,
    )


def steadiness(
    methods: Mapping[str, Method], clips: Sequence[Path], first: int, count: int, seed: int
) -> Section:
    """Warping error of damaged clips, restored, beside that of the clean ones."""
    rows: list[list[Cell]] = []
    for clip in clips:
        clean = [to_whole_strides(frame) for frame in read_clip(clip, first, count)]
        motions = [motion(before, now) for before, now in pairwise(clean)]
        own = warping_error(clean, motions)
        rows.append([clip.stem, "", "clean", own, None, None])
        for kind in ("gaussian_noise", "codec"):
            rng = np.random.default_rng([seed, 50, KINDS.index(kind)])
            damaged = degrade(clean, [draw_one(kind, rng)], rng)
            versions = {"damaged": damaged}
            versions |= {name: [method(frame) for frame in damaged] for name, method in methods.items()}
            for name, frames in versions.items():
                error = warping_error(frames, motions)
                near = float(
                    np.mean([psnr(frame, truth) for frame, truth in zip(frames, clean, strict=True)])
                )
                rows.append([clip.stem, kind.replace("_", " "), name, error, error - own, near])
        log.info("judged clip %s", clip.name)
    return Section(
        "steadiness",
        "Warping error in code values, of frames against the ones before, moved by the flow of the clean "
        "clip (DIS), outside occlusions. Beyond the clean clip: what restoration should bring to zero or "
        "below. Clips that were not in the training; they are compressed themselves.",
        {
            "clip": "",
            "damage": "",
            "frames": "",
            "warping error": ".2f",
            "beyond the clean clip": "+.2f",
            "PSNR": ".2f",
        },
        rows,
    )


@torch.no_grad()
def _looks_apart(pictures: Sequence[Picture], truth: Picture, encoder: Encoder) -> list[float]:
    """Perceptual distance of each picture to the true one."""
    shown = torch.stack([to_tensor(picture) for picture in (truth, *pictures)])
    with torch.autocast("cpu", torch.bfloat16):
        layers = encoder(shown)
    return perceptual_distance([layer[1:] for layer in layers], [layer[:1] for layer in layers]).tolist()


def _mean_ssim(made: Sequence[tuple[Picture, Picture]]) -> float:
    return float(np.mean([ssim(to_tensor(p)[None], to_tensor(t)[None]).item() for p, t in made]))


def _about(chain: Chain, count: int) -> str:
    return (
        f" The chain (median, non-local means, unsharp masking) is tuned on {count} training pictures: once "
        f"with such combinations ({_said(chain)}), knowing as little of the damage as the engine; and on "
        "half of them once for each kind, which is told to it and not to the engine."
    )


def _said(chain: Chain) -> str:
    return ", ".join(f"{f.name} {getattr(chain, f.name):g}" for f in fields(chain))


def damage_sheet(method: Method, stills: Sequence[Still], seed: int, side: int = 232) -> Picture:
    """Centres of held-out pictures at full size: damaged in different ways, restored, and as they were."""
    rows = []
    kinds = ("gaussian_noise", "codec", "salt_and_pepper", "resampling", MIXED, MIXED)
    for place, (kind, still) in enumerate(zip(kinds, stills, strict=False)):
        _, damaged, clean = next(iter(examples([still], kind, seed + place)), (kind, None, None))
        if damaged is not None and clean is not None:
            rows.append([centre(version, side) for version in (damaged, method(damaged), clean)])
    return sheet(rows, ["damaged", "restored", "original"])
