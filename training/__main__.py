"""Command line of the training: `python -m training COMMAND --config FILE`; one command for each recipe."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from streamfx.config.text import read_yaml
from streamfx.errors import ConfigError, StreamfxError
from training import (
    classify,
    convert_sr,
    distil,
    evaluate,
    paired,
    person,
    quantise,
    restore,
    style,
    super_resolution,
    unpaired,
)
from training.classify_options import ClassifyOptions
from training.convert_sr_options import ConvertSrOptions
from training.errors import WrongOptions
from training.evaluation import compare
from training.evaluation.compare import CompareOptions
from training.evaluation.options import EvaluateOptions
from training.export import add_graph
from training.options import DistilOptions, GraphOptions, StyleOptions
from training.paired_options import PairedOptions
from training.person_options import PersonOptions
from training.quantise import QuantiseOptions
from training.restore_options import RestoreOptions
from training.super_resolution import SuperResolutionOptions
from training.unpaired_options import UnpairedOptions


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        help: Summary of what it does.
        options: Model of its settings, closed and checked.
        run: Function that does it.
        flags: Settings that have a flag of their own, with their place in the settings: `loop.seed`. Those
            that hold lists take several values.
        positional: A setting that is given without a flag.
    """

    help: str
    options: type[BaseModel]
    run: Callable[[Any], object]
    flags: Mapping[str, str]
    positional: str | None = None


_FOLDERS = {"out": "out", "work": "work"}
COMMANDS: Mapping[str, Command] = {
    "style": Command(
        "train a warp_mask engine on one style picture",
        StyleOptions,
        style.run,
        {"style": "style", "init": "init", "content": "content", **_FOLDERS},
    ),
    "convert_sr": Command(
        "train a convert_sr engine on one style picture, with noise that varies the look",
        ConvertSrOptions,
        convert_sr.run,
        {"style": "style", "init": "init", "content": "feed.content", **_FOLDERS},
    ),
    "distil": Command(
        "train a faster warp_mask network to do what an engine does",
        DistilOptions,
        distil.run,
        {"teacher": "teacher", "content": "content", **_FOLDERS},
    ),
    "upscale": Command(
        "train a super_resolution engine",
        SuperResolutionOptions,
        super_resolution.run,
        {"init": "init", "content": "feed.content", **_FOLDERS},
    ),
    "restore": Command(
        "train an engine that restores damaged pictures",
        RestoreOptions,
        restore.run,
        {"content": "feed.content", "init": "init", "judge": "judge", **_FOLDERS},
    ),
    "classify": Command(
        "train a classifier of quality or of domains",
        ClassifyOptions,
        classify.run,
        _FOLDERS,
    ),
    "paired": Command(
        "train a warp_mask engine on pictures and what a slow operator makes of them",
        PairedOptions,
        paired.run,
        {"content": "content", "partners": "partners", **_FOLDERS},
    ),
    "person": Command(
        "train a matting engine, which tells people from the background",
        PersonOptions,
        person.run,
        {"init": "init", "people": "composed.people", "behind": "composed.behind", **_FOLDERS},
    ),
    "unpaired": Command(
        "train two warp_mask engines on two sets of pictures, one per direction",
        UnpairedOptions,
        unpaired.run,
        {"source": "source.content", "target": "target.content", **_FOLDERS},
    ),
    "compare": Command(
        "set the figures of looks side by side, with the limits that they are held to",
        CompareOptions,
        compare.run,
        {"evaluations": "evaluations", "table": "table", "out": "out"},
    ),
    "graph": Command(
        "put what OpenVINO runs into an engine folder, so that running it needs no torch",
        GraphOptions,
        lambda options: add_graph(options.engine),
        {},
        positional="engine",
    ),
    "quantise": Command(
        "measure the ranges with which processors may compute an engine in integers of 8 bits",
        QuantiseOptions,
        quantise.run,
        {},
        positional="engine",
    ),
    "evaluate": Command(
        "judge an engine on held-out pictures and clips",
        EvaluateOptions,
        evaluate.run,
        {
            "style": "style",
            "operator": "operator",
            "pictures": "pictures",
            "videos": "videos",
            "work": "work",
        },
        positional="engine",
    ),
}
_LISTS = ("content", "people", "behind", "source", "target", "pictures", "videos", "evaluations")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed, 2 wrong options."""
    given = vars(_parser().parse_args(arguments))
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    command = COMMANDS[given.pop("command")]
    try:
        command.run(_options(command, given))
    except WrongOptions as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (StreamfxError, ValueError, FloatingPointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _options(command: Command, given: dict[str, Any]) -> BaseModel:
    """Settings of the configuration file, overruled by those of the command line; all mistakes reported at
    once.

    Raises:
        WrongOptions: A setting is wrong, or the file cannot be read.
    """
    values = _read(given["config"]) if given["config"] is not None else {}
    for pair in given["set"]:
        key, equals, text = pair.partition("=")
        if not equals:
            raise WrongOptions(f"--set {pair}: write KEY=VALUE")
        try:
            _put(values, key, yaml.safe_load(text))
        except yaml.YAMLError as error:
            raise WrongOptions(f"--set {pair}: {text} is not a value as YAML writes it") from error
    places = dict(command.flags)
    if command.positional is not None:
        places[command.positional] = command.positional
    for name, place in places.items():
        if given[name] is not None:
            _put(values, place, given[name])
    if given.get("document"):
        values["document"] = True
    if "work" in command.options.model_fields:
        name = Path(values.get("out") or values.get("engine") or "engine").name
        values.setdefault("work", Path(".work") / name)
    try:
        return command.options(**values)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'options'}: {e['msg']}" for e in error.errors()]
        raise WrongOptions("\n  ".join(["wrong options", *lines])) from error


def _read(config: Path) -> dict[str, Any]:
    """Settings of a configuration file.

    Raises:
        WrongOptions: It cannot be read, holds no settings, or names one twice; says where.
    """
    try:
        settings = read_yaml(config)
    except ConfigError as error:
        raise WrongOptions(str(error)) from error
    if settings.problems:
        raise WrongOptions("\n  ".join(["wrong options", *map(str, settings.problems)]))
    return settings.values


def _put(values: dict[str, Any], place: str, value: Any) -> None:
    """Set `section.key` of nested settings.

    Raises:
        WrongOptions: The section holds no settings.
    """
    *sections, key = place.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise WrongOptions(f"{place}: {section} holds no settings but {values!r}")
    values[key] = value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and judge engines.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=command.help, description=command.help)
        if command.positional is not None:
            one.add_argument(command.positional, type=Path, nargs="?")
        for flag in command.flags:
            one.add_argument(f"--{flag}", nargs="+" if flag in _LISTS else None)
        one.add_argument("--config", type=Path, help="YAML file with any of the settings")
        one.add_argument(
            "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
            help="any other setting; loop.seed=3 for one in a section",
        )  # fmt: skip
        if "document" in command.options.model_fields:
            one.add_argument(
                "--document", action="store_true", help="write figures and sheet into the engine's folder"
            )
    return parser


if __name__ == "__main__":
    sys.exit(main())
