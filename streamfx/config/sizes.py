"""Settings of bit rates and sizes, and what a wrong one is told."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, PlainValidator, ValidationInfo, WithJsonSchema

from streamfx.config.option import Option

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)(i?b)?", re.IGNORECASE | re.ASCII)
_TIMES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_LEAST_BITS, _MOST_BITS = 1_000, 10**9
_LEAST_BYTES, _MOST_BYTES = 10_000, 10**13


def number_of(value: object, *, binary: bool = False) -> int | None:
    """Return the whole number that ``128k``, ``2.5M`` or ``128000`` are; None: it is none.

    Args:
        value: text that a user wrote.
        binary: whether units of 1024 are understood too, ``25MiB``.

    Example:
        >>> number_of("128k"), number_of("2M"), number_of("2MB", binary=True)
        (128000, 2000000, 2000000)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or (found[3] and not binary):
        return None
    unit = found[2].lower()
    times = 1024 ** " kmg".index(unit) if unit and (found[3] or "").lower() == "ib" else _TIMES[unit]
    return round(float(found[1]) * times)


def _check_bits(value: object) -> int | None:
    bits = number_of(value)
    if value is not None and (bits is None or not _LEAST_BITS <= bits <= _MOST_BITS):
        raise ValueError("must be bits a second, such as 2M, 800k or 800000, from 1k to 1000M")
    return bits


def _check_bytes(value: object) -> int | None:
    count = number_of(value, binary=True)
    if value is not None and (count is None or not _LEAST_BYTES <= count <= _MOST_BYTES):
        raise ValueError("must be a size, such as 25M (25 000 000 bytes), 25MiB or 1.5G, from 10k on")
    return count


def _instead(bits: int | None, info: ValidationInfo) -> int | None:
    for other in ("quality", "bitrate"):
        if bits is not None and other != info.field_name and info.data.get(other) is not None:
            raise ValueError(f"cannot be given together with {other}; leave one of them out")
    return bits


_SCHEMA = WithJsonSchema({"type": ["string", "integer", "null"]})
BitrateSetting = Annotated[
    int | None,
    PlainValidator(_check_bits),
    AfterValidator(_instead),
    _SCHEMA,
    Option("encoding", "RATE"),
    Field(description="bits a second of the pictures on average, instead of a quality: 2M, 800k"),
]
SizeLimitSetting = Annotated[
    int | None,
    PlainValidator(_check_bytes),
    AfterValidator(_instead),
    _SCHEMA,
    Option("encoding", "SIZE"),
    Field(
        description="size that the whole output must not exceed, kept in two passes: 25M (25 000 000 bytes), "
        "25MiB, 1.5G"
    ),
]
