"""Ablation: what each part of the fusion is good for, by taking it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from training.evaluation.gradients import edge_correlation, gradient_energy
from training.evaluation.look import Likeness, nearness, style_figures
from training.evaluation.runner import Part, Runner, parts_of
from training.evaluation.section import Section
from training.evaluation.video import as_video
from training.pictures import Picture

_FIGURES = {"edges": "+.3f", "sharpness": "+.2f", "style": "+.3f", "PSNR": "+.2f", "SSIM": "+.3f"}


def ablation(
    runner: Runner, factors: Sequence[float], pictures: Sequence[Picture], likeness: Likeness
) -> Section | None:
    """What changes without each part, at every factor; None for an engine that has none.

    Likeness is measured at the last factor alone, because it takes long.
    """
    found: dict[tuple[str, float], list[Mapping[str, float]]] = {}
    for picture in pictures:
        source = as_video(picture)
        for factor in factors:
            whole = runner(picture, factor)
            figures = _figures(source, whole, likeness if factor == factors[-1] else Likeness())
            before = figures(whole)
            for part in parts_of(runner.engine):
                output = runner.without(part)(picture, factor)
                after = figures(output)
                steps = {name: after[name] - before[name] for name in before}
                found.setdefault((part, factor), []).append({**steps, **lost(output, whole, source)})
    if not found:
        return None
    shown = [name for name in _FIGURES if any(name in one for ones in found.values() for one in ones)]
    return Section(
        "ablation",
        f"Without a part of the fusion, {len(pictures)} scenes: mean change of the picture in code values; "
        "share of the effect (the mean difference to the source) that is lost; change of figures. Without "
        "warp nothing is moved, without mask the translated picture is everywhere, without detail none of "
        "the source's own is added, without ink no answer to it.",
        {"without": "", "factor": "g", "change": ".2f", "lost": ".0%"}
        | {name: _FIGURES[name] for name in shown},
        [
            [part, factor, *(_mean(ones, name) for name in ("change", "lost", *shown))]
            for (part, factor), ones in sorted(
                found.items(), key=lambda item: list(Part).index(Part(item[0][0]))
            )
        ],
    )


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


def _mean(ones: Sequence[Mapping[str, float]], name: str) -> float | None:
    values = [one[name] for one in ones if name in one]
    return float(np.mean(values)) if values else None
