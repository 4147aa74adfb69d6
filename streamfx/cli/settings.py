"""Command-line options of settings, made from the configuration, where each is described once."""

from __future__ import annotations

import argparse
from collections.abc import Container
from typing import Any

from pydantic import BaseModel

from streamfx.config.loading import name_of, options_of
from streamfx.config.option import Option

_GROUPS = ("files", "part", "picture", "live", "page", "look", "speed", "encoding", "tracks", "run")


def add_settings(
    command: argparse.ArgumentParser, model: type[BaseModel], only: Container[str] | None = None
) -> None:
    """Add an option for every setting that has one, under its heading.

    Args:
        command: command to add them to.
        model: the configuration.
        only: settings to add; None: all.
    """
    found = [each for each in options_of(model) if only is None or each[0] in only]
    for heading in sorted({option.group for _, option, _ in found}, key=_GROUPS.index):
        group = command.add_argument_group(heading)
        for path, option, description in found:
            if option.group == heading:
                flag = f"--{name_of(path, option).replace('_', '-')}"
                group.add_argument(flag, dest=path, default=None, help=description, **_kind(option))


def given_settings(
    options: argparse.Namespace, model: type[BaseModel]
) -> tuple[dict[str, object], list[str]]:
    """Return what the options set: settings by name, and overrides for those inside sections.

    Args:
        options: options as parsed.
        model: the configuration that the options were made from.
    """
    values = {path: getattr(options, path, None) for path, _, _ in options_of(model)}
    overrides = [f"{path}={value}" for path, value in values.items() if "." in path and value is not None]
    return {path: value for path, value in values.items() if "." not in path}, overrides


def _kind(option: Option) -> dict[str, Any]:
    if option.switch_off:
        return {"action": argparse.BooleanOptionalAction}
    if not option.metavar:
        return {"action": "store_true"}
    return {"metavar": option.metavar, **({"action": "append"} if option.repeats else {})}
