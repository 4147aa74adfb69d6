"""Configuration of a run, of whatever kind: what those of files, live sources and visitors extend."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Annotated, TypedDict

from pydantic import BaseModel, Field

from streamfx.config.option import Option
from streamfx.config.values import (
    CLOSED,
    Backend,
    Count,
    DeviceName,
    Factor,
    FileName,
    Quality,
    Text,
    Texts,
)
from streamfx.encode.encoding import Encoding

BackendSetting = Annotated[
    Backend,
    Option("speed", "NAME"),
    Field(
        description="library that runs the network ('streamfx devices' lists them); auto: the fastest here"
    ),
]
ThreadsSetting = Annotated[
    Count | None,
    Option("speed", "N"),
    Field(description="number of processor threads to use; all by default"),
]


class RunConfig(BaseModel):
    """What every run can be told."""

    model_config = CLOSED

    factor: Annotated[Factor, Option("look", "N")] = Field(
        default="auto",
        description="reduction of the picture that the network sees: 1, 1.5, 2, 3, 4, 6, 8 times, or auto: "
        "the smallest that keeps up with the source",
    )
    backend: BackendSetting = "auto"
    device: Annotated[DeviceName, Option("speed", "NAME")] = Field(
        default="auto",
        description="place of the frames and the network: auto (a GPU where one can be used), cpu, cuda, or "
        "cuda:1 for the second GPU",
    )
    threads: ThreadsSetting = None
    report: Annotated[FileName | None, Option("run", "FILE")] = Field(
        default=None, description="file for the account of every frame, as JSON"
    )


class RunArguments(TypedDict, total=False):
    """Settings of `RunConfig`, as Python arguments."""

    factor: float | str
    backend: str
    device: str
    threads: int | None
    report: str | PathLike[str] | None


class EncodedRunConfig(RunConfig):
    """What every run can be told that encodes its frames."""

    effects: Annotated[Texts, Option("look", "NAME[:KEY=VALUE,…]", name="effect", repeats=True)] = Field(
        default=(),
        description="effect and its controls ('streamfx effects' lists them); several are applied in order",
    )
    codec: Annotated[Text | None, Option("encoding", "NAME")] = Field(
        default=None, description="video codec; one that fits the output by default"
    )
    preset: Annotated[Text | None, Option("encoding", "NAME")] = Field(
        default=None, description="speed of the encoder against size of the output, as the codec names it"
    )
    quality: Annotated[Quality | None, Option("encoding", "N")] = Field(
        default=None, description="constant quality, as the codec counts it (lower is better)"
    )
    overwrite: Annotated[bool, Option("encoding", switch_off=True)] = Field(
        default=False, description="replacement of an output file that exists"
    )
    verify: bool = Field(
        default=True, description="comparison of finished files, read again, with the account"
    )

    @property
    def encoding(self) -> Encoding:
        """How the outputs are encoded."""
        return Encoding(
            codec=self.codec,
            preset=self.preset,
            quality=self.quality,
            threads=self.threads,
            overwrite=self.overwrite,
        )


class EncodedRunArguments(RunArguments, total=False):
    """Settings of `EncodedRunConfig`, as Python arguments."""

    effects: Sequence[str]
    codec: str | None
    preset: str | None
    quality: int | None
    overwrite: bool
