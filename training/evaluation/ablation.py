"""Ablation: what each part of the fusion is good for, by taking it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from training.evaluation.gradients import edge_correlation, gradient_energy
from training.evaluation.look import Likeness, nearness, style_figures
from training.evaluation.runner import Part, Runner, parts_of
from training.evaluation.section import Section
from training.evaluation.stamps import Folds
from training.evaluation.video import as_video
from training.pictures import Picture

_FORMS = {
    "change": ".2f",
    "lost": ".0%",
    "edges": "+.2f",
    "sharpness": "+.2f",
    "lock": "+.2f",
    "style": "+.3f",
    "content": "+.2f",
    "PSNR": "+.1f",
    "SSIM": "+.2f",
}


def ablation(
    runner: Runner, factors: Sequence[float], pictures: Sequence[Picture], likeness: Likeness
) -> Section | None:
    """What changes without each part, at every factor; None for an engine that has none.

    Likeness is measured at the last factor alone, because it takes long.
    """
    parts = parts_of(runner.engine)
    rows = []
    for factor in factors if parts else ():
        wanted = likeness if factor == factors[-1] else Likeness()
        rows += [(part, factor, found) for part, found in _at(runner, factor, pictures, wanted).items()]
    if not rows:
        return None
    shown = {name: form for name, form in _FORMS.items() if any(name in found for _, _, found in rows)}
    rows.sort(key=lambda row: parts.index(row[0]))
    return Section(
        "ablation",
        f"Without a part of the fusion, {len(pictures)} scenes: mean change of the picture in code values; "
        "share of the effect (the mean difference to the source) that is lost; change of figures. Without "
        "warp nothing is moved, without mask the translated picture is everywhere, without detail none of "
        "the source's own is added, without ink no answer to it.",
        {"without": "", "factor": "g", **shown},
        [[part, factor, *(found.get(name) for name in shown)] for part, factor, found in rows],
    )


def _at(
    runner: Runner, factor: float, pictures: Sequence[Picture], likeness: Likeness
) -> dict[Part, dict[str, float]]:
    """What changes without each part at one factor: means of the pictures."""
    parts = parts_of(runner.engine)
    steps: dict[Part, list[Mapping[str, float]]] = {part: [] for part in parts}
    folds = {part: Folds(round(runner.engine.spec.stride * factor)) for part in (None, *parts)}
    for picture in pictures:
        source, whole = as_video(picture), runner(picture, factor)
        figures = _figures(source, whole, likeness)
        before = figures(whole)
        folds[None].add(whole)
        for part in parts:
            output = runner.without(part)(picture, factor)
            after = figures(output)
            folds[part].add(output)
            changes = {name: after[name] - before[name] for name in before}
            steps[part].append({**changes, **lost(output, whole, source)})
    return {
        part: {name: float(np.mean([one[name] for one in found])) for name in found[0]}
        | {"lock": folds[part].lock - folds[None].lock}
        for part, found in steps.items()
    }


def lost(output: Picture, whole: Picture, source: Picture) -> Mapping[str, float]:
    """How much a picture changed, and what share of its difference to the source it lost."""
    left, effect = (distance(picture, source) for picture in (output, whole))
    return {"change": distance(output, whole), "lost": 1 - left / max(effect, 1e-9)}


def distance(one: Picture, other: Picture) -> float:
    """Mean absolute difference of two pictures, in code values."""
    return float(np.abs(one.astype(np.float32) - other).mean())


def _figures(source: Picture, whole: Picture, likeness: Likeness) -> Callable[[Picture], Mapping[str, float]]:
    """What gives the main figures of an output."""
    sharpest = max(gradient_energy(whole), 1e-6)
    drawn = likeness.operator(source) if likeness.operator is not None else None
    style = style_figures(likeness.judge, source)

    def figures(output: Picture) -> Mapping[str, float]:
        near = nearness(output, drawn) if drawn is not None else {}
        edges = {"edges": edge_correlation(output, source), "sharpness": gradient_energy(output) / sharpest}
        return {**edges, **near, **style(output)}

    return figures
