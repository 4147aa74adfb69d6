"""Looks: a stylizing engine judged by everything that a look must hold, its tables and its sheet."""

from __future__ import annotations

from collections.abc import Sequence

from training.evaluation.chosen import picture_sheet, pictures_of
from training.evaluation.look import Likeness, Scenes, measure
from training.evaluation.look_section import sections
from training.evaluation.options import EvaluateOptions
from training.evaluation.runner import Runner
from training.evaluation.section import Section
from training.pictures import Still
from training.sheet import jpeg


def look(
    options: EvaluateOptions, stills: Sequence[Still], likeness: Likeness
) -> tuple[list[Section], bytes]:
    """What there is to say about an engine, and its sheet, a JPEG file.

    Raises:
        ValueError: The engine offers none of the factors, or something cannot be read.
    """
    assert options.look is not None
    material = options.look
    scenes = Scenes(material.people, list(pictures_of(stills)), material.clips, material.still, options.seed)
    with Runner(options.engine, video=True, threads=options.threads) as runner:
        spec = runner.engine.spec
        factors = [factor for factor in options.factors if factor in spec.factors]
        if not factors:
            offered = ", ".join(f"{factor:g}" for factor in spec.factors)
            raise ValueError(f"engine {options.engine} offers factors {offered}; give some of them")
        figures = measure(runner, factors, spec.stride, scenes, likeness)
        shown = [people.read(options.seed)[0] for people in material.people[:4]]
        drawn = jpeg(picture_sheet(runner, shown))
    words = f"{len(scenes.people)} pictures and clips of people and {len(scenes.pictures)} photographs"
    return sections(figures, words), drawn
