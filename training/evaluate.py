"""Evaluate: what an engine does on pictures and clips it never saw, in figures and a sheet."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from functools import partial

import torch

from streamfx.generate.engine import CARD
from training.card import with_figures
from training.evaluation.chosen import choose, picture_sheet
from training.evaluation.flicker import flicker
from training.evaluation.restoration import Method, damage_sheet, restoration, steadiness
from training.evaluation.runner import Runner, has_detail
from training.evaluation.section import Section
from training.evaluation.style import Judge, style
from training.export import document
from training.features import Encoder
from training.options import EvaluateOptions
from training.pictures import Picture, Still, find_stills, read_clip, read_still
from training.sheet import jpeg
from training.style import open_style

log = logging.getLogger(__name__)

_TUNED_ON = 24  # training pictures, for methods that others are compared with


def run(options: EvaluateOptions) -> None:
    """Judge an engine; print the figures, save them with a sheet, and write both into its folder if asked."""
    torch.set_num_threads(options.threads)
    stills = find_stills(options.pictures, options.exclude)
    chosen = choose(stills, options.count)
    with ExitStack() as opened:
        runners = {
            name: opened.enter_context(Runner(folder))
            for name, folder in {"engine": options.engine, **options.against}.items()
        }
        if runners["engine"].engine.spec.family == "restore":
            sections = _restoration(options, runners, stills, chosen)
            drawn = jpeg(damage_sheet(runners["engine"], chosen))
        else:
            sections = _sections(options, runners, chosen, opened)
            drawn = jpeg(picture_sheet(runners["engine"], _shown(options, chosen)))
    text = "\n\n".join(section.markdown() for section in sections)
    facts = {section.name: section.facts() for section in sections}
    options.work.mkdir(parents=True, exist_ok=True)
    (options.work / "evaluation.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (options.work / "sheet.jpg").write_bytes(drawn)
    print(text)
    if options.document:
        card = (options.engine / CARD).read_text(encoding="utf-8")
        document(options.engine, with_figures(card, text), drawn)


def _sections(
    options: EvaluateOptions, runners: dict[str, Runner], chosen: list[Still], opened: ExitStack
) -> list[Section]:
    """What there is to say about an engine: style, where a style picture is given, and flicker."""
    found = []
    if options.style is not None:
        bare = None
        if has_detail(runners["engine"].engine):
            bare = opened.enter_context(Runner(options.engine, detail=False))
        found.append(style(runners, Judge(open_style(options.style), Encoder()), chosen, bare))
    if options.videos:
        found.append(flicker(runners, options.videos, options.first_frame, options.frames))
    return found


def _restoration(
    options: EvaluateOptions, runners: dict[str, Runner], stills: list[Still], chosen: list[Still]
) -> list[Section]:
    """What there is to say about engines that restore: what they gain, and how steady clips are."""
    methods: dict[str, Method] = dict(runners)
    if 2.0 in (runner := runners["engine"]).factors:
        methods["engine, factor 2"] = partial(runner, factor=2.0)
    training = [still for still in stills if not still.held_out]
    tuned_on = training[:: max(1, len(training) // _TUNED_ON)][:_TUNED_ON]
    found = [restoration(methods, tuned_on, chosen)]
    if options.videos:
        found.append(steadiness(runners, options.videos, options.first_frame, options.frames))
    return found


def _shown(options: EvaluateOptions, chosen: list[Still]) -> list[Picture]:
    """Four pictures and a frame of the first clip, for the sheet."""
    pictures = [read_still(still.path) for still in chosen[:: max(1, len(chosen) // 4)][:4]]
    frames = [frame for clip in options.videos[:1] for frame in read_clip(clip, options.first_frame, 1)]
    return [picture for picture in pictures if picture is not None] + frames
