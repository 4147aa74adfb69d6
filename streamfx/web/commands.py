"""Commands: what a page may ask for, checked before anything is done."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, TypeAdapter, ValidationError, model_validator

from streamfx.errors import ConfigError
from streamfx.generate.effect import Backdrop
from streamfx.generate.people.backdrop import colour_backdrop
from streamfx.generate.where import Where
from streamfx.run.control_state import MOST_EFFECTS, WantedEffect
from streamfx.run.controls import RunControls
from streamfx.web.pictures import jpeg_backdrop

_CLOSED = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

MOST_COMMAND_BYTES = 3 << 20
"""Most bytes of a message: one that brings a picture is the largest."""

Place = Annotated[int, Field(ge=0, le=99)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
PartOfPicture = Annotated[Where, Strict(False)]


class Bypass(BaseModel):
    """Let frames pass unchanged, or not."""

    model_config = _CLOSED
    type: Literal["bypass"]
    on: bool


class SetControl(BaseModel):
    """Set a control of the effect at a place of the chain."""

    model_config = _CLOSED
    type: Literal["control"]
    effect: Place
    name: Name
    value: float


class SetWhere(BaseModel):
    """Have the effect at a place of the chain act on a part of the picture."""

    model_config = _CLOSED
    type: Literal["where"]
    effect: Place
    where: PartOfPicture


class SetKind(BaseModel):
    """Say what kind of picture frames are, where the pictures decide what runs; null: they decide again."""

    model_config = _CLOSED
    type: Literal["kind"]
    effect: Place
    kind: Name | None


class SetBackdrop(BaseModel):
    """Have the backdrop at a place of the chain show a picture, a JPEG in base 64, or a colour."""

    model_config = _CLOSED
    type: Literal["backdrop"]
    effect: Place
    picture: Annotated[str, Field(max_length=MOST_COMMAND_BYTES)] | None = None
    colour: Annotated[str, Field(pattern=r"^#?[0-9a-fA-F]{6}$")] | None = None

    @model_validator(mode="after")
    def _shows_one_thing(self) -> SetBackdrop:
        if (self.picture is None) is (self.colour is None):
            raise ValueError("either 'picture' or 'colour' is needed")
        return self


class SwitchEffect(BaseModel):
    """Put another effect in a place of the chain."""

    model_config = _CLOSED
    type: Literal["effect"]
    effect: Place
    name: Name


class ChainEffect(BaseModel):
    """An effect of a chain, and where its controls are to stand."""

    model_config = _CLOSED
    name: Annotated[str, Field(min_length=1, max_length=300)]  # that of a route says what it chooses from
    controls: Annotated[dict[Name, float], Field(max_length=16)] = {}
    where: PartOfPicture | None = None

    def wanted(self) -> WantedEffect:
        """Return it as the controls of a run take it."""
        return WantedEffect(self.name, self.controls, self.where)


ChainEffects = Annotated[tuple[ChainEffect, ...], Strict(False), Field(max_length=MOST_EFFECTS)]


class SetChain(BaseModel):
    """Have the chain be these effects in this order: add, take out, reorder, or all at once."""

    model_config = _CLOSED
    type: Literal["chain"]
    effects: ChainEffects


class Record(BaseModel):
    """Start or stop a recording on the machine that runs streamfx."""

    model_config = _CLOSED
    type: Literal["record"]
    on: bool


class TakeSnapshot(BaseModel):
    """Keep the picture of now, full size, for the viewer to fetch."""

    model_config = _CLOSED
    type: Literal["snapshot"]


class View(BaseModel):
    """What the viewer looks at: a page in the background needs no pictures.

    ``stream`` names the stream (WHEP) by which pictures come instead of one by one, with sound or without.
    """

    model_config = _CLOSED
    type: Literal["view"]
    pictures: bool
    before: bool
    stream: Name | None = None
    sound: bool = False


class Shown(BaseModel):
    """The viewer has a picture on its screen, and is ready for another."""

    model_config = _CLOSED
    type: Literal["shown"]
    number: Annotated[int, Field(ge=0)]


Command = (
    Bypass
    | SetControl
    | SetWhere
    | SetKind
    | SetBackdrop
    | SwitchEffect
    | SetChain
    | Record
    | TakeSnapshot
    | View
    | Shown
)
_COMMANDS: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="type")])


def read_command(text: str) -> Command:
    """Return the command that a page sent as JSON.

    Raises:
        ConfigError: it is none; says what is wrong.

    Example:
        >>> read_command('{"type": "bypass", "on": true}')
        Bypass(type='bypass', on=True)
    """
    try:
        return _COMMANDS.validate_json(text)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'message'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        raise ConfigError(f"the page sent what is no command: {problems}") from error


def _backdrop(command: SetBackdrop) -> Backdrop:
    """Return what is to stand behind people.

    Raises:
        ConfigError: the picture cannot be used.
    """
    if command.picture is None:
        return colour_backdrop(command.colour or "")
    try:
        return jpeg_backdrop(base64.b64decode(command.picture, validate=True))
    except ValueError as error:
        raise ConfigError(f"the picture for the backdrop cannot be used: {error}") from error


async def turn(controls: RunControls, command: Command) -> bool:
    """Have the controls do what was asked; return whether that is a matter of the controls at all.

    Raises:
        ConfigError: it cannot be done; says why.
    """
    if isinstance(command, Bypass):
        controls.set_bypass(command.on)
    elif isinstance(command, SetControl):
        controls.set_control(command.effect, command.name, command.value)
    elif isinstance(command, SetWhere):
        await asyncio.to_thread(controls.set_where, command.effect, command.where)
    elif isinstance(command, SetKind):
        controls.set_kind(command.effect, command.kind)
    elif isinstance(command, SetBackdrop):
        await asyncio.to_thread(controls.set_backdrop, command.effect, _backdrop(command))
    elif isinstance(command, SwitchEffect):
        await asyncio.to_thread(controls.switch, command.effect, command.name)
    elif isinstance(command, SetChain):
        await asyncio.to_thread(controls.set_chain, [effect.wanted() for effect in command.effects])
    else:
        return False
    return True
