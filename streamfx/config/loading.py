"""Loading: YAML, overrides and options in, one typed and closed model out, or every problem at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any, overload

from pydantic import BaseModel, ValidationError

from streamfx.config.option import Option
from streamfx.config.problems import Model, validated
from streamfx.config.text import KeyPath, Settings, read_overrides, read_yaml
from streamfx.config.transcode import TranscodeConfig


@overload
def load_config(
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
) -> TranscodeConfig: ...


@overload
def load_config(
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
    *,
    model: type[Model],
) -> Model: ...


def load_config(
    path: str | Path | None = None,
    overrides: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
    *,
    model: type[BaseModel] = TranscodeConfig,
) -> BaseModel:
    """Return the configuration: the file, then ``overrides``, then ``options``; the later wins.

    Args:
        path: YAML file; None for none.
        overrides: ``key=value`` texts, as given to ``--set``; a dotted key reaches into a section and the
            value is read as YAML.
        options: settings by name, as given to command-line options or as Python arguments; None values are
            not set. Text is turned into what the setting needs ("4" into 4).
        model: model of the configuration: ``TranscodeConfig`` or ``LiveConfig``.

    Raises:
        ConfigError: with every problem there is, one per line, each with file, line, column and key.

    Example:
        >>> files = {"input": "a.mp4", "output": "b.mp4"}
        >>> config = load_config(None, ["quality=20", "limits.frames=9"], files)
        >>> config.quality, config.limits.frames
        (20, 9)
        >>> load_config(None, ["qualty=20"], files)
        Traceback (most recent call last):
        ...
        streamfx.errors.ConfigError: --set qualty=20: unknown key 'qualty'; did you mean 'quality'?
    """
    settings = read_yaml(Path(path)) if path is not None else Settings()
    read_overrides(settings, overrides, partial(_accepts, model))
    for name, value in (options or {}).items():
        if value is not None:
            settings.set((name,), _typed(model, (name,), value), "")
    return validated(model, settings)


def configured(model: type[Model], given: Mapping[str, object], settings: Sequence[str] = ()) -> Model:
    """Return the configuration that Python arguments mean.

    Args:
        model: model of the configuration.
        given: arguments by name: a setting's own, or that of its option where it is in a section.
        settings: further ones, each ``key=value`` as for ``--set``.

    Raises:
        ConfigError: as `load_config`.
    """
    paths = {name_of(path, option): path for path, option, _ in options_of(model)}
    overrides, values = list[str](), dict[str, object]()
    for name, value in given.items():
        path = name if name in model.model_fields else paths[name]
        if "." in path:
            overrides += [] if value is None else [f"{path}={str(value).lower()}"]
        else:
            values[path] = _plain(value)
    return load_config(None, [*overrides, *settings], values, model=model)


def options_of(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, Option, str]]:
    """Yield path, option and description of every setting that has an option, those in sections included."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from options_of(inner, f"{before}{name}.")
        option = next((each for each in field.metadata if isinstance(each, Option)), None)
        if option is not None:
            yield f"{before}{name}", option, str(field.description)


def name_of(path: str, option: Option) -> str:
    """Return what the option of a setting is called."""
    return option.name or path.rpartition(".")[2]


def _plain(value: object) -> object:
    """Return file names as text, and lists of them as tuples."""
    if isinstance(value, str | PathLike):
        return fspath(value)
    return tuple(map(_plain, value)) if isinstance(value, Sequence) else value


def schema(model: type[BaseModel] = TranscodeConfig) -> dict[str, Any]:
    """Return the JSON schema of configuration files, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}


def _typed(model: type[BaseModel], path: KeyPath, value: object) -> object:
    """Return what a text from the command line means for the setting at ``path``."""
    if not isinstance(value, str) or _accepts(model, path, value):
        return value
    probe = Settings()
    read_overrides(probe, [f"{'.'.join(str(part) for part in path)}={value}"], partial(_accepts, model))
    return value if probe.problems else probe.get(path)


def _accepts(model: type[BaseModel], path: KeyPath, value: object) -> bool:
    """Return whether the setting at ``path`` takes ``value`` as it is."""
    probe = Settings()
    probe.set(path, value, "")
    try:
        model.model_validate(probe.values)
    except ValidationError as error:
        return all(tuple(detail["loc"][: len(path)]) != path for detail in error.errors(include_url=False))
    return True
