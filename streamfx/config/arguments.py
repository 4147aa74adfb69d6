"""Python arguments: functions that take the settings of a model by name, and say so.

A function writes ``**options: Unpack[TranscodeArguments]``, which type checkers know. What `help` and
`inspect` show is made of the model: each argument with its default and description.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import wraps
from typing import ParamSpec, TypeVar

from pydantic import BaseModel

from streamfx.config.loading import name_of, options_of

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_WIDTH = 100
_OPTIONS = "        **options: "


def takes_settings(
    model: type[BaseModel], arguments: type
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Return a decorator for a function that takes settings as ``**options``.

    The function gets the signature and the description of each of them, in place of ``**options``; others are
    refused as Python refuses an unexpected argument.

    Args:
        model: model of the configuration, which describes the settings.
        arguments: typed dictionary of those that the function takes, by the names of its arguments.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        shown = inspect.signature(function)
        own = [each for each in shown.parameters.values() if each.kind is not each.VAR_KEYWORD]
        first = [each for each in own if each.kind is not each.KEYWORD_ONLY]
        last = [each for each in own if each.kind is each.KEYWORD_ONLY]
        known = {name: (description, default) for name, description, default in settings_of(model)}
        added = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=known[name][1],
                annotation=getattr(hint, "__forward_arg__", hint),  # as it is written
            )
            for name, hint in arguments.__annotations__.items()
        ]
        signature = shown.replace(parameters=[*first, *added, *last])

        @wraps(function)
        def called(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            signature.bind(*args, **kwargs)
            return function(*args, **kwargs)

        called.__signature__ = signature  # type: ignore[attr-defined]
        if function.__doc__ is not None:  # not with -OO
            told = {each.name: known[each.name][0] for each in added}
            called.__doc__ = _with_arguments(function.__doc__, told)
        return called

    return decorate


def settings_of(model: type[BaseModel]) -> Iterator[tuple[str, str, object]]:
    """Yield name, description and default of each setting, by the name of its Python argument."""
    for name, field in model.model_fields.items():
        yield name, str(field.description), field.get_default(call_default_factory=True)
    for path, option, description in options_of(model):
        section, _, name = path.rpartition(".")
        if section:
            inner = model.model_fields[section].get_default(call_default_factory=True)
            yield name_of(path, option), description, getattr(inner, name)


def _with_arguments(docstring: str, told: dict[str, str]) -> str:
    """Return the docstring with the description of each argument in the place of that of ``**options``."""
    before, found, rest = docstring.partition(_OPTIONS)
    if not found:
        return docstring
    lines = rest.splitlines(keepends=True)[1:]
    while lines and lines[0].startswith(" " * 12):
        del lines[0]
    entry = textwrap.TextWrapper(_WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 12)
    entries = "\n".join(entry.fill(f"{name}: {text}.") for name, text in told.items())
    return f"{before}{entries}\n{''.join(lines)}"
