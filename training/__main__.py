"""Command line of the training: `python -m training style | evaluate | export`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic import BaseModel, ValidationError

from training.options import StyleOptions


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed, 2 wrong options."""
    given = vars(_parser().parse_args(arguments))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    command = given.pop("command")
    try:
        return {"style": _style}[command](given)
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _style(given: dict[str, Any]) -> int:
    options = _options(StyleOptions, given)
    torch.set_num_threads(options.threads)
    from training.style import train

    train(options)
    return 0


def _options(model: type[Any], given: dict[str, Any]) -> Any:
    """Settings of the configuration file, overruled by those of the command line; all mistakes reported at once."""
    values: dict[str, Any] = {}
    config: Path | None = given.pop("config")
    if config is not None:
        values = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    for pair in given.pop("set"):
        key, _, value = pair.partition("=")
        values[key] = yaml.safe_load(value)
    values |= {key: value for key, value in given.items() if value is not None}
    values.setdefault("work", Path(".work") / Path(values.get("out", "engine")).name)
    try:
        return model(**values)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'options'}: {e['msg']}" for e in error.errors()]
        raise ValueError("\n  ".join(["wrong options", *lines])) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and judge engines.")
    commands = parser.add_subparsers(dest="command", required=True)
    style = commands.add_parser("style", help="train an engine on one style picture")
    style.add_argument("--config", type=Path, help="YAML file with any of the settings")
    style.add_argument("--style", type=Path, help="style picture")
    style.add_argument("--content", type=Path, nargs="+", help="folders of photographs, and clips")
    style.add_argument("--out", type=Path, help="engine folder to write")
    style.add_argument("--work", type=Path, help="folder for checkpoint and log; .work/NAME by default")
    style.add_argument("--init", type=Path, help="weights.safetensors of a finished engine to start from")
    style.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="any other setting")
    return parser


if __name__ == "__main__":
    sys.exit(main())
