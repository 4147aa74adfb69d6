"""Command line of the training: `python -m training style | distil | evaluate`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml
from pydantic import BaseModel, ValidationError

from streamfx.errors import StreamfxError
from streamfx.generate.engine import CARD
from training import evaluate
from training.card import distilled_card, style_card, with_figures
from training.distil import distil, read_teacher
from training.export import document, export, export_distilled
from training.features import Encoder
from training.options import DistilOptions, EvaluateOptions, StyleOptions
from training.pictures import find_stills, read_clip, read_still
from training.sheet import jpeg
from training.style import open_style, style_features, train

log = logging.getLogger(__name__)

Options = TypeVar("Options", bound=BaseModel)


class WrongOptions(ValueError):
    """Options of the command line or the configuration file are wrong; the message lists them all."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed, 2 wrong options."""
    given = vars(_parser().parse_args(arguments))
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    run = {"style": _style, "distil": _distil, "evaluate": _evaluate}[given.pop("command")]
    try:
        return run(given)
    except WrongOptions as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (StreamfxError, ValueError, FloatingPointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _style(given: dict[str, Any]) -> int:
    options = _options(StyleOptions, given)
    torch.set_num_threads(options.threads)
    engine = export(train(options), options, style_card(options))
    log.info("wrote engine %s to %s", engine.name, engine.folder)
    return 0


def _distil(given: dict[str, Any]) -> int:
    options = _options(DistilOptions, given)
    torch.set_num_threads(options.threads)
    teacher, network = read_teacher(options)
    card = (teacher.folder / CARD).read_text(encoding="utf-8")
    described = distilled_card(card, f"version {teacher.spec.version} of {teacher.name}", options)
    engine = export_distilled(distil(options, network), teacher, options, described)
    log.info("wrote engine %s to %s", engine.name, engine.folder)
    return 0


def _evaluate(given: dict[str, Any]) -> int:
    options = _options(EvaluateOptions, given)
    torch.set_num_threads(options.threads)
    stylizers = {"engine": evaluate.open_stylizer(options.engine)}
    stylizers |= {name: evaluate.open_stylizer(folder) for name, folder in options.against.items()}
    encoder = Encoder()
    style_13HW = open_style(options.style)
    judge = evaluate.Judge(style_features(encoder, style_13HW), encoder)
    chosen = evaluate.choose(find_stills(options.pictures, options.exclude), options.count)
    figures = evaluate.judge_pictures(stylizers["engine"], judge, chosen)
    figures += evaluate.judge_style(judge, style_13HW)
    flicker = [
        row
        for clip in options.videos
        for row in evaluate.judge_clip(stylizers, clip, options.first_frame, options.frames)
    ]
    shown = [
        picture
        for still in chosen[:: max(1, len(chosen) // 4)][:4]
        if (picture := read_still(still.path)) is not None
    ]
    shown += [frame for clip in options.videos[:1] for frame in read_clip(clip, options.first_frame, 1)]
    sheet = jpeg(evaluate.picture_sheet(stylizers["engine"], shown))
    tables = evaluate.tables(figures, flicker)
    options.work.mkdir(parents=True, exist_ok=True)
    (options.work / "evaluation.json").write_text(
        json.dumps(evaluate.as_json(figures, flicker), indent=1) + "\n"
    )
    (options.work / "sheet.jpg").write_bytes(sheet)
    print(tables)
    if options.document:
        card = (options.engine / "card.md").read_text(encoding="utf-8")
        document(options.engine, with_figures(card, tables), sheet)
    return 0


def _options(model: type[Options], given: dict[str, Any]) -> Options:
    """Settings of the configuration file, overruled by those of the command line; all mistakes reported at
    once.

    Raises:
        WrongOptions: A setting is wrong, or the file cannot be read.
    """
    values: dict[str, Any] = {}
    config: Path | None = given.pop("config")
    if config is not None:
        try:
            values = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
        except (OSError, yaml.YAMLError) as error:
            raise WrongOptions(f"cannot read {config}: {error}") from error
    for pair in given.pop("set"):
        key, equals, value = pair.partition("=")
        if not equals:
            raise WrongOptions(f"--set {pair}: write KEY=VALUE")
        values[key] = yaml.safe_load(value)
    values |= {key: value for key, value in given.items() if value is not None}
    if "work" in model.model_fields:
        name = Path(values.get("out") or values.get("engine") or "engine").name
        values.setdefault("work", Path(".work") / name)
    try:
        return model(**values)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'options'}: {e['msg']}" for e in error.errors()]
        raise WrongOptions("\n  ".join(["wrong options", *lines])) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and judge engines.")
    commands = parser.add_subparsers(dest="command", required=True)
    style = commands.add_parser("style", help="train an engine on one style picture")
    style.add_argument("--init", type=Path, help="weights.safetensors of a finished engine to start from")
    pupil = commands.add_parser("distil", help="train a faster network to do what an engine does")
    pupil.add_argument("--teacher", type=Path, help="engine folder to imitate")
    for command in (style, pupil):
        command.add_argument("--content", type=Path, nargs="+", help="folders of photographs, and clips")
        command.add_argument("--out", type=Path, help="engine folder to write")
    judge = commands.add_parser("evaluate", help="judge an engine on held-out pictures and clips")
    judge.add_argument("engine", type=Path, nargs="?", help="engine folder")
    judge.add_argument(
        "--pictures", type=Path, nargs="+", help="folders of photographs; the held-out ones are used"
    )
    judge.add_argument("--videos", type=Path, nargs="+", help="clips")
    judge.add_argument(
        "--document", action="store_const", const=True, help="write figures and sheet into the folder"
    )
    for command in (style, judge):
        command.add_argument("--style", type=Path, help="style picture")
        command.add_argument(
            "--work", type=Path, help="folder for what is not shipped; .work/NAME by default"
        )
    for command in (style, pupil, judge):
        command.add_argument("--config", type=Path, help="YAML file with any of the settings")
        command.add_argument(
            "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="any other setting"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
