"""Options behind a source's name, as in ``test:bars?size=1280x720&fps=30``."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from streamfx.errors import ConfigError, did_you_mean
from streamfx.media.rates import rate_of


def split_options(text: str, allowed: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return what stands before the ``?`` and the options behind it, each still text.

    Args:
        text: the source as the user wrote it.
        allowed: option names, each with an example of its value.

    Raises:
        ConfigError: an option is unknown, repeated or has no value.
    """
    head, _, tail = text.partition("?")
    options: dict[str, str] = {}
    for part in filter(None, tail.split("&")):
        key, equals, value = part.partition("=")
        if key not in allowed:
            hint = did_you_mean(key, allowed) or f"there are: {', '.join(allowed)}"
            raise ConfigError(f"{text}: unknown option '{key}'; {hint}")
        if key in options:
            raise ConfigError(f"{text}: option '{key}' is given twice")
        if not equals or not value:
            raise ConfigError(f"{text}: option '{key}' needs a value, as in {key}={allowed[key]}")
        options[key] = value
    return head, options


def whole_number(text: str, key: str, value: str, low: int, high: int) -> int:
    """Return ``value`` as an integer within [low, high].

    Raises:
        ConfigError: it is not one; the message names the source ``text`` and the option ``key``.
    """
    try:
        number = int(value)
    except ValueError as error:
        raise ConfigError(f"{text}: {key} must be a whole number, found '{value}'") from error
    if not low <= number <= high:
        raise ConfigError(f"{text}: {key} must be {low} to {high}, found {number}")
    return number


def frame_rate(text: str, key: str, value: str) -> Fraction:
    """Return ``value`` (``25``, ``29.97`` or ``30000/1001``) as frames per second.

    Raises:
        ConfigError: it is not a positive number up to 1000.
    """
    try:
        return rate_of(value)
    except ValueError as error:
        raise ConfigError(f"{text}: {key} {error}, found '{value}'") from error


def picture_size(text: str, key: str, value: str) -> tuple[int, int]:
    """Return ``value``, written WIDTHxHEIGHT, as (height, width).

    Raises:
        ConfigError: it is not two whole numbers of 1 to 16384.
    """
    width, x, height = value.partition("x")
    if not x:
        raise ConfigError(f"{text}: {key} must be WIDTHxHEIGHT, as in 1280x720, found '{value}'")
    return whole_number(text, key, height, 1, 16384), whole_number(text, key, width, 1, 16384)
