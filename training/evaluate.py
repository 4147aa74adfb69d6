"""Evaluate: what an engine does on pictures and clips it never saw, in figures and a sheet."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill
from typing import Any, TypeAlias

import torch

from streamfx.backends.backend import Precision
from streamfx.engine.families.super_resolution import SCALE
from streamfx.engine.folder import CARD, SHEET, read_engine
from streamfx.engine.spec import OutputKind
from streamfx.generate.classify import open_classifier, whole
from streamfx.generate.effect import EffectSettings
from training import quality
from training.card import with_figures
from training.classify_examples import held_out_wholes, held_out_windows
from training.evaluation.chosen import choose, picture_sheet
from training.evaluation.confusion import confusion, confusion_section, confusion_sheet
from training.evaluation.domain import Belief, domain
from training.evaluation.flicker import enlarged_flicker, flicker
from training.evaluation.look import Likeness
from training.evaluation.looked import looked_section, read_looked
from training.evaluation.looks import look
from training.evaluation.matting_report import matting_material, matting_report
from training.evaluation.noise import noise
from training.evaluation.options import EvaluateOptions
from training.evaluation.partner import Pair, drawn_pairs, partner, read_pairs, untrained
from training.evaluation.restoration import Method, damage_sheet, perception, restoration, steadiness
from training.evaluation.runner import Part, Runner, parts_of, to_frame
from training.evaluation.section import Section
from training.evaluation.style import Judge, style
from training.evaluation.upscaling import bounded, true_pictures, upscaling, upscaling_sheet
from training.export import document
from training.features import Encoder
from training.operators import OPERATORS, Operator
from training.operators.after import AFTER, painter_after
from training.pictures import Picture, Still, find_stills, read_clip, read_still
from training.restore import open_judge
from training.sheet import jpeg
from training.style import open_style

log = logging.getLogger(__name__)

Findings: TypeAlias = tuple[list[Section], Mapping[str, bytes]]
"""Figures, and files to look at, by name."""

_LINE = 108
_NOISE_PICTURES = 8
_TUNED_ON = 24  # training pictures, for methods that others are compared with


@dataclass(frozen=True)
class Trial:
    """What is judged, and on what.

    Attributes:
        options: Options as given.
        runners: Engines by name, "engine" first.
        stills: All pictures that were found.
        chosen: The held-out ones to judge on.
        opened: Closes what is opened on the way.
    """

    options: EvaluateOptions
    runners: dict[str, Runner]
    stills: list[Still]
    chosen: list[Still]
    opened: ExitStack

    @property
    def runner(self) -> Runner:
        """The engine that is judged."""
        return self.runners["engine"]


def run(options: EvaluateOptions) -> None:
    """Judge an engine; print the figures, save them with a sheet, and write both into its folder if asked."""
    torch.set_num_threads(options.threads)
    engine = read_engine(options.engine)
    if engine.spec.kind is OutputKind.SCORES:
        sections, files = _classification(options)
    elif engine.spec.kind is OutputKind.MATTE:
        sections, files = matting_report(options)
    else:
        sections, files = _effect(options) if options.look is None else _look(options)
    used = matting_material(options) if engine.spec.kind is OutputKind.MATTE else _used(options)
    text = "\n\n".join([*(section.markdown() for section in sections), fill(used, _LINE)])
    facts: dict[str, Any] = {section.name: section.facts() for section in sections}
    facts["engine"] = {"name": engine.name, "version": engine.spec.version, "manner": options.held_to}
    facts["options"] = options.model_dump(mode="json", exclude={"work", "document", "threads"})
    options.work.mkdir(parents=True, exist_ok=True)
    (options.work / "evaluation.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    for name, data in files.items():
        (options.work / name).write_bytes(data)
    print(text)
    if options.document:
        card = (options.engine / CARD).read_text(encoding="utf-8")
        document(options.engine, with_figures(card, text), files[SHEET])


def _used(options: EvaluateOptions) -> str:
    """What figures depend on, so that they can be measured again."""
    folders = [*options.pictures, *(path for paths in options.domains.values() for path in paths)]
    parts = [f"at most {options.count} pictures of {', '.join(path.name for path in folders)}"]
    if options.kept:
        parts[0] += f", those of {', '.join(options.kept)}"
    if options.videos:
        clips = ", ".join(path.name for path in options.videos)
        parts.append(f"{options.frames} frames, from frame {options.first_frame} on, of {clips}")
    return f"`python -m training evaluate`: {'; '.join(parts)}; seed {options.seed}."


def _classification(options: EvaluateOptions) -> Findings:
    """What a classifier takes held-out pictures for, with its sheet.

    Raises:
        ValueError: The pictures that its classes need are not given.
    """
    classes = read_engine(options.engine).spec.classes
    if classes == quality.CLASSES:
        stills = _stills(options)
        pictures = held_out_windows(stills, options.side, options.count, options.seed)
    elif tuple(options.domains) == classes:
        stills_of = [find_stills(folders, options.exclude) for folders in options.domains.values()]
        pictures = held_out_wholes(stills_of, options.side, options.count)
    else:
        raise ValueError(
            f"engine {options.engine} tells {', '.join(classes)} apart: give domains, folders of pictures of "
            f"each in this order; found {', '.join(options.domains) or 'none'}"
        )
    network = open_judge(options.engine)
    table = confusion(network, pictures, len(classes))
    drawn = jpeg(confusion_sheet(network, pictures, classes))
    sections = [confusion_section(classes, table)]
    if options.looks is not None:
        sections.append(looked_section(network, read_looked(options.looks, _stills(options))))
    return sections, {SHEET: drawn}


def _effect(options: EvaluateOptions) -> Findings:
    """What there is to say about an engine that changes pictures, with its sheet."""
    stills = _stills(options)
    with ExitStack() as opened:
        runners = {
            name: opened.enter_context(Runner(folder))
            for name, folder in {"engine": options.engine, **options.against}.items()
        }
        trial = Trial(options, runners, stills, _chosen(options, stills), opened)
        return _sections(trial), {SHEET: jpeg(_sheet(trial))}


def _look(options: EvaluateOptions) -> Findings:
    """What there is to say about a stylizing engine that is held to the limits of looks, with its sheet."""
    judge = Judge(open_style(options.style), Encoder()) if options.style is not None else None
    likeness = Likeness(judge)
    if options.operator is not None:
        likeness = Likeness(judge, _operator(options))
    return look(options, _chosen(options, _stills(options)), likeness)


def _stills(options: EvaluateOptions) -> list[Still]:
    """All pictures.

    Raises:
        ValueError: No folder is given.
    """
    if not options.pictures:
        raise ValueError(f"engine {options.engine}: give pictures, folders of photographs to judge it on")
    return find_stills(options.pictures, options.exclude)


def _chosen(options: EvaluateOptions, stills: list[Still]) -> list[Still]:
    """The pictures to judge on: those that were kept apart by name, else those that are held out anyway."""
    if not options.kept:
        return choose(stills, options.count)
    kept = [still for still in stills if any(word in still.path.as_posix() for word in options.kept)]
    return kept[: options.count]


def _sections(trial: Trial) -> list[Section]:
    """What there is to say about an engine of its kind."""
    options, spec = trial.options, trial.runner.engine.spec
    if spec.family == "restore":
        return _restoration(trial)
    if spec.enlarges:
        return _enlargement(trial)
    found = []
    if options.style is not None:
        found += _style(trial, options.style)
    if options.operator is not None or options.partners is not None:
        start = Path(trial.opened.enter_context(TemporaryDirectory())) / "untrained"
        started = trial.opened.enter_context(Runner(untrained(trial.runner.engine, start)))
        methods = trial.runners | {"untrained": started}
        found.append(partner(methods, _pairs(trial), Encoder()))
    if options.classifier:
        belief = trial.opened.enter_context(_belief(options.classifier))
        found.append(domain(trial.runners, belief, spec.target_domain, trial.chosen, Encoder()))
    if options.videos:
        found.append(flicker(trial.runners, options.videos, options.first_frame, options.frames))
    return found


def _operator(options: EvaluateOptions) -> Operator:
    """The operator of that name; `after` paints after the style picture.

    Raises:
        ValueError: There is none, or no style picture.
    """
    if options.operator == AFTER and options.style is not None:
        return painter_after(options.style)
    operator = OPERATORS.get(options.operator or "")
    if operator is None:
        raise ValueError(
            f"there is no operator {options.operator!r}; known: {', '.join(OPERATORS)}, "
            f"and {AFTER} with a style"
        )
    return operator


def _restoration(trial: Trial) -> list[Section]:
    """What engines that restore gain, and how steady clips are."""
    options, methods = trial.options, dict[str, Method](trial.runners)
    if 2.0 in trial.runner.factors:
        methods["engine, factor 2"] = partial(trial.runner, factor=2.0)
    training = [still for still in trial.stills if not still.held_out]
    tuned_on = training[:: max(1, len(training) // _TUNED_ON)][:_TUNED_ON] if options.chain else []
    found = [
        restoration(methods, tuned_on, trial.chosen, options.seed),
        perception(methods, trial.chosen, options.seed, Encoder()),
    ]
    if options.videos:
        clips = (options.videos, options.first_frame, options.frames)
        found.append(steadiness(trial.runners, *clips, options.seed))
    return found


def _enlargement(trial: Trial) -> list[Section]:
    """How near engines that enlarge come to true pictures, and how steady clips are."""
    options = trial.options
    once = trial.runner.engine.spec.scale
    runners = {once: trial.runner}
    if once == SCALE:
        runners[once**2] = trial.opened.enter_context(Runner(options.engine, scale=once**2))
    figures = upscaling(runners, trial.chosen)
    found = [figures, bounded(figures)]
    if options.videos:
        found.append(enlarged_flicker(runners, options.videos, options.first_frame, options.frames))
    return found


def _style(trial: Trial, picture: Path) -> list[Section]:
    """How near outputs are to a style picture, and what noise does, where the engine takes some."""
    judge = Judge(open_style(picture), Encoder())
    detailed = Part.DETAIL in parts_of(trial.runner.engine)
    bare = trial.runner.without(Part.DETAIL) if detailed else None
    found = [style(trial.runners, judge, trial.chosen, bare)]
    if trial.runner.engine.spec.noise_channels > 0:
        found.append(noise(trial.runner, judge, trial.chosen[:_NOISE_PICTURES]))
    return found


def _sheet(trial: Trial) -> Picture:
    runner, chosen = trial.runner, trial.chosen
    if runner.engine.spec.family == "restore":
        return damage_sheet(runner, chosen, trial.options.seed)
    if runner.engine.spec.enlarges:
        truths = list(true_pictures(chosen))
        return upscaling_sheet(
            runner, truths[:: max(1, len(truths) // 4)][:4], times=runner.engine.spec.scale
        )
    return picture_sheet(runner, _shown(trial.options, chosen))


def _pairs(trial: Trial) -> Iterator[Pair]:
    """Held-out pictures with their partners, from files or drawn."""
    options = trial.options
    if options.partners is not None:
        return read_pairs(trial.chosen, options.pictures[0], options.partners)
    draw = _operator(options)
    return drawn_pairs(
        trial.chosen,
        lambda picture, _: draw(picture),
    )


@contextmanager
def _belief(name: str) -> Iterator[Belief]:
    """How probable a classifier engine holds each domain."""
    settings = EffectSettings(precision=Precision.F32)
    with closing(open_classifier(name, whole, settings, "judging domains")) as classifier:
        none = dict.fromkeys(classifier.classes, 0.0)
        yield lambda picture: classifier.probabilities(to_frame(picture)) or none


def _shown(options: EvaluateOptions, chosen: list[Still]) -> list[Picture]:
    """Four pictures and a frame of the first clip, for the sheet."""
    pictures = [read_still(still.path) for still in chosen[:: max(1, len(chosen) // 4)][:4]]
    frames = [frame for clip in options.videos[:1] for frame in read_clip(clip, options.first_frame, 1)]
    return [picture for picture in pictures if picture is not None] + frames
