"""Configuration of ``streamfx serve``: what every visitor's run follows from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, Strict

from streamfx.config.option import Option
from streamfx.config.run import RunArguments, RunConfig
from streamfx.config.text import from_environment
from streamfx.config.values import CLOSED, Count, Seconds, Text, Texts

_STUN = re.compile(r"stun:(\[[0-9a-f:.]+\]|[a-z0-9][a-z0-9.-]*)(:[0-9]{1,5})?", re.IGNORECASE)


def _check_stun(address: str) -> str:
    if not _STUN.fullmatch(address):
        raise ValueError("must be a STUN server, stun:HOST or stun:HOST:PORT")
    return address


_TURN = re.compile(
    r"turns?:(\[[0-9a-f:.]+\]|[a-z0-9][a-z0-9.-]*)(:[0-9]{1,5})?(\?transport=(udp|tcp))?", re.IGNORECASE
)


def _check_turn(address: str) -> str:
    if not _TURN.fullmatch(address):
        raise ValueError(
            "must be a TURN server, turn:HOST or turn:HOST:PORT, with ?transport=tcp after it where that is "
            "wanted; user and password are settings of their own"
        )
    return address


Secret = Annotated[Text, AfterValidator(from_environment)]
TurnServer = Annotated[Text, AfterValidator(_check_turn)]
StunServer = Annotated[Text, AfterValidator(_check_stun)]


class VisitorsConfig(BaseModel):
    """What visitors get."""

    model_config = CLOSED

    most: Annotated[Count | None, Option("speed", "N", name="visitors")] = Field(
        default=None, description="most visitors at a time; one for every two processors by default"
    )
    largest: Annotated[tuple[int, int], Strict(False)] = Field(
        default=(1080, 1920), description="largest picture (height, width) in pixels; larger ones are reduced"
    )
    effects: Annotated[int, Field(ge=1, le=8)] = Field(
        default=3, description="most effects of a visitor's chain; all of them share the visitor's processors"
    )
    bitrate_kbps: Annotated[int, Field(ge=300, le=100_000)] = Field(
        default=6000, description="most kbit/s of the video, there and back"
    )
    away_seconds: Seconds = Field(
        default=10.0,
        description="longest time without a picture from a visitor, in seconds: then the visit ends",
    )


class ServeConfig(RunConfig):
    """Everything that ``streamfx serve`` can be told."""

    effect: Annotated[Text | None, Option("look", "NAME[:KEY=VALUE,…]")] = Field(
        default=None, description="effect that visitors see first; any by default"
    )
    host: Annotated[Text, Option("page", "HOST")] = Field(
        default="127.0.0.1", description="address to listen at; 127.0.0.1: only this machine can come"
    )
    port: Annotated[int, Field(ge=0, le=65535), Option("page", "N")] = Field(
        default=8080, description="port of the page; 0: any free one"
    )
    token: bool = Field(
        default=True,
        description="secret in the printed address that lets visitors in; false: anybody here may come",
    )
    names: Texts = Field(default=(), description="names of the page, beside addresses and the machine's own")
    certificate: Annotated[Text | None, Option("page", "FILE")] = Field(
        default=None, description="TLS certificate (PEM); browsers give a camera only to https or localhost"
    )
    key: Annotated[Text | None, Option("page", "FILE")] = Field(
        default=None, description="private key of the certificate (PEM)"
    )
    stun: Annotated[tuple[StunServer, ...], Strict(False), Option("page", "ADDRESS", repeats=True)] = Field(
        default=(), description="STUN server, stun:HOST:PORT, for where an address translator is between"
    )
    turn: Annotated[TurnServer | None, Option("page", "ADDRESS")] = Field(
        default=None,
        description="TURN server, turn:HOST:PORT, that passes the video on where no UDP comes through",
    )
    turn_user: Annotated[Text | None, Option("page", "NAME")] = Field(
        default=None, description="user of the TURN server; visitors' browsers are told"
    )
    turn_password: Annotated[Secret | None, Option("page", "TEXT")] = Field(
        default=None,
        repr=False,
        description="password of the TURN server; visitors' browsers are told; ${NAME}: of the environment",
    )
    report: Annotated[Text | None, Option("run", "FOLDER")] = Field(
        default=None, description="folder for a report of each visitor"
    )
    visitors: VisitorsConfig = Field(default_factory=VisitorsConfig)


class ServeArguments(RunArguments, total=False):
    """Settings of `ServeConfig`, as Python arguments; those of its sections that have an option as well."""

    effect: str | None
    visitors: int | None
    host: str
    port: int
    certificate: str | PathLike[str] | None
    key: str | PathLike[str] | None
    stun: Sequence[str]
    turn: str | None
    turn_user: str | None
    turn_password: str | None
