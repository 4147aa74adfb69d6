"""Look: what a stylizing engine must hold on pictures and clips it never saw, at every factor.

Pictures go through the runtime as 8-bit 4:2:0, and are held against the source as 8-bit 4:2:0 shows it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Protocol

import numpy as np

from training import losses, metrics
from training.evaluation.camera_noise import restlessness
from training.evaluation.gradients import edge_correlation, gradient_energy, stretched
from training.evaluation.material import Material
from training.evaluation.people import FaceComparison, kept
from training.evaluation.stamps import Folds, spectral_lock
from training.evaluation.style import Judge
from training.evaluation.video import as_video
from training.pictures import Picture, to_tensor
from training.temporal import motion, warping_error

log = logging.getLogger(__name__)

Key = tuple[str, float | None]
"""Name of a method, and the factor."""


class Method(Protocol):
    """What is judged."""

    def __call__(self, picture: Picture, factor: float) -> Picture:
        """What becomes of a picture at a factor."""

    def clip(self, pictures: Sequence[Picture], factor: float) -> Sequence[Picture]:
        """What becomes of the frames of a clip at a factor."""


@dataclass(frozen=True)
class Scenes:
    """What looks are judged on.

    Attributes:
        people: Pictures and frames in which faces are looked for; the first of each is a scene, too.
        pictures: Scenes: pictures of any kind.
        clips: Frames that follow one another.
        still: Scenes in which nothing moves.
        seed: Seed of the noise.
    """

    people: Sequence[Material]
    pictures: Sequence[Picture]
    clips: Sequence[Material]
    still: Sequence[Material]
    seed: int


@dataclass(frozen=True)
class Likeness:
    """What a look should be like.

    Attributes:
        judge: Judge of the style, where there is a style picture.
        operator: Operator that drew the pictures from which the engine learned, where there is one.
    """

    judge: Judge | None = None
    operator: Callable[[Picture], Picture] | None = None


@dataclass
class Tally:
    """What was measured of one method at one factor.

    Attributes:
        period: Period of the grid of its network, in full-size pixels.
    """

    period: int
    folds: Folds = field(init=False)
    source_folds: Folds = field(init=False)
    spectra: list[float] = field(default_factory=list)
    faces: list[tuple[bool, float]] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folds, self.source_folds = Folds(self.period), Folds(self.period)

    def add_scene(self, output: Picture, source: Picture, sharpest: float) -> None:
        """Take in what became of a scene; `sharpest` is the gradient energy that it is held against."""
        self.folds.add(output)
        self.source_folds.add(source)
        self.spectra.append(spectral_lock(output, self.period))
        self.add({
            "edges": edge_correlation(output, source),
            "sharpness": gradient_energy(output) / max(sharpest, 1e-6),
        })  # fmt: skip

    def add(self, values: Mapping[str, float]) -> None:
        """Take in a value of each of some figures, to be averaged."""
        for name, value in values.items():
            self.values.setdefault(name, []).append(value)

    def figures(self) -> dict[str, float]:
        """All figures by name, and the standard errors of those that are means of scenes."""
        found = {name: float(np.mean(values)) for name, values in self.values.items()}
        found |= {
            f"{name} error": float(np.std(values) / np.sqrt(len(values)))
            for name, values in self.values.items()
        }
        if self.spectra:
            found |= {"lock": self.folds.lock, "spectral lock": float(np.median(self.spectra))}
        if self.faces:
            people = kept(self.faces)
            found |= {"faces": people.faces, "found": people.found}
            found |= {"stayed": people.stayed, "moved": people.movement}
        return found


def measure(
    method: Method, factors: Sequence[float], stride: int, scenes: Scenes, likeness: Likeness
) -> dict[Key, dict[str, float]]:
    """Every figure of an engine at every factor; of its operator, if there is one, and of the sources those
    that are pictures' own.

    Args:
        method: The engine.
        factors: Factors to judge it at, the smallest first. Where 1 is not among them, sharpness is held
            against the first of them, and stamps are held against the source.
        stride: Stride of the engine, in reduced pixels.
        scenes: Scenes to judge it on.
        likeness: Pictures and operator that it should resemble.
    """
    tallies: dict[Key, Tally] = {("engine", factor): Tally(round(stride * factor)) for factor in factors}
    for name in ("operator", "source") if likeness.operator is not None else ("source",):
        tallies[name, None] = Tally(round(stride * factors[-1]))
    comparison = FaceComparison()
    for people in scenes.people:
        first, *others = people.read(scenes.seed)
        # Style is judged on photographs alone, as on the cards of other versions, and because it takes long.
        _add_scene(tallies, method, first, replace(likeness, judge=None), comparison)
        for picture in others:
            _add_faces(tallies, method, picture, comparison)
        log.info("judged %s", people.name)
    for count, picture in enumerate(scenes.pictures, 1):
        _add_scene(tallies, method, picture, likeness, comparison)
        if count % 10 == 0:
            log.info("judged %d of %d pictures", count, len(scenes.pictures))
    figures = {key: tally.figures() for key, tally in tallies.items()}
    for factor in factors:
        mine = figures["engine", factor]
        unstamped = (
            figures["engine", 1.0]["lock"] if 1.0 in factors else tallies["engine", factor].source_folds.lock
        )
        mine["lock ratio"] = mine["lock"] / unstamped
    _add_steadiness(figures, method, factors, scenes)
    return figures


def _add_scene(
    tallies: Mapping[Key, Tally],
    method: Method,
    picture: Picture,
    likeness: Likeness,
    comparison: FaceComparison,
) -> None:
    source = as_video(picture)
    faces = comparison.faces(source)
    outputs: dict[Key, Picture] = {
        key: method(picture, key[1]) if key[1] is not None else source for key in tallies
    }
    drawn = None
    if likeness.operator is not None:
        drawn = outputs["operator", None] = as_video(likeness.operator(source))
    reference = drawn if drawn is not None else next(iter(outputs.values()))
    sharpest = gradient_energy(reference)
    looks = style_figures(likeness.judge, source)
    for key, output in outputs.items():
        tally = tallies[key]
        tally.add_scene(output, source, sharpest)
        if key[0] != "source":
            tally.faces += comparison.look(faces, output)
        tally.add(looks(output) if key[0] == "engine" else {})
        if drawn is not None and key[0] != "operator":
            tally.add(nearness(output, drawn))


def _add_faces(
    tallies: Mapping[Key, Tally], method: Method, picture: Picture, comparison: FaceComparison
) -> None:
    faces = comparison.faces(as_video(picture))
    for (_, factor), tally in tallies.items():
        if factor is not None and faces:
            tally.faces += comparison.look(faces, method(picture, factor))


def style_figures(judge: Judge | None, source: Picture) -> Callable[[Picture], Mapping[str, float]]:
    """What gives style and content of an output of a source."""
    if judge is None:
        return lambda _: {}
    deepest = judge.features(source)[-1]

    def looks(output: Picture) -> Mapping[str, float]:
        features = judge.features(output)
        content = losses.content(features[-1], deepest).item()
        return {"style": float(np.mean(judge.layers(features))), "content": content}

    return looks


def nearness(output: Picture, drawn: Picture) -> Mapping[str, float]:
    """PSNR and SSIM of the luma of an output to what the operator drew."""
    made_13HW, drawn_13HW = (to_tensor(picture)[None] for picture in (output, drawn))
    return {
        "PSNR": metrics.psnr_luma(made_13HW, drawn_13HW).item(),
        "SSIM": metrics.ssim(made_13HW, drawn_13HW).item(),
    }


def _add_steadiness(
    figures: Mapping[Key, dict[str, float]], method: Method, factors: Sequence[float], scenes: Scenes
) -> None:
    """Warping error beyond the source's, mean of the clips, that of contrast alone, and restlessness in
    noise."""
    beyond: dict[float, list[float]] = {}
    alone: dict[float, list[float]] = {}
    contrast: dict[float, list[float]] = {}
    own = []
    for clip in scenes.clips:
        frames = clip.read(scenes.seed)
        sources = [as_video(frame) for frame in frames]
        motions = [motion(before, now) for before, now in pairwise(sources)]
        own.append(warping_error(sources, motions))
        for factor in factors:
            outputs = method.clip(frames, factor)
            beyond.setdefault(factor, []).append(warping_error(outputs, motions) - own[-1])
            singly = [method.clip([frame], factor)[0] for frame in frames]
            alone.setdefault(factor, []).append(warping_error(singly, motions) - own[-1])
            alike = [
                stretched(source, gradient_energy(out)) for source, out in zip(sources, outputs, strict=True)
            ]
            contrast.setdefault(factor, []).append(warping_error(alike, motions) - own[-1])
        log.info("judged clip %s", clip.name)
    still = [frame for material in scenes.still for frame in material.read(scenes.seed)]
    restless = restlessness(method.clip, factors, still, scenes.seed)
    figures["source", None]["warping error"] = float(np.mean(own))
    for factor in factors:
        mine = figures["engine", factor]
        mine["warping error"] = float(np.mean(beyond[factor]))
        mine["without memory"] = float(np.mean(alone[factor]))
        mine["of contrast"] = float(np.mean(contrast[factor]))
        mine |= {noise: ratio for (noise, at), ratio in restless.items() if at == factor}
