"""Configuration of ``streamfx preview``: what `streamfx.preview` takes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, PlainValidator, Strict, WithJsonSchema

from streamfx.config.option import Option
from streamfx.config.run import BackendSetting, ThreadsSetting
from streamfx.config.values import (
    CLOSED,
    Deinterlace,
    DeviceName,
    FileName,
    Texts,
    check_moment,
)
from streamfx.engine.factors import FACTORS, check_factor


def _check_moments(value: object) -> tuple[float, ...]:
    """Return times in seconds, from numbers, texts, or texts of several with commas between."""
    return tuple(map(check_moment, _items(value)))


def _check_factors(value: object) -> tuple[float, ...]:
    """Return factors, from numbers, texts, or texts of several with commas between."""
    factors = [check_factor(_number(part)) for part in _items(value)]
    return tuple(dict.fromkeys(float(factor) for factor in factors))


def _items(value: object) -> list[object]:
    given = value if isinstance(value, tuple | list) else (value,)
    return [part for each in given for part in (each.split(",") if isinstance(each, str) else (each,))]


def _number(value: object) -> object:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


_Items = {"type": "array", "items": {"type": ["number", "string"]}}
Moments = Annotated[tuple[float, ...], PlainValidator(_check_moments), WithJsonSchema(_Items)]
Factors = Annotated[tuple[float, ...], PlainValidator(_check_factors), WithJsonSchema(_Items)]
Width = Annotated[int, Strict(), Field(ge=320, le=16384)]


class PreviewConfig(BaseModel):
    """Everything that ``streamfx preview`` can be told."""

    model_config = CLOSED

    input: FileName = Field(
        description="source: a video file, '-' for standard input, pictures (a folder, frames/%05d.png), "
        "test:bars"
    )
    output: FileName = Field(description="sheet to write: a PNG or a JPEG, by its ending")
    at: Annotated[Moments, Option("look", "TIME", repeats=True)] = Field(
        default=(),
        description="moments to show, in seconds (12.5) or as a clock shows them (1:02:12.5), with commas "
        "between; some spread over the film by default",
    )
    effects: Annotated[Texts, Option("look", "NAME[:KEY=VALUE,…]", name="effect", repeats=True)] = Field(
        default=(),
        description="effect and its controls ('streamfx effects' lists them); each of several gets a row",
    )
    factors: Annotated[Factors, Option("look", "N,N,…", name="factor", repeats=True)] = Field(
        default=(),
        description=f"factors to show, of {', '.join(f'{factor:g}' for factor in FACTORS)}, with commas "
        "between; by default those of 1, 2 and 4 that the effect offers",
    )
    width: Annotated[Width, Option("encoding", "PIXELS")] = Field(
        default=1920, description="most pixels that the sheet is wide; pictures are never enlarged"
    )
    overwrite: Annotated[bool, Option("encoding", switch_off=True)] = Field(
        default=False, description="replacement of a file that exists"
    )
    deinterlace: Annotated[Deinterlace, Option("look", "KIND")] = Field(
        default="auto",
        description="deinterlacing: auto (of pictures flagged as interlaced), off, bwdif or yadif (of all)",
    )
    backend: BackendSetting = "auto"
    device: Annotated[DeviceName, Option("speed", "NAME")] = Field(
        default="auto",
        description="place of the network: auto (a GPU where one can be used), cpu, cuda, or cuda:1 for the "
        "second GPU",
    )
    threads: ThreadsSetting = None
