"""Problems of a configuration: every one of them at once, each with its place and in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from streamfx.config.text import KeyPath, Problem, Settings, is_secret_setting
from streamfx.errors import ConfigError, did_you_mean
from streamfx.media.addresses import without_credentials

Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], settings: Settings) -> Model:
    """Return the configuration that the settings say.

    Raises:
        ConfigError: they are wrong; the message has a line for each problem.
    """
    problems = list(settings.problems)
    config = None
    try:
        config = model.model_validate(settings.values)
    except ValidationError as error:
        refused = {problem.path for problem in problems}
        for detail in error.errors(include_url=False):
            path = detail["loc"]
            if path not in refused:
                problems.append(
                    Problem(settings.place(path, key=_is_about_key(detail)), _explain(model, detail), path)
                )
    if config is None or problems:
        ordered = sorted(problems, key=lambda problem: problem.place.order)
        raise ConfigError("\n".join(str(problem) for problem in ordered))
    return config


def _is_about_key(detail: Mapping[str, Any]) -> bool:
    return detail["type"] in {"extra_forbidden", "missing"}


def _explain(model: type[BaseModel], detail: Mapping[str, Any]) -> str:
    path, kind, value = cast(KeyPath, detail["loc"]), detail["type"], detail["input"]
    name = ".".join(str(part) for part in path)
    if kind == "missing":
        return f"{name!r} is missing"
    if kind == "extra_forbidden":
        known = _known_keys(model, path[:-1])
        hint = did_you_mean(str(path[-1]), known) or f"there is {', '.join(sorted(known))}"
        return f"unknown key {name!r}; {hint}"
    text = str(detail["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    if kind == "literal_error":
        meant = did_you_mean(str(value), _choices(detail))
        text += f" ({meant})" if meant else ""
    if is_secret_setting(path):
        return f"{name}: {_plain(text)}, found something else"
    found = f"{value!r}" if len(repr(value)) < 60 else f"{repr(value)[:57]}…"
    return f"{name}: {_plain(text)}, found {without_credentials(found)}"


def _plain(text: str) -> str:
    for technical, plain in (
        ("a valid integer", "a whole number"),
        ("a valid number", "a number"),
        ("a valid string", "text"),
        ("a valid boolean", "true or false"),
        ("a valid tuple", "a list"),
        ("String should have at least 1 character", "must not be empty"),
    ):
        text = text.replace(technical, plain)
    return re.sub(r"a valid dictionary( or instance of \w+)?", "a section of settings", text)


def _choices(detail: Mapping[str, Any]) -> list[str]:
    expected = str(detail["ctx"]["expected"]).replace(" or ", ", ")
    return [choice.strip(" '") for choice in expected.split(",")]


def _known_keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    for part in path:
        annotation = model.model_fields[str(part)].annotation
        assert isinstance(
            annotation, type
        )  # only sections hold keys, so only a section can hold an unknown one
        model = cast(type[BaseModel], annotation)
    return list(model.model_fields)
