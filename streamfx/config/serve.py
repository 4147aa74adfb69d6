"""Configuration of ``streamfx serve``: what every visitor's run follows from."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, Strict

from streamfx.config.values import CLOSED, Backend, Count, Factor, Seconds, Text, Texts

_STUN = re.compile(r"stun:(\[[0-9a-f:.]+\]|[a-z0-9][a-z0-9.-]*)(:[0-9]{1,5})?", re.IGNORECASE)


def _check_stun(address: str) -> str:
    if not _STUN.fullmatch(address):
        raise ValueError("must be a STUN server, stun:HOST or stun:HOST:PORT")
    return address


StunServer = Annotated[Text, AfterValidator(_check_stun)]


class VisitorsConfig(BaseModel):
    """What visitors get."""

    model_config = CLOSED

    most: Count | None = Field(
        default=None, description="most visitors at a time; null: one for every two processors"
    )
    largest: Annotated[tuple[int, int], Strict(False)] = Field(
        default=(1080, 1920), description="largest picture (height, width) in pixels; larger ones are reduced"
    )
    bitrate_kbps: Annotated[int, Field(ge=300, le=100_000)] = Field(
        default=6000, description="most bits for the video, there and back"
    )
    away_seconds: Seconds = Field(
        default=10.0, description="a visitor from whom no picture came for so long is sent away"
    )


class ServeConfig(BaseModel):
    """Everything that ``streamfx serve`` can be told."""

    model_config = CLOSED

    effect: Text | None = Field(
        default=None, description="what visitors see first, NAME or NAME:KEY=VALUE,KEY=VALUE; null: any"
    )
    host: Text = Field(
        default="127.0.0.1", description="address to listen at; 127.0.0.1: only this machine can come"
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8080, description="port of the page; 0: any free one"
    )
    token: bool = Field(
        default=True,
        description="visitors need the token of the printed address; false: anybody on this machine may come",
    )
    names: Texts = Field(
        default=(), description="names the page may be asked for by, beside addresses and the machine's own"
    )
    certificate: Text | None = Field(
        default=None, description="TLS certificate (PEM); browsers give a camera only to https or localhost"
    )
    key: Text | None = Field(default=None, description="private key of the certificate (PEM)")
    stun: Annotated[tuple[StunServer, ...], Strict(False)] = Field(
        default=(), description="STUN servers, stun:HOST:PORT, where an address translator is in between"
    )
    factor: Factor = Field(
        default="auto",
        description="how many times smaller the network's picture is; auto: the smallest that keeps up",
    )
    backend: Backend = Field(default="auto", description="what runs the network")
    threads: Count | None = Field(
        default=None, description="processor threads for all visitors together; null for all"
    )
    report: Text | None = Field(default=None, description="write a report for each visitor into this folder")
    visitors: VisitorsConfig = Field(default_factory=VisitorsConfig)
