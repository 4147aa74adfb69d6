"""Controls state: how a live run stands, as told to whoever changes it; and what it is to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streamfx.generate.chain import AnyEffect
from streamfx.generate.request import with_controls
from streamfx.run.rearranging import ChainPlace, NewEffect

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
        backend: backend that runs it.
        precision: number format of the network.
        factor: factor in force.
        controls: controls that can be set, in the order in which the engine declares them.
    """

    name: str
    backend: str
    precision: str
    factor: float
    controls: tuple[Control, ...]


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
    """

    name: str
    controls: Mapping[str, float] = field(default_factory=dict)


def places_of(wanted: Sequence[WantedEffect], running: Sequence[AnyEffect]) -> tuple[ChainPlace, ...]:
    """Return the places of a chain: effects that run already, each once, and new ones."""
    left, places = list(running), []
    for each in wanted:
        found = next((effect for effect in left if effect.name == each.name), None)
        if found is not None:
            left.remove(found)
        places.append(found or NewEffect(each.name))
    return tuple(places)


def take_over(old: AnyEffect, new: AnyEffect) -> None:
    """Set the controls of an effect to where those of another stand, as far as its engine allows."""
    set_as_far(new, {control.name: control.value for control in controls_of(old)})


def set_as_far(effect: AnyEffect, values: Mapping[str, float]) -> None:
    """Set controls as far as the engine has them and allows."""
    taken = {
        control.name: min(max(values[control.name], control.low), control.high)
        for control in controls_of(effect)
        if control.name in values
    }
    effect.controls = with_controls(effect.controls, taken)


def controls_of(effect: AnyEffect) -> tuple[Control, ...]:
    """Return the controls that the engine declares and that can be set while it runs.

    Where the pictures decide on one of several engines, those that all declare, within what all allow.
    """
    declared = [part.engine.spec.controls for part in effect.parts]
    return tuple(
        Control(
            name,
            max(controls[name].low for controls in declared),
            min(controls[name].high for controls in declared),
            found.default,
            float(getattr(effect.controls, name)),
        )
        for name, found in declared[0].items()
        if name != _FACTOR and hasattr(effect.controls, name) and all(name in other for other in declared)
    )


def state_of(effect: AnyEffect) -> EffectState:
    return EffectState(
        name=effect.name,
        backend=effect.compiled.backend,
        precision=effect.compiled.precision.value,
        factor=effect.controls.factor,
        controls=controls_of(effect),
    )
