"""Settings as they were written: plain values, and where each one stands, for errors that name the place."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from streamfx.errors import ConfigError
from streamfx.media.addresses import is_secret, without_credentials

KeyPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class TextPosition:
    """Where a setting was written: ``name`` of file or option; line and column count from 1, 0 for none."""

    name: str
    line: int = 0
    column: int = 0

    @property
    def order(self) -> tuple[bool, int, int]:
        """Sorts places in a file first, by line."""
        return not self.line, self.line, self.column

    def __str__(self) -> str:
        return f"{self.name}:{self.line}:{self.column}" if self.line else self.name


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    place: TextPosition
    text: str
    path: KeyPath = ()

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place.name else self.text


@dataclass(slots=True)
class Settings:
    """Nested settings, the place of every key and value, and what was wrong while reading them."""

    values: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    source: str = ""
    _key_places: dict[KeyPath, TextPosition] = field(default_factory=dict)
    _value_places: dict[KeyPath, TextPosition] = field(default_factory=dict)

    def set(self, path: KeyPath, value: object, name: str) -> None:
        """Set one value, over what was there; ``name`` is how errors call the place."""
        level = self.values
        for part in path[:-1]:
            below = level.get(str(part))
            if not isinstance(below, dict):
                below = level[str(part)] = {}
            level = below
        level[str(path[-1])] = value
        self.put_position(path, TextPosition(name), TextPosition(name))

    def get(self, path: KeyPath) -> object:
        """Return the value at ``path``."""
        level: Any = self.values
        for part in path:
            level = level[part]
        return level

    def put_position(self, path: KeyPath, key: TextPosition, value: TextPosition) -> None:
        """Note where a key and its value stand."""
        # What an earlier source said about this key and below it no longer counts.
        for places in (self._key_places, self._value_places):
            for old in [known for known in places if known[: len(path)] == path]:
                del places[old]
        self._key_places[path], self._value_places[path] = key, value

    def place(self, path: KeyPath, *, key: bool = False) -> TextPosition:
        """Return the place of the value at ``path`` or of its key; else of what holds it or what it holds."""
        places = self._key_places if key else self._value_places
        for length in range(len(path), 0, -1):
            if path[:length] in places:
                return places[path[:length]]
        below = (places[known] for known in places if known[: len(path)] == path)
        return next(below, TextPosition(self.source)) if path else TextPosition(self.source)


def from_environment(text: str) -> str:
    """Return the text with every ``${NAME}`` in it replaced by what the environment variable holds.

    Raises:
        ValueError: there is no such variable.

    Example:
        >>> from_environment("rtmp://live.example/app/${HOME}") == f"rtmp://live.example/app/{os.environ['HOME']}"
        True
    """

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise ValueError(f"there is no environment variable {found[1]}")
        return os.environ[found[1]]

    return re.sub(r"\$\{(\w+)\}", value, text)


def is_secret_setting(path: KeyPath) -> bool:
    """Return whether the value of a setting, or of what was meant to be one, must not be shown.

    Options of FFmpeg's protocols may hold passwords and headers, whatever they are called.
    """
    return path[:2] == ("source", "options") or any(is_secret(str(part)) for part in path)


STANDARD_INPUT = Path("-")
"""In place of a file with settings: what is secret in them then stands in no file and on no command line."""


def read_yaml(path: Path) -> Settings:
    """Return what a YAML file says, with the place of everything; repeated keys and the like become problems.

    Args:
        path: path of the file; ``-`` for standard input.

    Raises:
        ConfigError: the file cannot be read, or is not YAML at all.
    """
    try:
        data = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
        path = Path("standard input") if path == STANDARD_INPUT else path
        text = data.decode("utf-8-sig")
        # compose builds nodes, which know their places; nothing is constructed from tags here.
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the configuration is not UTF-8 text: {error.reason}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = TextPosition(str(path), mark.line + 1, mark.column + 1) if mark else TextPosition(str(path))
        raise ConfigError(f"{place}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    settings = Settings(source=str(path))
    reader = _Reader(str(path), settings)
    if isinstance(root, yaml.MappingNode):
        settings.values = reader.mapping(root, ())
    elif root is not None:
        raise ConfigError(f"{reader.place(root)}: settings must be 'key: value' lines, found {_kind(root)}")
    return settings


def read_overrides(
    settings: Settings, overrides: Sequence[str], accepts: Callable[[KeyPath, object], bool]
) -> None:
    """Set what ``key=value`` texts say.

    Args:
        settings: settings to set it in.
        overrides: the texts; a dotted key reaches into a section.
        accepts: function that says whether a setting takes a value. A value is read as YAML, but taken as
            the text it is where only that fits (an output named ``1``).
    """
    for override in overrides:
        key, separator, text = override.partition("=")
        path: KeyPath = tuple(part.strip() for part in key.split("."))
        shown = f"{key}=***" if is_secret_setting(path) else without_credentials(override)
        place = TextPosition(f"--set {shown}")
        if not separator or not all(path):
            settings.problems.append(Problem(place, "must be KEY=VALUE, for example quality=20"))
            continue
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):
            value = text
        in_sixties = ":" in text and isinstance(value, int | float)  # as in `_Reader`
        if in_sixties or (not accepts(path, value) and accepts(path, text)):
            value = text
        settings.set(path, value, place.name)


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _Reader:
    """Turns YAML nodes into plain values."""

    def __init__(self, file: str, settings: Settings) -> None:
        self._file, self._settings = file, settings
        self._scalars = yaml.SafeLoader("")
        self._seen: set[int] = set()

    def place(self, node: yaml.Node) -> TextPosition:
        return TextPosition(self._file, node.start_mark.line + 1, node.start_mark.column + 1)

    def mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key_node.tag == "tag:yaml.org,2002:merge":
                self._refuse(key_node, "a key must be one word", path)
                continue
            key_path = (*path, key)
            if key in values:
                first = self._settings.place(key_path, key=True)
                self._refuse(key_node, f"key {key!r} is there already, on line {first.line}", ())
                continue
            self._settings.put_position(key_path, self.place(key_node), self.place(value_node))
            values[key] = self._value(value_node, key_path)
        return values

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        # An alias brings the same node again. Settings need none, and chains of them can grow without bound.
        if id(node) in self._seen:
            self._refuse(node, "aliases (*name) are not supported; write the value out", path)
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for index, item in enumerate(node.value):
                self._settings.put_position((*path, index), self.place(item), self.place(item))
                items.append(self._value(item, (*path, index)))
            return items
        if ":" in node.value and node.tag in _NUMBERS:
            return str(node.value)  # YAML 1.1 counts in sixties: 16:9 would be 969
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            reason = error.problem if isinstance(error, yaml.MarkedYAMLError) else str(error)
            self._refuse(node, f"cannot be read as a value: {reason}", path)
            return None

    def _refuse(self, node: yaml.Node, text: str, path: KeyPath) -> None:
        self._settings.problems.append(Problem(self.place(node), text, path))


def _kind(node: yaml.Node) -> str:
    return "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
