"""A setting is described once: command line, Python arguments and JSON schema say what the model says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

import streamfx
from docs.reference_pages import TAKE_SETTINGS, settings_by_name
from streamfx.cli.parser import parse
from streamfx.config.live import LiveConfig
from streamfx.config.loading import configured, name_of, options_of, schema
from streamfx.config.preview import PreviewConfig
from streamfx.config.serve import ServeConfig
from streamfx.config.transcode import TranscodeConfig

MODELS: dict[str, type[BaseModel]] = {
    "transcode": TranscodeConfig,
    "live": LiveConfig,
    "serve": ServeConfig,
    "preview": PreviewConfig,
}
FUNCTIONS: list[tuple[Callable[..., Any], type[BaseModel]]] = [
    (streamfx.transcode, TranscodeConfig),
    (streamfx.live, LiveConfig),
    (streamfx.serve, ServeConfig),
    (streamfx.preview, PreviewConfig),
]
NO_SETTINGS = {"progress", "announce", "settings"}


def words(text: str | None) -> str:
    return " ".join((text or "").split()).rstrip(".")


def described(function: Callable[..., Any]) -> dict[str, str]:
    """Return what the docstring says of each argument."""
    section = inspect.cleandoc(function.__doc__ or "").partition("Args:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", section, re.MULTILINE)
    return {name: words(text) for name, text in entries}


def settings(model: type[BaseModel]) -> dict[str, tuple[str, object]]:
    """Return description and default of each setting, by the name of the Python argument."""
    found = {
        name: (words(field.description), field.get_default(call_default_factory=True))
        for name, field in model.model_fields.items()
    }
    for path, option, description in options_of(model):
        section, _, name = path.rpartition(".")
        if section:
            inner = model.model_fields[section].get_default(call_default_factory=True)
            found[name_of(path, option)] = (words(description), getattr(inner, name))
    return found


@pytest.mark.parametrize(("function", "model"), FUNCTIONS)
def test_python_arguments_are_the_settings(function: Callable[..., Any], model: type[BaseModel]) -> None:
    known, said = settings(model), described(function)
    given = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in NO_SETTINGS
    }
    for name, parameter in given.items():
        description, default = known["outputs" if name == "output" and name not in known else name]
        assert said[name] == description, name
        if parameter.default is not inspect.Parameter.empty:
            assert parameter.default == default, name
    options = {path if "." not in path else name_of(path, option) for path, option, _ in options_of(model)}
    assert options <= given.keys(), "what the command line can set, Python can"


def test_what_is_no_setting_is_refused_as_python_refuses_it() -> None:
    settings: dict[str, Any] = {"facter": 2}
    with pytest.raises(TypeError, match="unexpected keyword argument 'facter'"):
        streamfx.transcode("in.mp4", "out.mp4", **settings)


@pytest.mark.parametrize("name", TAKE_SETTINGS)
def test_the_page_of_public_names_lists_the_settings_of_a_function(name: str) -> None:
    table = settings_by_name(name)
    for path, option, description in options_of(MODELS[name]):
        assert f"| `{name_of(path, option) if '.' in path else path}` | " in table
        assert description.replace("|", "\\|") in table


@pytest.mark.parametrize("command", MODELS)
def test_command_line_options_are_the_settings(command: str) -> None:
    more = {"transcode": ["a", "b"], "live": ["a", "b"], "serve": [], "preview": []}[command]
    actions = {action.dest: action for action in parse([command, *more]).parser._actions}
    for path, option, description in options_of(MODELS[command]):
        assert f"--{name_of(path, option)}".replace("_", "-") in actions[path].option_strings
        assert words(actions[path].help) == words(description)


@pytest.mark.parametrize("model", MODELS.values())
def test_the_schema_describes_every_setting_in_a_phrase_that_stands_alone(model: type[BaseModel]) -> None:
    described = schema(model)
    for part in (described, *described.get("$defs", {}).values()):
        for name, field in part["properties"].items():
            text = field.get("description", "") if "$ref" not in field else "section"
            assert text, name
            assert not re.match(
                r"(of|for|in|where|when|what|how|whether|as|to|is|it|they|give|end|wait)\b", text
            ), text


def test_settings_of_a_section_are_arguments_too_and_what_is_set_by_name_wins() -> None:
    given = {"input": "test:bars", "outputs": ("null:",), "seconds": 3, "gap": "pause", "loop": True}
    config = configured(LiveConfig, given)
    assert (config.limits.seconds, config.source.gap, config.source.loop) == (3.0, "pause", True)
    assert configured(LiveConfig, given, ["source.gap=black"]).source.gap == "black"
