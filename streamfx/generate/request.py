"""Request: how a user names an effect and sets its controls; and what they may be set to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from streamfx.engine.factors import check_factor
from streamfx.engine.folder import Engine
from streamfx.engine.spec import DETAIL_AMPLITUDE
from streamfx.errors import ConfigError, did_you_mean
from streamfx.generate.route import ROUTE, ROUTE_KEYS, Route
from streamfx.generate.where import Where

DEFAULT_FACTOR = 4.0
SCALES = (2, 4, 8)
CONTROLS = ("strength", "noise_amplitude", "detail_amplitude", "seed")
"""Names of what can be set of an effect while it runs, the factor apart."""

_AUTO, _MARGIN, _WHERE = "auto", "margin", "where"
_BACKDROP_KEYS = ("picture", "colour")
_TEXT_KEYS = (_WHERE, *_BACKDROP_KEYS)
_RANGES: Mapping[str, tuple[float, float]] = {
    "strength": (0.0, 1.0),
    "factor": (1.0, 64.0),
    "noise_amplitude": (0.0, 1.0),
    DETAIL_AMPLITUDE: (0.0, 1.0),
    "seed": (0.0, 2.0**31 - 1),
    "scale": (SCALES[0], SCALES[-1]),
    _MARGIN: (0.0, 1.0),
}
_WHOLE = ("seed", "scale")


@dataclass(frozen=True, slots=True)
class Controls:
    """What can be changed while an effect runs, between two frames.

    Attributes:
        strength: 0..1, how much of the effect is applied; 0 gives the source bit for bit.
        factor: reduction of the picture that the network sees, 1 or more.
        noise_amplitude: 0..1, how much noise the network gets, where it takes some.
        seed: whole number that decides the noise.
        where: part of the picture that the effect acts on.
        detail_amplitude: 0..1, how much of it the second stage gets, where that has an amplitude of its own.
    """

    strength: float = 1.0
    factor: float = DEFAULT_FACTOR
    noise_amplitude: float = 0.0
    seed: int = 0
    where: Where = Where.ALL
    detail_amplitude: float = 0.0


@dataclass(frozen=True, slots=True)
class EffectRequest:
    """An effect as a user asks for it; None where nothing was said.

    Attributes:
        engine: name of an engine, or path of its folder.
        strength: 0..1, how much of the effect is applied.
        factor: reduction of the picture that the network sees, 1 or more.
        noise_amplitude: 0..1, how much noise the network gets.
        seed: whole number that decides the noise.
        scale: 2, 4 or 8, how many times larger the frame gets, for effects that enlarge it.
        auto: whether good pictures are left alone.
        route: route asked for instead of an engine by name; None: the engine.
        margin: 0..1, by how much more probable something else must be before it runs, where the pictures
            decide what runs.
        where: part of the picture that the effect acts on.
        picture: file that a backdrop shows.
        colour: colour that a backdrop has, as ``name`` or ``RRGGBB``.
        detail_amplitude: 0..1, how much noise the second stage gets, where that has an amplitude of its own.
    """

    engine: str
    strength: float | None = None
    factor: float | None = None
    noise_amplitude: float | None = None
    seed: int | None = None
    scale: int | None = None
    auto: bool = False
    route: Route | None = None
    margin: float | None = None
    where: Where | None = None
    picture: str | None = None
    colour: str | None = None
    detail_amplitude: float | None = None


def parse_effect(text: str) -> EffectRequest:
    """Return the effect that ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE`` asks for; NAME may be a path.

    ``NAME:auto`` leaves good pictures alone. ``where`` is ``all``, ``person`` or ``background``. With the
    name ``route``, ``from`` and ``to`` say what goes in and what comes out, and ``among=NAME+NAME`` which
    effects come into question; each may be left out. Both take a ``margin``. With the name ``backdrop``,
    ``picture`` is a file and ``colour`` a colour.

    Raises:
        ConfigError: a key is unknown, given twice or without a number, or a number is out of range.

    Example:
        >>> request = parse_effect("wave:strength=0.5,factor=2")
        >>> request.engine, request.strength, request.factor, request.seed
        ('wave', 0.5, 2.0, None)
    """
    name, colon, settings = text.partition(":")
    if not name.strip():
        raise ConfigError(f"effect {text!r} has no name; write NAME or NAME:KEY=VALUE,KEY=VALUE")
    what = f"effect {text!r}"
    routed = name.strip() == ROUTE
    given: dict[str, str] = {}
    for setting in settings.split(",") if colon else ():
        known = (*ROUTE_KEYS, *_RANGES, _WHERE) if routed else (*_RANGES, *_TEXT_KEYS, _AUTO)
        key, value = _text(setting, what, known)
        if key in given:
            raise ConfigError(f"{what}: {key} is given twice")
        given[key] = value
    auto = given.pop(_AUTO, None) is not None
    asked = {key: given.pop(key) for key in ROUTE_KEYS if key in given}
    backdrop = {key: given.pop(key) for key in _BACKDROP_KEYS if key in given}
    where = _where(given.pop(_WHERE), what) if _WHERE in given else None
    values = {key: _number(key, value, what) for key, value in given.items()}
    check_ranges(values, _RANGES, what)
    if "factor" in values:
        try:
            check_factor(values["factor"])
        except ValueError as error:
            raise ConfigError(f"{what}: factor {error}, found {values['factor']:g}") from error
    whole = {key: int(values.pop(key)) for key in _WHOLE if key in values}
    if _MARGIN in values and not (auto or routed):
        raise ConfigError(f"{what}: {_MARGIN} is for routes and for {_AUTO!r}, where the pictures decide")
    if whole.get("scale", 2) not in SCALES:
        raise ConfigError(f"{what}: scale must be 2, 4 or 8, found {whole['scale']}")
    wanted = Route(asked.get("from"), asked.get("to"), _names(asked.get("among"))) if routed else None
    told = {**values, **whole, **backdrop}
    return EffectRequest(name.strip(), auto=auto, route=wanted, where=where, **told)  # type: ignore[arg-type]


def _text(setting: str, what: str, known: Sequence[str]) -> tuple[str, str]:
    """Return key and value of ``KEY=VALUE``, or of ``auto``, which has none."""
    key, equals, value = (part.strip() for part in setting.partition("="))
    if key not in known:
        meant = did_you_mean(key, known)
        raise ConfigError(f"{what}: unknown key {key!r}; {meant}{meant and ' '}known: {', '.join(known)}")
    if key == _AUTO and equals:
        raise ConfigError(f"{what}: {key} stands alone, without {setting.strip().removeprefix(key)!r}")
    if key != _AUTO and not value:
        needs = "a name" if key in (*ROUTE_KEYS, *_TEXT_KEYS) else f"a number, {key}=0.5 for instance"
        raise ConfigError(f"{what}: {key} needs {needs}; nothing was given")
    return key, value


def _where(value: str, what: str) -> Where:
    try:
        return Where(value)
    except ValueError as error:
        meant = did_you_mean(value, list(Where))
        raise ConfigError(
            f"{what}: where must be {' or '.join(Where)}; found {value!r}{f'; {meant}' if meant else ''}"
        ) from error


def _number(key: str, value: str, what: str) -> float:
    try:
        number = float(value)
    except ValueError as error:
        raise ConfigError(f"{what}: {key} needs a number, {key}=0.5 for instance; found {value!r}") from error
    if key in _WHOLE and not number.is_integer():
        raise ConfigError(f"{what}: {key} needs a whole number, found {value}")
    return number


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split("+") if name.strip()) if text else ()


def controls_for(request: EffectRequest, engine: Engine, factor: float | None) -> Controls:
    """Return the controls that an effect begins with.

    Args:
        request: request of the user.
        engine: engine whose ranges and defaults hold.
        factor: factor where the request names none; None for the usual one.

    Raises:
        ConfigError: one of them is outside its range, or the engine has no such control.
    """
    low, high = engine.factor_range
    usual = min(max(DEFAULT_FACTOR, low), high)
    if low == high:
        factor = low  # what was asked for is meant for the effects that have a choice
    declared = engine.spec.controls
    for key in ("noise_amplitude", "seed"):
        if getattr(request, key) is not None and not engine.spec.noise_channels:
            raise ConfigError(f"engine {engine.name!r} takes no noise, so {key} cannot be set")
    for key in _BACKDROP_KEYS:
        if getattr(request, key) is not None:
            raise ConfigError(
                f"engine {engine.name!r} has no {key}; it is for backdrop, as in backdrop:{key}=…"
            )
    if request.detail_amplitude is not None and DETAIL_AMPLITUDE not in declared:
        raise ConfigError(
            f"engine {engine.name!r} has no noise of a second stage, so {DETAIL_AMPLITUDE} cannot be set"
        )
    if request.scale is not None and not engine.spec.enlarges:
        raise ConfigError(f"engine {engine.name!r} does not enlarge, so scale cannot be set")
    if request.scale is not None and request.scale not in scales_of(engine):
        raise ConfigError(
            f"engine {engine.name!r} makes frames {engine.spec.scale} times as large at once, so scale must "
            f"be {' or '.join(map(str, scales_of(engine)))}, found {request.scale}"
        )
    values = {
        key: declared[key].default if getattr(request, key) is None else getattr(request, key)
        for key in ("strength", "noise_amplitude", DETAIL_AMPLITUDE)
        if key in declared
    }
    given = next(value for value in (request.factor, factor, usual) if value is not None)
    where = request.where or Where.ALL
    if where is not Where.ALL and engine.spec.enlarges:
        raise ConfigError(
            f"engine {engine.name!r} makes frames larger, so it acts on all of the picture; leave "
            f"where={where} out"
        )
    controls = Controls(**values, factor=given, seed=request.seed or 0, where=where)
    check_controls(controls, engine)
    return controls


def scales_of(engine: Engine) -> tuple[int, ...]:
    """Return how many times larger an engine that enlarges can make frames: once or more in a row."""
    once = engine.spec.doublings
    return tuple(scale for scale in SCALES if once and (scale.bit_length() - 1) % once == 0)


def with_controls(controls: Controls, values: Mapping[str, float]) -> Controls:
    """Return controls with some of them set to numbers; those that are whole numbers are rounded."""
    whole = {name: round(value) if name in _WHOLE else value for name, value in values.items()}
    return replace(controls, **whole)  # type: ignore[arg-type]


def check_controls(controls: Controls, engine: Engine) -> None:
    """Check controls against what an engine can do.

    Raises:
        ConfigError: one of them is outside its range; names the engine and the range.
    """
    declared = {name: (found.low, found.high) for name, found in engine.spec.controls.items()}
    ranges = {**declared, "factor": engine.factor_range}
    values = {name: getattr(controls, name) for name in ranges if hasattr(controls, name)}
    check_ranges(values, ranges, f"engine {engine.name!r}")


def check_ranges(values: Mapping[str, float], ranges: Mapping[str, tuple[float, float]], what: str) -> None:
    """Check numbers against the lowest and highest there may be.

    Raises:
        ConfigError: one is outside.
    """
    for key, value in values.items():
        low, high = ranges[key]
        if not low <= value <= high:  # not-a-number fails here, too
            raise ConfigError(f"{what}: {key} must be {low:g} to {high:g}, found {value:g}")
