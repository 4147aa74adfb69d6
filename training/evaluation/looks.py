"""Looks: a stylizing engine judged by everything that a look must hold: tables, verdict and sheets."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial

from training.evaluation.ablation import ablation
from training.evaluation.chosen import pictures_of
from training.evaluation.look import Likeness, Scenes, measure
from training.evaluation.look_section import sections
from training.evaluation.look_sheet import Column, animation, look_sheet, moving_sheet
from training.evaluation.options import EvaluateOptions, LookOptions
from training.evaluation.price import price
from training.evaluation.runner import Runner
from training.evaluation.section import Section
from training.evaluation.verdict import verdict
from training.evaluation.video import as_video
from training.pictures import Picture, Still
from training.sheet import jpeg

log = logging.getLogger(__name__)

ABLATED = 4  # scenes that parts of the fusion are taken out on
_MOVING_SIZE = (400, 320)
_MOVING_FPS = 12


def look(
    options: EvaluateOptions, stills: Sequence[Still], likeness: Likeness
) -> tuple[list[Section], Mapping[str, bytes]]:
    """What there is to say about an engine, and files to look at, by name.

    Args:
        options: Options with a look.
        stills: Photographs to judge it on, beside those of the look.
        likeness: Pictures and operator that it should resemble.

    Raises:
        ValueError: The engine offers none of the factors, or something cannot be read.
    """
    assert options.look is not None
    material = options.look
    scenes = Scenes(material.people, list(pictures_of(stills)), material.clips, material.still, options.seed)
    with Runner(options.engine, video=True, threads=options.threads) as runner:
        factors = _factors(options, runner)
        figures = measure(runner, factors, runner.engine.spec.stride, scenes, likeness)
        ablated = [people.read(options.seed)[0] for people in material.people[:ABLATED]]
        without = ablation(runner, factors, ablated, likeness)
        log.info("drawing the sheets")
        files = _files(runner, factors, material, likeness)
    priced = price(options.engine, options.threads)
    words = f"{len(scenes.people)} pictures and clips of people and {len(scenes.pictures)} photographs"
    found = [*sections(figures, words), *([without] if without is not None else []), priced]
    return [*found, verdict(found, factors, options.held_to)], files


def _factors(options: EvaluateOptions, runner: Runner) -> list[float]:
    """Those of the factors that the engine offers.

    Raises:
        ValueError: There is none.
    """
    offered = runner.engine.spec.factors
    factors = sorted(factor for factor in options.factors if factor in offered)
    if not factors:
        words = ", ".join(f"{factor:g}" for factor in offered)
        raise ValueError(f"engine {options.engine} offers factors {words}; give some of them")
    return factors


def _files(
    runner: Runner, factors: Sequence[float], material: LookOptions, likeness: Likeness
) -> dict[str, bytes]:
    """A sheet, and a moving one."""
    columns: dict[str, Column] = {"source": as_video}
    if likeness.operator is not None:
        columns["operator"] = likeness.operator
    columns |= {f"factor {factor:g}": partial(_at, runner, factor) for factor in factors}
    shown = [picture for one in material.shown for picture in one.read()]
    files = {"sheet.jpg": jpeg(look_sheet(columns, shown))}
    if material.moving is not None:
        large = [partial(_at, runner, factor) for factor in factors[-2:]]
        frames = moving_sheet([as_video, *large], material.moving.read(), _MOVING_SIZE)
        files["moving.webp"] = animation(frames, _MOVING_FPS)
    return files


def _at(runner: Runner, factor: float, picture: Picture) -> Picture:
    return runner(picture, factor)
