"""Spec: what engine.yaml says of an engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

FORMATS = (1, 2, 3, 4)
"""Formats that are read; 2 adds ink heads and fine luma, 3 a memory of the frames before, 4 the matte,
enlargement to more than twice the size at once, and detail noise."""
DETAIL_AMPLITUDE = "detail_amplitude"
"""Name of the control for detail noise."""

_TWICE = 2
_ONCE_MOST_NOISE = 16  # channels, before format 4
_CLOSED = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OutputKind(StrEnum):
    """What the heads of an engine are, and so what becomes of them."""

    FUSED = "fused"  # picture, mask and displacement: warped and blended at full size, see `fuse`
    DETAILED = "detailed"  # the same with a gain for the source's fine detail
    INKED = "inked"  # the same with an answer to that detail that may be as steep as a line
    PLACED = "placed"  # a picture that takes the place of the frame's, see `place`
    ADDED = "added"  # what is to be added to the frame, see `place`
    SCORES = "scores"  # how likely each class is, here and there: not an effect but a classifier
    MATTE = "matte"  # how much of each pixel belongs to a person: not an effect, but where one acts


HEADS: Mapping[OutputKind, tuple[str, ...]] = {
    OutputKind.FUSED: ("translated", "mask", "displacement"),
    OutputKind.DETAILED: ("translated", "mask", "displacement", "detail"),
    OutputKind.INKED: ("translated", "mask", "displacement", "detail", "ink"),
    OutputKind.PLACED: ("translated",),
    OutputKind.ADDED: ("residual",),
    OutputKind.SCORES: ("scores",),
    OutputKind.MATTE: ("person", "rise", "fall"),
}

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ControlRange(BaseModel):
    """What a control may be set to."""

    model_config = _CLOSED

    low: float
    high: float
    default: float

    @model_validator(mode="after")
    def _ordered(self) -> ControlRange:
        if not self.low <= self.default <= self.high:
            raise ValueError(f"default {self.default} must lie between low {self.low} and high {self.high}")
        return self


class EngineSpec(BaseModel):
    """What engine.yaml says.

    Attributes:
        format: version of the folder's format.
        name: name that users write.
        version: version of this engine.
        family: kind of generator, see `streamfx.engine.families.registry.FAMILIES`.
        options: arguments of the family's network.
        stride: divisor of the height and width of the reduced picture, in pixels.
        noise_channels: noise channels of what the network sees, after the planes.
        detail_noise_channels: number of those, the last ones, that have an amplitude of their own, the
            control ``detail_amplitude``: noise of a second stage.
        fine_luma: ratio, each way, of the luma that the network sees besides to the reduced picture; 0:
            none. Each square of it is the channels of one pixel, after the planes.
        layout: arrangement of the planes in the network's input: ``planes``, all on one grid; or ``i420``,
            the decoder's own for 4:2:0, all in one channel: the rows of Y, then U and V at half the size.
        scale: size of the heads over that of the reduced picture, each way.
        margin_pixels: distance that the network sees around a pixel of the reduced picture; 0: everything,
            so that a picture cannot be done in parts.
        factors: reductions that `auto` chooses from; any number between the smallest and the largest may be
            asked for. The card tells which were in training.
        heads: meanings of the output channels, in order; see `HEADS`.
        max_displacement_pixels: bound of the displacement, in pixels of the reduced picture.
        memory_tolerance: change of the reduced picture, as a share of all codes, up to which the heads of the
            frames before count, see `steady`; 0: each frame stands alone.
        source_domain: kind of picture that goes in.
        target_domain: kind of picture that comes out.
        classes: kinds that a classifier tells apart, in order of its scores.
        controls: numbers that a user may set, with range and default.
        licence: licence of the weights, an SPDX expression.
        files: SHA-256 of every other file of the folder.
    """

    model_config = _CLOSED

    format: int
    name: Name
    version: str
    family: str
    options: dict[str, bool | int | float | str] = {}
    stride: Annotated[int, Field(ge=1, le=256)]
    factors: Annotated[tuple[Annotated[float, Field(ge=1, le=64)], ...], Field(min_length=1)]
    heads: tuple[str, ...]
    noise_channels: Annotated[int, Field(ge=0, le=32)] = 0
    detail_noise_channels: Annotated[int, Field(ge=0, le=32)] = 0
    fine_luma: Literal[0, 4] = 0
    layout: Literal["planes", "i420"] = "planes"
    scale: Annotated[int, Field(ge=1, le=8)] = 1
    margin_pixels: Annotated[int, Field(ge=0, le=1024)] = 0
    classes: tuple[str, ...] = ()
    max_displacement_pixels: Annotated[float, Field(ge=0, le=4096)] = 0.0
    memory_tolerance: Annotated[float, Field(ge=0, le=1)] = 0.0
    source_domain: str
    target_domain: str
    controls: dict[str, ControlRange]
    licence: str
    files: dict[FileName, Sha256] = {}

    @field_validator("heads")
    @classmethod
    def _heads_are_known(cls, heads: tuple[str, ...]) -> tuple[str, ...]:
        if heads not in HEADS.values():
            known = "; ".join(", ".join(names) for names in HEADS.values())
            raise ValueError(f"must be one of: {known}; found: {', '.join(heads)}")
        return heads

    @field_validator("controls")
    @classmethod
    def _strength_is_a_control(cls, controls: dict[str, ControlRange]) -> dict[str, ControlRange]:
        strength = controls.get("strength")
        if strength is None or strength.low < 0 or strength.high > 1:
            raise ValueError("must hold 'strength', within 0 and 1")
        return controls

    @model_validator(mode="after")
    def _format_knows_the_rest(self) -> EngineSpec:
        if self.format < self.needed_format:
            raise ValueError(
                f"format is {self.format}, but this needs format {self.needed_format}: ink heads "
                "and fine luma came with 2, the memory with 3, and with 4 the matte, enlargement to more "
                "than twice the size at once, more than 16 channels of noise, detail noise and the option own"
            )
        return self

    @model_validator(mode="after")
    def _detail_noise_is_part_of_the_noise(self) -> EngineSpec:
        if self.detail_noise_channels > self.noise_channels:
            raise ValueError(
                f"detail noise channels are some of the {self.noise_channels} noise channels, found "
                f"{self.detail_noise_channels}"
            )
        if (self.detail_noise_channels > 0) != (DETAIL_AMPLITUDE in self.controls):
            raise ValueError(
                f"detail noise channels and the control {DETAIL_AMPLITUDE!r} come together; found "
                f"{self.detail_noise_channels} channels and controls {', '.join(self.controls)}"
            )
        return self

    @model_validator(mode="after")
    def _enlargement_is_by_doubling(self) -> EngineSpec:
        if self.enlarges and self.scale & (self.scale - 1):
            raise ValueError(f"frames can be made 2, 4 or 8 times as large, found scale {self.scale}")
        return self

    @model_validator(mode="after")
    def _fine_luma_is_for_the_fused_step(self) -> EngineSpec:
        if self.fine_luma and (not self.fuses or self.noise_channels or self.layout != "planes"):
            raise ValueError(
                f"fine luma is for heads that are fused, layout planes and no noise; found heads "
                f"{', '.join(self.heads)}, layout {self.layout}, noise channels {self.noise_channels}"
            )
        return self

    @model_validator(mode="after")
    def _memory_is_for_what_is_enlarged(self) -> EngineSpec:
        if self.memory_tolerance and not self.spans_frame:
            raise ValueError(
                f"a memory is for heads that are fused and for the matte; found heads {', '.join(self.heads)}"
            )
        return self

    @property
    def kind(self) -> OutputKind:
        """What the heads are, and so what is done with them."""
        return next(kind for kind, names in HEADS.items() if names == self.heads)

    @property
    def fuses(self) -> bool:
        """Whether the heads are those of the fused step: the source, warped, shows through the picture."""
        return self.kind in (OutputKind.FUSED, OutputKind.DETAILED, OutputKind.INKED)

    @property
    def spans_frame(self) -> bool:
        """Whether its heads, enlarged, span the whole frame, whatever multiples of the stride they are."""
        return self.fuses or self.kind is OutputKind.MATTE

    @property
    def no_effect(self) -> str | None:
        """Why this is no effect and what it is for instead, after "it"; None for an effect."""
        if self.kind is OutputKind.SCORES:
            return f"tells pictures apart ({', '.join(self.classes)}) and changes none"
        if self.kind is OutputKind.MATTE:
            return "tells people from the background; use where=person with an effect"
        return None

    @property
    def needed_format(self) -> int:
        """The oldest format that can say what this description says."""
        if self.kind is OutputKind.MATTE or self.noise_channels > _ONCE_MOST_NOISE:
            return 4
        if self.detail_noise_channels or (self.enlarges and self.scale > _TWICE) or self.options.get("own"):
            return 4
        if self.memory_tolerance:
            return 3
        return 2 if self.kind is OutputKind.INKED or self.fine_luma else 1

    @property
    def input_channels(self) -> int:
        """Channels of what the network sees; with layout ``i420`` that is one surface."""
        return 1 if self.layout == "i420" else 3 + self.noise_channels + self.fine_luma**2

    @property
    def enlarges(self) -> bool:
        """Whether frames become larger, and not only the picture that takes the place of theirs."""
        return self.kind is OutputKind.ADDED and self.scale > 1

    @property
    def doublings(self) -> int:
        """How many times one run of the network makes a frame twice as large each way."""
        return self.scale.bit_length() - 1 if self.enlarges else 0

    @property
    def digest(self) -> str:
        """SHA-256 of everything the engine consists of: this description and, through it, every file."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()
