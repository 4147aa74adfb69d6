"""Controls state: how a live run stands, as told to whoever changes it; and what it is to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from streamfx.errors import ConfigError
from streamfx.generate.chain import AnyEffect, Chain
from streamfx.generate.effect import Backdrop
from streamfx.generate.people.effects import BACKDROP, PeopleEffect
from streamfx.generate.request import with_controls
from streamfx.generate.routed import Routed
from streamfx.generate.where import Where
from streamfx.run.rearranging import ChainPlace, NewEffect

MOST_EFFECTS = 8
"""Most effects of a chain that grows by what viewers ask for."""

_FACTOR = "factor"  # has its own place: it follows from the hardware and is nothing a viewer sets


@dataclass(frozen=True, slots=True)
class Control:
    """A control of a running effect that its engine declares, and where it stands."""

    name: str
    low: float
    high: float
    default: float
    value: float


@dataclass(frozen=True, slots=True)
class EffectState:
    """An effect as it runs now.

    Attributes:
        name: name of the engine.
        backend: backend that runs its network; empty for an effect without one.
        precision: number format of the network.
        factor: factor in force.
        controls: controls that can be set, in the order in which the engine declares them.
        where: part of the picture that it acts on; None: it always acts on all of it.
        kinds: kinds of picture that are told apart, where the pictures decide what runs.
        kind: kind that somebody says they are; None: they decide.
        decided: last decision, in one line.
    """

    name: str
    backend: str
    precision: str
    factor: float
    controls: tuple[Control, ...]
    where: Where | None = Where.ALL
    kinds: tuple[str, ...] = ()
    kind: str | None = None
    decided: str = ""


@dataclass(frozen=True, slots=True)
class ControlState:
    """How everything stands.

    Attributes:
        effects: effects in the order they are applied.
        bypass: whether frames pass unchanged.
        opening: the effect that is being opened to take another's place; None when none is.
        problem: reason why the last effect asked for could not be had; None when it could.
        available: names of the effects there are.
    """

    effects: tuple[EffectState, ...]
    bypass: bool
    opening: str | None
    problem: str | None
    available: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WantedEffect:
    """An effect that a chain is to have.

    Attributes:
        name: name of the engine, or of an effect that runs.
        controls: numbers that its controls are set to; those left out stay, or are the engine's.
        where: part of the picture that it is to act on; None: it stays, or is the effect's.
    """

    name: str
    controls: Mapping[str, float] = field(default_factory=dict)
    where: Where | None = None


def places_of(wanted: Sequence[WantedEffect], running: Sequence[AnyEffect]) -> tuple[ChainPlace, ...]:
    """Return the places of a chain: effects that run already, each once, and new ones.

    Raises:
        ConfigError: there are too many.
    """
    if len(wanted) > MOST_EFFECTS:
        raise ConfigError(f"a chain has at most {MOST_EFFECTS} effects, not {len(wanted)}")
    left, places = list(running), []
    for each in wanted:
        found = next((effect for effect in left if effect.name == each.name), None)
        if found is not None:
            left.remove(found)
        places.append(found or NewEffect(each.name))
    return tuple(places)


def take_over(old: AnyEffect, new: AnyEffect) -> None:
    """Set the controls of an effect to where those of another stand, as far as its engine allows.

    It acts on the same part of the picture, unless one of the two is made for a part.
    """
    made_for_a_part = isinstance(old, PeopleEffect) or isinstance(new, PeopleEffect)
    values = {control.name: control.value for control in controls_of(old)}
    set_as_far(new, {} if made_for_a_part else values, None if made_for_a_part else old.controls.where)


def acts_on_parts(effect: AnyEffect) -> bool:
    """Return whether an effect can act on a part of the picture: one that enlarges cannot."""
    return not any(part.engine.spec.enlarges for part in effect.parts)


def set_as_far(effect: AnyEffect, values: Mapping[str, float], where: Where | None = None) -> None:
    """Set controls as far as the effect has them and allows; None: it acts on what it did."""
    taken = {
        control.name: min(max(values[control.name], control.low), control.high)
        for control in controls_of(effect)
        if control.name in values
    }
    controls = with_controls(effect.controls, taken)
    if where is not None and acts_on_parts(effect):
        controls = replace(controls, where=where)
    effect.controls = controls


def controls_of(effect: AnyEffect) -> tuple[Control, ...]:
    """Return the controls that the effect has and that can be set while it runs."""
    return tuple(
        Control(name, found.low, found.high, found.default, float(getattr(effect.controls, name)))
        for name, found in effect.ranges.items()
        if name != _FACTOR and hasattr(effect.controls, name)
    )


def state_of(effect: AnyEffect) -> EffectState:
    runs = None if isinstance(effect, PeopleEffect) else effect.compiled
    kinds: tuple[str, ...] = ()
    kind, decided = None, ""
    if isinstance(effect, Routed):
        kinds, kind = effect.classifier.classes, effect.kind
        decided = "; ".join(f"{now.effect or 'no effect'}: {now.why}" for now in effect.choices[-1:])
    return EffectState(
        name=effect.name,
        backend=runs.backend if runs else "",
        precision=runs.precision.value if runs else "",
        factor=effect.controls.factor,
        controls=controls_of(effect),
        where=effect.controls.where if acts_on_parts(effect) else None,
        kinds=kinds,
        kind=kind,
        decided=decided,
    )


def effect_at(chain: Chain, position: int) -> AnyEffect:
    """Return the effect in a place of a chain.

    Raises:
        ConfigError: there is no such place.
    """
    if not 0 <= position < len(chain.effects):
        raise ConfigError(f"there is no effect number {position}; there are {len(chain.effects)}")
    return chain.effects[position]


def names_of(effects: Sequence[AnyEffect]) -> str:
    """Return the names of effects in one line."""
    return " + ".join(effect.name for effect in effects) or "none"


def check_names(available: Sequence[str], names: Sequence[str]) -> None:
    """Check that there are effects of these names.

    Raises:
        ConfigError: there is none of one of them; lists those there are.
    """
    for name in names:
        if name not in available:
            raise ConfigError(f"there is no effect {name!r}; there are: {', '.join(available)}")


def check_place(chain: Chain, position: int) -> None:
    """Check that an effect can be put into a place of a chain, or behind the last one.

    Raises:
        ConfigError: there is no such place, or there are too many.
    """
    if not 0 <= position <= len(chain.effects):
        raise ConfigError(f"there is no effect number {position}")
    if position >= MOST_EFFECTS:
        raise ConfigError(f"a chain has at most {MOST_EFFECTS} effects; replace one of them")


def check_part(effect: AnyEffect, where: Where) -> None:
    """Check that an effect can act on a part of the picture.

    Raises:
        ConfigError: it enlarges.
    """
    if where is not Where.ALL and not acts_on_parts(effect):
        raise ConfigError(f"effect {effect.name!r} makes frames larger, so it acts on all of the picture")


def set_value(effect: AnyEffect, name: str, value: float) -> str | None:
    """Set a control of an effect; return what was done, None where it stands there already.

    Raises:
        ConfigError: there is no such control, or the value is out of the engine's range.
    """
    if name not in {control.name for control in controls_of(effect)}:
        raise ConfigError(f"effect {effect.name!r} has no control {name!r}")
    before = getattr(effect.controls, name)
    effect.controls = with_controls(effect.controls, {name: value})
    return f"{effect.name}: {name} {value:g}" if value != before else None


def say_kind(effect: AnyEffect, kind: str | None) -> str:
    """Say what kind of picture frames are, where the pictures decide what runs; None: they decide again.
    Return what was done.

    Raises:
        ConfigError: they do not decide in that place, or are not told apart so.
    """
    if not isinstance(effect, Routed):
        raise ConfigError(f"effect {effect.name!r} runs whatever the pictures show")
    effect.say(kind)
    return f"{effect.name}: pictures are {kind or 'what they show'}"


def show_backdrop(effect: AnyEffect, backdrop: Backdrop) -> str:
    """Have an effect show another picture behind people, from its next frame on; return what was done.

    Raises:
        ConfigError: it shows none.
    """
    if not isinstance(effect, PeopleEffect):
        raise ConfigError(f"effect {effect.name!r} shows no picture; {BACKDROP!r} does")
    effect.show(backdrop)
    return f"{effect.name}: another picture"
